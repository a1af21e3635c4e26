"""Files to be scored, and the command that scores them."""

from __future__ import annotations

import json

from analysis.score import main


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path


def scored(capsys, *arguments):
    assert main([*map(str, arguments), "--json", "--rounds", "50"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *arguments):
    assert main([*map(str, arguments), "--json"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    return printed.err
