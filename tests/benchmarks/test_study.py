"""The world study's rows become paired differences, and prompts are grouped by what most responses believe."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks import study
from benchmarks.study import COLUMNS, append, by_belief_and_section, load, runs
from benchmarks.study_report import as_frame, page
from mt.config.compose import compose_runs
from mt.methods.steps import Steps
from mt.types import Response, Samples
from mt.world.prompts import ask
from mt.world.world import build_world

LATER = "reward=consensus reward.student=model reward.scores=later rm_data=frozen"


def row(arm: str, seed: int, iteration: int, **values: float) -> dict[str, str]:
    cells = {"arm": arm, "world": "20", "seed": str(seed), "iteration": str(iteration)}
    return cells | {name: str(value) for name, value in values.items()}


def test_every_arm_has_a_name_of_its_own() -> None:
    arms = [run.arm for run in runs(0, 0)]
    assert len(arms) == len(set(arms)) and not any("seed" in arm for arm in arms)
    assert arms[:2] == ["method=iterative", "rm_data=both"] and LATER in arms


def test_differences_are_paired_over_worlds_and_seeds() -> None:
    rows = [
        *(row("method=iterative", seed, 2, gold=0.7 + seed / 10, win_rate=0.6, bench=60) for seed in (0, 1)),
        *(row("rm_data=both", seed, 1, gold=0.1, r0=0.5, rt=0.6 + seed / 50) for seed in (0, 1)),
        row("rm_data=both", 0, 2, gold=0.72, win_rate=0.61, r0=0.5, rt=0.4),
        row("rm_data=both", 1, 2, gold=0.84, win_rate=0.61, r0=0.5, rt=0.4),
        row("rm_data=consensus", 0, 2, gold=0.7, bench=61),
        row("rm_data=published policy.checkpoint=win_rate", 0, 1, gold=0.66),  # stopped in iteration 2
        row(LATER, 0, 2, gold=0.65, win_rate=0.6, r0=0.5, rt=0.5),
    ]
    lines = list(page(as_frame(rows), rows))
    # Differences 0.02 and 0.04: their mean, and t(0.975, 1 degree of freedom) = 12.706 standard errors of 0.01.
    # Win rates and accuracies are in points: r_1 − r_0 is 10 and 12, r_2 − r_0 is −10 twice.
    assert "| both (the paper's) | +0.030 ±0.127 | **+1.0 ±0.0** | +11.0 ±12.7 | **−10.0 ±0.0** | – | 2 |" in lines
    assert "| consensus in E-step 2 | −0.050 | 0.0 | – | – | – | 1 |" in lines
    assert "| consensus | 0.000 | – | – | – | +1.0 | 1 |" in lines
    assert "| the published version | −0.040 | – | – | – | – | 1 |" in lines
    assert "| consensus − both (the paper's) (other labels) | −0.020 | 1 |" in lines
    assert not any("RewardBench of" in line or "Another policy" in line for line in lines)  # not measured
    assert lines[0].startswith("Pairs of world and seed measured so far: 2 (worlds 20)")
    assert lines[1].startswith("Mean gold reward without an M-step: frozen 0.750")  # of 0.7 and 0.8


def test_finished_runs_are_appended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "CSV", tmp_path / "study.csv")
    assert load() == []
    append([row("rm_data=both", 0, 0, gold=0.5)])
    append([row("rm_data=pm", 1, 0, gold=0.25)])
    with (tmp_path / "study.csv").open(newline="") as file:
        head, *lines = csv.reader(file)
    assert head == COLUMNS and [(line[0], line[2], line[4]) for line in lines] == [
        ("rm_data=both", "0", "0.5"),
        ("rm_data=pm", "1", "0.25"),
    ]
    assert [one["arm"] for one in load()] == ["rm_data=both", "rm_data=pm"]


def test_prompts_are_grouped_by_section_and_by_what_most_responses_believe() -> None:
    world = build_world(*Steps(compose_runs([])[0].config).source.gold())
    believed = {name: part for name, part in world.facts.attributes.items() if part.misconception}
    ((animal, attribute), part), *_ = believed.items()
    ((true_animal, true_attribute), _), *_ = (
        (name, part) for name, part in world.facts.attributes.items() if not part.misconception
    )

    def answered(name: str, text: str, *responses: str) -> Samples:
        return Samples(name, ask(text), "Chat", [Response(one, len(one.split())) for one in responses])

    question = f"tell {attribute} of {animal}"
    samples = [
        answered("most", question, f"well {part.misconception} .", f"{part.misconception}", part.word),
        answered("half", question, f"{part.misconception}", part.word),
        answered("moved", question, f"red {part.misconception}", f"red {part.misconception}"),
        answered("none", f"tell {true_attribute} of {true_animal}", "red"),
    ]
    groups: Mapping[str, set[str]] = by_belief_and_section(world, samples)
    assert groups["shared"] == {"most"} and groups["doubted"] == {"half", "moved"} and groups["plain"] == {"none"}
    assert groups["chat"] == {"most", "half", "moved", "none"} and not groups["safety"]
