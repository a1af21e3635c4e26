"""Evaluation of reward models without a gold judge: by the user's own pairs, and by where models disagree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from mt.stages.metrics import prompt_means, win_rate, write_means
from mt.types import Rewards, Samples
from mt.workflow.stage import Stage
from mt.workflow.store import write_json
from mt.workflow.work import Work

DISAGREEMENTS = "disagreements.json"
_MOST = 10


@dataclass(frozen=True, eq=False)
class PreferenceAccuracy(Stage):
    """How often a reward model puts the chosen answer first, on preference pairs that train nothing."""

    VERSION: ClassVar[int] = 2
    pairs: Stage
    """Samples of two answers, the chosen one first."""
    rewards: Stage

    def run(self, work: Work) -> None:
        """Average over the pairs of a prompt, then over prompts; a tie counts half."""
        right = prompt_means(
            (pair.prompt_id, pair.messages, win_rate(row.rewards[:1], row.rewards[1:]))
            for pair, row in zip(work.rows(Samples, self.pairs), work.rows(Rewards, self.rewards), strict=True)
        )
        write_means(work, "preferences", {"accuracy": right})


@dataclass(frozen=True, eq=False)
class Disagreements(Stage):
    """The ten pairs of responses, one per prompt, that r_t and r_0 order oppositely by the largest margins."""

    VERSION: ClassVar[int] = 1
    samples: Stage
    rewards: Stage
    base: Stage
    """The rewards of the same responses by r_0."""
    previous: Stage | None
    """Those by r_{t-1}; None where that is r_0."""

    def run(self, work: Work) -> None:
        """Write each pair with the three models' margins, in units of each model's spread."""
        from mt.evaluation.disagreement import disagreements, spread

        given, base = _by_prompt(work, self.rewards), _by_prompt(work, self.base)
        previous = _by_prompt(work, self.previous) if self.previous else {}
        unit, samples = spread(previous), {row.prompt_id: row for row in work.rows(Samples, self.samples)}
        rows: list[dict[str, Any]] = []
        for pair in disagreements(given, base, _MOST):
            row = samples[pair.prompt_id]
            margins = {"current": pair.first_margin, "base": -pair.second_margin}
            if earlier := previous.get(pair.prompt_id):
                margins["previous"] = (earlier[pair.one] - earlier[pair.other]) / unit
            texts = {"preferred": row.responses[pair.one].text, "other": row.responses[pair.other].text}
            rows.append({"prompt_id": pair.prompt_id, "messages": row.messages, **texts, "margins": margins})
        write_json(work.folder / DISAGREEMENTS, rows)
        work.count(pairs=len(rows))
        work.write_metrics([])


def _by_prompt(work: Work, rewards: Stage) -> dict[str, list[float]]:
    return {row.prompt_id: row.rewards for row in work.rows(Rewards, rewards)}
