"""Arena-Hard v0.1 and v2: two games a question with sides swapped, five verdict labels (Li et al. 2024)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mt.errors import DataError, describe
from mt.evaluation.files import EMPTY
from mt.evaluation.statistics import ROUNDS, Interval, bootstrap_ratios, percentile_interval
from mt.verdicts import LABELS, MIRRORED, extract_label, without_thinking

Rule = Literal["2024", "head"]
Resample = Literal["questions", "rows"]
STRONG_ROWS = 3  # a verdict "significantly better" counts as three rows
_ALLOWED = f"{', '.join(LABELS)}, or empty"
_LEVEL = {"2024": 0.95, "head": 0.90}
# Outcome for the assistant shown first: its score and the number of rows.
_FIRST_SIDE = {
    "A>>B": (1.0, STRONG_ROWS),
    "A>B": (1.0, 1),
    "A=B": (0.5, 1),
    "B>A": (0.0, 1),
    "B>>A": (0.0, STRONG_ROWS),
}


@dataclass(frozen=True, slots=True)
class Games:
    """The labels of a question's two games, None where there is none; A is the baseline first, then the model."""

    question_id: str
    game_1: str | None
    game_2: str | None


@dataclass(frozen=True, slots=True)
class ArenaScore:
    """The model's score in percent; wins, ties, losses are rows (a strong verdict is three), dropped are games."""

    score: float
    interval: Interval
    wins: int
    ties: int
    losses: int
    dropped: int
    n: int
    rule: Rule
    resample: Resample


@dataclass(frozen=True, slots=True)
class QuestionRows:
    """What one question adds: its rows won, tied and lost by the model, and its games without a usable label."""

    question_id: str
    wins: int
    ties: int
    losses: int
    dropped: int

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.wins + self.ties + self.losses

    @property
    def points(self) -> float:
        """Wins plus half of the ties."""
        return self.wins + self.ties / 2


def arena_hard(
    games: Sequence[Games],
    *,
    rule: Rule = "2024",
    resample: Resample = "questions",
    rounds: int = ROUNDS,
    seed: int = 0,
) -> ArenaScore:
    """Return 100·(wins + ties/2)/rows, which is what Bradley-Terry gives against one baseline.

    Rule `2024` drops a game without a label and bounds by the 2.5 and 97.5 percentiles; `head` drops its question
    whole, bounds by 5 and 95, and reports the mean of the bootstrap draws.

    Raises:
        DataError: no game has a label.
    """
    counted = [question_rows(question, rule) for question in games]
    wins, ties, losses, dropped = (
        sum(getattr(row, name) for row in counted) for name in ("wins", "ties", "losses", "dropped")
    )
    rows = wins + ties + losses
    if not rows:
        raise DataError(f"games: none of {len(games)} questions has a verdict label. Allowed: {', '.join(LABELS)}.")
    if resample == "questions":
        used = [row for row in counted if row.rows]
        draws = bootstrap_ratios([r.points for r in used], [r.rows for r in used], rounds=rounds, seed=seed)
    else:  # resampling rows one by one is a multinomial draw of the three counts
        shares = np.array([wins, ties, losses]) / rows
        counts = np.random.default_rng(seed).multinomial(rows, shares, size=rounds)
        draws = np.asarray((counts[:, 0] + counts[:, 1] / 2) / rows)
    score = float(draws.mean()) if rule == "head" else (wins + ties / 2) / rows
    interval = percentile_interval(draws, _LEVEL[rule]).scaled(100)
    n = sum(row.rows > 0 for row in counted)
    return ArenaScore(100 * score, interval, wins, ties, losses, dropped, n, rule, resample)


def question_rows(games: Games, rule: Rule = "2024") -> QuestionRows:
    """Return the rows of one question from the model's side; game 1 shows the baseline first."""
    outcomes = [_outcome(games.game_1, rule), _outcome(games.game_2, rule)]
    if rule == "head" and None in outcomes:
        return QuestionRows(games.question_id, 0, 0, 0, 2)
    won = tied = lost = 0
    for outcome, model_first in zip(outcomes, (False, True), strict=True):
        if outcome is None:
            continue
        score, rows = outcome
        score = score if model_first else 1 - score
        won, tied, lost = won + rows * (score == 1), tied + rows * (score == 0.5), lost + rows * (score == 0)
    return QuestionRows(games.question_id, won, tied, lost, outcomes.count(None))


def unread_labels(games: Iterable[Games], rule: Rule = "2024") -> list[str]:
    """Return the stored labels that the rule does not know, so that their games are dropped."""
    stored = [label for question in games for label in (question.game_1, question.game_2) if label is not None]
    return [label for label in stored if _outcome(label, rule) is None]


def read_judgments(
    records: Iterable[Mapping[str, Any]], source: str, *, positions: Sequence[int] | None = None
) -> list[Games]:
    """Check rows of arena-hard-auto's judgment files, of both generations, or label pairs, and return their labels.

    A game holds `score` (the label, null where there is none) or else `judgment` (a text, or an object with the
    text as `answer`); a label pair holds `game1` and `game2`. `positions` are the rows' places in the file, for errors
    that name them, where the rows are a part of it.

    Raises:
        DataError: a row lacks its two games, or rows of several models or judges are mixed.
    """
    rows = list(records)
    if not rows:
        raise DataError(f"{source}: no judgments. At least one question is needed.")
    places = range(len(rows)) if positions is None else positions
    games = [_games(record, f"{source} row {at} (from 0)") for at, record in zip(places, rows, strict=True)]
    for field in ("model", "judge", "baseline"):
        names = {str(record[field]) for record in rows if record.get(field) is not None}
        if len(names) > 1:
            shown = ", ".join(sorted(names)[:4])
            raise DataError(f"{source}: {field} names {len(names)} {field}s ({shown}). One file holds one; split it.")
    return games


def _outcome(label: str | None, rule: Rule) -> tuple[float, int] | None:
    if label is not None and rule == "head":
        label = MIRRORED.get(label, label)
    return None if label is None else _FIRST_SIDE.get(label)


def _games(record: Mapping[str, Any], where: str) -> Games:
    if not isinstance(record, Mapping):
        raise DataError(f"{where}: a {type(record).__name__} where an object with two games belongs.")
    question_id = record.get("question_id", record.get("uid"))
    if question_id is None:
        raise DataError(f"{where}: field 'question_id' is missing; every question needs it.")
    if "game1" in record and "game2" in record:
        return Games(str(question_id), *(_written(record[name], f"{where}: {name}") for name in ("game1", "game2")))
    games = record.get("games")
    if not isinstance(games, list) or len(games) != 2:
        held = f"{len(games)} games" if isinstance(games, list) else "no list of games"
        raise DataError(f"{where}: {held} where two are needed (field 'games', or columns game1 and game2).")
    return Games(str(question_id), *(_game_label(game, f"{where}: games[{at}]") for at, game in enumerate(games)))


def _game_label(game: object, where: str) -> str | None:
    """Return a game's label; a stored score is final, null included; without one the text is read."""
    if game is None:
        return None
    if not isinstance(game, Mapping):
        raise DataError(
            describe(where, repr(game), "not a game", allowed="an object with 'score' or 'judgment', or null")
        )
    if "score" in game:
        return _label(game["score"], f"{where}.score")
    if "judgment" not in game:
        raise DataError(f"{where}: neither 'score' nor 'judgment'. A game needs one of them.")
    judgment = game["judgment"]
    text = judgment.get("answer") if isinstance(judgment, Mapping) else judgment
    if text is None:
        return None
    if not isinstance(text, str):
        raise DataError(describe(f"{where}.judgment", repr(text), "not a text", allowed="a string, or null"))
    return extract_label(without_thinking(text))


def _label(value: object, where: str) -> str | None:
    """Return a stored label without brackets, spaces and small letters; None where the cell is empty or NaN."""
    if value is None or value != value:
        return None
    if not isinstance(value, str):
        raise DataError(describe(where, repr(value), "not a label", allowed=_ALLOWED))
    label = "".join(value.upper().split()).removeprefix("[[").removesuffix("]]")
    return None if label.lower() in EMPTY else label


def _written(value: object, where: str) -> str | None:
    """Return a label pair's label: people write these, so that what is no label is a slip and no lost verdict."""
    label = _label(value, where)
    if label is not None and label not in LABELS and label not in MIRRORED:
        raise DataError(describe(where, repr(value), "not a label", allowed=_ALLOWED))
    return label
