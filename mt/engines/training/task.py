"""What is to be trained, as plain data that another process can read; what came out of it; checks without torch."""

from __future__ import annotations

import importlib.util
import inspect
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from mt.config.template import TemplateConfig
from mt.config.training import TorchrunTrainer, TrainerConfig, TrainingConfig
from mt.errors import ConfigError, MissingPackageError, describe, nearest
from mt.objectives.registry import OBJECTIVES, Objective

Kind = Literal["policy", "reward", "sft"]
Observe = Callable[[int, int, dict[str, float]], None]
"""observe(step, steps in all, metrics): called at every report, on the first process only."""

_TRAINER: TypeAdapter[TrainerConfig] = TypeAdapter(TrainerConfig)
_SFT_SETTINGS = {"per_token": True}  # plain fine-tuning; ReST-EM says otherwise


@dataclass(frozen=True)
class TrainingTask:
    """One training: start weights, data, objective, settings, and where the result goes."""

    kind: Kind
    """"policy" and "reward" learn from `Pair` tables, "sft" from `Demonstration` tables."""
    model: str
    """Model folder to start from; a reward model may start from a causal language model (with a new head)."""
    tables: list[str]
    """Parquet files of rows, read one after the other."""
    objective: str
    """A name in `mt.objectives`, or "bradley_terry" for a reward model."""
    training: TrainingConfig
    trainer: TrainerConfig
    seed: int
    output: str
    """Folder to write the trained model into."""
    scratch: str
    """Folder for checkpoints; whatever a killed training left there is continued."""
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    """Settings of the objective; a reward model knows `strip_bos`."""
    references: list[str] = field(default_factory=list)
    """Parquet files of `PairLogProbs`, aligned with `tables` file by file and row by row."""
    template: TemplateConfig | None = None
    """How the model's chat template is rendered; None renders the folder's own at the default date."""

    def write(self, path: Path) -> None:
        """Write the task as JSON."""
        configs = {"training": self.training, "trainer": self.trainer, "template": self.template}
        plain = {**vars(self), **{name: config and config.model_dump() for name, config in configs.items()}}
        path.write_text(json.dumps(plain, indent=1), "utf-8")

    @staticmethod
    def read(path: Path) -> TrainingTask:
        """Read a task that `write` wrote."""
        plain = json.loads(path.read_text("utf-8"))
        plain["training"] = TrainingConfig.model_validate(plain["training"])
        plain["trainer"] = _TRAINER.validate_python(plain["trainer"])
        plain["template"] = plain["template"] and TemplateConfig.model_validate(plain["template"])
        return TrainingTask(**plain)

    def settings(self) -> dict[str, Any]:
        """Return the hyper-parameters that the objective's loss takes."""
        return {**_SFT_SETTINGS, **self.hyperparameters} if self.objective == "sft" else self.hyperparameters


@dataclass(frozen=True)
class TrainingOutcome:
    """What a training did, counted; goes beside the model as its artifact's counts."""

    rows: int
    """Rows of the tables."""
    used: int
    """Rows that were trained on, each once an epoch."""
    dropped: int
    """Rows left out: longer than max_length, an empty response, or (drop_last=true) no whole batch left."""
    truncated: int
    """Rows whose sequences were cut on the left."""
    tokens: int
    """Tokens read, over all epochs, without padding."""
    trained_tokens: int
    """Of those, response tokens that the loss counts (reward models: conversations' last tokens)."""
    steps: int
    """Optimizer steps."""
    seconds: float
    """Wall time of the steps, of this process's share if a training was continued."""
    tokens_per_second: float
    """Tokens without padding per second of wall time, over all devices."""
    peak_memory_mib: float
    """Peak memory: allocated on the GPU, or resident in RAM."""
    devices: int
    """Processes that shared the work."""
    update_kept: float
    """Share of the update that the published folder holds: of all elements of weights that training changed in
    float32, those whose value in `trainer.publish_dtype` differs from the start's. 1 in float32; 0 where no element
    changed. At a small learning rate bfloat16 rounds most changes away."""
    warning: str | None
    """Why the published model equals its start, where `trainer.allow_unchanged` lets it pass."""
    last: dict[str, float]
    """Metrics of the last report."""

    def counts(self) -> dict[str, float]:
        """Return the numbers as one flat dictionary."""
        return {name: value for name, value in asdict(self).items() if name not in ("warning", "last")}


def objective_of(task: TrainingTask) -> Objective | None:
    """Return the task's policy objective (None for reward models) after checking that it suits the task.

    Raises `ConfigError` for an unknown objective, one of another kind, unknown or missing settings, and a missing
    or useless table of reference log-probabilities.
    """
    if task.kind == "reward":
        _check_settings(task, {"strip_bos"}, set())
        return None
    if task.objective not in OBJECTIVES:
        hint = nearest(task.objective, OBJECTIVES)
        raise ConfigError(describe("objective", task.objective, f"unknown.{hint}", allowed=", ".join(OBJECTIVES)))
    objective = OBJECTIVES[task.objective]
    _check_kind(task, objective)
    parameters = list(inspect.signature(objective.loss).parameters.values())[1:]
    required = {parameter.name for parameter in parameters if parameter.default is parameter.empty}
    _check_settings(task, {"nll_weight"} | {parameter.name for parameter in parameters}, required)
    return objective


def _check_kind(task: TrainingTask, objective: Objective) -> None:
    wanted = "demonstrations" if task.kind == "sft" else "pairs"
    if objective.learns_from != wanted:
        problem = f"learns from {objective.learns_from}, a task of kind '{task.kind}' brings {wanted}"
        fitting = ", ".join(name for name, other in OBJECTIVES.items() if other.learns_from == wanted)
        raise ConfigError(describe("objective", task.objective, problem, allowed=fitting))
    if objective.needs_reference and len(task.references) != len(task.tables):
        problem = f"needs one table of reference log-probabilities per table of pairs, got {len(task.references)}"
        raise ConfigError(describe("objective", task.objective, problem, mend="Compute them first"))


def _check_settings(task: TrainingTask, known: set[str], required: set[str]) -> None:
    given = set(task.settings())
    for name in sorted(given - known):
        hint = nearest(name, known)
        problem = f"not a setting of it.{hint}"
        raise ConfigError(
            describe(f"{task.objective}.{name}", task.settings()[name], problem, allowed=", ".join(known))
        )
    if missing := sorted(required - given):
        raise ConfigError(describe(task.objective, ", ".join(missing), "missing settings", mend="Set them"))


def check_trainer(trainer: TrainerConfig, training: TrainingConfig) -> None:
    """Refuse a trainer whose packages are missing, or that cannot train so; raises `ConfigError`."""
    zero = trainer.zero_stage if isinstance(trainer, TorchrunTrainer) else 0
    if isinstance(trainer, TorchrunTrainer) and trainer.processes:
        check_processes(trainer.processes, training)
    if training.lora is not None and zero == 3:
        problem = "adapters cannot be merged into weights that are spread over processes"
        raise ConfigError(describe("trainer.zero_stage", 3, problem, allowed="0, 1, 2 with training.lora"))
    if zero > 0 and importlib.util.find_spec("deepspeed") is None:
        mend = "Install it (pip install 'mutual-taught[cluster]'), or set trainer.zero_stage=0"
        raise MissingPackageError(describe("trainer.zero_stage", zero, "DeepSpeed is not installed", mend=mend))
    if training.lora is not None and importlib.util.find_spec("peft") is None:
        mend = "Install it (pip install peft), or set training.lora=null"
        raise MissingPackageError(describe("training.lora", training.lora.rank, "peft is not installed", mend=mend))


def check_processes(processes: int, training: TrainingConfig) -> None:
    """Refuse more processes than a batch has rows; any smaller number shares it exactly."""
    if processes > training.batch_size:
        problem = f"more than the {training.batch_size} rows of a batch"
        raise ConfigError(describe("trainer.processes", processes, problem, mend="Start fewer"))
