"""Keys move together with a VERSION, or not at all: otherwise stores are recomputed, or worse, reused wrongly.

A key is a hash of a stage's settings and of the keys of all that it reads. So one key of each kind of stage is enough,
that of its first use, and of each method the last policy's, which holds those of all its training. Where keys moved on
purpose, copy the new ones from the message.
"""

from __future__ import annotations

from functools import cache

import pytest

from mt.config.compose import compose_runs
from mt.methods.compile import compile_run

BENCHMARKS = "eval=[held_out,alpaca_eval,arena_hard,reward_bench,in_distribution,pairwise]"

ADVICE = (
    "Keys moved. Where a stage gives another output for the same inputs, raise its VERSION; where its inputs changed, "
    "results are computed anew: say so. Else something entered a key that changes no result."
)

FIRST_USES = {
    "mutual_taught": [
        # The world's texts, π_0 and r_0: every store of the world would be computed anew.
        "world_policy v1 2bb1a2bba079",
        "world_demonstrations v3 ace2c08b9302",
        "supervised_finetune v2 b49760ceec85",
        "world_preferences v3 990e2abe6bc1",
        "train_reward v2 25ca8b68219c",
        "world_prompts v2 d3f08d8c096f",
        "partition_prompts v1 3b0bd5a417d2",
        # E-step and M-step: runs could not be continued.
        "sample v2 e92cccf7d459",
        "score v2 d8d84b5ed392",
        "select_pairs v1 8d515902f65f",
        "reference_log_probs v2 1bc2e2828a33",
        "train_policy v2 715444b3e7a8",
        "contrast_pairs v1 a26e83ca6b0a",
        "concatenate_rows v1 a614de6b65f8",
        # Metrics: finished runs would be measured again.
        "proxy_reward v2 2fe23428fe6f",
        "gold_rewards v1 62d31989b8cb",
        "gold_policy_metrics v2 4266c93531a2",
        "gold_reward_metrics v2 500f6812c0e6",
        "label_accuracy v2 1924eaeef334",
        "policy_diagnostics v4 6a5e355c19b0",
        "reward_calibration v1 284db8b6354a",
        # Benchmarks: a judge that was paid for its judgments would be paid again.
        "world_baseline v2 4f0929514f9d",
        "extract_prompts v1 33ee8d536de5",
        "judge v2 9908eaf7c6ea",
        "gamed_baseline v1 5180ac3169c5",
        "alpaca_eval v3 ab4a3f7f38d3",
        "arena_hard v4 b1bb9ec12390",
        "world_benchmark v4 7d1598d866a8",
        "reward_bench v2 1a2b623d4b7e",
        "pairwise_win_rate v2 d0d1ac8a0b50",
    ],
    "meta_rewarding": [
        "world_judgments v3 e43792f57416",
        "judgment_prompts v1 e9e64d8e5b7c",
        "parse_judgments v1 d03ca972f6c7",
        "select_most_varied v1 bb235ea1e958",
        "comparison_prompts v1 164fa9b6417f",
        "judge_pairs v1 be6c7a08c383",
        "mix_pairs v1 41cb3b63cb24",
    ],
    "spin": [
        "demonstration_prompts v1 86c06fdc8c3c",
        "spin_pairs v1 9d843b2be163",
    ],
    "sail": [
        "implicit_rewards v2 11f54bd6ad2a",
    ],
    "transfer": [
        "reward_comparison v1 e04c9cb8a90c",
    ],
}
LAST_POLICIES = {
    "mutual_taught": "train_policy v2 3ba8c08ce639",
    "iterative": "train_policy v2 1d139eefb889",
    "offline": "train_policy v2 a5dcb39ca638",
    "meta_rewarding": "train_policy v2 158510399fc1",
    "spin": "train_policy v2 f4db7c2d8bce",
    "sail": "train_policy v2 2d61cd24bd9e",
    "transfer": "train_policy v2 beb30a8e2512",
}


@cache
def keys(method: str) -> list[str]:
    """The stages of a method's run in the world in the order of their computation, as "name version key"."""
    [run] = compose_runs([f"method={method}", "objective=dpo", BENCHMARKS])
    return [f"{stage.name} v{stage.VERSION} {stage.key[:12]}" for stage in compile_run(run.config).plan.order]


@pytest.mark.parametrize("method", FIRST_USES)
def test_first_uses_have_the_keys_that_they_had(method: str) -> None:
    names = {known.split()[0] for known in FIRST_USES[method]}
    first: dict[str, str] = {}
    for line in keys(method):
        first.setdefault(line.split()[0], line)
    moved = sorted({first[name] for name in names} - set(FIRST_USES[method]))
    assert not moved, ADVICE


@pytest.mark.parametrize("method", LAST_POLICIES)
def test_all_training_has_the_keys_that_it_had(method: str) -> None:
    *_, last = (line for line in keys(method) if line.startswith("train_policy "))
    assert last == LAST_POLICIES[method], ADVICE
