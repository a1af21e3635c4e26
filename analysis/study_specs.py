"""The world study as data: two iterations, three iterations, and another policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.paper import REWARD
from analysis.spec import Column, RowSpec, TableSpec

_JUDGE = "the world's gold judge, without noise"
_GAIN = ("same_responses", "gain_over_base")
_POLICY = (
    Column("reward", ("gold", "mean_reward"), "gold"),
    Column("win rate", ("gold", "win_rate"), "gold"),
    Column("length", ("gold", "length"), "tokens"),
    Column("right", ("labels", "selected_accuracy"), "E-step pairs", optional=True),
)
_REWARD = (
    Column("right", ("labels", "contrast_accuracy"), "contrast pairs", optional=True),
    Column("r_1 − r_0 on π_1", _GAIN, "gold accuracy", "reward", iteration=1, chance=0, optional=True),
    Column("r_t − r_0 on π_t", _GAIN, "gold accuracy", "reward", chance=0, optional=True),
    Column("average", REWARD, "RewardBench", "reward", optional=True),
)
_DPO = {"objective.name": "dpo"}
_ONE_MODEL = {"method.name": "mutual_taught", **_DPO, "reward.name": "model", "policy.checkpoint.name": "last"}
_CONSENSUS = {"method.name": "mutual_taught", **_DPO, "reward.name": "consensus"}
_LATER = {**_CONSENSUS, "reward.scores": "later", "reward.student": "model"}
"""Consensus rewards the policy from the second E-step on; r_0 scores the first."""
_ALONE = {**_CONSENSUS, "reward.scores": "base", "reward.student": None, "rm_data.name": "frozen"}
_ENSEMBLE = {"method.name": "mutual_taught", **_DPO, "reward.name": "ensemble"}
_FROZEN = {"method.name": "iterative", **_DPO}


def _taught(titles: Mapping[str, str], select: Mapping[str, Any], iteration: int, group: str) -> tuple[RowSpec, ...]:
    """Return a row for every kind of reward-model data."""
    return tuple(RowSpec(title, {**select, "rm_data.name": name}, iteration, group) for name, title in titles.items())


def _k(samples: int) -> dict[str, Any]:
    return {"sampling.samples": samples}


STUDY = TableSpec(
    "study",
    "The world study: does updating the reward model help the policy?",
    (
        RowSpec("π_0", _FROZEN, 0, "Before"),
        RowSpec("π_1", _FROZEN, 1, "Before"),
        RowSpec("frozen", _FROZEN, 2, "No M-step, rewards by r_0"),
        RowSpec("frozen, a third iteration", _FROZEN, 3, "No M-step, rewards by r_0"),
        RowSpec("offline, all prompts", {"method.name": "offline", **_DPO}, 1, "No M-step, rewards by r_0"),
        RowSpec("ensemble of three, frozen", {**_ENSEMBLE, "rm_data.name": "frozen"}, 2, "No M-step, rewards by r_0"),
        RowSpec("frozen, K = 10", {**_ONE_MODEL, "rm_data.name": "frozen", **_k(10)}, 2, "No M-step, rewards by r_0"),
        *_taught(
            {
                "both": "both (the paper's)",
                "pm": "self-training pairs",
                "contrast": "contrast pairs",
                "published": "both, contrast filtered",
                "replay": "both, with replay",
                "consensus": "consensus",
                "consensus_contrast": "consensus, and contrast pairs",
                "consensus_mixed": "consensus and reward, mixed",
            },
            _ONE_MODEL,
            2,
            "M-step on pairs labelled by the method",
        ),
        RowSpec(
            "the published version",
            {**_ONE_MODEL, "rm_data.name": "published", "policy.checkpoint.name": "win_rate"},
            2,
            "M-step on pairs labelled by the method",
        ),
        RowSpec(
            "ensemble of three, both",
            {**_ENSEMBLE, "rm_data.name": "both"},
            2,
            "M-step on pairs labelled by the method",
        ),
        RowSpec(
            "consensus in E-step 2",
            {**_LATER, "rm_data.name": "frozen", **_k(5)},
            2,
            "Consensus rewards the policy at once",
        ),
        RowSpec(
            "consensus in E-step 2, and M-step",
            {**_LATER, "rm_data.name": "consensus"},
            2,
            "Consensus rewards the policy at once",
        ),
        RowSpec("consensus alone", {**_ALONE, **_k(5)}, 2, "Consensus rewards the policy at once"),
        RowSpec(
            "consensus in E-step 2, K = 10",
            {**_LATER, "rm_data.name": "frozen", **_k(10)},
            2,
            "K = 10, gain on frozen at K = 10",
            "frozen, K = 10",
        ),
        RowSpec(
            "consensus alone, K = 10",
            {**_ALONE, **_k(10)},
            2,
            "K = 10, gain on frozen at K = 10",
            "frozen, K = 10",
        ),
        *_taught({"gold": "M-step labelled by gold", "oracle": "gold in E-step 2"}, _ONE_MODEL, 2, "Controls"),
    ),
    (*_POLICY, *_REWARD),
    against="frozen",
    comparisons=(
        ("both (the paper's)", "frozen, a third iteration", "equal data"),
        ("both (the paper's)", "offline, all prompts", "offline on equal data"),
        ("consensus", "both (the paper's)", "other labels"),
        ("consensus", "frozen, a third iteration", "equal data"),
        ("consensus", "consensus in E-step 2", "taught, or used at once"),
        ("consensus in E-step 2, and M-step", "consensus in E-step 2", "taught besides"),
        ("consensus in E-step 2", "consensus alone", "r_0 in E-step 1, or no reward model"),
        ("ensemble of three, both", "ensemble of three, frozen", "M-step of an ensemble"),
    ),
    judge=_JUDGE,
)
_THREE = {"iterations": 3}
ITERATIONS = TableSpec(
    "study_iterations",
    "The world study: three iterations",
    (
        RowSpec("π_0", {**_ONE_MODEL, **_THREE}, 0, "Before"),
        RowSpec("frozen", {**_ONE_MODEL, **_THREE, "rm_data.name": "frozen"}, 3, "Iteration 3"),
        *_taught({"both": "both (the paper's)", "consensus": "consensus"}, {**_ONE_MODEL, **_THREE}, 3, "Iteration 3"),
        RowSpec("consensus in E-steps 2 and 3", {**_LATER, **_THREE}, 3, "Iteration 3"),
        RowSpec("M-step labelled by gold", {**_ONE_MODEL, **_THREE, "rm_data.name": "gold"}, 3, "Iteration 3"),
    ),
    (*_POLICY, *_REWARD),
    against="frozen",
    judge=_JUDGE,
)
_OTHER = {"method.name": "transfer", **_DPO}
_UNTAUGHT = {**_OTHER, "method.reward_iteration": 0}


def _guided(name: str, title: str) -> tuple[RowSpec, ...]:
    select = {**_OTHER, "reward.name": "model", "rm_data.name": name}
    return tuple(
        RowSpec(f"r_{t}, {title}", {**select, "method.reward_iteration": t}, 1, "Another policy") for t in (1, 2)
    )


TRANSFER = TableSpec(
    "study_transfer",
    "The world study: another policy, guided by the reward models that were taught",
    (
        RowSpec("its π_0", _OTHER, 0, "Before"),
        RowSpec("r_0", {**_UNTAUGHT, "reward.name": "model", "rm_data.name": "both"}, 1, "Another policy"),
        *_guided("both", "both (the paper's)"),
        *_guided("consensus", "consensus"),
        RowSpec(
            "its own consensus",
            {**_UNTAUGHT, "reward.name": "consensus", "rm_data.name": "frozen"},
            1,
            "Another policy",
        ),
        *_guided("gold", "labelled by gold"),
    ),
    _POLICY,
    against="r_0",
    judge=_JUDGE,
)
STUDIES = (STUDY, ITERATIONS, TRANSFER)
