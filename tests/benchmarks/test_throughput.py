"""The benchmark of sampling, scoring and training runs beside the usual chain, in the order that is asked for."""

from __future__ import annotations

import pytest

from benchmarks.throughput import main


def test_every_kind_of_work_has_a_line_and_the_last_adds_them_up(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--shape", "tiny", "--prompts", "6", "--samples", "2", "--new-tokens", "8", "--batch-size", "4"]
    main([*small, "--works", "dpo", "scoring", "reward", "sampling"])
    title, _, *table = capsys.readouterr().out.splitlines()
    assert "6 prompts x 2 responses of up to 8 tokens" in title
    header, _, *lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    assert header[:3] == ["work", "ours, s", "loading"]
    *works, last = lines
    assert [line[0] for line in works] == ["DPO, with its reference", "scoring", "reward training", "sampling"]
    assert all(float(line[7].replace(",", "")) > 0 for line in works)  # tokens/s
    for column in (1, 3):  # seconds of ours and of the usual chain
        assert float(last[column]) == pytest.approx(sum(float(line[column]) for line in works), abs=0.25)
