"""The benchmarks' scores from judgments, beside files that the original tools read."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from mt.errors import DataError, MissingPackageError, describe
from mt.stages.judge import aligned
from mt.stages.load_benchmarks import LoadOutputs
from mt.types import Comparison, Judgment, Metric, Samples
from mt.workflow.stage import External, Stage
from mt.workflow.store import write_json
from mt.workflow.work import Work

if TYPE_CHECKING:
    from mt.evaluation.gamed import GamedRow


@dataclass(frozen=True, eq=False)
class AlpacaEval(Stage):
    """AlpacaEval 2: win rate and length-controlled win rate against the baseline, length in characters."""

    VERSION: ClassVar[int] = 3
    baseline: Stage
    model: Stage
    judgments: Stage
    gamed: Stage | None
    """`df_gamed.csv`; without it there is no length-controlled rate."""
    resamples: int

    def check(self) -> None:
        """Refuse anchors of another benchmark: difficulties are looked up by position."""
        if isinstance(self.gamed, External) and isinstance(self.baseline, LoadOutputs):
            from mt.evaluation.files import read_records

            known = len({row.index for row in _gamed_rows(self.gamed.location)})
            answered = len(read_records(self.baseline.source.location))
            if known != answered:
                problem = f"its difficulties are of {known} instructions, and the baseline answers {answered}"
                fix = "Give the benchmark's own file, or go without length control by eval.alpaca_eval.gamed=null"
                raise DataError(describe("eval.alpaca_eval.gamed", self.gamed.location, problem, fix=fix))

    def run(self, work: Work) -> None:
        """Compute the rates, and write `annotations.json` as alpaca_eval does."""
        from mt.evaluation.alpaca_eval import annotation_records, win_rate
        from mt.evaluation.length_control import length_controlled
        from mt.evaluation.metrics import alpaca_eval_metrics

        annotations = _annotations(work, self.baseline, self.model, self.judgments, "model")
        controlled = None
        if self.gamed is not None:
            path = work.path(self.gamed)
            gamed = _gamed_rows(path / GAMED if path.is_dir() else path)
            controlled = length_controlled(annotations, gamed, rounds=self.resamples)
        write_json(work.folder / "annotations.json", annotation_records(annotations))
        cut = _cut(work.rows(Samples, self.model), "alpaca_eval")
        work.write_metrics([*alpaca_eval_metrics(win_rate(annotations), controlled), cut])
        judged = {str(row.index): 100 * (row.preference - 1) for row in annotations if row.preference is not None}
        work.write_items({"win_rate": judged})
        work.write_draws({"lc_win_rate": controlled.draws_R.tolist()} if controlled else {})


GAMED = "df_gamed.csv"


@dataclass(frozen=True, eq=False)
class GamedBaseline(Stage):
    """The length control's anchors for a benchmark of our own: its baseline, asked to be verbose and concise."""

    VERSION: ClassVar[int] = 1
    baseline: Stage
    variants: tuple[Stage, ...]
    """Samples of the verbose and of the concise baseline."""
    judgments: tuple[Stage, ...]
    """Judgments of each variant against the plain baseline."""

    def run(self, work: Work) -> None:
        """Write `df_gamed.csv`; an instruction is difficult where the variants do badly."""
        from mt.evaluation.gamed import gamed_csv, gamed_rows, instruction_difficulty

        variants = [
            _annotations(work, self.baseline, samples, judgments, name)
            for name, samples, judgments in zip(("verbose", "concise"), self.variants, self.judgments, strict=True)
        ]
        difficulty = instruction_difficulty([[row.preference for row in variant] for variant in variants])
        (work.folder / GAMED).write_text(gamed_csv(gamed_rows(variants, difficulty)), "utf-8")


@dataclass(frozen=True, eq=False)
class ArenaHard(Stage):
    """Arena-Hard: score against the baseline over two games a question, length in tokens."""

    VERSION: ClassVar[int] = 4
    model: Stage
    judgments: Stage
    rule: Literal["2024", "head"]
    """How verdicts are counted: as v0.1 or as v2 does."""
    tokens: Literal["cl100k_base"] | None = None
    """Whose tokens a length counts: those of tiktoken's encoding, as the original does; None counts the policy's."""

    def check(self) -> None:
        """Refuse to count in the original's tokens without tiktoken."""
        if self.tokens is not None and importlib.util.find_spec("tiktoken") is None:
            fix = "Install it (pip install tiktoken), or count the policy's by eval.arena_hard.tokens=policy"
            raise MissingPackageError(
                describe("eval.arena_hard.tokens", self.tokens, "tiktoken is not installed", fix=fix)
            )

    def run(self, work: Work) -> None:
        """Compute the score, and write the judgments as arena-hard-auto does."""
        from mt.evaluation.arena_hard import arena_hard, question_rows
        from mt.evaluation.judged import arena_records, games_of
        from mt.evaluation.metrics import arena_hard_metrics

        judgments, samples = work.rows(Judgment, self.judgments), work.rows(Samples, self.model)
        ids = list(dict.fromkeys(judgment.prompt_id for judgment in judgments))
        tokens = _lengths(samples, self.tokens)
        length = Metric("arena_hard", "avg_length", sum(tokens) / len(tokens), n=len(tokens))
        with (work.folder / "judgments.jsonl").open("w", encoding="utf-8") as file:
            for record in arena_records(ids, judgments, "model", "baseline"):
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
        games = games_of(ids, judgments)
        work.write_metrics(
            [*arena_hard_metrics(arena_hard(games, rule=self.rule)), length, _cut(samples, "arena_hard")]
        )
        rows = [one for question in games if (one := question_rows(question, self.rule)).rows]
        scale = 100 * len(rows) / sum(one.rows for one in rows)
        work.write_items({"score": {one.question_id: scale * one.points for one in rows}})


@dataclass(frozen=True, eq=False)
class PairwiseWinRate(Stage):
    """How often one side is preferred over the other; orders that disagree are a tie (Figures 3 and 5)."""

    VERSION: ClassVar[int] = 2
    judgments: Stage
    benchmark: str
    against: str
    """Suffix of the metrics' names that says against whom, or nothing."""

    def run(self, work: Work) -> None:
        """Put the orders of each prompt together, then count."""
        from mt.evaluation.metrics import win_tie_lose_metrics
        from mt.evaluation.pairwise import merge_orders, win_tie_lose

        judgments = work.rows(Judgment, self.judgments)
        preferences = merge_orders((judgment.prompt_id, judgment.preference) for judgment in judgments)
        metrics = win_tie_lose_metrics(win_tie_lose(list(preferences.values())), self.benchmark)
        work.write_metrics([Metric(m.benchmark, m.metric + self.against, m.value, m.low, m.high, m.n) for m in metrics])


def _cut(samples: Sequence[Samples], benchmark: str) -> Metric:
    """Return how many answers the decoding limit cut: what was cut counts in lengths, and in judgments, as it is."""
    answers = [row.responses[0] for row in samples]
    return Metric(benchmark, "cut_answers", float(sum(not one.finished for one in answers)), n=len(answers))


def _lengths(samples: Sequence[Samples], encoding: str | None) -> list[int]:
    """Return the tokens of each answer; raises DataError where tiktoken has no file of the encoding."""
    answers = [row.responses[0] for row in samples]
    if encoding is None:
        return [one.n_tokens for one in answers]
    import tiktoken

    try:
        encode = tiktoken.get_encoding(encoding).encode
    except Exception as error:  # requests' errors, and tiktoken's own for a damaged file
        problem = f"tiktoken has no file of it here ({type(error).__name__})"
        fix = "Load it once where there is a network (TIKTOKEN_CACHE_DIR), or set eval.arena_hard.tokens=policy"
        raise DataError(describe("eval.arena_hard.tokens", encoding, problem, fix=fix)) from error
    return [len(encode(one.text, disallowed_special=())) for one in answers]


def _gamed_rows(path: Path) -> list[GamedRow]:
    from mt.evaluation.files import read_records
    from mt.evaluation.gamed import read_gamed

    return read_gamed(read_records(path), str(path))


def _annotations(work: Work, baseline: Stage, model: Stage, judgments: Stage, name: str) -> list:
    from mt.evaluation.judged import annotations_of

    found = work.rows(Judgment, judgments)
    orders = {judgment.prompt_id: judgment.order for judgment in found}
    comparisons = [
        Comparison(a.prompt_id, a.messages, a.responses[0].text, b.responses[0].text, orders[a.prompt_id])
        for a, b in aligned(work.rows(Samples, baseline), work.rows(Samples, model))
        if a.prompt_id in orders
    ]
    if len(comparisons) != len(found):
        raise DataError(f"judgments: {len(found)} for {len(comparisons)} comparisons; one each is needed")
    return annotations_of(comparisons, found, "baseline", name)
