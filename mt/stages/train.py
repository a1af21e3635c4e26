"""Training: the policy (E-step), the reward model (M-step), and supervised fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from mt.config.objective import ObjectiveConfig
from mt.config.template import TemplateConfig
from mt.config.training import TrainerConfig, TrainingConfig
from mt.objectives.registry import OBJECTIVES
from mt.stages.lineage import start_of
from mt.stages.models import ModelFolder
from mt.workflow.stage import Stage
from mt.workflow.work import TABLE, Work


@dataclass(frozen=True, eq=False)
class TrainPolicy(Stage):
    """π_t from π_{t-1} by a preference objective (Eq. 2 for DPO), or by imitating selected responses."""

    VERSION: ClassVar[int] = 2
    NEEDS: ClassVar[str] = "gpu"
    policy: Stage
    selected: Stage
    """Pairs, or demonstrations where the objective learns from those."""
    reference: Stage | None
    """Reference log-probabilities of the pairs, where the objective needs them."""
    objective: ObjectiveConfig
    training: TrainingConfig
    trainer: TrainerConfig
    seed: int
    template: TemplateConfig
    """How the policy's chat template is rendered."""

    def check(self) -> None:
        """Refuse a trainer that cannot train so here."""
        _check(self.trainer, self.training)

    def inspect(self) -> None:
        """Refuse adapters that the model cannot have."""
        _inspect(self.policy, self.training)

    def run(self, work: Work) -> None:
        """Train into the output folder."""
        references = [str(work.path(self.reference) / TABLE)] if self.reference else []
        _train(
            work,
            kind="policy" if OBJECTIVES[self.objective.name].learns_from == "pairs" else "sft",
            model=str(work.path(self.policy)),
            tables=[str(work.path(self.selected) / TABLE)],
            objective=self.objective.name,
            hyperparameters=self.objective.settings(),
            references=references,
            training=self.training,
            trainer=self.trainer,
            seed=self.seed,
            template=self.template,
        )


@dataclass(frozen=True, eq=False)
class TrainReward(Stage):
    """r_t from its initial model on preference pairs, with the Bradley-Terry loss (Eq. 1)."""

    VERSION: ClassVar[int] = 2
    NEEDS: ClassVar[str] = "gpu"
    initial: Stage
    pairs: Stage
    training: TrainingConfig
    trainer: TrainerConfig
    strip_bos: bool
    seed: int
    template: TemplateConfig
    """How the reward model's chat template is rendered."""

    def check(self) -> None:
        """Refuse a trainer that cannot train so here."""
        _check(self.trainer, self.training)

    def inspect(self) -> None:
        """Refuse adapters that the model cannot have."""
        _inspect(self.initial, self.training)

    def run(self, work: Work) -> None:
        """Train into the output folder."""
        _train(
            work,
            kind="reward",
            model=str(work.path(self.initial)),
            tables=[str(work.path(self.pairs) / TABLE)],
            objective="bradley_terry",
            hyperparameters={"strip_bos": self.strip_bos},
            training=self.training,
            trainer=self.trainer,
            seed=self.seed,
            template=self.template,
        )


@dataclass(frozen=True, eq=False)
class SupervisedFinetune(Stage):
    """Supervised fine-tuning on demonstrations; the loss counts the answers' tokens only."""

    VERSION: ClassVar[int] = 2
    NEEDS: ClassVar[str] = "gpu"
    policy: Stage
    demonstrations: Stage
    training: TrainingConfig
    trainer: TrainerConfig
    seed: int
    template: TemplateConfig
    """How the policy's chat template is rendered."""

    def check(self) -> None:
        """Refuse a trainer that cannot train so here."""
        _check(self.trainer, self.training)

    def inspect(self) -> None:
        """Refuse adapters that the model cannot have."""
        _inspect(self.policy, self.training)

    def run(self, work: Work) -> None:
        """Train into the output folder."""
        _train(
            work,
            kind="sft",
            model=str(work.path(self.policy)),
            tables=[str(work.path(self.demonstrations) / TABLE)],
            objective="sft",
            training=self.training,
            trainer=self.trainer,
            seed=self.seed,
            template=self.template,
        )


def _check(trainer: TrainerConfig, training: TrainingConfig) -> None:
    from mt.engines.training.task import check_trainer

    check_trainer(trainer, training)


def _inspect(model: Stage, training: TrainingConfig) -> None:
    """Look at the folder from which the training of a model began, however many trainings ago."""
    start = start_of(model)
    if training.lora is not None and isinstance(start, ModelFolder):
        from mt.engines.lora_targets import check_folder_targets

        field = f"{start.kind}.training.lora.targets"
        check_folder_targets(start.location, start.kind, training.lora.targets, field)


def _train(work: Work, **task: Any) -> None:
    """Run one training into the work's folder; its counts go beside the artifact."""
    from mt.engines.training import TrainingTask, train

    def observe(step: int, steps: int, metrics: dict[str, float]) -> None:
        work.curve(step, **metrics)
        work.progress(step, steps, "steps", **metrics)

    outcome = train(TrainingTask(**task, output=str(work.folder), scratch=str(work.scratch)), observe)
    work.count(**outcome.counts())
    if outcome.warning:
        work.note(outcome.warning)
