"""Runs compared by hand-written records: pairs by item, by resample, by seed; what is left out is said."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mt.compare import main
from mt.running.comparison import COMPARED, VariantComparison, compare
from mt.running.comparison_table import print_comparison

WIN_RATE = ("policy", "gold", "win_rate")
GAIN = ("reward", "same_responses", "gain_over_base")
Values = Mapping[tuple[int, tuple[str, str, str]], Sequence[float]]


JUDGE = {"name": "openai", "model": "m", "preference_template": "own", "verdict_template": "own", "official": False}


def run(folder: Path, rm_data: str, values: Values, *, seed: int = 0, state: str = "finished", **judge: Any) -> Path:
    """Write a record whose metrics are the means of `values`, with their items beside them."""
    folder = folder / f"{rm_data}-{seed}"
    stages, metrics = [], []
    for (t, (model, benchmark, metric)), found in values.items():
        key = f"{t}-{benchmark}-{metric}"
        artifact = folder / "store" / key
        artifact.mkdir(parents=True)
        (artifact / "items.json").write_text(json.dumps({metric: {str(i): one for i, one in enumerate(found)}}))
        stages.append({"key": key, "path": f"store/{key}"})
        mean = sum(found) / len(found)
        row = {"iteration": t, "model": model, "benchmark": benchmark, "metric": metric, "stage": key}
        metrics.append({**row, "value": mean, "low": mean - 0.03, "high": mean + 0.03, "n": len(found)})
    config = {"rm_data": {"name": rm_data}, "seed": seed, "world_seed": 0, "name": None, "judge": {**JUDGE, **judge}}
    record = {"schema": 1, "name": folder.name, "state": state, "config": config, "stages": stages, "metrics": metrics}
    (folder / "record.json").write_text(json.dumps(record))
    return folder


FROZEN: Values = {(0, WIN_RATE): [0.5, 0.5], (1, WIN_RATE): [0.6, 0.8], (1, ("reward", "gold", "accuracy")): [0.7, 0.7]}
BOTH: Values = {(0, WIN_RATE): [0.5, 0.5], (1, WIN_RATE): [0.7, 0.9], (1, GAIN): [0.02, 0.04]}


def table(found: VariantComparison, width: int = 100) -> str:
    file = io.StringIO()
    print_comparison(Console(file=file, width=width), found)
    return file.getvalue()


def test_runs_of_one_seed_are_paired_by_item(tmp_path: Path) -> None:
    found = compare([run(tmp_path, "frozen", FROZEN), run(tmp_path, "both", BOTH)])
    assert [one.name for one in found.variants] == ["rm_data=frozen", "rm_data=both"]
    difference = found.variants[1].minus(found.reference, 1, WIN_RATE)
    assert difference is not None and difference.over == "items"
    assert (difference.value, difference.low, difference.high) == pytest.approx((0.1, 0.1, 0.1))
    text = table(found)
    assert "+10.0 [10.0, 10.0]" in text and "70.0% [67.0, 73.0]" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("width", [100, 80, 60, 30])
def test_no_number_is_cut_however_narrow_the_console(tmp_path: Path, width: int) -> None:
    more = {(1, key): [0.25, 0.75] for key in COMPARED if key[1] not in {"proxy", "gold"} and key != GAIN}
    first, second = (run(tmp_path, name, {**FROZEN, **BOTH, **more}) for name in ("a_reward_model_of_many_words", "b"))
    found = compare([first, second])
    text = table(found, width)
    assert "…" not in text and text.count("[") == text.count("]") == table(found, 1000).count("]")
    assert "80.0% [77.0, 83.0]" in text
    assert width == 30 or max(map(len, text.splitlines())) <= width


def test_a_reward_model_that_is_never_updated_gains_nothing(tmp_path: Path) -> None:
    found = compare([run(tmp_path, "frozen", FROZEN), run(tmp_path, "both", BOTH)])
    difference = found.variants[1].minus(found.reference, 1, GAIN)
    assert difference is not None
    assert (difference.value, difference.low, difference.high) == pytest.approx((0.03, 0.0, 0.06)), "the gain itself"
    assert "+3.0 [0.0, 6.0]" in table(found) and "~" not in table(found)


def test_several_seeds_are_paired_by_seed(tmp_path: Path) -> None:
    shifted = {key: [one + 0.1 * (key[0] > 0) for one in values] for key, values in BOTH.items()}
    for seed, both in ((0, BOTH), (1, shifted)):
        run(tmp_path, "frozen", FROZEN, seed=seed)
        run(tmp_path, "both", both, seed=seed)
    run(tmp_path, "both", BOTH, seed=7)
    found = compare([tmp_path], named=False)
    assert found.reference.name == "rm_data=frozen", "a sweep is compared with its frozen variant"
    difference = found.variants[1].minus(found.reference, 1, WIN_RATE)
    assert difference is not None and (difference.over, difference.n) == ("seeds", 2), "seed 7 has no counterpart"
    said = "Other seeds than rm_data=frozen: rm_data=both; their differences are over the seeds that both have."
    assert found.notes == [said] and said in " ".join(table(found).split())
    # Differences .1 and .2: mean .15, standard error .05, Student's 97.5% point with one degree of freedom 12.706.
    assert (difference.value, difference.high) == pytest.approx((0.15, 0.15 + 12.7062 * 0.05), abs=1e-4)
    two = compare([tmp_path / name for name in ("frozen-0", "both-0", "both-1")]).variants[1].value(1, WIN_RATE)
    # .8 and .9: .85 ± 12.706 · .05, of which a share can have what lies between 0 and 1.
    assert two is not None and (two.value, two.low, two.high) == pytest.approx((0.85, 0.85 - 0.63531, 1.0), abs=1e-4)


def test_a_run_that_lies_there_twice_counts_once_with_all_that_it_measured(tmp_path: Path) -> None:
    score = ("policy", "arena_hard", "score")
    for place, rest in (("alone", {}), ("sweep", {(1, score): [20.0, 40.0]})):
        run(tmp_path / place, "both", {**BOTH, **rest})
    run(tmp_path / "sweep", "frozen", FROZEN)
    found = compare([tmp_path], named=False)
    assert [(one.name, len(one.runs)) for one in found.variants] == [("rm_data=frozen", 1), ("rm_data=both", 1)]
    both = found.variants[1]
    win_rate, measured = both.value(1, WIN_RATE), both.value(1, score)
    assert win_rate is not None and measured is not None
    assert (win_rate.value, win_rate.low, measured.value) == pytest.approx((0.8, 0.77, 30.0)), "its own interval"


def test_what_is_left_out_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = run(tmp_path, "frozen", FROZEN), run(tmp_path, "both", BOTH, state="failed")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "record.json").write_text("{")
    found = compare([tmp_path])
    assert len(found.variants) == 1 and len(found.notes) == 1
    alone = "This is one run: there is nothing to compare it with. 95% intervals over prompts; t is the iteration."
    assert "both-0 is failed" in table(found) and alone in table(found, 200)
    several = compare([first, run(tmp_path / "more", "frozen", FROZEN, seed=1)])
    assert "nothing to compare them with. 95% intervals over seeds;" in table(several, 200)
    for seed in range(1, 7):
        run(tmp_path, "both", BOTH, seed=seed, state="interrupted")
    (note,) = compare([tmp_path]).notes
    assert note.startswith("left out: both-0 is failed; both-1 is interrupted; ") and note.endswith("; and 3 more")
    assert main([str(second)]) != 0 and "no finished run" in capsys.readouterr().err
    assert main(["--runs", str(tmp_path), "frozn-0"]) != 0
    assert "Did you mean 'frozen-0'?" in capsys.readouterr().err
    assert main(["--runs", str(tmp_path), "--json", first.name]) == 0
    assert json.loads(capsys.readouterr().out)["differences"] == []


def test_a_run_with_nothing_to_compare_is_named_and_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    own: Values = {
        (1, ("reward", "preferences", "accuracy")): [0.0, 1.0],
        (1, ("policy", "proxy", "win_rate_base")): [1.0],
    }
    folders = [run(tmp_path, name, values) for name, values in (("frozen", FROZEN), ("both", BOTH), ("own", own))]
    config = json.loads((folders[2] / "record.json").read_text())
    config["config"] |= {"data": {"name": "jsonl"}, "scale": {"name": "laptop"}}
    (folders[2] / "record.json").write_text(json.dumps(config))
    found = compare(folders)
    assert [one.name for one in found.variants] == ["rm_data=frozen", "rm_data=both"]
    assert ("reward", "preferences", "accuracy") not in found.keys
    assert found.notes == ["left out: own-0 measured nothing that frozen-0 did"]
    assert [one.name for one in compare(folders[::2]).variants] == ["frozen-0"]
    seed = compare([folders[0], run(tmp_path, "both", BOTH, seed=1)])
    assert seed.notes == ["left out: both-1 has another seed than frozen-0"]


def change(folder: Path, **facts: Any) -> Path:
    """Change facts of a record, and settings of its configuration."""
    record = json.loads((folder / "record.json").read_text())
    config = {**record["config"], **facts.pop("config", {})}
    (folder / "record.json").write_text(json.dumps({**record, **facts, "config": config}))
    return folder


def test_two_runs_of_one_name_are_two_runs(tmp_path: Path) -> None:
    many = [{"config": {f"setting_{at}": kind for at in range(7)}} for kind in "ab"]
    first = change(run(tmp_path / "1", "frozen", FROZEN), name="mine", **many[0])
    same_seed = change(run(tmp_path / "2", "both", BOTH), name="mine", **many[1])
    found = compare([first, same_seed])
    values = [one.value(1, WIN_RATE) for one in found.variants]
    assert [one.value for one in values if one] == pytest.approx([0.7, 0.8]), "the means of each run's own items"
    apart = compare([first, change(run(tmp_path / "3", "both", BOTH, seed=1), name="mine")])
    assert len(apart.variants) == 1 and apart.notes == ["left out: mine has another seed than mine"]


def test_what_changes_no_result_sets_no_runs_apart(tmp_path: Path) -> None:
    for seed, at_once, limit in ((0, 4, None), (1, 8, 5.0)):
        run(tmp_path, "frozen", FROZEN, seed=seed, concurrency=at_once, limit_usd=limit)
        hardware = {"hardware": {"name": f"machine {seed}"}}
        change(run(tmp_path, "both", BOTH, seed=seed, concurrency=2, score_template=None), config=hardware)
    found = compare([tmp_path], named=False)
    assert [(one.name, len(one.runs)) for one in found.variants] == [("rm_data=frozen", 2), ("rm_data=both", 2)]
    assert found.notes == []


def test_a_metric_without_a_value_is_none_that_was_measured(tmp_path: Path) -> None:
    first, second = run(tmp_path, "frozen", FROZEN), run(tmp_path, "both", BOTH)
    metrics = json.loads((second / "record.json").read_text())["metrics"]
    change(second, metrics=[{**row, "value": None if row["metric"] == "win_rate" else row["value"]} for row in metrics])
    found = compare([first, second])
    assert [found.variants[1].value(t, WIN_RATE) for t in (0, 1)] == [None, None]
    assert "+3.0 [0.0, 6.0]" in table(found), "its other metric is compared"


def test_items_that_are_gone_leave_the_recorded_intervals(tmp_path: Path) -> None:
    first, second = run(tmp_path, "frozen", FROZEN), run(tmp_path, "both", BOTH)
    (second / "store" / "1-gold-win_rate" / "items.json").write_text("{ damaged")
    found = compare([first, second])
    difference = found.variants[1].minus(found.reference, 1, WIN_RATE)
    assert difference is not None and difference.over == "unpaired"
    assert difference.high == pytest.approx(0.1 + (2 * 0.03**2) ** 0.5)
    assert "~" in table(found)


def test_what_a_judge_decided_comes_with_whose_prompt_it_read(tmp_path: Path) -> None:
    judged: Values = {(1, ("policy", "alpaca_eval", "lc_win_rate")): [0.4, 0.6]}
    first, second = run(tmp_path, "frozen", judged), run(tmp_path, "both", judged)
    own = "own prompt, not comparable with published numbers, judge openai m"
    assert f"judge: {own}" in table(compare([first, second]))
    assert "own prompt" not in table(compare([run(tmp_path / "gold", name, FROZEN) for name in ("frozen", "both")]))
    other = run(tmp_path, "pm", judged, official=True)
    assert f"judge: official prompt, judge openai m, {own}" in " ".join(table(compare([first, other])).split())
    assert "The runs differ in judge: numbers are not comparable" in table(compare([first, other]))


def test_data_holds_every_difference(tmp_path: Path) -> None:
    data: dict[str, Any] = compare([run(tmp_path, "frozen", FROZEN), run(tmp_path, "both", BOTH)]).data()
    rows = [(row["variant"], row["iteration"], row["metric"], row["over"]) for row in data["differences"]]
    assert rows == [("rm_data=both", 1, "win_rate", "items"), ("rm_data=both", 1, "gain_over_base", "items")]
