"""SPIN and SAIL."""

from __future__ import annotations

import itertools

from mt.stages.demonstrations import DemonstrationPrompts, SpinPairs
from mt.stages.implicit import ImplicitRewards
from mt.stages.prompts import PartitionPrompts
from mt.stages.sample import Sample
from mt.stages.score import ReferenceLogProbs, Score
from mt.stages.select import MixPairs, SelectPairs
from mt.stages.train import TrainPolicy
from mt.stages.world import WorldDemonstrations, WorldPreferences
from tests.methods.plans import compiled, of, only, same


def test_spin_sets_demonstrations_against_the_policys_own_responses() -> None:
    one = compiled("method=spin")
    demonstrations = only(of(one, WorldDemonstrations))
    prompts = only(of(one, DemonstrationPrompts))
    assert same(prompts.demonstrations, demonstrations)
    assert prompts.size == 7500, "as many prompts as the other methods have"
    for t, (before, now) in enumerate(itertools.pairwise(one.graph.iterations)):
        pairs = now.selected
        assert isinstance(pairs, SpinPairs) and same(pairs.demonstrations, demonstrations)
        assert isinstance(pairs.samples, Sample) and same(pairs.samples.policy, before.policy)
        part = pairs.samples.prompts
        assert isinstance(part, PartitionPrompts) and part.index == t and same(part.prompts, prompts)
        assert isinstance(now.policy, TrainPolicy) and same(now.policy.policy, before.policy)
        assert isinstance(now.policy.reference, ReferenceLogProbs)
        assert same(now.policy.reference.policy, before.policy)
    assert not of(one, Score), "no reward model takes part"


def test_sail_begins_with_offline_preferences_and_then_labels_its_own_responses() -> None:
    one = compiled("method=sail")
    base, first, *later = one.graph.iterations
    offline = only(of(one, WorldPreferences))
    assert same(first.selected, offline)
    assert isinstance(first.policy, TrainPolicy) and same(first.policy.policy, base.policy)
    for t, (before, now) in enumerate(itertools.pairwise([first, *later]), start=1):
        mixed = now.selected
        assert isinstance(mixed, MixPairs) and same(mixed.extra, offline) and mixed.share == 0.3
        assert isinstance(mixed.pairs, SelectPairs)
        rewards, samples = mixed.pairs.rewards, mixed.pairs.samples
        assert isinstance(rewards, ImplicitRewards) and isinstance(samples, Sample)
        assert same(rewards.policy, before.policy) and same(rewards.base, base.policy)
        assert same(samples.policy, before.policy) and same(rewards.samples, samples)
        assert isinstance(samples.prompts, PartitionPrompts) and samples.prompts.index == t
        assert rewards.max_length == samples.decoding.max_length, "or a response might not fit"
    assert len(later) == 2
    assert not of(one, Score), "no reward model takes part"


def test_exploration_bonuses_are_objectives_of_the_iterative_method() -> None:
    plain = compiled("method=iterative", "objective=dpo").graph.iterations[1]
    for name in ("selm", "xpo"):
        other = compiled("method=iterative", f"objective={name}").graph.iterations[1]
        assert same(plain.selected, other.selected)
        assert isinstance(plain.policy, TrainPolicy) and isinstance(other.policy, TrainPolicy)
        assert same(plain.policy.reference, other.policy.reference)
        assert not same(plain.policy, other.policy)
