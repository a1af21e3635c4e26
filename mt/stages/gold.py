"""What the gold judge of the data says: rewards, labels of pairs, and labels as people give them."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import combinations
from typing import ClassVar

from mt.gold import GoldLanguage, PeopleConfig, preference_probability
from mt.types import Pair, Rewards, Samples
from mt.workflow.stage import Stage
from mt.workflow.volume import AssumptionsConfig, Volume, Volumes
from mt.workflow.work import Work


@dataclass(frozen=True, eq=False)
class GoldRewards(Stage):
    """The gold judge's reward of every response; for evaluation, and for the positive control."""

    VERSION: ClassVar[int] = 1
    samples: Stage
    seed: int
    language: GoldLanguage

    def run(self, work: Work) -> None:
        """Judge every response."""
        gold = self.language.gold(self.seed)
        rows = [
            Rewards(row.prompt_id, [gold(row.messages, response) for response in row.responses])
            for row in work.rows(Samples, self.samples)
        ]
        work.write(rows, Rewards)


@dataclass(frozen=True, eq=False)
class GoldLabels(Stage):
    """Pairs ordered by the gold judge instead of by their maker; pairs that it cannot tell apart are dropped."""

    VERSION: ClassVar[int] = 1
    pairs: Stage
    seed: int
    language: GoldLanguage

    def run(self, work: Work) -> None:
        """Swap the pairs that gold orders the other way."""
        gold, kept, turned = self.language.gold(self.seed), [], 0
        pairs = work.rows(Pair, self.pairs)
        for pair in pairs:
            right = self.language.prefers(gold(pair.messages, pair.chosen), gold(pair.messages, pair.rejected))
            if right is None:
                continue
            kept.append(pair if right else _turned(pair))
            turned += not right
        work.count(pairs=len(kept), turned=turned, dropped_equal=len(pairs) - len(kept))
        work.write(kept, Pair)


@dataclass(frozen=True, eq=False)
class PeoplesLabels(Stage):
    """Pairs of a policy's own responses, labelled as people label them: with noise, and with a liking for length."""

    VERSION: ClassVar[int] = 1
    samples: Stage
    seed: int
    language: GoldLanguage
    people: PeopleConfig
    per_prompt: int
    """Pairs of different responses that are drawn per prompt, at most."""
    label_seed: int

    def run(self, work: Work) -> None:
        """Draw pairs of responses, and label each."""
        gold, rng, pairs = self.language.gold(self.seed), random.Random(self.label_seed), []
        for row in work.rows(Samples, self.samples):
            different = [(a, b) for a, b in combinations(row.responses, 2) if a.text != b.text]
            for first, second in rng.sample(different, min(self.per_prompt, len(different))):
                p = preference_probability(self.people, gold, row.messages, first, second)
                chosen, rejected = (first, second) if rng.random() < p else (second, first)
                pairs.append(Pair(row.prompt_id, row.messages, row.section, chosen, rejected, source="preferences"))
        work.count(pairs=len(pairs))
        work.write(pairs, Pair)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return its pairs."""
        samples = inputs[self.samples.key]
        return replace(samples, rows=self.per_prompt * samples.rows, responses=2)


def _turned(pair: Pair) -> Pair:
    return replace(
        pair,
        chosen=pair.rejected,
        rejected=pair.chosen,
        chosen_reward=pair.rejected_reward,
        rejected_reward=pair.chosen_reward,
        chosen_win_probability=pair.rejected_win_probability,
        rejected_win_probability=pair.chosen_win_probability,
    )
