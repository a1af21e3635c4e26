"""What is to be trained, as plain data that another process can read; what came out of it; checks without torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from mt.choice import Config
from mt.engines.template import TemplateConfig
from mt.engines.training.base import Observe as Observe
from mt.engines.training.base import Trainer
from mt.engines.training.settings import TrainingConfig
from mt.errors import ConfigError, describe
from mt.objectives import Objective
from mt.reward_losses import RewardLoss

TrainingKind = Literal["policy", "reward", "sft"]


def step_folder(folder: Path, step: int) -> Path:
    """Return where the model after a step lies, among those of a training that publishes several."""
    return folder / f"step-{step:06d}"


def step_folders(folder: Path) -> dict[int, Path]:
    """Return the models of such a training by step, in order."""
    return {int(path.name.removeprefix("step-")): path for path in sorted(folder.glob("step-*"))}


@dataclass(frozen=True)
class TrainingTask:
    """One training: start weights, data, objective, settings, and where the result goes."""

    model: str
    """Model folder to start from; a reward model may start from a causal language model (with a new head)."""
    tables: list[str]
    """Parquet files of `Pair` rows (`Demonstration` rows where the objective imitates), read one after the other."""
    objective: Objective | RewardLoss
    """What is minimised: a policy's objective, or a reward model's loss."""
    training: TrainingConfig
    trainer: Trainer
    seed: int
    output: str
    """Folder to write the trained model into."""
    scratch: str
    """Folder for checkpoints; whatever a killed training left there is continued."""
    strip_bos: bool = False
    """Read conversations without the beginning-of-sequence token (reward models)."""
    references: list[str] = field(default_factory=list)
    """Parquet files of `PairLogProbs`, aligned with `tables` file by file and row by row."""
    template: TemplateConfig | None = None
    """How the model's chat template is rendered; None renders the folder's own at the default date."""
    every_steps: int | None = None
    """Steps between two models that are published, each in a folder of `output` that bears its step (`step-000050`),
    the last one included; None publishes the last one alone, as `output` itself."""

    @property
    def kind(self) -> TrainingKind:
        """What is trained: "policy" and "reward" learn from pairs, "sft" from demonstrations."""
        if isinstance(self.objective, RewardLoss):
            return "reward"
        return "policy" if self.objective.learns_from == "pairs" else "sft"

    def check(self) -> None:
        """Raise ConfigError for missing reference log-probabilities, and for what the trainer cannot do."""
        needs_reference = isinstance(self.objective, Objective) and self.objective.needs_reference
        if needs_reference and len(self.references) != len(self.tables):
            problem = f"needs one table of reference log-probabilities per table of pairs, got {len(self.references)}"
            raise ConfigError(describe("objective", self.objective.name, problem, fix="Compute them first"))
        self.trainer.check(self.training, self.objective)
        if self.every_steps:
            self.trainer.check_intermediate_models()

    def write(self, path: Path) -> None:
        """Write the task as JSON."""
        plain = {name: value.model_dump() if isinstance(value, Config) else value for name, value in vars(self).items()}
        path.write_text(json.dumps({**plain, "kind": self.kind}, indent=1), "utf-8")

    @staticmethod
    def read(path: Path) -> TrainingTask:
        """Read a task that `write` wrote."""
        plain = json.loads(path.read_text("utf-8"))
        objective: type[Objective | RewardLoss] = RewardLoss if plain.pop("kind") == "reward" else Objective
        plain["objective"] = objective.model_validate(plain["objective"])
        plain["training"] = TrainingConfig.model_validate(plain["training"])
        plain["trainer"] = Trainer.model_validate(plain["trainer"])
        plain["template"] = plain["template"] and TemplateConfig.model_validate(plain["template"])
        return TrainingTask(**plain)


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
