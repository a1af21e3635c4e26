"""The page: self-contained, safe with hostile data, and frank about what is missing."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from analysis.report import compared, write
from analysis.report.__main__ import main
from analysis.report.page import packed
from analysis.report.record import load_runs
from tests.analysis.report import fixture

HOSTILE = "<script>window.hacked=1</script><img src=x onerror=window.hacked=1>\"'&</textarea>${1}`"


class Reader(HTMLParser):
    """Collects tags with their attributes, scripts, and the visible text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.text += data

    def data(self, name: str) -> Any:
        scripts = [attrs for tag, attrs in self.tags if tag == "script"]
        number = next(i for i, attrs in enumerate(scripts) if attrs.get("id") == f"data-{name}")
        return json.loads(gzip.decompress(base64.b64decode(self.scripts[number])))


def page_of(*folders: Path, to: Path) -> Reader:
    return Reader(write(list(folders), to / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return page_of(run_folder, to=tmp_path_factory.mktemp("page"))


def test_nothing_comes_from_outside(page: Reader) -> None:
    for tag, attributes in page.tags:
        for name in ("src", "href", "action", "data", "srcset"):
            value = attributes.get(name) or ""
            assert not value or value.startswith("#"), (tag, value)
    policy = next(
        a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy and "http" not in policy


def test_the_policy_allows_these_scripts_and_no_other(page: Reader) -> None:
    policy = next(a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv"))
    allowed = set(re.findall(r"'(sha256-[^']+)'", policy))
    kinds = [attrs.get("type") for tag, attrs in page.tags if tag == "script"]
    live = [text for text, kind in zip(page.scripts, kinds, strict=True) if kind is None]
    hashes = {"sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in live}
    assert hashes == allowed and "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]


def test_every_section_is_there(page: Reader) -> None:
    ids = {attrs.get("id") for tag, attrs in page.tags if tag == "section"}
    wanted = {"answers", "results", "plan", "distributions", "calibration", "training", "samples", "origin"}
    assert wanted <= ids
    assert "68.0%" in page.text and "python -m mt.run" in page.text and "torch 2.13.0" in page.text


def test_the_page_opens_with_the_answers(page: Reader) -> None:
    order = ["The policy improved: as recorded.", "Did the policy improve?", "Everything that was measured", "The plan"]
    places = [page.text.index(text) for text in order]
    assert places == sorted(places)


def test_charts_and_their_places_agree(page: Reader) -> None:
    places = [int(attrs["data-chart"]) for tag, attrs in page.tags if tag == "figure"]
    assert sorted(places) == list(range(len(page.data("charts"))))


def test_every_control_has_a_name(page: Reader) -> None:
    for tag, attributes in page.tags:
        if tag in ("button", "section", "nav") and "data-graph" not in attributes:
            assert attributes.get("aria-label") or attributes.get("aria-labelledby"), attributes
    assert [attrs.get("lang") for tag, attrs in page.tags if tag == "html"] == ["en"]


def test_a_sweep_shows_what_is_shared(sweep_folder: Path, tmp_path: Path) -> None:
    page = page_of(sweep_folder, to=tmp_path)
    assert re.search(r"distinct stages stand for \d+ in 4 runs", page.text)
    options = [attrs for tag, attrs in page.tags if tag == "option"]
    assert len(options) == 4
    assert "rm_data=both seed=0" in page.text
    assert [one["runs"] for one in page.data("samples")["sets"] if one["where"] == "iteration 1 · E-step"] == [
        [0, 1, 2, 3]
    ]


def test_a_sweep_opens_with_paired_differences(sweep_folder: Path, tmp_path: Path) -> None:
    found, notes, finding = compared.tables(load_runs([sweep_folder]))
    policy = found[0]
    assert (policy.model, notes) == ("Policy", [])
    column = [title for title, _ in policy.columns].index("Win rate against π₀, by gold")
    rows = {(name, t): cells[column] for name, t, cells in policy.rows}
    # Seeds 0 and 1 have 68% and 72% at iteration 2; both variants of the fixture measured the same.
    assert rows["rm_data=both", 2][0] == "70.0%"
    assert rows["rm_data=pm", 2] == ("0.0 points", "[0.0, 0.0]", "")
    assert finding == (
        "Win rate against π₀, by gold in iteration 2, compared with rm_data=both: not distinguishable: rm_data=pm."
    )
    text = page_of(sweep_folder, to=tmp_path).text
    assert "sweep of 4 runs" in text and finding in text
    assert text.index("Win rate against π₀, by gold") < text.index("Did the policy improve?")


def hostile_run(root: Path) -> Path:
    """A run whose names, prompts and responses are attacks."""
    folder = fixture.make_run(
        root, fixture.mutual_taught(2, extra=HOSTILE), error=HOSTILE, state="failed", command=HOSTILE
    )
    record = json.loads((folder / "record.json").read_text())
    record["name"] = HOSTILE
    record["config"]["objective"]["name"] = HOSTILE
    record["metrics"].append({**record["metrics"][1], "metric": HOSTILE, "benchmark": HOSTILE})
    record["stages"][-1]["position"]["step"] = HOSTILE
    (folder / "record.json").write_text(json.dumps(record))
    return folder


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    page = page_of(hostile_run(tmp_path), to=tmp_path)
    assert not any(tag == "img" for tag, _ in page.tags)
    assert not any("hacked" in script for script in page.scripts)
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert HOSTILE in page.text  # shown, as text


def test_packed_data_cannot_leave_its_place() -> None:
    text = packed(["</script><script>alert(1)</script>", "\ud800 alone", "ünï"])
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", text)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"state": "failed", "error": "DataError: no pairs"}, "The run failed: DataError: no pairs"),
        ({"state": "interrupted", "error": None}, "The run was interrupted. The same command continues it."),
        ({"state": "running"}, "The run was still running"),
        ({"state": "planned", "metrics": []}, "only its plan is shown"),
        ({"metrics": []}, "recorded no metrics"),
        ({"stages": []}, "The record lists no stages"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, run_folder: Path, changes: dict[str, Any], said: str) -> None:
    record = {**json.loads((run_folder / "record.json").read_text()), **changes}
    (tmp_path / "record.json").write_text(json.dumps(record))
    assert said in page_of(tmp_path, to=tmp_path).text


def test_a_planned_run_shows_its_plan_alone(tmp_path: Path) -> None:
    planned = fixture.mutual_taught(2)
    rows = [
        {"key": s.key, "stage": s.name, "position": planned.position(s).data(), "path": f"gone/{s.key}",
         "state": "missing", "inputs": [one.key for one in s.inputs()], "seconds": None, "counts": {}}
        for s in planned.order
    ]  # fmt: skip
    (tmp_path / "record.json").write_text(json.dumps({"schema": 1, "state": "planned", "stages": rows}))
    page = page_of(tmp_path, to=tmp_path)
    drawn = [a for t, a in page.tags if t == "g" and "missing" in (a.get("class") or "").split()]
    assert len(drawn) >= len(rows)
    for said in ("No samples can be read", "Calibration needs responses", "No training curves", "No metrics"):
        assert said in page.text


def test_a_run_on_own_models_needs_no_gold_and_no_sections(tmp_path: Path) -> None:
    metrics = [row for row in fixture.metrics() if row["benchmark"] == "proxy"]
    (tmp_path / "model").mkdir()
    planned = fixture.own_models(3, tmp_path / "model")
    page = page_of(fixture.make_run(tmp_path, planned, metrics=metrics), to=tmp_path)
    assert "Calibration needs responses" in page.text
    samples = page.data("samples")
    assert [one["policy"] for one in samples["sets"]] == ["π₀", "π₁"]
    assert {prompt["section"] for prompt in samples["prompts"]} == {None}
    assert any("external" in (attrs.get("aria-label") or "") for tag, attrs in page.tags if tag == "g")


def test_what_reward_models_disagree_on_is_shown_as_text(tmp_path: Path) -> None:
    folder = fixture.make_run(tmp_path, fixture.mutual_taught(2))
    record = json.loads((folder / "record.json").read_text())
    place = {"round": 1, "iteration": 2, "step": "evaluation", "model": "", "rounds": 1}
    record["stages"].append(
        {"key": "d" * 64, "stage": "disagreements", "position": place, "path": "found", "state": "computed"}
    )
    (folder / "record.json").write_text(json.dumps(record))
    (folder / "found").mkdir()
    texts = {"messages": [{"role": "user", "content": HOSTILE}], "preferred": "<b>now</b>", "other": "before"}
    row = {**texts, "margins": {"current": 1.25, "base": -2.0, "previous": 0.5}}
    (folder / "found" / "disagreements.json").write_text(json.dumps([row]))
    page = page_of(folder, to=tmp_path)
    assert all(margin in page.text for margin in ("rₜ +1.25", "rₜ₋₁ +0.50", "r₀ −2.00", "<b>now</b>"))
    assert not any(tag in ("b", "img") for tag, _ in page.tags)
    (folder / "found" / "disagreements.json").write_text("[{}]")
    assert "disagree most" not in page_of(folder, to=tmp_path).text, "what is damaged is left out"


def test_numbers_that_are_none_do_not_stop_the_page(tmp_path: Path, run_folder: Path) -> None:
    record = json.loads((run_folder / "record.json").read_text())
    record["metrics"][0]["value"] = float("nan")
    record["metrics"][1]["high"] = float("inf")
    record["stages"][0]["counts"] = {"loss": float("nan")}
    (tmp_path / "record.json").write_text(json.dumps(record))
    page = page_of(tmp_path, to=tmp_path)
    assert page.data("stages")[record["stages"][0]["key"]]["counts"] == {"loss": "nan"}
    policy = next(chart for chart in page.data("charts") if chart["title"] == "Did the policy improve?")
    assert policy["series"][1]["high"][0] is None


def test_artifacts_that_are_gone_are_counted(tmp_path: Path) -> None:
    folder = fixture.make_run(tmp_path, fixture.mutual_taught(2))
    shutil.rmtree(tmp_path / "store" / "gold_rewards")
    page = page_of(folder, to=tmp_path)
    assert re.search(r"3 of \d+ artifacts are no longer where the record says", page.text)
    titles = {chart["title"] for chart in page.data("charts")}
    assert "Calibration on held-out pairs" in titles and "Calibration on samples of π₀" not in titles


def test_a_damaged_table_is_named_and_the_rest_shown(tmp_path: Path) -> None:
    folder = fixture.make_run(tmp_path, fixture.mutual_taught(2))
    table = next((tmp_path / "store" / "score").glob("*/table.parquet"))
    table.write_bytes(b"PAR1 no more")
    page = page_of(folder, to=tmp_path)
    assert "The table of score" in page.text and "cannot be read" in page.text
    assert page.data("samples")["prompts"]


def test_the_command_writes_where_it_is_reported_and_nowhere_else(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def files() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in run_folder.parent.rglob("*") if path.is_file()}

    before, written = files(), tmp_path / "pages" / "page.html"
    assert main([str(run_folder), "-o", str(written)]) == 0
    assert capsys.readouterr().out.strip() == str(written)
    assert 1_000_000 < written.stat().st_size < 3_000_000, "the library, once"
    assert files() == before and [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["page.html"]


def test_the_command_says_errors_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nothing"), "-o", str(tmp_path / "page.html")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_the_report_imports_no_torch() -> None:
    code = "import sys, analysis.report.page; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
