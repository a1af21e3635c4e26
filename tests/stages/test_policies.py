"""Stages that compute under tiny policies: divergence from base, and implicit rewards."""

from __future__ import annotations

import pytest

from mt.engines.settings import LogProbsConfig
from mt.stages.evaluate_diagnostics import PolicyDiagnostics
from mt.stages.implicit import ImplicitRewards
from mt.types import Rewards
from mt.workflow.stage import External
from mt.workflow.work import read_metrics
from tests.engines.tiny import tiny_policy
from tests.stages.bench import TEMPLATE, Bench, Given, given, samples

ENGINE = LogProbsConfig(dtype="float32", device="cpu", threads=1, batch_tokens=512)


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> tuple[External, External]:
    folder = tmp_path_factory.mktemp("policies")
    one, other = (External(f"policy {i}", tiny_policy(folder / str(i), seed=i)) for i in range(2))
    return one, other


def table() -> Given:
    return given(
        samples("a", "red fox", "red fox", "blue", asked="tell me the colour of fox"),
        samples("b", "one two three", "one", "two", asked="count from one"),
    )


def scored() -> Given:
    return given(Rewards("a", [1.0, 1.0, 0.0]), Rewards("b", [3.0, 1.0, 1.0]))


def test_the_base_policy_has_not_moved_from_itself(bench: Bench, policies: tuple[External, External]) -> None:
    base, other = policies
    metrics = bench.metrics(PolicyDiagnostics(base, base, table(), scored(), ENGINE, 64, TEMPLATE))
    assert metrics["diagnostics/kl"] == 0.0
    assert metrics["diagnostics/duplicate_rate"] == pytest.approx((1 / 3 + 0) / 2), "a mean over prompts"
    assert metrics["diagnostics/distinct_1"] == pytest.approx((3 / 5 + 3 / 5) / 2)
    assert metrics["diagnostics/distinct_2"] == pytest.approx((1 / 2 + 2 / 2) / 2)
    assert metrics["diagnostics/length_correlation"] > 0
    moved = bench.metrics(PolicyDiagnostics(other, base, table(), scored(), ENGINE, 64, TEMPLATE))
    assert moved["diagnostics/kl"] != 0.0


def test_the_interval_of_the_divergence_is_over_prompts(bench: Bench, policies: tuple[External, External]) -> None:
    one, other = policies
    ratios = bench.rows(ImplicitRewards(one, other, table(), 1.0, ENGINE, 64, TEMPLATE), Rewards)
    first, second = (sum(row.rewards) / 3 for row in ratios)
    kl = read_metrics(bench.run(PolicyDiagnostics(one, other, table(), scored(), ENGINE, 64, TEMPLATE)))[0]
    # The standard error of two values is half of their distance; Student's 97.5% point is 12.706 with one degree.
    half = 12.706 * abs(first - second) / 2
    assert (kl.metric, kl.n, kl.value) == ("kl", 2, pytest.approx((first + second) / 2))
    assert (kl.low, kl.high) == (pytest.approx(kl.value - half, abs=1e-2), pytest.approx(kl.value + half, abs=1e-2))


def test_implicit_rewards_are_scaled_log_ratios(bench: Bench, policies: tuple[External, External]) -> None:
    one, other = policies

    def values(policy: External, base: External, beta: float) -> list[float]:
        rows = bench.rows(ImplicitRewards(policy, base, table(), beta, ENGINE, 64, TEMPLATE), Rewards)
        assert [row.prompt_id for row in rows] == ["a", "b"]
        return [value for row in rows for value in row.rewards]

    ratios = values(one, other, 1.0)
    assert values(one, one, 1.0) == [0.0] * 6
    assert values(one, other, 0.1) == pytest.approx([0.1 * ratio for ratio in ratios])
    assert values(other, one, 1.0) == pytest.approx([-ratio for ratio in ratios])
    assert ratios[0] == pytest.approx(ratios[1]), "equal texts have equal rewards"
    assert ratios[0] != ratios[2]
