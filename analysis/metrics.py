"""The catalogue of metrics as a page: python -m analysis.metrics > docs/metrics.md"""

from __future__ import annotations

from mt.evaluation.catalogue import BENCHMARKS, CATALOGUE, MODELS

_HEAD = """\
# Metrics

Every metric that a run records (`record.json`, `metrics.csv`, W&B, the report, the tables), by the model that it is
about. `(.+)` stands for a section, a subset or an iteration. Intervals are 95%, over prompts: Wilson's for shares of
single decisions, Student's for means, the bootstrap's for AlpacaEval, Arena-Hard and RewardBench (over its pairs). The
values that a mean is the mean of lie beside it in the store (`items.json`).
"""


def page() -> str:
    """Return the page in Markdown."""
    parts = [_HEAD]
    for model, heading in MODELS.items():
        parts.append(f"\n## {heading}\n")
        for benchmark in dict.fromkeys(one.benchmark for one in CATALOGUE if one.model == model):
            parts.append(
                f"\n`{benchmark}`: {BENCHMARKS[benchmark]}\n\n| metric | unit | better | meaning |\n|---|---|---|---|\n"
            )
            for one in CATALOGUE:
                if (one.model, one.benchmark) == (model, benchmark):
                    name = one.metric.replace("|", "\\|")
                    meaning = one.meaning.replace("|", "\\|")
                    parts.append(f"| `{name}`<br>{one.title} | {one.unit} | {one.better} | {meaning} |\n")
    return "".join(parts)


if __name__ == "__main__":
    print(page(), end="")
