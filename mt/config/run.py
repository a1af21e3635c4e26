"""The configuration of a run: every group of settings in one tree."""

from __future__ import annotations

from os.path import expanduser
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator
from typing_extensions import Doc

from mt.choice import Config, Count, Seed, Share, Unkeyed
from mt.config.data import DataSource
from mt.config.evaluation import EvalConfig
from mt.config.hardware import HardwareConfig
from mt.config.launch import LaunchConfig
from mt.config.method import Checkpoint, Method, RewardData
from mt.config.reward import Reward
from mt.engines.generation import Generator
from mt.engines.judging.base import Judge
from mt.engines.scoring import Scorer
from mt.engines.settings import LogProbsConfig, SamplingConfig
from mt.engines.template import RenderedModelConfig
from mt.engines.training import Trainer
from mt.engines.training.settings import TrainingConfig
from mt.errors import ConfigError, describe
from mt.objectives import Objective
from mt.reward_losses import RewardLoss
from mt.selection import Selection
from mt.tracking import Tracking
from mt.workflow.volume import AssumptionsConfig

Name = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][\w.,=+-]*$", max_length=120),
    Doc("at most 120 letters, digits and _.,=+-, the first one a letter or a digit"),
]

Folder = Annotated[str, Field(min_length=1), AfterValidator(expanduser)]


class PartitionConfig(Config):
    """How the prompts are divided among the iterations."""

    part_size: Count | None
    """Prompts of each part, D_R included; null makes equal parts of all prompts, as in the paper. With a size, a run of
    more iterations computes nothing again."""


class ScaleConfig(Config):
    """How big the run is; per-scale values are looked up by name, then by family."""

    name: str
    """The choice's own name."""
    family: Literal["world", "smollm2", "small_gpu", "paper"]
    """Which column of hyper-parameters applies: the small world's, a small real model's, one card's, or the paper's."""
    weights: Unkeyed[int | None]
    """Weights of the policy, by which the family was chosen; null where the scale or the data name the family."""


class PolicyConfig(RenderedModelConfig):
    """The policy model and how it is trained in an E-step."""

    GROUP: ClassVar[str] = "policy"

    path: str | None
    """A local Hugging Face folder or a hub name; null takes the data's own base policy (the world's)."""
    revision: str | None
    """The pinned commit of a hub model (40 hex digits); unused for a local folder."""
    allow_extra_weights: Unkeyed[bool]
    """Leave out weights of the folder that the model does not have, instead of refusing them."""
    reference: Literal["previous", "base"]
    """The reference of iteration t: the policy before it (our reading of §4), or the base policy."""
    checkpoint: Checkpoint
    """Which of a training's models is kept: the last one, or the one that wins most comparisons."""
    offline_share: Share
    """Share, in [0, 1), of offline preferences (`data.preferences`, or the data's own) in what the policy is trained on
    in every E-step, as SAIL mixes them."""
    training: TrainingConfig
    """How a policy is trained."""
    sft: bool = False
    """Make π_0 of a base model: `path`, fine-tuned on `data.demonstrations` (or the data's own)."""
    sft_training: TrainingConfig | None = None
    """How that is done; null does it as `training` says."""


class ExperimentConfig(Config):
    """A table or figure of the paper as a list of runs."""

    name: str
    """The experiment's own name."""
    runs: list[str]
    """One line of overrides each, in the grammar of the command line."""


class RunConfig(Config):
    """Everything that one run is made of."""

    name: Unkeyed[Name | None]
    """The run's folder under `runs`; null names it after its method, objective, reward data and settings."""
    sweep: Unkeyed[Name | None]
    """The folder under `runs` that holds a sweep's runs; null puts single runs directly under `runs`."""
    runs: Unkeyed[Folder]
    """Where run records are written."""
    store: Unkeyed[Folder]
    """Where artifacts are kept and shared between runs."""
    seed: Seed
    """Seed of everything random in the method: partition, sampling, training order."""
    world_seed: Seed
    """Seed of the synthetic world and its base models."""
    iterations: Annotated[int, Field(ge=1, le=100)]
    """E-steps per round (T)."""
    rounds: Annotated[int, Field(ge=1, le=100)]
    """Times that the iterations are run over the same prompts, both models restarted from base (Appendix B)."""
    partition: PartitionConfig
    scale: ScaleConfig
    """How big the run is: values per scale are looked up by its name, then by its family."""
    method: Method
    """How policy and reward model are trained."""
    objective: Objective
    """The loss of the policy."""
    rm_data: RewardData
    """What an M-step retrains the reward model on (§5.3)."""
    reward_loss: RewardLoss
    """The loss of the reward model."""
    selection: Selection
    """How pairs, or demonstrations, are selected from the responses."""
    sampling: SamplingConfig
    policy: PolicyConfig
    reward: Reward
    """What gives the rewards, and how an M-step retrains it."""
    data: DataSource
    """Where prompts come from, and the base models where none are named."""
    generator: Generator
    """What samples responses."""
    scorer: Scorer
    """What computes rewards."""
    logprobs: LogProbsConfig
    trainer: Trainer
    """What trains the models."""
    judge: Judge
    """Who compares two responses in the benchmarks."""
    eval: EvalConfig
    """What is measured, as in eval=[held_out,alpaca_eval]; eval=[] measures nothing."""
    tracking: Unkeyed[Tracking]
    """Where a run is shown, beside its record."""
    launch: Unkeyed[LaunchConfig]
    """How runs are executed: in this process, as processes here, or by SLURM."""
    hardware: Unkeyed[HardwareConfig]
    """The node that estimates are made for."""
    assumptions: Unkeyed[AssumptionsConfig]
    experiment: Unkeyed[ExperimentConfig | None]
    """A table or figure of the paper, or a study; only for -m."""

    @model_validator(mode="after")
    def _models_are_named(self) -> RunConfig:
        needed = {"policy": not self.data.has_policy, "reward": self.reward.needs_path and not self.data.has_reward}
        for kind, path in (("policy", self.policy.path), ("reward", self.reward.path)):
            if path is None and needed[kind]:
                problem = f"data={self.data.name} comes without a base {kind} model"
                allowed = "a local Hugging Face model folder, or a hub name with a pinned revision"
                fix = f"Add {kind}.path=DIR" + (", or reward=train" if kind == "reward" else "")
                _refuse(f"{kind}.path", path, problem, allowed=allowed, fix=fix)
        for field, choice in (("rm_data", self.rm_data), ("reward", self.reward)):
            if choice.needs_gold and not self.data.has_gold:
                problem, fix = f"data={self.data.name} has no gold judge", "Choose data=world or data=instructions"
                _refuse(field, choice.name, problem, allowed="every other choice", fix=fix)
        return self

    @model_validator(mode="after")
    def _judge_exists(self) -> RunConfig:
        if self.judge.needs_gold and not self.data.has_gold and self.eval.judged:
            asking = ", ".join(self.eval.judged)
            _refuse(
                "judge",
                "gold",
                f"data={self.data.name} has no gold judge, and needs a judge for {asking}",
                allowed="openai, reward_model, transformers, vllm",
                fix="Add judge=NAME, or leave these benchmarks out of eval=[…]",
            )
        return self


def _refuse(field: str, value: Any, problem: str, *, allowed: str, fix: str) -> None:
    raise ConfigError(describe(field, value, problem, allowed=allowed, fix=fix))
