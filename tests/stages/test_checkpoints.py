"""Model selection: win rates by hand, what is kept, and where the run stops."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from mt.errors import DataError
from mt.stages.checkpoints import SelectPolicy
from mt.stages.prompts import RandomPrompts
from mt.types import Prompt, Rewards
from mt.workflow.stage import Stage
from mt.workflow.work import Work, read_items, read_metrics
from tests.stages.bench import Bench, given, prompt


@dataclass(frozen=True, eq=False)
class Models(Stage):
    """Stands for a training that published a model at each of some steps; without steps for one model."""

    VERSION: ClassVar[int] = 1
    steps: tuple[int, ...] = ()
    trainer: None = None

    def run(self, work: Work) -> None:
        for step in self.steps or (0,):
            folder = work.folder / f"step-{step:06d}" if self.steps else work.folder
            folder.mkdir(exist_ok=True)
            (folder / "model.safetensors").write_text(f"weights of step {step}")
            (folder / "metrics.json").write_text("of the model's own artifact")


BEFORE = given(*(Rewards(name, [0.0]) for name in "abcd"))


def select(threshold: float, *rewards: Rewards) -> SelectPolicy:
    return SelectPolicy(Models((50, 100, 120)), Models(), given(*rewards), BEFORE, threshold)  # type: ignore[arg-type]


REWARDS = (  # of steps 50, 100, 120; the policy before has 0 throughout
    Rewards("a", [1.0, 1.0, -1.0]),
    Rewards("b", [-1.0, 1.0, 1.0]),
    Rewards("c", [0.0, 0.0, 1.0]),
    Rewards("d", [-1.0, -1.0, 0.5]),
)
"""Wins: (1 + 0 + ½ + 0) / 4 of step 50, (1 + 1 + ½ + 0) / 4 of step 100, (0 + 1 + 1 + 1) / 4 of step 120."""


def test_the_checkpoint_with_the_highest_win_rate_is_kept(bench: Bench) -> None:
    stage = select(0.6, *REWARDS)
    folder = bench.run(stage)
    assert (folder / "model.safetensors").read_text() == "weights of step 120"
    assert json.loads((folder / "decision.json").read_text()) == {
        "step": 120,
        "win_rate": 0.75,
        "stopped": False,
        "threshold": 0.6,
        "win_rates": {"50": 0.375, "100": 0.625, "120": 0.75},
        "prompts": 4,
    }
    assert not bench.store.stopped(stage) and bench.notes.texts == []
    assert read_items(folder) == {"win_rate": {"a": 0, "b": 1, "c": 1, "d": 1}}
    assert {metric.metric: metric.value for metric in read_metrics(folder)} == {"win_rate": 0.75, "step": 120}


def test_below_the_threshold_the_policy_before_is_kept_and_the_run_stops(bench: Bench) -> None:
    stage = select(0.76, *REWARDS)
    folder = bench.run(stage)
    assert (folder / "model.safetensors").read_text() == "weights of step 0"
    assert bench.store.stopped(stage) and not bench.store.stopped(select(0.75, *REWARDS)), "not computed"
    (said,) = bench.notes.texts
    assert "of 3 checkpoints the best (step 120) wins 75.0%" in said and "policy.checkpoint.threshold=0.76" in said
    bench.run(select(0.75, *REWARDS))
    assert not bench.store.stopped(select(0.75, *REWARDS)), "75% is not below 75%"


def test_of_equal_checkpoints_the_earliest_is_kept_and_prompts_without_an_answer_do_not_count(bench: Bench) -> None:
    folder = bench.run(select(0.6, Rewards("a", [2.0, 1.0, 3.0]), Rewards("unknown", [-1.0, 1.0, 1.0])))
    decision = json.loads((folder / "decision.json").read_text())
    assert (decision["step"], decision["win_rate"], decision["prompts"]) == (50, 1.0, 1)


def test_without_a_common_prompt_nothing_can_be_compared(bench: Bench) -> None:
    with pytest.raises(DataError, match="prompts=0: the checkpoints and the policy before answered none in common"):
        bench.run(select(0.6, Rewards("unknown", [1.0, 1.0, 1.0])))


def test_random_prompts_are_drawn_once_and_at_most_all(bench: Bench) -> None:
    table = given(*(prompt(f"p{number}") for number in range(9)))
    drawn = [row.prompt_id for row in bench.rows(RandomPrompts(table, 4, 7), Prompt)]
    assert drawn == [f"p{number}" for number in sorted(np.random.default_rng(7).permutation(9)[:4])]
    assert drawn != [row.prompt_id for row in bench.rows(RandomPrompts(table, 4, 8), Prompt)]
    assert len(bench.rows(RandomPrompts(table, 99, 7), Prompt)) == 9


def test_nothing_but_the_model_s_own_files_is_copied(bench: Bench) -> None:
    stopped: Path = bench.run(select(1.0, *REWARDS))
    names = {path.name for path in stopped.iterdir()}
    assert names == {"artifact.json", "decision.json", "items.json", "metrics.json", "model.safetensors"}
    assert "own artifact" not in (stopped / "metrics.json").read_text()
