"""Training: the policy (E-step), the reward model (M-step), and supervised fine-tuning."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from mt.engines.template import TemplateConfig
from mt.engines.training import Trainer, TrainingTask
from mt.engines.training.settings import TrainingConfig
from mt.objectives import Objective
from mt.objectives.sft import Sft
from mt.reward_losses import BradleyTerry, RewardLoss
from mt.stages.lineage import start_of
from mt.stages.models import ModelFolder
from mt.stages.room import WIDTH, inspect_room
from mt.stages.world import WorldPolicy
from mt.workflow.stage import Stage
from mt.workflow.volume import Use
from mt.workflow.work import TABLE, Work


@dataclass(frozen=True, eq=False)
class TrainPolicy(Stage):
    """π_t from π_{t-1} by a preference objective (Eq. 2 for DPO), or by imitating selected responses."""

    VERSION: ClassVar[int] = 2
    NEEDS: ClassVar[str] = "gpu"
    setting: ClassVar[str] = "policy.training"
    """Where the configuration holds `training`, by which errors name it."""
    policy: Stage
    selected: Stage
    """Pairs, or demonstrations where the objective learns from those."""
    reference: Stage | None
    """Reference log-probabilities of the pairs, where the objective needs them."""
    objective: Objective
    training: TrainingConfig
    trainer: Trainer
    seed: int
    template: TemplateConfig
    """How the policy's chat template is rendered."""

    def check(self) -> None:
        """Refuse a trainer that cannot train so here."""
        self.trainer.check(self.training, self.objective)

    def inspect(self) -> None:
        """Refuse adapters that the model cannot have, and a model that no GPU has room for."""
        _inspect(self.policy, self.training, self.trainer, self.setting)

    def run(self, work: Work) -> None:
        """Train into the output folder."""
        self._train(work)

    def _train(self, work: Work, every_steps: int | None = None) -> None:
        references = [str(work.path(self.reference) / TABLE)] if self.reference else []
        _train(
            work,
            every_steps=every_steps,
            model=str(work.path(self.policy)),
            tables=[str(work.path(self.selected) / TABLE)],
            objective=self.objective,
            references=references,
            training=self.training,
            trainer=self.trainer,
            seed=self.seed,
            template=self.template,
        )

    def use(self) -> Use | None:
        """Return how it uses the policy."""
        return Use("train", self.policy, self.trainer, self.setting, self.selected)


@dataclass(frozen=True, eq=False)
class TrainPolicyCheckpoints(TrainPolicy):
    """The same training, which publishes a model every so many steps, and the last one, each in a folder of its own."""

    VERSION: ClassVar[int] = 1
    every_steps: int

    def check(self) -> None:
        """Refuse a trainer that publishes the last model only."""
        super().check()
        self.trainer.check_intermediate_models()

    def run(self, work: Work) -> None:
        """Train into folders of the output that bear their steps."""
        self._train(work, self.every_steps)

    def models(self, rows: float) -> int:
        """Return how many models it publishes, learning from so many rows."""
        steps = self.training.epochs * math.ceil(rows / self.training.batch_size)
        return math.ceil(steps / self.every_steps)


@dataclass(frozen=True, eq=False)
class TrainReward(Stage):
    """r_t from its initial model on preference pairs."""

    VERSION: ClassVar[int] = 2
    NEEDS: ClassVar[str] = "gpu"
    UNKEYED: ClassVar[frozenset[str]] = frozenset({"setting"})
    initial: Stage
    pairs: Stage
    training: TrainingConfig
    trainer: Trainer
    strip_bos: bool
    seed: int
    template: TemplateConfig
    """How the reward model's chat template is rendered."""
    loss: RewardLoss | None = None
    """The loss; None is Bradley-Terry (Eq. 1), the paper's, which has entered no key since before there were others."""
    setting: str = "reward.training"
    """Where the configuration holds `training`, by which errors name it."""

    def check(self) -> None:
        """Refuse a trainer that cannot train so here."""
        self.trainer.check(self.training, self.loss or BradleyTerry())

    def inspect(self) -> None:
        """Refuse adapters that the model cannot have, and a model that no GPU has room for."""
        _inspect(self.initial, self.training, self.trainer, self.setting)

    def run(self, work: Work) -> None:
        """Train into the output folder."""
        _train(
            work,
            model=str(work.path(self.initial)),
            tables=[str(work.path(self.pairs) / TABLE)],
            objective=self.loss or BradleyTerry(),
            strip_bos=self.strip_bos,
            training=self.training,
            trainer=self.trainer,
            seed=self.seed,
            template=self.template,
        )

    def use(self) -> Use | None:
        """Return how it uses the reward model."""
        return Use("train", self.initial, self.trainer, self.setting, self.pairs)


@dataclass(frozen=True, eq=False)
class SupervisedFinetune(Stage):
    """Supervised fine-tuning on demonstrations; the loss counts the answers' tokens only."""

    VERSION: ClassVar[int] = 2
    NEEDS: ClassVar[str] = "gpu"
    UNKEYED: ClassVar[frozenset[str]] = frozenset({"setting"})
    policy: Stage
    demonstrations: Stage
    training: TrainingConfig
    trainer: Trainer
    seed: int
    template: TemplateConfig
    """How the policy's chat template is rendered."""
    setting: str = "policy.training"
    """Where the configuration holds `training`, by which errors name it."""

    def check(self) -> None:
        """Refuse a trainer that cannot train so here."""
        self.trainer.check(self.training, Sft(per_token=True))

    def inspect(self) -> None:
        """Refuse adapters that the model cannot have, and a model that no GPU has room for."""
        _inspect(self.policy, self.training, self.trainer, self.setting)

    def run(self, work: Work) -> None:
        """Train into the output folder."""
        _train(
            work,
            model=str(work.path(self.policy)),
            tables=[str(work.path(self.demonstrations) / TABLE)],
            objective=Sft(per_token=True),
            training=self.training,
            trainer=self.trainer,
            seed=self.seed,
            template=self.template,
        )

    def use(self) -> Use | None:
        """Return how it uses the policy."""
        return Use("train", self.policy, self.trainer, self.setting, self.demonstrations)


Training = TrainPolicy | TrainReward | SupervisedFinetune


def _inspect(model: Stage, training: TrainingConfig, trainer: Trainer, setting: str) -> None:
    """Look at the folder from which the training of a model began, however many trainings ago.

    Where nothing is sharded, a GPU holds float32 weights, gradients and two moments, 16 bytes for each weight that is
    trained; below ZeRO-3, the weights at least.
    """
    if trainer.sharding < 3:
        width = WIDTH[trainer.dtype]
        whole = width if training.lora else 16 if trainer.sharding == 0 else width
        fix = "Set trainer=torchrun trainer.zero_stage=3 on several GPUs, or train adapters: training.lora"
        inspect_room(model, whole, trainer.device, fix)
    start = start_of(model)
    if training.lora is not None and isinstance(start, ModelFolder | WorldPolicy):
        from mt.engines.training.settings import check_targets

        check_targets(start.skeleton(), training.lora.targets, f"{setting}.lora.targets")


def _train(work: Work, **task: Any) -> None:
    """Run one training into the work's folder; its counts go beside the artifact."""
    from mt.engines.training.checkpoints import drop_damaged

    def observe(step: int, steps: int, metrics: dict[str, float]) -> None:
        work.curve(step, **metrics)
        work.progress(step, steps, "steps", **metrics)

    if damaged := drop_damaged(work.scratch):
        work.note(f"{', '.join(damaged)}: damaged and removed; the training goes on from an earlier step")
    asked = TrainingTask(**task, output=str(work.folder), scratch=str(work.scratch))
    for line in asked.trainer.deviations(asked.training, asked.objective):
        work.note(line)
    outcome = asked.trainer.train(asked, observe)
    work.count(**outcome.counts())
    if outcome.warning:
        work.note(outcome.warning)
