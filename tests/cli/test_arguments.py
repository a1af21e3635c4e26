"""Flags and overrides in any order."""

from __future__ import annotations

import itertools

import pytest

from mt.cli.arguments import parse
from mt.run import main


def test_flags_stand_anywhere() -> None:
    for words in itertools.permutations(["-m", "seed=0,1", "objective=ipo"]):
        found = parse(words, "python -m mt.run")
        assert found is not None
        assert found.multirun
        assert set(found.overrides) == {"seed=0,1", "objective=ipo"}


@pytest.mark.parametrize("words", [["seed=7", "--cfg", "job", "objective=ipo"], ["--cfg", "job", "seed=7"]])
def test_hydra_answers_wherever_its_flags_stand(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "\nseed: 7\n" in printed
    assert ("tau:" in printed) == ("objective=ipo" in words)
