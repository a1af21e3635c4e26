"""Rewards that are computed: by functions, judges, ensembles and consensus."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mt.engines.judging.answers import read_answer
from mt.engines.judging.base import Judge, JudgeContext
from mt.engines.judging.cache import Answer
from mt.engines.judging.gold import GoldJudge
from mt.errors import EngineError, JudgeError
from mt.selection.similarities.words import Words
from mt.stages.judge import JudgeScores
from mt.stages.judging import Oracle
from mt.stages.rewards import ConsensusScores, EnsembleScores, FunctionReward, FunctionScores, MixedRewards
from mt.types import Rewards
from mt.workflow.fingerprint import file_fingerprint
from mt.world.gold import gold
from mt.world.prompts import prompts
from mt.world.world import build_world
from tests.stages.bench import Bench, Given, given, samples, world

TEXTS = {"a": ("x y", "x z", "x y"), "b": ("p", "q", "boom")}


def table() -> Given:
    return given(*(samples(name, *texts) for name, texts in TEXTS.items()))


def rewards_of(bench: Bench, stage: Any) -> dict[str, list[float]]:
    return {row.prompt_id: row.rewards for row in bench.rows(stage, Rewards)}


def rewards(**rows: Sequence[float]) -> Given:
    return given(*(Rewards(name, list(row)) for name, row in rows.items()))


def test_consensus_scores(bench: Bench) -> None:
    found = rewards_of(bench, ConsensusScores(table(), Words(name="words")))
    assert found == {"a": pytest.approx([0.75, 0.5, 0.75]), "b": [0.0, 0.0, 0.0]}


def test_mixed_rewards(bench: Bench) -> None:
    first, second = rewards(a=(1, -1, 0)), rewards(a=(0, 30, 0))
    # Standard deviations √(2/3) and √200 within the prompt.
    found = rewards_of(bench, MixedRewards((first, second), (0.5, 0.5)))["a"]
    assert found == pytest.approx([0.5 * 1.5**0.5 - 5 / 200**0.5, -0.5 * 1.5**0.5 + 10 / 200**0.5, -5 / 200**0.5])


@pytest.mark.parametrize(
    ("combine", "expected"), [("mean", [2.0, 5.0]), ("min", [1.0, 5.0]), ("lower_bound", [2 - 2 * (2 / 3) ** 0.5, 5.0])]
)
def test_an_ensemble_combines_the_rewards_of_each_response(bench: Bench, combine: Any, expected: list[float]) -> None:
    members = rewards(a=(1, 5)), rewards(a=(2, 5)), rewards(a=(3, 5))
    assert rewards_of(bench, EnsembleScores(members, combine, 2.0))["a"] == pytest.approx(expected)


def function(tmp_path: Path, source: str, **settings: Any) -> FunctionReward:
    path = tmp_path / "rule.py"
    path.write_text(source)
    facts = {"version": None, "batched": False, "timeout_s": 60.0, "failed": -1.0, "processes": 1, **settings}
    return FunctionReward(file_fingerprint(path, tmp_path), path, f"{path}:reward", "reward", **facts)


RULE = "def reward(messages, response):\n    return 1 / (response != 'boom')\n"


def test_a_function_scores_responses_and_its_failures_are_counted(bench: Bench, tmp_path: Path) -> None:
    stage = FunctionScores(table(), function(tmp_path, RULE))
    assert rewards_of(bench, stage) == {"a": [1.0, 1.0, 1.0], "b": [1.0, 1.0, -1.0]}
    counts = bench.counts(stage)
    assert (counts["responses"], counts["raised"], counts["timed_out"], counts["ended"]) == (6, 1, 0, 0)
    assert any("1 of 6 calls" in text and "ZeroDivisionError" in text for text in bench.notes.texts)
    facts = json.loads((bench.run(stage) / "function.json").read_text())
    assert "what the module imports is not keyed" in facts["keyed by"]


def test_a_batched_function_sees_one_prompt_at_a_time(bench: Bench, tmp_path: Path) -> None:
    source = "def reward(messages, responses):\n    return [responses.count(one) for one in responses]\n"
    stage = FunctionScores(table(), function(tmp_path, source, batched=True))
    assert rewards_of(bench, stage) == {"a": [2.0, 1.0, 2.0], "b": [1.0, 1.0, 1.0]}


def test_a_functions_key_is_its_source_and_its_version(tmp_path: Path) -> None:
    plain = function(tmp_path, RULE)
    assert function(tmp_path, RULE, processes=9).key == plain.key
    (tmp_path / "elsewhere").mkdir()
    assert function(tmp_path / "elsewhere", RULE).key == plain.key
    assert len({plain.key, function(tmp_path, RULE, version=2).key, function(tmp_path, RULE + "\n").key}) == 3


def test_a_function_that_always_fails_or_has_changed_stops_the_run(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"6 of 6 calls of .*failed \(raised 6\): ZeroDivisionError"):
        bench.run(FunctionScores(table(), function(tmp_path, "def reward(messages, response):\n    return 1 / 0\n")))
    changed = function(tmp_path, RULE)
    changed.location.write_text(RULE + "# another\n")
    with pytest.raises(EngineError, match=r"has changed since this run was planned\. Run it again"):
        bench.run(FunctionScores(table(), changed))


class Grader(Judge):
    """A judge that gives every response as many points as it has letters, and none to an empty answer."""

    asked: list[int]

    def backend(self, asked: JudgeContext) -> GraderBackend:
        assert asked.style == "score"
        return GraderBackend(self.asked)


@dataclass
class GraderBackend:
    log: list[int]
    name, version, identity = "grader", "1", {}  # type: ignore[var-annotated]

    def ask(self, questions: Any, keep: Any) -> Iterator[tuple[int, Answer]]:
        self.log.append(len(questions))
        for index, (_, text, _) in enumerate(questions):
            answer = read_answer(f"I think [[{len(text)}]]" if text else "no idea", "score")
            keep(index, answer)
            yield index, answer


def judged(*tables: Any) -> tuple[JudgeScores, Grader]:
    judge = Grader.model_construct(name="grader", asked=[])
    return JudgeScores(given(*tables), judge, None, None, None, None), judge


def test_a_judge_scores_each_response_once_and_never_again(bench: Bench) -> None:
    stage, judge = judged(samples("a", "x", "xxx", "x"), samples("b", "xxxx", ""))
    assert rewards_of(bench, stage) == {"a": [1.0, 3.0, 1.0], "b": [4.0, 4.0]}, "a missing score is the others' mean"
    counts = bench.counts(stage)
    assert (counts["judgments"], counts["missing"], counts["cached"]) == (5, 1, 0)
    again, second = judged(samples("a", "x", "xxx"), samples("b", "xxxxx", "xxxx"))
    assert rewards_of(bench, again) == {"a": [1.0, 3.0], "b": [5.0, 4.0]}
    assert judge.asked == [4] and second.asked == [1], "what was scored before comes from the cache"


def test_a_judge_without_any_score_stops_the_run(bench: Bench) -> None:
    stage, _ = judged(samples("a", "", ""))
    with pytest.raises(JudgeError, match=r"none of 2 responses got a score \(2 times: no score from 1 to 10"):
        bench.run(stage)


def test_the_gold_judge_stretches_gold_to_its_scores(bench: Bench) -> None:
    data = world()
    built = build_world(data.seed, data.language)
    row = next(row for row in prompts(built, "eval", 50) if row.section == "Reasoning")
    best = " ".join(built.task(row.messages).answer)
    stage = JudgeScores(
        given(samples("a", best, "nonsense", asked=row.messages[-1]["content"])),
        GoldJudge(name="gold"), None, Oracle(data.seed, data.language, data.judge), None, None,
    )  # fmt: skip
    assert gold(built, row.messages, best) == 1 and gold(built, row.messages, "nonsense") == 0
    assert rewards_of(bench, stage)["a"] == [10.0, 1.0]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Good. [[7]]", "7"),
        ("[[7.5]]", "7.5"),
        ("[[8/10]]", "8"),
        (" 9 ", "9"),
        ("<think>[[2]]</think>[[6]]", "6"),
        ("[[6]] because [[6]]", "6"),
        ("[[6]] or [[7]]", None),
        ("[[0]]", None),
        ("[[11]]", None),
        ("seven", None),
        ("", None),
    ],
)
def test_scores_are_read_strictly(text: str, label: str | None) -> None:
    answer = read_answer(text, "score")
    assert answer.label == label and (answer.problem is None) == (label is not None)
