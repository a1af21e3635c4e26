"""Statistics on anybody's judgment files.

python -m analysis.score alpaca_eval annotations.json --gamed df_gamed.csv
python -m analysis.score arena_hard judgments.jsonl --resample questions
python -m analysis.score arena_hard judgments.jsonl --category creative_writing
python -m analysis.score reward_bench scores.parquet --convention current
python -m analysis.score reward_bench_2 scores.json
python -m analysis.score compare A.json B.json
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from analysis.score_compare import compare
from analysis.score_output import NamedScores, print_json, print_table, with_interval
from analysis.score_rewards import score_reward_bench, score_reward_bench_2
from mt.errors import DataError, MutualTaughtError
from mt.evaluation.alpaca_eval import win_rate
from mt.evaluation.arena_hard import arena_hard
from mt.evaluation.files import read_records
from mt.evaluation.gamed import read_gamed
from mt.evaluation.judgment_files import DEFAULT_CATEGORY, load_games, load_pairs, position_notes
from mt.evaluation.length_control import LC_ROUNDS, length_controlled
from mt.evaluation.statistics import ROUNDS
from mt.running.exit_codes import Parser, exit_status_of


def main(argv: Sequence[str] | None = None) -> int:
    """Score one file (or compare two) and return the exit status: 0, or 2 where a file cannot be used."""
    return exit_status_of(lambda: _serve(argv), lambda line: print(f"error: {line}", file=sys.stderr))


def _serve(argv: Sequence[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        scores: NamedScores = arguments.handler(arguments)
    except MutualTaughtError as error:
        files = [str(value) for value in vars(arguments).values() if isinstance(value, Path)]
        if any(file in str(error) for file in files):
            raise
        raise DataError(f"{files[0]}: {error}") from error
    for note in scores.notes:
        print(f"note: {note}", file=sys.stderr)
    (print_json if arguments.json else print_table)(scores)
    return 0


def score_alpaca_eval(arguments: argparse.Namespace) -> NamedScores:
    """Return win rates of `annotations.json`, length-controlled where the gamed rows are given."""
    loaded = load_pairs(arguments.file, arguments.outputs)
    rows, notes = loaded.rows, loaded.notes
    score = win_rate(rows, rounds=arguments.rounds or ROUNDS, seed=arguments.seed)
    values: dict[str, Any] = {"n": score.n, "missing": score.missing}
    values |= with_interval("win_rate", score.win_rate, score.win_rate_interval)
    values |= {"low": score.win_rate_interval.low, "high": score.win_rate_interval.high}
    values["standard_error"] = score.standard_error
    values |= with_interval("discrete_win_rate", score.discrete_win_rate, score.discrete_win_rate_interval)
    if arguments.gamed is not None:
        gamed = read_gamed(read_records(arguments.gamed), str(arguments.gamed))
        rounds = arguments.rounds or LC_ROUNDS
        controlled = length_controlled(rows, gamed, C=arguments.C, rounds=rounds, seed=arguments.seed)
        values |= with_interval("lc_win_rate", controlled.win_rate, controlled.interval)
        values |= {"lc_standard_error": controlled.standard_error, "C": controlled.C}
        notes = [*notes, *position_notes(rows, len({row.index for row in gamed}))]
    elif arguments.C is not None:
        raise DataError(f"C={arguments.C}: needs the gamed rows too. Add --gamed df_gamed.csv.")
    values["avg_length"] = score.average_length
    values |= {"model": rows[0].generator_2, "baseline": rows[0].generator_1, "judge": rows[0].annotator}
    return NamedScores("AlpacaEval 2", values, notes)


def score_arena_hard(arguments: argparse.Namespace) -> NamedScores:
    """Return the score of a judgment file's category."""
    loaded = load_games(arguments.file, arguments.rule, arguments.category)
    score = arena_hard(
        loaded.games,
        rule=loaded.rule,
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
        "category": loaded.category,
        "model": loaded.model,
        "baseline": loaded.baseline,
        "judge": loaded.judge,
    }
    return NamedScores("Arena-Hard", values, loaded.notes)


def _compare(arguments: argparse.Namespace) -> NamedScores:
    return compare(
        arguments.file,
        arguments.other,
        rule=arguments.rule,
        category=arguments.category,
        rounds=arguments.rounds or ROUNDS,
        seed=arguments.seed,
    )


def _parser() -> Parser:
    shared = Parser(add_help=False)
    shared.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    shared.add_argument("--seed", type=_at_least(0), default=0, help="seed of the bootstrap (0)")
    shared.add_argument("--rounds", type=_at_least(1), help=f"bootstrap rounds ({ROUNDS}; {LC_ROUNDS} for LC)")
    parser = Parser(
        prog="python -m analysis.score", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="BENCHMARK")
    for name, summary, add_options, handler in (
        ("alpaca_eval", "AlpacaEval 2: win rates of one model's annotations.json", _alpaca_eval, score_alpaca_eval),
        (
            "arena_hard",
            "Arena-Hard: score of one model's judgments, two games a question",
            _arena_hard,
            score_arena_hard,
        ),
        ("reward_bench", "RewardBench: sections and average of one reward model", _reward_bench, score_reward_bench),
        (
            "reward_bench_2",
            "RewardBench 2: best of four and ties of one reward model",
            _reward_bench_2,
            score_reward_bench_2,
        ),
        ("compare", "Two models on the same prompts: paired bootstrap and exact sign test", _two_models, _compare),
    ):
        command = commands.add_parser(name, parents=[shared], help=summary, description=summary)
        add_options(command)
        command.set_defaults(handler=handler)
    return parser


def _alpaca_eval(command: Parser) -> None:
    command.add_argument(
        "file",
        type=Path,
        help="rows of instruction, output_1 (baseline), output_2 (model), generator_1, generator_2, preference",
    )
    command.add_argument("--gamed", type=Path, help="df_gamed.csv; without it there is no length-controlled rate")
    command.add_argument(
        "--outputs",
        type=Path,
        help="the baseline's outputs in the benchmark's order, by which each row's instruction is found; without it "
        "rows must be in that order themselves",
    )
    command.add_argument("--C", type=float, help="fix the penalty; otherwise chosen by cross-validation")


def _arena_hard(command: Parser) -> None:
    command.add_argument(
        "file", type=Path, help="judgment JSONL (question_id, games), or CSV of question_id, game1, game2"
    )
    command.add_argument(
        "--resample",
        choices=("questions", "rows"),
        default="questions",
        help="what the bootstrap draws: questions whole (questions), or single rows as published intervals do",
    )
    _games(command)


def _reward_bench(command: Parser) -> None:
    command.add_argument(
        "file", type=Path, help="a result file of the original tools, accuracies by subset, or pairs with their scores"
    )
    command.add_argument(
        "--convention",
        choices=("current", "rlhflow"),
        default="current",
        help="ties are lost (current); or as the paper has it: half of a tie counts, the two xstest weights swapped, "
        "two decimals",
    )
    _unit(command)


def _reward_bench_2(command: Parser) -> None:
    command.add_argument(
        "file",
        type=Path,
        help="a result file of the original tools, accuracies by subset, or prompts with scores",
    )
    _unit(command)


def _unit(command: Parser) -> None:
    command.add_argument(
        "--unit",
        choices=("share", "percent"),
        help="of accuracies: 0 to 1, or 0 to 100; read from all of them otherwise",
    )


def _two_models(command: Parser) -> None:
    command.add_argument("file", type=Path, metavar="A", help="a file for alpaca_eval or arena_hard")
    command.add_argument("other", type=Path, metavar="B", help="the other model's, judged in the same way")
    _games(command)


def _games(command: Parser) -> None:
    command.add_argument(
        "--rule",
        choices=("2024", "head"),
        help="Arena-Hard of v0.1: a game without a label is dropped, 95%% interval (2024); or of v2: its question is "
        "dropped, A<B is a label, mean of the draws, 90%% interval (head); by default as the rows' category says",
    )
    command.add_argument(
        "--category",
        help=f"Arena-Hard v2: the rows' category to score, or else the only one, or {DEFAULT_CATEGORY}",
    )


def _at_least(least: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is not allowed; a whole number from {least} on is needed")
        return int(text)

    return count


if __name__ == "__main__":
    sys.exit(main())
