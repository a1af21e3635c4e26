"""Statistics on anybody's judgment files.

python -m analysis.score alpaca_eval annotations.json --gamed df_gamed.csv
python -m analysis.score arena_hard judgments.jsonl --rule 2024 --resample questions
python -m analysis.score reward_bench scores.parquet --convention current
python -m analysis.score compare A.json B.json
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.score_compare import compare
from analysis.score_output import Scores, print_json, print_table, with_interval
from mt.errors import DataError, MutualTaughtError
from mt.evaluation.alpaca_eval import read_annotations, win_rate
from mt.evaluation.arena_hard import arena_hard, read_judgments
from mt.evaluation.files import read_records
from mt.evaluation.gamed import read_gamed
from mt.evaluation.length_control import LC_ROUNDS, LengthControlled, length_controlled
from mt.evaluation.metrics import slug
from mt.evaluation.reward_bench import RewardBenchScore, read_accuracies, read_pairs, score_accuracies, score_pairs
from mt.evaluation.statistics import ROUNDS


def main(argv: Sequence[str] | None = None) -> int:
    """Score one file (or compare two) and return the exit status: 0, or 2 where a file cannot be used."""
    arguments = _parser().parse_args(argv)
    try:
        scores: Scores = arguments.handler(arguments)
    except MutualTaughtError as error:
        print(f"error: {error}", file=sys.stderr)
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
    score = arena_hard(
        read_judgments(records, str(arguments.file)),
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
    return Scores("Arena-Hard", values, [])


def score_reward_bench(arguments: argparse.Namespace) -> Scores:
    """Return the sections of a file of accuracies or of scored pairs."""
    score = _reward_bench(read_records(arguments.file), arguments)
    values: dict[str, Any] = {}
    for name, value in score.sections.items():
        values |= with_interval(slug(name), value, score.section_intervals[name])
    values |= with_interval("average", score.average, score.average_interval)
    values |= {"ties": score.ties, "n": score.n, "convention": score.convention}
    values["subsets"] = {name: 100 * value for name, value in score.subsets.items()}
    absent = score.missing_subsets
    notes = [f"{len(absent)} of 23 subsets are missing: {', '.join(absent)}."] if absent else []
    return Scores("RewardBench", values, notes)


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
    shared.add_argument("--seed", type=int, default=0, help="seed of the bootstrap")
    shared.add_argument("--rounds", type=_positive, help=f"bootstrap rounds ({ROUNDS}; {LC_ROUNDS} for LC)")
    parser = argparse.ArgumentParser(
        prog="python -m analysis.score", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="BENCHMARK")

    alpaca = commands.add_parser("alpaca_eval", parents=[shared], help="AlpacaEval's annotations.json")
    alpaca.add_argument("file", type=Path)
    alpaca.add_argument("--gamed", type=Path, help="df_gamed.csv; without it there is no length-controlled rate")
    alpaca.add_argument("--C", type=float, help="fix the penalty; otherwise chosen by cross-validation")
    alpaca.set_defaults(handler=score_alpaca_eval)

    arena = commands.add_parser("arena_hard", parents=[shared], help="judgment JSONL, or label pairs as CSV")
    arena.add_argument("file", type=Path)
    arena.add_argument("--rule", choices=("2024", "head"), default="2024", help="which version's rule (2024)")
    arena.add_argument("--resample", choices=("questions", "rows"), default="questions", help="(questions)")
    arena.set_defaults(handler=score_arena_hard)

    bench = commands.add_parser("reward_bench", parents=[shared], help="accuracies by subset, or scored pairs")
    bench.add_argument("file", type=Path)
    bench.add_argument("--convention", choices=("current", "rlhflow"), default="current", help="(current)")
    bench.set_defaults(handler=score_reward_bench)

    pair = commands.add_parser("compare", parents=[shared], help="two models on the same prompts")
    pair.add_argument("file", type=Path, metavar="A")
    pair.add_argument("other", type=Path, metavar="B")
    pair.set_defaults(handler=_compare)
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} rounds; at least 1 is needed")
    return value


if __name__ == "__main__":
    sys.exit(main())
