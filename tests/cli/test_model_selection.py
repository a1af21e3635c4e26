"""The published version of the method in small runs: what decides, and what becomes of a run that stops."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import mt.stages.checkpoints
from mt import export, store
from mt.run import main
from mt.runtime.jsonl import Journal
from mt.types import Rewards, Samples
from mt.workflow import tables
from tests.engines.tiny import tiny_policy
from tests.small import small

PUBLISHED = [
    "policy.checkpoint=win_rate",
    "rm_data=published",
    "policy.checkpoint.every_steps=1",
    "policy.checkpoint.prompts=20",
    "policy.training.batch_size=8",
    "eval=[held_out]",
    "eval.held_out.diagnostics=false",
]


def words(folder: Path, *overrides: str) -> list[str]:
    return [*(word for word in small(folder) if "alpaca" not in word), *PUBLISHED, *overrides]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a run that goes on whatever a checkpoint wins, and one that stops in its first iteration."""
    folder = tmp_path_factory.mktemp("published")
    assert main(words(folder, "name=on", "policy.checkpoint.threshold=0", "iterations=1")) == 0
    assert main(words(folder, "name=stopped", "policy.checkpoint.threshold=1", "iterations=1")) == 0
    return folder


def record(folder: Path, name: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "runs" / name / "record.json").read_text())
    return facts


def stage(folder: Path, name: str, kind: str) -> tuple[Path, dict[str, Any]]:
    """Return the artifact of the only stage of a kind, and its declared inputs."""
    (found,) = (row for row in record(folder, name)["stages"] if row["stage"] == kind)
    path = folder / "runs" / name / found["path"]
    return path, json.loads((path / "artifact.json").read_text())["inputs"]


def rewards(folder: Path, inputs: dict[str, Any], field: str) -> dict[str, list[float]]:
    (path,) = (folder / "store" / "score").glob(f"{inputs[field]['artifact'][:20]}")
    return {row.prompt_id: row.rewards for row in tables.read(path / "table.parquet", Rewards)}


def test_the_decision_is_that_of_the_stored_rewards(folder: Path) -> None:
    path, inputs = stage(folder, "on", "select_policy")
    own, before = (rewards(folder, inputs, field) for field in ("rewards", "rewards_before"))
    won = [[float(one > before[p][0]) + 0.5 * (one == before[p][0]) for one in own[p]] for p in sorted(own)]
    rates = [sum(column) / len(column) for column in zip(*won, strict=True)]
    decision = json.loads((path / "decision.json").read_text())
    assert len(won) == decision["prompts"] == 20 and len(rates) == 3, "15 prompts of D_1 in batches of 8, and the rest"
    assert list(decision["win_rates"].values()) == pytest.approx(rates)
    assert decision["step"] == 1 + rates.index(max(rates)) and decision["stopped"] is False
    training, _ = stage(folder, "on", "train_policy_checkpoints")
    chosen = training / f"step-{decision['step']:06d}" / "model.safetensors"
    assert (path / "model.safetensors").read_bytes() == chosen.read_bytes()


def test_a_run_that_stops_ends_well_and_says_where_and_with_which_policy(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = record(folder, "stopped")
    path, _ = stage(folder, "stopped", "select_policy")
    best = max(json.loads((path / "decision.json").read_text())["win_rates"].values())
    assert (facts["state"], facts["final"], best < 1) == ("finished", 0, True)
    said = facts["answers"]["stopped"]
    assert list(facts["answers"]) == ["stopped"]
    assert said.startswith("The run stopped in iteration 1: its best checkpoint (step ")
    assert f"wins {best:.1%} of its comparisons with π₀ by r₀" in said and said.endswith("Its final policy is π₀.")
    states = {(row["stage"], row["position"]["step"]): row["state"] for row in facts["stages"]}
    assert states["train_reward", "M-step"] == states["contrast_pairs", "M-step"] == "unneeded"
    assert states["gold_policy_metrics", "evaluation"] == "computed", "the policy that is kept is measured"
    assert {(row["iteration"], row["model"]) for row in facts["metrics"]} == {
        (0, "policy"),
        (0, "reward"),
        (1, "policy"),
    }

    before = set((folder / "store").glob("*/*/artifact.json"))
    assert main(words(folder, "name=stopped", "policy.checkpoint.threshold=1", "iterations=1")) == 0
    assert "stages reused" in capsys.readouterr().out and record(folder, "stopped")["answers"] == {"stopped": said}
    assert set((folder / "store").glob("*/*/artifact.json")) == before
    here = ["--store", str(folder / "store")]
    assert store.main([*here, "gc", "--runs", str(folder / "runs")]) == 0
    assert "nothing to remove" in capsys.readouterr().out
    assert export.main([str(folder / "runs" / "stopped"), "--to", str(folder / "exported")]) == 0
    beside = {"artifact.json", "decision.json", "metrics.json", "items.json"}
    assert not beside & {path.name for path in (folder / "exported" / "policy").iterdir()}
    base, _ = stage(folder, "stopped", "supervised_finetune")
    exported = folder / "exported" / "policy" / "model.safetensors"
    assert (
        exported.read_bytes() == (base / "model.safetensors").read_bytes() == (path / "model.safetensors").read_bytes()
    )


def test_a_run_that_was_killed_amid_its_checkpoints_ends_as_one_that_was_not(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came after the training is removed from a copy; the first attempt ends in the second checkpoint."""
    shutil.copytree(folder / "store", tmp_path / "store")
    samples, _ = stage(folder, "on", "sample_checkpoints")
    for kind in ("sample_checkpoints", "score", "select_policy", "contrast_pairs", "concatenate_rows", "train_reward"):
        shutil.rmtree(tmp_path / "store" / kind)

    class Killed(Journal):
        left = 25

        def append(self, *items: Any) -> None:
            super().append(*items)
            Killed.left -= 1
            if not Killed.left:
                raise KeyboardInterrupt

    again = words(tmp_path, "name=on", "policy.checkpoint.threshold=0", "iterations=1")
    with monkeypatch.context() as patched:
        patched.setattr(mt.stages.checkpoints, "Journal", Killed)
        assert main(again) == 130
    (left,) = (tmp_path / "store" / ".work" / samples.name).glob("scratch/step-000002.jsonl")
    assert left.read_text().count("\n") == 5
    assert main(again) == 0
    for name in ("sample_checkpoints", "select_policy", "contrast_pairs"):
        one, other = stage(folder, "on", name)[0], stage(tmp_path, "on", name)[0]
        for file in ("table.parquet", "decision.json", "model.safetensors"):
            assert not (one / file).exists() or (one / file).read_bytes() == (other / file).read_bytes(), file
    rows = tables.read(samples / "table.parquet", Samples)
    assert {len(row.responses) for row in rows} == {3}


def test_the_published_version_runs_on_verifiable_english(tmp_path: Path) -> None:
    given = [
        "scale=smollm2", f"policy.path={tiny_policy(tmp_path / 'policy')}", "data.sizes.prompts=20",
        "data.sizes.preferences=12", "sampling.samples=3", "sampling.max_new_tokens=8", "sampling.max_length=120",
        "eval.held_out.prompts=8", "eval.held_out.decoding.samples=2", "policy.training.batch_size=4",
        "reward.training.batch_size=4", "scorer.max_length=120", f"store={tmp_path}/store", f"runs={tmp_path}/runs",
    ]  # fmt: skip
    chosen = ["policy.checkpoint=win_rate", "rm_data=published", "policy.checkpoint.prompts=8"]
    own = ["eval=[held_out]", "policy.checkpoint.threshold=0", "name=tiny", "iterations=1"]
    assert main([*given, *chosen, *own]) == 0
    found = {(row["benchmark"], row["metric"]): row["value"] for row in record(tmp_path, "tiny")["metrics"]}
    assert 0 <= found["model_selection", "win_rate"] <= 1 and found["model_selection", "step"] == 3
    assert ("gold", "mean_reward") in found
