"""Every experiment of the paper and its related work, from one command line each, at a size of minutes for them all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analysis.frame import load
from analysis.specs import SPECS
from analysis.tables import main as tables
from analysis.tables import table
from mt.config.compose import compose_runs, options
from mt.methods.compile import compile_run
from mt.run import main
from mt.workflow.plan import merge
from mt.workflow.store import Store
from tests.small import small

STUDIES = ["study_iterations", "study_transfer"]  # the 21 arms of `study` are placed in tests/analysis/test_groups.py
PAPER = [name for name in options("experiment") if name not in ("related", "study", *STUDIES)]
SIZES = [
    "data.sizes.prompts=30",
    "data.sizes.benchmark_pairs=1",
    "data.sizes.demonstrations=512",
    "data.policy_training.learning_rate=1e-2",
    # DNO takes pairs whose rewards lie a whole logit apart: the reward model needs to have learnt something.
    "data.sizes.preferences=1024",
    "data.reward_training.learning_rate=1e-2",
    # Self-rewarding needs a policy that says something readable when it judges.
    "data.sizes.judgments=6000",
    "data.policy.hidden_size=32",
    "data.policy.feed_forward=64",
    "data.transfer_policy.hidden_size=32",
    "data.transfer_policy.layers=1",
    "data.transfer_policy.heads=2",
    "data.transfer_policy.key_value_heads=1",
    "data.transfer_policy.feed_forward=64",
    "seed=0",
]
FEW = ["eval.held_out.prompts=8", "eval.alpaca_eval.prompts=6"]
SWEEPS = {
    "paper": [f"experiment={','.join(PAPER)}", *FEW, "eval.arena_hard.prompts=6"],
    "related": ["experiment=related", *FEW, "eval=[held_out,alpaca_eval]", "eval.held_out.diagnostics=false"],
    "study": [
        f"experiment={','.join(STUDIES)}",
        *FEW,
        "eval=[held_out,alpaca_eval,reward_bench]",
        "world_seed=0",
        "data.sizes.preferences=128",
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("experiments")
    for name, overrides in SWEEPS.items():
        words = [*small(folder, *SIZES), *overrides, f"sweep={name}"]
        if name == "study":  # its arms say themselves how many responses a prompt gets
            words = [word for word in words if not word.startswith("sampling.samples=")]
        assert main(["-m", *words]) == 0
    return folder


@pytest.fixture(scope="module")
def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((folder / "runs").glob("*/*/record.json"))]


def test_every_run_is_finished_and_nothing_was_computed_twice(folder: Path, records: list[dict[str, Any]]) -> None:
    assert {record["state"] for record in records} == {"finished"}
    computed = [stage["key"] for record in records for stage in record["stages"] if stage["state"] == "computed"]
    assert len(computed) == len(set(computed)) == len(list(Store(folder / "store").artifacts()))
    needed = sum(len(record["stages"]) for record in records)
    assert needed > 1.5 * len(computed), "runs share less than they should"


def test_the_records_are_those_of_the_experiments(records: list[dict[str, Any]]) -> None:
    ran = {(record["config"]["method"]["name"], record["config"]["objective"]["name"]) for record in records}
    names = [f"experiment={','.join(options('experiment'))}", "seed=0"]
    runs = [one.config for one in compose_runs(names, multirun=True)]
    assert ran == {(config.method.name, config.objective.name) for config in runs}
    assert len({method for method, _ in ran}) >= 8 and len({objective for _, objective in ran}) >= 12


@pytest.mark.parametrize("name", [name for name in SPECS if name != "study"])
def test_every_table_and_figure_is_whole(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = "study" if name in STUDIES else "paper"
    report = table(name, load(folder / "runs", {"sweep": sweep}))
    assert (report.missing, report.unmeasured, report.short) == ([], [], [])
    assert tables([name, "--runs", str(folder / "runs"), "--where", f"sweep={sweep}"]) == 0
    assert SPECS[name].title in capsys.readouterr().out


def test_self_judgments_are_read_and_the_unreadable_counted(records: list[dict[str, Any]]) -> None:
    judging = [record for record in records if record["config"]["method"]["name"] in options_that_judge()]
    assert len(judging) == 2
    for record in judging:
        counts = [stage["counts"] for stage in record["stages"] if stage["stage"] == "parse_judgments"]
        assert len(counts) == 6
        assert all(0 < one["unreadable"] < one["judgments"] for one in counts)


def options_that_judge() -> set[str]:
    return {"meta_rewarding", "self_rewarding"}


@pytest.mark.parametrize("name", options("experiment"))
def test_experiment_files_state_their_command_and_their_name(name: str) -> None:
    from mt.config.compose import CONF

    text = (CONF / "experiment" / f"{name}.yaml").read_text()
    assert f"# python -m mt.run -m experiment={name} " in text
    assert f"  name: {name}\n" in text


def test_all_experiments_together_share_half_of_their_stages() -> None:
    names = ",".join(options("experiment"))
    runs = [compile_run(one.config) for one in compose_runs([f"experiment={names}", "seed=0"], multirun=True)]
    merged = merge(one.plan for one in runs)
    assert len(merged.order) < 0.6 * sum(len(one.plan.order) for one in runs)
