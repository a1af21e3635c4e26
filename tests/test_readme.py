"""The README keeps its word: its commands run, its choices and its places are those of the project."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mt.config.compose import CONF, options
from tests.analysis.synthetic import write_runs
from tests.engines.tiny import tiny_policy, tiny_reward

ROOT = CONF.parent
README = (ROOT / "README.md").read_text("utf-8")
REDUCED = [  # the user's own data and models, in seconds
    "iterations=1",
    "sampling.samples=3",
    "sampling.max_new_tokens=6",
    "policy.training.batch_size=4",
    "reward.training.batch_size=4",
    "eval.held_out.diagnostics=false",
]


def console_commands() -> list[str]:
    blocks = re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


COMMANDS = console_commands()


def test_the_commands_are_found() -> None:
    assert len(COMMANDS) == 19
    assert {words.split()[2] for words in COMMANDS if words.startswith("python -m")} == {
        "mt.run", "mt.plan", "mt.store", "analysis.tables", "launch.status", "launch.resume",
    }  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what the README's user has: prompts and two models."""
    folder = tmp_path_factory.mktemp("readme")
    colours, animals = ("red", "blue", "green"), ("fox", "owl", "cat", "dog")
    asked = [f"tell me the colour of {n} {c} {a}" for n in ("one", "two") for c in colours for a in animals]
    (folder / "prompts.jsonl").write_text("".join(json.dumps({"prompt": text}) + "\n" for text in asked))
    write_runs(folder / "runs", "table1", range(1))
    tiny_policy(folder / "POLICY")
    tiny_reward(folder / "REWARD")
    return folder


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_works(
    line: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    program, *words = shlex.split(line)
    if program == "make":
        shown = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True, check=True)
        assert {"run": "-m mt.run", "test": "-m pytest"}[words[0]] in shown.stdout
        return
    assert words.pop(0) == "-m"
    status, wanted = call(words.pop(0), words)
    printed = capsys.readouterr()
    assert status == 0 or "SWEEP" in words or "launch.status" in line, printed.err
    assert wanted in printed.out + printed.err


def call(module: str, words: list[str]) -> tuple[int, str]:
    """Run a command, or plan it where it would take minutes; return its status and what it has to print."""
    if module == "mt.run" and "data=jsonl" in words:
        words, wanted = [*words, *REDUCED], "No gold metrics"
    elif module == "mt.run" and words[:1] not in (["--cfg"], ["--help"]):
        module, wanted = "mt.plan", "to compute"
    else:
        wanted = {
            "mt.run": "objective:" if words[:1] == ["--cfg"] else "objective=ipo",
            "mt.plan": "assumptions" if "--cost" in words else "to compute",
            "mt.store": {"ls": "train_reward", "verify": ", 0 damaged", "gc": "0 artifacts"}.get(" ".join(words), ""),
            "analysis.tables": "52.0",  # the paper's LC win rate
            "launch.status": "no sweep",
            "launch.resume": "SWEEP",
        }[module]
    return importlib.import_module(module).main(words), wanted


def test_every_module_that_is_named_exists() -> None:
    named = set(re.findall(r"python -m ([\w.]+)", README))
    assert len(named) >= 8
    for module in sorted(named):
        assert importlib.util.find_spec(module), module


def choices() -> Iterator[tuple[str, set[str]]]:
    for group, listed in re.findall(r"^\| `(\w+)=\S*` \| (.*) \|$", README, re.MULTILINE):
        yield group, set(re.findall(r"`(\w+)`", listed))


def test_every_choice_is_listed() -> None:
    found = dict(choices())
    assert len(found) == 9
    assert found == {group: set(options(group)) for group in found}


def test_every_place_of_the_map_exists() -> None:
    rows = re.findall(r"^\| (`[^|]*/`|`mt/\S+\.py`[^|]*) \|", README, re.MULTILINE)
    places = [name for row in rows for name in re.findall(r"`([\w./]+)`", row)]
    assert len(places) >= 19
    assert [name for name in places if not (ROOT / name).exists()] == []
