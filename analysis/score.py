"""Statistics on anybody's judgment files.

python -m analysis.score alpaca_eval annotations.json --gamed df_gamed.csv
python -m analysis.score arena_hard judgments.jsonl --rule 2024 --resample questions
python -m analysis.score reward_bench scores.parquet --convention current
python -m analysis.score compare A.json B.json
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from analysis.score_compare import compare
from analysis.score_output import Scores, print_json, print_table, with_interval
from mt.errors import DataError, MutualTaughtError
from mt.evaluation.alpaca_eval import read_annotations, win_rate
from mt.evaluation.arena_hard import Games, Rule, arena_hard, read_judgments, unread_labels
from mt.evaluation.files import read_records
from mt.evaluation.gamed import read_gamed
from mt.evaluation.length_control import LC_ROUNDS, LengthControlled, length_controlled
from mt.evaluation.metrics import slug
from mt.evaluation.reward_bench import (
    SECTIONS,
    RewardBenchScore,
    read_accuracies,
    read_pairs,
    score_accuracies,
    score_pairs,
)
from mt.evaluation.statistics import ROUNDS
from mt.verdicts import LABELS


def main(argv: Sequence[str] | None = None) -> int:
    """Score one file (or compare two) and return the exit status: 0, or 2 where a file cannot be used."""
    arguments = _parser().parse_args(argv)
    try:
        scores: Scores = arguments.handler(arguments)
    except MutualTaughtError as error:
        files = [str(value) for value in vars(arguments).values() if isinstance(value, Path)]
        named = any(file in str(error) for file in files)
        print(f"error: {error}" if named else f"error: {files[0]}: {error}", file=sys.stderr)
        return 2
    for note in scores.notes:
        print(f"note: {note}", file=sys.stderr)
    (print_json if arguments.json else print_table)(scores)
    return 0


def score_alpaca_eval(arguments: argparse.Namespace) -> Scores:
    """Return win rates of `annotations.json`, length-controlled where the gamed rows are given."""
    rows = read_annotations(read_records(arguments.file), str(arguments.file))
    score = win_rate(rows, rounds=arguments.rounds or ROUNDS, seed=arguments.seed)
    values: dict[str, Any] = {"n": score.n, "missing": score.missing}
    values |= with_interval("win_rate", score.win_rate, score.win_rate_interval)
    values |= {"low": score.win_rate_interval.low, "high": score.win_rate_interval.high}
    values["standard_error"] = score.standard_error
    values |= with_interval("discrete_win_rate", score.discrete_win_rate, score.discrete_win_rate_interval)
    notes: list[str] = []
    if arguments.gamed is not None:
        gamed = read_gamed(read_records(arguments.gamed), str(arguments.gamed))
        rounds = arguments.rounds or LC_ROUNDS
        values |= _controlled(length_controlled(rows, gamed, C=arguments.C, rounds=rounds, seed=arguments.seed))
        notes = _position_notes([row.index for row in rows], len({row.index for row in gamed}))
    elif arguments.C is not None:
        raise DataError(f"C={arguments.C}: needs the gamed rows too. Add --gamed df_gamed.csv.")
    values["avg_length"] = score.average_length
    values |= {"model": rows[0].generator_2, "baseline": rows[0].generator_1, "judge": rows[0].annotator}
    return Scores("AlpacaEval 2", values, notes)


def score_arena_hard(arguments: argparse.Namespace) -> Scores:
    """Return the score of a judgment file."""
    records = read_records(arguments.file)
    games = read_judgments(records, str(arguments.file))
    score = arena_hard(
        games,
        rule=arguments.rule,
        resample=arguments.resample,
        rounds=arguments.rounds or ROUNDS,
        seed=arguments.seed,
    )
    values: dict[str, Any] = {
        "score": score.score,
        "low": score.interval.low,
        "high": score.interval.high,
        "wins": score.wins,
        "ties": score.ties,
        "losses": score.losses,
        "dropped": score.dropped,
        "n": score.n,
        "rule": score.rule,
        "resample": score.resample,
        "model": records[0].get("model"),
        "judge": records[0].get("judge"),
    }
    return Scores("Arena-Hard", values, _game_notes(games, arguments.rule))


def _game_notes(games: list[Games], rule: Rule) -> list[str]:
    """Say what the originals count without a word: labels that are none, and questions judged repeatedly."""
    notes = []
    if unread := Counter(unread_labels(games, rule)):
        shown = ", ".join(f"{label!r}" for label, _ in unread.most_common(4))
        notes.append(f"{unread.total()} stored labels are none of {', '.join(LABELS)} and are dropped: {shown}.")
    if repeated := len(games) - len({question.question_id for question in games}):
        notes.append(f"{repeated} rows repeat a question_id; each counts, as in the original.")
    return notes


def score_reward_bench(arguments: argparse.Namespace) -> Scores:
    """Return the sections of a file of accuracies or of scored pairs."""
    score = _reward_bench(read_records(arguments.file), arguments)
    values: dict[str, Any] = {}
    for name, value in score.sections.items():
        values |= with_interval(slug(name), value, score.section_intervals[name])
    values |= with_interval("average", score.average, score.average_interval)
    values |= {"ties": score.ties, "n": score.n, "convention": score.convention}
    values["subsets"] = {name: 100 * value for name, value in score.subsets.items()}
    return Scores("RewardBench", values, [_absence(score)] if score.missing_subsets else [])


def _absence(score: RewardBenchScore) -> str:
    """Say which subsets are missing, and which numbers lack them."""
    absent = set(score.missing_subsets)
    partial = [
        slug(name) for name, value in score.sections.items() if value is not None and absent & set(SECTIONS[name])
    ]
    partial += ["average"] if score.average is not None else []
    told = f" {', '.join(partial)} are told from the others." if partial else ""
    return f"{len(absent)} of 23 subsets are missing: {', '.join(score.missing_subsets)}.{told}"


def _reward_bench(records: list[Any], arguments: argparse.Namespace) -> RewardBenchScore:
    source = str(arguments.file)
    for position, record in enumerate(records):
        if not isinstance(record, dict):
            raise DataError(f"{source} row {position} (from 0): a {type(record).__name__} where an object belongs.")
    if "score_chosen" in records[0] or "score_rejected" in records[0]:
        pairs, rounds = read_pairs(records, source), arguments.rounds or ROUNDS
        return score_pairs(pairs, arguments.convention, rounds=rounds, seed=arguments.seed)
    return score_accuracies(read_accuracies(_accuracies(records, source), source), arguments.convention)


def _accuracies(records: list[dict[str, Any]], source: str) -> dict[str, Any]:
    """Return accuracies by subset from rows of subset and accuracy, or from one object of subsets."""
    if "subset" not in records[0]:
        if len(records) > 1:
            raise DataError(f"{source}: {len(records)} rows without a column 'subset'. Needed: subset, accuracy.")
        return records[0]
    values: dict[str, Any] = {}
    for position, record in enumerate(records):
        where = f"{source} row {position} (from 0)"
        if "accuracy" not in record or "subset" not in record:
            raise DataError(f"{where}: subset and accuracy (or score_chosen and score_rejected) are needed.")
        if record["subset"] in values:
            raise DataError(f"{where}: subset={record['subset']} stands there twice.")
        values[record["subset"]] = record["accuracy"]
    return values


def _controlled(score: LengthControlled) -> dict[str, Any]:
    values = with_interval("lc_win_rate", score.win_rate, score.interval)
    return values | {"lc_standard_error": score.standard_error, "C": score.C}


def _position_notes(indices: list[int | None], instructions: int) -> list[str]:
    """Say that rows of a part of the benchmark are taken for its first ones, as the original does."""
    if indices[0] is not None or len(indices) == instructions:
        return []
    return [
        f"{len(indices)} annotations for {instructions} instructions: difficulty is looked up by row position, "
        "so the rows must be the first ones in canonical order. Add a field 'index' to say which they are."
    ]


def _compare(arguments: argparse.Namespace) -> Scores:
    return compare(arguments.file, arguments.other, rounds=arguments.rounds or ROUNDS, seed=arguments.seed)


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    shared.add_argument("--seed", type=_at_least(0), default=0, help="seed of the bootstrap (0)")
    shared.add_argument("--rounds", type=_at_least(1), help=f"bootstrap rounds ({ROUNDS}; {LC_ROUNDS} for LC)")
    parser = argparse.ArgumentParser(
        prog="python -m analysis.score", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="BENCHMARK")

    def command(name: str, summary: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, parents=[shared], help=summary, description=summary)

    alpaca = command("alpaca_eval", "AlpacaEval 2: win rates of one model's annotations.json")
    alpaca.add_argument(
        "file",
        type=Path,
        help="rows of instruction, output_1 (baseline), output_2 (model), generator_1, generator_2, preference",
    )
    alpaca.add_argument("--gamed", type=Path, help="df_gamed.csv; without it there is no length-controlled rate")
    alpaca.add_argument("--C", type=float, help="fix the penalty; otherwise chosen by cross-validation")
    alpaca.set_defaults(handler=score_alpaca_eval)

    arena = command("arena_hard", "Arena-Hard: score of one model's judgments, two games a question")
    arena.add_argument(
        "file", type=Path, help="judgment JSONL (question_id, games), or CSV of question_id, game1, game2"
    )
    arena.add_argument(
        "--rule",
        choices=("2024", "head"),
        default="2024",
        help="of v0.1: a game without a label is dropped, 95%% interval (2024); or of newer versions: its question is "
        "dropped, mean of the draws, 90%% interval",
    )
    arena.add_argument(
        "--resample",
        choices=("questions", "rows"),
        default="questions",
        help="what the bootstrap draws: questions whole (questions), or single rows as published intervals do",
    )
    arena.set_defaults(handler=score_arena_hard)

    bench = command("reward_bench", "RewardBench: sections and average of one reward model")
    bench.add_argument("file", type=Path, help="accuracies by subset, or pairs of subset, score_chosen, score_rejected")
    bench.add_argument(
        "--convention",
        choices=("current", "rlhflow"),
        default="current",
        help="ties are lost (current); or as the paper has it: half of a tie counts, the two xstest weights swapped, "
        "two decimals",
    )
    bench.set_defaults(handler=score_reward_bench)

    pair = command("compare", "Two models on the same prompts: paired bootstrap and exact sign test")
    pair.add_argument("file", type=Path, metavar="A", help="a file for alpaca_eval or arena_hard")
    pair.add_argument("other", type=Path, metavar="B", help="the other model's, judged alike")
    pair.set_defaults(handler=_compare)
    return parser


def _at_least(least: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is not allowed; a whole number from {least} on is needed")
        return int(text)

    return count


if __name__ == "__main__":
    sys.exit(main())
