"""The three sentences, from metrics that are written by hand into the store of a run that is never computed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from mt.config.compose import compose_runs
from mt.methods.compile import CompiledRun, compile_run
from mt.running.answers import answers, answers_of_record
from mt.running.record import Record
from mt.workflow.store import Store
from tests.engines.tiny import tiny_policy, tiny_reward

COMMAND = "python -m mt.run seed=3 rm_data=both name=mine"
Numbers = Mapping[tuple[int, str], tuple[float, ...]]
"""Values by prompt of a metric ("benchmark/metric") at an iteration."""


def compiled(store: Path, *overrides: str) -> CompiledRun:
    return compile_run(compose_runs([f"store={store}", *overrides])[0].config)


def measured(run: CompiledRun, store: Store, numbers: Numbers) -> None:
    """Publish evaluations that hold these numbers, and no others: an interval is two standard errors wide."""
    for one in run.evaluations:
        found = {name.split("/")[1]: values for (t, name), values in numbers.items() if _holds(one, t, name)}
        if not found or store.has(one.stage):
            continue
        output, _ = store.workspace(one.stage)
        benchmark = next(name for (t, name) in numbers if _holds(one, t, name)).split("/")[0]
        rows = [
            {"benchmark": benchmark, "metric": name, "value": sum(values) / len(values), "n": len(values),
             "low": sum(values) / len(values) - 0.02, "high": sum(values) / len(values) + 0.02}
            for name, values in found.items()
        ]  # fmt: skip
        (output / "metrics.json").write_text(json.dumps(rows))
        items = {name: {str(i): value for i, value in enumerate(values)} for name, values in found.items()}
        (output / "items.json").write_text(json.dumps(items))
        store.publish(one.stage, output, {"started": "", "seconds": 1.0, "counts": {}})


STAGES = {
    "gold/win_rate": "gold_policy_metrics",
    "gold/mean_reward": "gold_policy_metrics",
    "gold/accuracy": "gold_reward_metrics",
    "alpaca_eval/win_rate": "alpaca_eval",
    "proxy/win_rate_base": "proxy_reward",
    "preferences/accuracy": "preference_accuracy",
    "reward_bench/average": "reward_bench",
}


def _holds(one: object, iteration: int, name: str) -> bool:
    stage = one.stage  # type: ignore[attr-defined]
    if one.iteration != iteration:  # type: ignore[attr-defined]
        return False
    if name.startswith("same_responses"):
        return stage.name == "reward_comparison" and name.endswith(stage.which)
    if stage.name == "gold_reward_metrics" and stage.benchmark != "gold":
        return False
    return stage.name == STAGES[name] and (stage.name != "proxy_reward" or stage.judge == "base")


BETTER: Numbers = {
    (0, "gold/win_rate"): (0.5, 0.5, 0.5),
    (0, "gold/mean_reward"): (0.2, 0.3, 0.4),
    (0, "gold/accuracy"): (0.8, 0.8, 0.8),
    (2, "gold/win_rate"): (0.6, 0.7, 0.8),
    (2, "gold/mean_reward"): (0.4, 0.5, 0.6),
    (2, "gold/accuracy"): (0.5, 0.5, 0.5),
    (2, "same_responses/accuracy_base"): (0.6, 0.6, 0.6),
    (2, "same_responses/gain_over_base"): (-0.1, -0.1, -0.1),
    (2, "same_responses/accuracy_previous"): (0.51, 0.51, 0.51),
    (2, "same_responses/gain_over_previous"): (-0.01, -0.01, -0.01),
}


def test_a_run_with_gold_says_three_things(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run = compiled(tmp_path, "seed=3")
    measured(run, store, BETTER)
    policy, reward, update = answers(run, store, COMMAND).values()
    # Every prompt gained 0.2, so that the paired interval has no width.
    assert policy == (
        "The policy improved: π₂ wins 70.0% [68.0, 72.0] of its comparisons with π₀ by gold, where 50% is no change; "
        "average gold reward 0.300 → 0.500, +0.200 [0.200, 0.200]."
    )
    assert reward == (
        "The reward model got worse: on the same responses of π₂, r₂ orders 50.0% of the pairs like gold, "
        "r₀ 60.0% (−10.0 points [−12.0, −8.0]), r₁ 51.0% (−1.0 points [−3.0, 1.0])."
    )
    assert update.endswith("with a frozen one tells: python -m mt.run seed=3 rm_data=frozen")


def test_an_earlier_policy_that_was_better_is_named(tmp_path: Path) -> None:
    run, store = compiled(tmp_path), Store(tmp_path)
    measured(run, store, BETTER | {(1, "gold/mean_reward"): (0.5, 0.6, 0.8), (1, "gold/win_rate"): (0.7, 0.8, 0.9)})
    # Differences .1, .1 and .2: their mean is .133 ± 4.303·.0577/√3.
    assert "was better" not in answers(run, store, COMMAND)["policy"]
    closer = {(1, "gold/mean_reward"): (0.5, 0.6, 0.71), (1, "gold/win_rate"): (0.7, 0.8, 0.9)}
    run, store = compiled(tmp_path / "other"), Store(tmp_path / "other")
    measured(run, store, BETTER | closer)
    assert answers(run, store, COMMAND)["policy"].endswith("; π₁ was better than π₂ by 0.103 [0.089, 0.118].")


def test_the_frozen_run_of_the_same_seed_answers_the_last_question(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run = compiled(tmp_path, "seed=3")
    measured(run, store, BETTER)
    other = {(2, "gold/win_rate"): (0.5, 0.7, 0.6), (2, "gold/mean_reward"): (0.3, 0.4, 0.5)}
    measured(compiled(tmp_path, "seed=4", "rm_data=frozen"), store, other)
    assert "rm_data=frozen" in answers(run, store, COMMAND)["update"], "another seed is no counterpart"
    measured(compiled(tmp_path, "seed=3", "rm_data=frozen"), store, other)
    # Win rates differ by .1, 0 and .2: their mean is .1 ± 4.303·.1/√3; gold rewards all differ by .1.
    assert answers(run, store, COMMAND)["update"] == (
        "Updating the reward model made no measurable difference: compared with a frozen one, π₂ differs by +10.0 "
        "points [−14.8, 34.8] in win rate against π₀ by gold, and by +0.100 [0.100, 0.100] in average gold reward."
    )


def test_a_frozen_run_says_so(tmp_path: Path) -> None:
    run, store = compiled(tmp_path, "rm_data=frozen"), Store(tmp_path)
    measured(run, store, {key: values for key, values in BETTER.items() if "same" not in key[1]})
    _, reward, update = answers(run, store, "python -m mt.run rm_data=frozen").values()
    assert reward == (
        "The reward model is r₀ throughout: like gold it orders 50.0% [48.0, 52.0] of the pairs of responses of π₂, "
        "80.0% [78.0, 82.0] of those of π₀."
    )
    assert update.endswith("what updating it does: python -m mt.run rm_data=both")


@pytest.mark.parametrize(
    ("numbers", "policy", "reward"),
    [
        (
            {(0, "alpaca_eval/win_rate"): (40.0, 42.0), (2, "alpaca_eval/win_rate"): (50.0, 52.0)},
            "The policy improved: π₂ against π₀, AlpacaEval win rate 41.0% → 51.0%, +10.0 points [10.0, 10.0] "
            "(judge: gold).",
            "known without gold, your own pairs (data.preferences=FILE) or a benchmark (eval=[…,reward_bench]).",
        ),
        (
            {(2, "proxy/win_rate_base"): (0.7, 0.7), (2, "same_responses/agreement_base"): (0.9, 0.7)},
            "r₀ prefers π₂ to π₀ in 70.0% [68.0, 72.0] of their comparisons, where 50% is no change; "
            "r₀ is a proxy, which over-optimisation raises, too, and cannot tell whether the policy improved.",
            "; on the responses of π₂, r₂ orders 80.0% [78.0, 82.0] of the pairs like r₀.",
        ),
    ],
)
def test_without_gold_the_next_best_judge_is_asked(tmp_path: Path, numbers: Numbers, policy: str, reward: str) -> None:
    run, store = compiled(tmp_path), Store(tmp_path)
    measured(run, store, numbers)
    found = answers(run, store, COMMAND)
    assert found["policy"] == policy and found["reward"].endswith(reward)
    other = compiled(tmp_path, "rm_data=frozen")
    measured(
        other, store, {key: [one - 0.1 for one in values] for key, values in numbers.items() if "same" not in key[1]}
    )
    by_proxy = answers(run, store, COMMAND)["update"].startswith(
        "Whether updating the reward model helped cannot be known from r₀"
    )
    assert by_proxy == ("r₀ prefers" in policy)


def test_the_users_own_pairs_judge_the_reward_model_before_a_benchmark_does(tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "one"}\n{"prompt": "two"}\n')
    (tmp_path / "pairs.jsonl").write_text('{"prompt": "three", "chosen": "yes", "rejected": "no"}\n')
    tiny_policy(tmp_path / "policy")
    tiny_reward(tmp_path / "reward")
    files = {"data.path": "prompts.jsonl", "data.preferences": "pairs.jsonl", "eval.reward_bench.pairs": "pairs.jsonl"}
    files |= {"policy.path": "policy", "reward.path": "reward"}
    own = [f"{name}={tmp_path / file}" for name, file in files.items()]
    run, store = compiled(tmp_path, "data=jsonl", "eval=[held_out,reward_bench]", *own), Store(tmp_path)
    measured(
        run,
        store,
        {
            (0, "preferences/accuracy"): (0.0, 0.5, 1.0),
            (2, "preferences/accuracy"): (0.3, 0.8, 1.0),
            (0, "reward_bench/average"): (50.0, 50.0),
            (2, "reward_bench/average"): (90.0, 90.0),
            (2, "proxy/win_rate_base"): (0.7, 0.7),
            (2, "same_responses/agreement_base"): (0.9, 0.7),
        },
    )
    # Differences .3, .3 and 0: their mean is .2 ± 4.303·.1732/√3.
    assert answers(run, store, COMMAND)["reward"] == (
        "The reward model did not change measurably: accuracy on your own held-out pairs 50.0% (r₀) → 70.0% (r₂), "
        "+20.0 points [−23.0, 63.0]."
    )


def test_nothing_measured_is_no_answer_and_a_record_keeps_what_it_said(tmp_path: Path) -> None:
    run, store = compiled(tmp_path), Store(tmp_path)
    assert answers(run, store, COMMAND) == {}
    record = {"config": run.config.model_dump(mode="json"), "command": COMMAND, "answers": {"policy": "As it was."}}
    assert answers_of_record(record) == {"policy": "As it was."}
    measured(run, store, BETTER)
    assert len(answers_of_record(record)) == 3
    shutil.rmtree(tmp_path)
    assert answers_of_record({**record, "config": {"written": "by another version"}}) == {"policy": "As it was."}


def test_a_defect_in_the_answers_does_not_fail_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> dict[str, str]:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("mt.running.record.answers", broken)
    record = Record(tmp_path / "runs" / "one", compiled(tmp_path / "store"), Store(tmp_path / "store"))
    record.begin()
    record.end("finished")
    written = json.loads((tmp_path / "runs" / "one" / "record.json").read_text())
    assert written["state"] == "finished" and "ZeroDivisionError" in written["answers"]["failed"]
