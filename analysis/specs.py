"""The paper's tables and figures as data: which runs are a row, which metrics its columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from analysis.paper import ARENA, ARENA_LENGTH, LC, LENGTH, REWARD, SECTIONS, WR
from analysis.spec import Column, RowSpec, TableSpec
from analysis.study_specs import STUDIES

_MT = {
    "method.name": "mutual_taught",
    "rm_data.name": "both",
    "policy.checkpoint.name": ("last", None),  # records from before there was a choice have none
    "rounds": 1,
    "iterations": 2,
}
_MT_DPO = {**_MT, "objective.name": "dpo"}
_ITERATIVE = {"method.name": "iterative", "iterations": 3}
# Runs of the related work are iterative too, and some with this objective: by other pairs, or with smoothed labels.
_ITERATIVE_DPO = {
    **_ITERATIVE,
    "objective.name": "dpo",
    "objective.label_smoothing": 0,
    "selection.name": "length_controlled",
}
_ANY = {"method.name": ("mutual_taught", "offline", "iterative", "meta_rewarding")}


def _offline(objective: str) -> dict[str, Any]:
    return {"method.name": "offline", "objective.name": objective}


_ALPACA = (
    Column("LC win rate", LC, "AlpacaEval 2"),
    Column("win rate", WR, "AlpacaEval 2"),
    Column("length", LENGTH, "AlpacaEval 2"),
    Column("cut", ("alpaca_eval", "cut_answers"), "AlpacaEval 2", optional=True),
)
_TWO_DECIMALS = (*(replace(column, digits=2) for column in _ALPACA[:2]), *_ALPACA[2:])
_ARENA = (
    Column("score", ARENA, "Arena-Hard"),
    Column("length", ARENA_LENGTH, "Arena-Hard"),
    Column("cut", ("arena_hard", "cut_answers"), "Arena-Hard", optional=True),
)
_GOLD = (
    Column("win rate", ("gold", "win_rate"), "gold", optional=True),
    Column("reward", ("gold", "mean_reward"), "gold", optional=True),
)
_BENCH = tuple(
    Column(title, key, "RewardBench", model="reward", digits=2)
    for title, key in zip(("Chat", "Chat Hard", "Safety", "Reasoning", "average"), SECTIONS, strict=True)
)
# On the same responses: accuracies on each policy's own fall as policies improve, whatever the reward model.
_GOLD_REWARD = Column("r_t − r_0", ("same_responses", "gain_over_base"), "gold accuracy", "reward", optional=True)


def _iterations(title: str, select: Mapping[str, Any], count: int, group: str) -> tuple[RowSpec, ...]:
    return tuple(RowSpec(f"{title} {t}", select, t, group) for t in range(1, count + 1))


TABLE1 = TableSpec(
    "table1",
    "Table 1: the policy model against the baselines",
    (
        RowSpec("π_0", _ANY, 0, "Base policy"),
        *(RowSpec(title, _offline(title.lower()), 1, "Offline") for title in ("SimPO", "IPO", "DPO")),
        *_iterations("Meta-rewarding", {"method.name": "meta_rewarding", "iterations": 3}, 3, "Iterative"),
        *_iterations("SPPO", {**_ITERATIVE, "objective.name": "sppo"}, 3, "Iterative"),
        *_iterations("DPO", _ITERATIVE_DPO, 3, "Iterative"),
        *_iterations("Mutual-Taught", _MT_DPO, 2, "Mutual-Taught"),
    ),
    (*_ALPACA, *_ARENA, *_GOLD),
    against="π_0",
    comparisons=(
        ("Mutual-Taught 2", "DPO 2", "equal iterations"),
        ("Mutual-Taught 2", "DPO 3", "equal data"),
        ("Mutual-Taught 2", "DPO", "offline on equal data"),
    ),
)
TABLE2 = TableSpec(
    "table2",
    "Table 2: the reward model on RewardBench",
    (
        RowSpec("GPT-4o-2024-08-06", None, group="Reference"),
        RowSpec("r_0", _MT_DPO, 0, "Base reward model"),
        *_iterations("Mutual-Taught", _MT_DPO, 2, "Mutual-Taught"),
    ),
    (*_BENCH, _GOLD_REWARD),
    against="r_0",
    judge="none (chosen and rejected are given)",
)
TABLE3 = TableSpec(
    "table3",
    "Table 3: another policy, guided by the reward models of Mutual-Taught",
    (
        RowSpec("π_0", {"method.name": "transfer"}, 0, "Base policy"),
        *(
            RowSpec(
                f"with r_{t}",
                {"method.name": "transfer", "method.reward_iteration": t},
                1,
                "Another policy",
                short=f"r_{t}",
            )
            for t in (0, 1, 2)
        ),
    ),
    (*_TWO_DECIMALS[:2], *_GOLD),
    against="with r_0",
)
TABLE4 = TableSpec(
    "table4",
    "Table 4: other objectives in the E-step",
    (
        RowSpec("SimPO", _offline("simpo"), 1, "Offline"),
        RowSpec("IPO", _offline("ipo"), 1, "Offline"),
        RowSpec("SimPO-MT", {**_MT, "objective.name": "simpo"}, 2, "Mutual-Taught", against="SimPO"),
        RowSpec("IPO-MT", {**_MT, "objective.name": "ipo"}, 2, "Mutual-Taught", against="IPO"),
    ),
    (*_TWO_DECIMALS, *_GOLD),
)
_ROUNDS = {**_MT_DPO, "rounds": 2}
TABLE5 = TableSpec(
    "table5",
    "Table 5: two rounds",
    (
        RowSpec("Round 1, iteration 1", _ROUNDS, 1, short="round 1"),
        RowSpec("Round 1, iteration 2", _ROUNDS, 2, short="round 1"),
        RowSpec("Round 2, iteration 1", _ROUNDS, 3, against="Round 1, iteration 1"),
        RowSpec("Round 2, iteration 2", _ROUNDS, 4, against="Round 1, iteration 2"),
    ),
    (_ALPACA[0], _ARENA[0], Column("average", REWARD, "RewardBench", model="reward"), *_GOLD, _GOLD_REWARD),
)
_PUBLISHED = {**_MT_DPO, "rm_data.name": "published", "policy.checkpoint.name": "win_rate"}
_CHOSEN = ("model_selection", "win_rate")
PUBLISHED = TableSpec(
    "published",
    "The published version: model selection, filtered contrast pairs, and either left out",
    (
        RowSpec("π_0", _PUBLISHED, 0, "Base policy"),
        RowSpec("Mutual-Taught", _PUBLISHED, 2, "Published version"),
        RowSpec("Mutual-Taught, four iterations", {**_PUBLISHED, "iterations": 4}, 4, "Published version"),
        *(
            RowSpec(title, {**_PUBLISHED, **other}, 2, "Left out", against="Mutual-Taught")
            for title, other in (
                ("without model selection", {"policy.checkpoint.name": "last"}),
                ("without filtering", {"rm_data.name": "both"}),
            )
        ),
    ),
    (
        *_ALPACA,
        *_ARENA,
        Column("average", REWARD, "RewardBench", model="reward"),
        *_GOLD,
        _GOLD_REWARD,
        Column("win rate by r_{t-1}", _CHOSEN, "chosen checkpoint", optional=True),
    ),
    against="π_0",
)
FIGURE3 = TableSpec(
    "figure3",
    "Figure 3: what the reward models pick, judged against the picks of earlier ones",
    (
        RowSpec("r_1 against r_0", _MT_DPO, 1),
        RowSpec("r_2 against r_0", _MT_DPO, 2),
        RowSpec("r_2 against r_1", _MT_DPO, 2, suffix="_vs_previous"),
    ),
    (
        Column("win", ("in_distribution", "win"), model="reward"),
        Column("tie", ("in_distribution", "tie"), model="reward"),
        Column("lose", ("in_distribution", "lose"), model="reward"),
        Column("win rate", ("in_distribution", "win_rate"), model="reward", chance=50),
    ),
)
FIGURE4 = TableSpec(
    "figure4",
    "Figure 4: what the reward model is retrained on",
    tuple(
        RowSpec(name, {**_MT_DPO, "rm_data.name": name}, 2, against="both" if name != "both" else None)
        for name in ("both", "pm", "contrast", "frozen")
    ),
    (
        Column("policy (LC win rate)", LC),
        Column("reward model (average)", REWARD, model="reward"),
        *(replace(column, title=f"policy (gold {column.title})", group="") for column in _GOLD),
        replace(_GOLD_REWARD, title="reward model (gold accuracy, r_t − r_0)", group=""),
    ),
)  # fmt: skip
FIGURE5 = TableSpec(
    "figure5",
    "Figure 5: pairwise win rates between iterations, judged by the base reward model",
    tuple(RowSpec(name, {**_MT, "objective.name": name.lower()}, 2) for name in ("DPO", "SimPO", "IPO")),
    (
        Column("1 against base", ("pairwise", "win_rate_vs_0"), iteration=1, chance=50),
        Column("2 against base", ("pairwise", "win_rate_vs_0"), iteration=2, chance=50),
        Column("2 against 1", ("pairwise", "win_rate_vs_1"), iteration=2, chance=50),
    ),
    judge="the base reward model r_0",
)
_ALL = (TABLE1, TABLE2, TABLE3, TABLE4, TABLE5, PUBLISHED, FIGURE3, FIGURE4, FIGURE5, *STUDIES)
SPECS = {spec.name: spec for spec in _ALL}
