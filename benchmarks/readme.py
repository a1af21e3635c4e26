"""Write the README's figure and numbers from a finished run, which is compared with a frozen reward model's.

    python -m mt.run rm_data=frozen
    python -m mt.run name=readme
    python -m benchmarks.readme runs/readme

The figure goes to docs/run.svg, the answers and the numbers between the marks in README.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from analysis.figures import Drawing
from analysis.report.charts import Chart
from analysis.report.questions import charts
from analysis.report.record import Run, load_run
from benchmarks.measured import write_between_marks
from mt.evaluation.catalogue import quantity
from mt.running.answers import answers_of_record

ROOT = Path(__file__).parents[1]
METRICS = (
    ("policy", "gold", "win_rate"),
    ("policy", "gold", "mean_reward"),
    ("policy", "proxy", "win_rate_base"),
    ("reward", "same_responses", "accuracy_base"),
    ("reward", "same_responses", "accuracy_previous"),
    ("reward", "gold", "accuracy"),
    ("reward", "reward_bench", "average"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write both; the run's folder is the one argument."""
    (folder,) = sys.argv[1:] if arguments is None else arguments
    run = load_run(Path(folder))
    (ROOT / "docs" / "run.svg").write_text(figure(run), encoding="utf-8")
    write_between_marks(ROOT / "README.md", "benchmarks.readme", numbers(run))
    return 0


def figure(run: Run) -> str:
    """Return the report's first two charts as SVG."""
    drawn = Figure((9, 3.2), layout="constrained")
    for axes, chart in zip(drawn.subplots(1, 2), charts([run], [""])[:2], strict=True):
        _draw(axes, chart)
    return Drawing(drawn).svg()


def _draw(axes: Axes, chart: Chart) -> None:
    for place, one in enumerate(chart.series):
        low = [y - low for y, low in zip(one.y, one.low, strict=True)]
        high = [high - y for y, high in zip(one.y, one.high, strict=True)]
        x = [t + 0.05 * (place - 1) for t in one.x]
        axes.errorbar(x, one.y, [low, high], fmt="o-" if chart.joined else "o", capsize=3, label=one.name)
    axes.axhline(chart.neutral, linestyle=":", color="#666")
    axes.set(title=chart.title, xlabel="iteration", ylabel=chart.y.title, xticks=sorted({*chart.series[-1].x}))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, 0))
    axes.legend(frameon=False, fontsize=8)


def numbers(run: Run) -> str:
    """Return the answers and a table of metrics by iteration, as Markdown."""
    found = {(row["model"], row["benchmark"], row["metric"], int(row["iteration"])): row for row in run.metrics}
    iterations = sorted({key[-1] for key in found})
    head = ["95% intervals over prompts", *(f"iteration {t}" if t else "base" for t in iterations)]
    rows = [head, ["---", *["---:"] * len(iterations)]]
    for key in METRICS:
        form = quantity(*key[1:]).format
        measured = [found.get((*key, t)) for t in iterations]
        shown = (
            f"{form.text(row['value'])} {form.interval(row['low'], row['high'])}" if row else "–" for row in measured
        )
        rows.append([quantity(*key[1:]).title, *shown])
    sentences = "".join(f"- {sentence}\n" for sentence in answers_of_record(run.record).values())
    commit = (run.record.get("git") or {}).get("commit", "")[:10]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return f"{sentences}\n{table}\nMeasured at commit {commit}, one seed.\n"


if __name__ == "__main__":
    sys.exit(main())
