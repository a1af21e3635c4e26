"""The vocabulary of the methods: every step bound to a run's settings, so that a method reads like its pseudo-code.

Nothing here computes: each step returns a stage, and the caller decides what becomes of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from mt.config.data import Source
from mt.config.run import RunConfig
from mt.engines.settings import DecodingConfig
from mt.reward_losses import BradleyTerry
from mt.selection import DemonstrationSelection, PairSelection
from mt.sources.references import template_of
from mt.stages.gold import GoldRewards
from mt.stages.prompts import PartitionPrompts, PromptBlock
from mt.stages.rewards import ComputedReward, EnsembleReward
from mt.stages.sample import Sample
from mt.stages.score import ReferenceLogProbs, Score
from mt.stages.select import ConcatenateRows, MixPairs, SelectDemonstrations, SelectPairs
from mt.stages.train import SupervisedFinetune, TrainPolicy, TrainPolicyCheckpoints, TrainReward
from mt.workflow.keys import derive_seed
from mt.workflow.position import BASE, Position
from mt.workflow.stage import Stage

S = TypeVar("S", bound=Stage)


class Steps:
    """The steps of one run; `positions` remember where in the method each stage was first needed."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.positions: dict[str, Position] = {}
        self.source: Source = config.data.source(config)
        self.policy_template = template_of(config, "policy")
        self.reward_template = template_of(config, "reward")
        self._position = Position(step=BASE)

    def at(self, step: str, iteration: int = 0, round_: int = 1) -> None:
        """Say where the method is; the steps that follow belong there."""
        self._position = Position(round_, iteration, step, rounds=self.config.rounds)

    def add(self, stage: S, model: str = "") -> S:
        """Place a stage, which may make the "policy" or the "reward" model, and what it needs that has no place yet."""
        if stage.key not in self.positions:
            self.positions[stage.key] = replace(self._position, model=model)
            waiting = stage.inputs()
            while waiting:
                one = waiting.pop()
                if one.key not in self.positions:
                    self.positions[one.key] = self._position
                    waiting.extend(one.inputs())
        return stage

    def base_policy(self) -> Stage:
        """π_0: the given policy, or what it becomes by demonstrations (`policy.sft`), the same for every seed."""
        given, config = self.source.policy(), self.config.policy
        if not config.sft:
            return self.add(given, "policy")
        seed = derive_seed(self.config.world_seed, "supervised fine-tuning")
        how = (config.sft_training or config.training, self.config.trainer, seed, self.policy_template)
        field = "policy.sft_training" if config.sft_training else "policy.training"
        answers = self.add(self.source.demonstrations())
        return self.add(SupervisedFinetune(given, answers, *how, field), "policy")

    def base_reward(self) -> Stage:
        """r_0, which need not be a model."""
        return self.add(self.config.reward.base(self), "reward")

    def scorer(self, number: int, base: Stage, current: Stage) -> Stage:
        """Who scores the E-step of a number, from 1 (`reward.scores`): r_{t-1}, or r_0 throughout."""
        return self.config.reward.scorer(self, number, base, current)

    def partition(self, parts: int) -> list[Stage]:
        """D split into disjoint parts: equal ones (Algorithm 1, line 2), or `partition.part_size` prompts each."""
        return self.parts_of(self.source.prompts(), parts)

    def parts_of(self, prompts: Stage, parts: int) -> list[Stage]:
        """Any prompts, split likewise; the last part is D_R where a method has one.

        Parts of a given size are D_R, D_1, D_2, … in the order of one shuffle: a further iteration changes none.
        """
        seed, size = self.seed("partition"), self.config.partition.part_size
        if size is None:
            return [self.add(PartitionPrompts(prompts, parts, index, seed)) for index in range(parts)]
        blocks, iterations = [*range(1, parts), 0], self.config.iterations
        return [self.add(PromptBlock(prompts, size, index, seed, parts, iterations)) for index in blocks]

    def sample(self, policy: Stage, prompts: Stage, decoding: DecodingConfig | None = None) -> Stage:
        """K responses per prompt, drawn as the run samples unless `decoding` says otherwise."""
        how, generator = decoding or self.config.sampling, self.config.generator
        return self.add(Sample(policy, prompts, how, generator, self.seed("sample"), self.policy_template))

    def score(self, reward: Stage, samples: Stage) -> Stage:
        """The reward of every response, by whatever the reward is."""
        if isinstance(reward, ComputedReward):
            return self.add(reward.rewards(samples, self.score))
        return self.add(Score(reward, samples, self.config.scorer, self.reward_template))

    def select(self, samples: Stage, rewards: Stage) -> Stage:
        """What the policy learns from: preference pairs, or demonstrations where the objective imitates."""
        selection = self.config.selection
        if isinstance(selection, DemonstrationSelection):
            return self.add(SelectDemonstrations(samples, rewards, selection))
        assert isinstance(selection, PairSelection)  # a selection makes one or the other
        return self.add(SelectPairs(samples, rewards, selection, "policy", self.seed("select")))

    def union(self, *tables: Stage) -> Stage:
        """Several tables of one kind as one."""
        if len(tables) == 1:
            return tables[0]
        imitates = isinstance(tables[0], SelectDemonstrations)
        return self.add(ConcatenateRows(tables, "demonstrations" if imitates else "pairs"))

    def with_offline(self, selected: Stage) -> Stage:
        """The pairs of an E-step, mixed with offline preferences where `policy.offline_share` asks for them."""
        share = self.config.policy.offline_share
        if not share:
            return selected
        return self.add(MixPairs(selected, self.add(self.source.preferences()), share, self.seed("offline")))

    def reference(self, previous: Stage) -> Stage:
        """π_ref: the policy before the training, or always π_0."""
        return previous if self.config.policy.reference == "previous" else self.base_policy()

    def train_policy(self, policy: Stage, selected: Stage, *, reference: Stage) -> Stage:
        """π_t from `policy` by the run's objective; reference log-probabilities only where it needs them."""
        return self.add(TrainPolicy(policy, **self._policy_training(selected, reference)), "policy")

    def train_checkpoints(
        self, policy: Stage, selected: Stage, every_steps: int, *, reference: Stage
    ) -> TrainPolicyCheckpoints:
        """The same training with its checkpoints, from which π_t is still to be chosen."""
        how = self._policy_training(selected, reference)
        return self.add(TrainPolicyCheckpoints(policy, **how, every_steps=every_steps))

    def _policy_training(self, selected: Stage, reference: Stage) -> dict[str, Any]:
        config, training, template, logps = self.config, self.config.policy.training, self.policy_template, None
        if config.objective.needs_reference:
            length, truncation = training.max_length, training.truncation
            logps = self.add(ReferenceLogProbs(reference, selected, config.logprobs, length, truncation, template))
        how = {"objective": config.objective, "training": training, "trainer": config.trainer, "template": template}
        return {"selected": selected, "reference": logps, **how, "seed": self.seed("train_policy")}

    def initial_reward(self, base: Stage, current: Stage) -> Stage:
        """What an M-step starts from (`reward.initial`): the model before any M-step, or r_{t-1}."""
        if self.config.reward.initial == "previous" and current.key != base.key:
            return current
        return self.add(self.config.reward.first_student(self))

    def train_reward(self, initial: Stage, pairs: Stage) -> Stage:
        """r_t from `initial` by the run's loss; an ensemble is retrained model by model."""
        if isinstance(initial, EnsembleReward):
            return self.add(initial.after(lambda model, number: self._train_reward(model, pairs, number)), "reward")
        return self._train_reward(initial, pairs, 0)

    def _train_reward(self, initial: Stage, pairs: Stage, number: int) -> Stage:
        config, seed = self.config, self.seed("train_reward" + (f" {number}" if number else ""))
        training, strip_bos = config.reward.training, config.reward.strip_bos
        loss = None if isinstance(config.reward_loss, BradleyTerry) else config.reward_loss
        how = (training, config.trainer, strip_bos, seed, self.reward_template, loss)
        return self.add(TrainReward(initial, pairs, *how), "reward")

    def gold(self, samples: Stage) -> Stage:
        """The gold reward of every response."""
        return self.add(GoldRewards(samples, *self.source.gold()))

    def seed(self, name: str) -> int:
        """A seed derived from the run's and the step's name, so that equal steps of different runs agree."""
        return derive_seed(self.config.seed, name)
