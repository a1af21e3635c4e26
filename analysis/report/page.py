"""The page itself: gathers what the report shows and renders it into one self-contained file."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from analysis.report import (
    calibration,
    compared,
    distributions,
    metrics,
    plan_graph,
    questions,
    samples,
    tables,
    training,
)
from analysis.report.charts import Chart, agreeing
from analysis.report.head import Head, common_facts, head, notes
from analysis.report.record import Run, StageRow, union
from analysis.report.sets import benchmark_sets, sample_sets
from analysis.report.tables import StoredTable
from mt.config.fields import setting
from mt.running import variants
from mt.running.answers import answers_of_record
from mt.running.disagreements import MARGINS, recorded_disagreements

SCRIPTS = ("core.js", "charts.js", "plan.js", "filters.js", "detail.js", "browser.js")
STYLES = ("base.css", "sections.css", "samples.css")
ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True)
class Section:
    """Charts under one heading; `run` is the run that they belong to, or None for all runs together."""

    charts: list[tuple[int, Chart]]
    run: int | None

    @property
    def groups(self) -> dict[str, list[tuple[int, Chart]]]:
        """Return the charts by their own heading, in order."""
        found: dict[str, list[tuple[int, Chart]]] = {}
        for number, chart in self.charts:
            found.setdefault(chart.group, []).append((number, chart))
        return found


class Gallery:
    """Numbers the charts of the page and keeps their data."""

    def __init__(self) -> None:
        self.charts: list[Chart] = []

    def hang(self, charts: Sequence[Chart], run: int | None = None) -> Section:
        """Add charts; returns them with their numbers."""
        first = len(self.charts)
        self.charts += charts
        return Section(list(enumerate(charts, first)), run)

    def data(self) -> list[dict[str, Any]]:
        """Return the charts as JSON data."""
        return [chart.data() for chart in agreeing(self.charts)]


def render(runs: Sequence[Run]) -> str:
    """Return the page (HTML) of one run, or of several compared."""
    stages = union(runs)
    found, unreadable = tables.find(stages)
    names = variants.variant_names(runs)
    gallery = Gallery()
    sections = _sections(gallery, runs, names, stages, found)
    browser = samples.browser(stages, found, [run.name for run in runs])
    heads = [head(run) for run in runs]
    sweep = _sweep(runs)
    return _template().render(
        title=runs[0].name if len(runs) == 1 else sweep or f"{len(runs)} runs",
        heads=heads,
        facts=common_facts(heads),
        sweep=len(runs) > 1,
        one_sweep=sweep is not None,
        notes=notes(runs, stages, browser) + unreadable,
        answers=[answers_of_record(run.record) if run.state == "finished" else {} for run in runs],
        remarks=[questions.remarks(run) for run in runs],
        disagreements=[recorded_disagreements(run.record, run.folder) for run in runs],
        margins=MARGINS,
        results=[metrics.results(run) for run in runs],
        labels=variants.run_labels(runs, names),
        compared=compared.tables(runs) if len(runs) > 1 else None,
        graphs=plan_graph.drawings(stages, len(runs)),
        node_size=(plan_graph.WIDTH, plan_graph.HEIGHT),
        sharing=plan_graph.sharing(stages),
        stages=list(stages.values()),
        n_runs=len(runs),
        browser=_summary(browser),
        **sections,
        configs=[
            yaml.safe_dump(dict(run.config), sort_keys=False, allow_unicode=True) if run.config else "" for run in runs
        ],
        styles=Markup("\n".join(asset(name) for name in STYLES)),
        scripts=[Script(asset(name)) for name in SCRIPTS],
        charts_data=packed(gallery.data()),
        samples_data=packed(browser),
        stages_data=packed(_stage_details(stages, heads)),
        plotly_data=_base64(packed_plotly()),
    )


class Script:
    """A script of the page and the hash by which the page's policy allows it, and no other."""

    def __init__(self, text: str) -> None:
        self.text = Markup(text)
        self.hash = "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def asset(name: str) -> str:
    """Return one of the page's own files; it must not close the tag that it stands in."""
    return (ASSETS / name).read_text(encoding="utf-8").replace("</script", "<\\/script")


def packed(value: Any) -> str:
    """Return JSON data, compressed, as text that is safe inside HTML whatever the data holds (base64)."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return _base64(gzip.compress(text.encode("utf-8", "replace"), 6, mtime=0))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")


def _sections(
    gallery: Gallery,
    runs: Sequence[Run],
    names: Sequence[str],
    stages: Mapping[str, StageRow],
    found: Mapping[str, StoredTable],
) -> dict[str, Any]:
    """Return the chart sections by their name in the template."""
    asked = gallery.hang(questions.charts(runs, names))
    per_run: dict[str, list[Section]] = {"distributions": [], "calibration": [], "training": []}
    for number, run in enumerate(runs):
        own = {key: row for key, row in stages.items() if run.name in row.runs}
        own_tables = {key: table for key, table in found.items() if key in own}
        sets, held_out = sample_sets(own, own_tables), benchmark_sets(own, own_tables)
        per_run["distributions"].append(gallery.hang(distributions.charts(sets), number))
        margin = setting(run.config, "data.language.gold_margin")
        margin = float(margin) if isinstance(margin, int | float) else calibration.GOLD_MARGIN
        per_run["calibration"].append(gallery.hang(calibration.charts(sets, held_out, margin), number))
        per_run["training"].append(gallery.hang(training.charts(own), number))
    return {"asked": asked, **per_run}


def _sweep(runs: Sequence[Run]) -> str | None:
    """Return the name of the sweep that all runs are of; None where they are of none, or of several."""
    sweeps = {run.record.get("sweep") for run in runs}
    return str(sweeps.pop()) if len(sweeps) == 1 and None not in sweeps else None


def _summary(browser: Mapping[str, Any]) -> dict[str, int]:
    responses = sum(len(inside[1]) for prompt in browser["prompts"] for inside in prompt["in"])
    return {"prompts": len(browser["prompts"]), "total": browser["total_prompts"], "responses": responses}


def _stage_details(stages: Mapping[str, StageRow], heads: Sequence[Head]) -> dict[str, Any]:
    """Return what the plan shows of a stage when it is chosen."""
    return {
        key: {
            "name": row.name,
            "label": str(row.position),
            "state": row.state,
            "seconds": row.seconds,
            "counts": {str(name): _plain(value) for name, value in row.counts.items()},
            "inputs": {field: list(keys) for field, keys in row.inputs.items()},
            "runs": list(row.runs) if len(heads) > 1 else [],
            "folder": str(row.folder) if row.folder else None,
        }
        for key, row in stages.items()
    }


def _plain(value: Any) -> Any:
    """Return a count as JSON can hold it: infinities and what is no number as text."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


@cache
def packed_plotly() -> bytes:
    """Return the library's script, gzipped; its Python package is not imported, because that is slow."""
    (folder,) = find_spec("plotly").submodule_search_locations  # type: ignore[union-attr,misc]
    return gzip.compress((Path(folder) / "package_data" / "plotly.min.js").read_bytes(), 6, mtime=0)
