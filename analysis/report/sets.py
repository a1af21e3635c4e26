"""Sets of samples: whose responses they are, and who scored them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from analysis.report.record import StageRow, model_name
from analysis.report.tables import StoredTable, TableKind, responses_per_prompt
from mt.workflow.position import Position

GOLD = "gold"
"""What the gold judge is called among the scorers."""


@dataclass(frozen=True)
class ModelRewards:
    """Rewards that one model gave to one set of samples."""

    model: str
    name: str
    table: StoredTable


@dataclass(frozen=True)
class SampleSet:
    """The responses of one policy to some prompts, and who scored them."""

    table: StoredTable
    policy: str
    name: str
    place: Position
    policy_place: Position
    scores: list[ModelRewards] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The key of the samples' artifact."""
        return self.table.stage.key


def sample_sets(stages: Mapping[str, StageRow], found: Mapping[str, StoredTable]) -> list[SampleSet]:
    """Return every set of a policy's samples with the rewards it was given, in the order of the algorithm."""
    return [one for one in _scored_sets(stages, found) if one.policy]


def benchmark_sets(stages: Mapping[str, StageRow], found: Mapping[str, StoredTable]) -> list[SampleSet]:
    """Return the sets of held-out pairs (two responses a prompt, the better one first) with their rewards."""
    sets = [one for one in _scored_sets(stages, found) if not one.policy and one.scores]
    return [one for one in sets if responses_per_prompt(one.table) == 2]


def beside_gold(sets: Iterable[SampleSet]) -> Iterator[tuple[SampleSet, ModelRewards, ModelRewards]]:
    """Yield (samples, rewards by a reward model, gold rewards) wherever both were given."""
    for one in sets:
        gold = next((scores for scores in one.scores if scores.name == GOLD), None)
        if gold is not None:
            yield from ((one, scores, gold) for scores in one.scores if scores is not gold)


def _scored_sets(stages: Mapping[str, StageRow], found: Mapping[str, StoredTable]) -> list[SampleSet]:
    sets = [_sample_set(table, stages) for table in found.values() if table.kind is TableKind.SAMPLES]
    by_key = {one.key: one for one in sets}
    for table in found.values():
        if table.kind is not TableKind.REWARDS:
            continue
        scored = [key for key in table.stage.upstream if key in by_key]
        judges = [key for key in table.stage.upstream if key not in found]
        if len(scored) == 1:
            model = GOLD if GOLD in table.stage.name else next(iter(judges), "")
            name = GOLD if model == GOLD else model_name(model, stages, "r")
            by_key[scored[0]].scores.append(ModelRewards(model, name, table))
    for one in sets:
        one.scores.sort(key=lambda scores: (scores.name == GOLD, _place(scores.model, stages)))
    return sorted(sets, key=lambda one: one.place)


def _sample_set(table: StoredTable, stages: Mapping[str, StageRow]) -> SampleSet:
    policy = next(iter(table.stage.inputs.get("policy", [])), "")
    name = model_name(policy, stages, "π") if policy else "held-out pairs"
    return SampleSet(table, policy, name, table.stage.position, _place(policy, stages))


def _place(key: str, stages: Mapping[str, StageRow]) -> Position:
    return stages[key].position if key in stages else Position()
