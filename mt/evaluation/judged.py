"""From judgments to the benchmarks' rows, and to the originals' file formats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mt.errors import DataError
from mt.evaluation.alpaca_eval import Annotation
from mt.evaluation.arena_hard import Games
from mt.types import Comparison, Judgment

ORDERS = ("baseline_first", "model_first")


def annotations_of(
    comparisons: Sequence[Comparison], judgments: Iterable[Judgment], baseline: str, model: str
) -> list[Annotation]:
    """Return AlpacaEval's rows in the comparisons' order, one judgment each; names are those of the two models.

    Raises:
        DataError: a comparison has no judgment, or judges are mixed.
    """
    found = {(row.prompt_id, row.order): row for row in judgments}
    annotator = _one_judge(found.values())
    rows = []
    for index, comparison in enumerate(comparisons):
        judgment = _find(found, comparison.prompt_id, comparison.order)
        rows.append(
            Annotation(
                instruction=comparison.messages[-1]["content"],
                output_1=comparison.baseline,
                output_2=comparison.model,
                generator_1=baseline,
                generator_2=model,
                preference=judgment.preference,
                annotator=annotator,
                index=index,
            )
        )
    return rows


def games_of(prompt_ids: Iterable[str], judgments: Iterable[Judgment]) -> list[Games]:
    """Return Arena-Hard's two games of each question: the baseline first, then the model first."""
    found = {(row.prompt_id, row.order): row for row in judgments}
    _one_judge(found.values())
    return [Games(name, *(_find(found, name, order).verdict for order in ORDERS)) for name in prompt_ids]


def arena_records(
    prompt_ids: Iterable[str], judgments: Iterable[Judgment], model: str, baseline: str
) -> list[dict[str, Any]]:
    """Return rows in the shape of arena-hard-auto's judgment file."""
    found = {(row.prompt_id, row.order): row for row in judgments}
    judge = _one_judge(found.values())
    rows = []
    for name in prompt_ids:
        games = [_find(found, name, order) for order in ORDERS]
        stored = [{"judgment": game.raw, "score": game.verdict} for game in games]
        rows.append({"question_id": name, "model": model, "baseline": baseline, "judge": judge, "games": stored})
    return rows


def _one_judge(judgments: Iterable[Judgment]) -> str:
    names = {f"{row.judge} {row.version}".strip() for row in judgments}
    if len(names) != 1:
        raise DataError(f"judge: {len(names)} judges ({', '.join(sorted(names)[:4])}). A table holds one judge's word.")
    return names.pop()


def _find(found: Mapping[tuple[str, str], Judgment], prompt_id: str, order: str) -> Judgment:
    if (prompt_id, order) not in found:
        raise DataError(f"prompt_id={prompt_id}: no judgment with order={order}. Judge every comparison first.")
    return found[prompt_id, order]
