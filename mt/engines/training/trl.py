"""Training by TRL's own DPOTrainer and RewardTrainer, in this process.

TRL computes log-probabilities or rewards, the loss, batches, learning rates and steps. Its trainers get token ids in
place of texts: what was sampled is not tokenised again. What they cannot do is refused, what they do otherwise said.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mt.engines.training.base import Observe, Trainer
from mt.engines.training.settings import TrainingConfig
from mt.engines.training.task import TrainingOutcome, TrainingTask
from mt.errors import ConfigError, DataError, EngineError, describe
from mt.objectives import Objective
from mt.objectives.apo_zero import ApoZero
from mt.objectives.dpo import Dpo
from mt.objectives.hinge import Hinge
from mt.objectives.ipo import Ipo
from mt.objectives.robust import Robust
from mt.reward_losses import BradleyTerry, RewardLoss
from mt.reward_losses.centered import Centered
from mt.reward_losses.margin import Margin

if TYPE_CHECKING:
    from mt.engines.training.data import Example, Examples

_SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
_METRICS = {
    "loss": "loss", "grad_norm": "gradient_norm", "learning_rate": "learning_rate",
    "accuracy": "accuracy", "margin": "margin",
    "rewards/accuracies": "accuracy", "rewards/margins": "margin",
    "rewards/chosen": "reward_chosen", "rewards/rejected": "reward_rejected",
    "logps/chosen": "log_prob_chosen", "logps/rejected": "log_prob_rejected",
}  # fmt: skip
"""TRL's metrics that are reported, and their names here."""


class TrlTrainer(Trainer):
    """Training by TRL's DPOTrainer and RewardTrainer; supervised fine-tuning as trainer=inline does it."""

    def check(self, training: TrainingConfig, objective: Objective | RewardLoss) -> None:
        """Refuse objectives that TRL's trainers do not have, and batches that they do not make."""
        super().check(training, objective)
        if isinstance(objective, RewardLoss) or objective.learns_from == "pairs":
            _settings(objective)
            if training.drop_last:
                problem = "TRL leaves out the rows of its last micro-batch, not those of the last whole batch"
                raise ConfigError(describe("training.drop_last", "true", problem, allowed="false with trainer=trl"))

    def deviations(self, training: TrainingConfig, objective: Objective | RewardLoss) -> list[str]:
        """Return what TRL does otherwise."""
        if isinstance(objective, Objective) and objective.learns_from == "demonstrations":
            return ["trainer=trl has no supervised fine-tuning of its own here: this is the loop of trainer=inline"]
        found = ["its learning rate begins at 0 and warms up over ⌈warmup_ratio · n⌉ steps"]
        if training.group_by_length > 1:
            found.append("its batches are drawn at random (training.group_by_length has no effect)")
        if getattr(objective, "nll_weight", 0):
            found.append("its likelihood term is a mean over the tokens of a micro-batch, not of each response")
        return [f"trainer=trl: {'; '.join(found)}"]

    def train(self, task: TrainingTask, observe: Observe) -> TrainingOutcome:
        """Train in this process by TRL's trainers; raises as every trainer does."""
        from mt.engines.training.process import TrainingProcess, train_in_this_process

        if task.kind == "sft":
            return train_in_this_process(task, observe, TrainingProcess(rank=0, world_size=1))
        return _train(task, observe)


@dataclass(frozen=True)
class _TrlSettings:
    """What TRL's configuration is given for an objective, and the factor of the margins in its rows."""

    settings: Mapping[str, Any]
    margin: float | None = None


def _settings(objective: Objective | RewardLoss) -> _TrlSettings:
    """Return TRL's settings of an objective; raises ConfigError for one that TRL's trainers do not have.

    A class of the user's own that is derived from one of these has a loss of its own, which TRL does not know.
    """
    kind = type(objective)
    if isinstance(objective, RewardLoss):
        if kind in (BradleyTerry, Centered, Margin):
            match objective:
                case Centered():
                    return _TrlSettings({"center_rewards_coefficient": objective.coefficient})
                case Margin():
                    return _TrlSettings({}, margin=objective.scale)
            return _TrlSettings({})
        problem, allowed = "TRL's RewardTrainer has no such loss", "bradley_terry, centered, margin"
        raise ConfigError(describe("reward_loss", objective.name, problem, allowed=allowed, fix="Or trainer=inline"))
    found: dict[str, Any] = {}
    if kind in (Dpo, Robust, Hinge, Ipo, ApoZero):
        match objective:
            case Dpo(label_smoothing=0):
                found = {"loss_type": ["sigmoid"], "beta": objective.beta}
            case Robust():
                found = {"loss_type": ["robust"], "beta": objective.beta, "label_smoothing": objective.flip_rate}
            case Hinge():
                found = {"loss_type": ["hinge"], "beta": objective.beta}
            case Ipo(per_token=True):
                found = {"loss_type": ["ipo"], "beta": objective.tau}
            case ApoZero():
                found = {"loss_type": ["apo_zero"], "beta": objective.beta}
    if not found:
        problem = "TRL's DPOTrainer has no such loss"
        allowed = "dpo with label_smoothing=0, robust, hinge, ipo with per_token=true, apo_zero"
        raise ConfigError(describe("objective", objective.called, problem, allowed=allowed, fix="Or trainer=inline"))
    if weight := getattr(objective, "nll_weight", 0):
        found |= {"loss_type": [*found["loss_type"], "sft"], "loss_weights": [1.0, weight]}
    return _TrlSettings(found)


@dataclass
class _Watch:
    """What is seen of a training: TRL's reports, and the largest gradient norm among them."""

    observe: Observe
    largest_gradient_norm: float = 0.0
    last: dict[str, float] = field(default_factory=dict)

    def report(self, step: int, steps: int, logs: Mapping[str, float]) -> None:
        """Pass a report on under this project's names; raises EngineError where a number is not finite."""
        self.last = {ours: float(logs[theirs]) for theirs, ours in _METRICS.items() if theirs in logs}
        for name in ("loss", "gradient_norm"):
            if not math.isfinite(self.last.get(name, 0.0)):
                fix = "Lower the learning rate, or look for broken rows"
                raise EngineError(describe(name, self.last[name], f"not finite at step {step} of {steps}", fix=fix))
        self.largest_gradient_norm = max(self.largest_gradient_norm, self.last.get("gradient_norm", 0.0))
        self.observe(step, steps, self.last)


def _train(task: TrainingTask, observe: Observe) -> TrainingOutcome:
    from mt.engines.devices import cpu_threads
    from mt.engines.models import check_context
    from mt.engines.text import open_chat
    from mt.engines.training.checkpoints import CHECKPOINTS, newest
    from mt.engines.training.data import read
    from mt.engines.training.models import adapt, load_for_training, publish, unchanged
    from mt.engines.training.process import full_disk_named, quiet, spared_collector
    from mt.engines.training.trainer import peak_memory_mib

    task.check()
    check_context(Path(task.model), task.training.max_length, "training.max_length")
    chat = open_chat(task.model, task.template)
    data = read(task, chat)
    if weighted := next((one for one in data.examples if one.weight != 1), None):
        problem = f"TRL's trainers know no weights, and the row of prompt '{weighted.prompt_id}' has one"
        fix = "Set trainer=inline or trainer=torchrun, or rm_data.label_filter=null"
        raise DataError(describe("weight", weighted.weight, problem, allowed="1", fix=fix))
    watch = _Watch(observe)
    with cpu_threads(task.trainer.threads), quiet(), spared_collector(), full_disk_named(Path(task.scratch)):
        model = load_for_training(task)
        adapt(model, task)
        trainer = _trainer(task, model, chat.tokenizer, data, watch)
        checkpoint = newest(Path(task.scratch) / CHECKPOINTS)
        started = time.monotonic()
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        seconds = time.monotonic() - started
        peak = peak_memory_mib(trainer.args.device)
        update = publish(model, chat, task, Path(task.output), first=True)
    warning = unchanged(task, update, watch.largest_gradient_norm)
    if warning and not task.trainer.allow_unchanged:
        raise EngineError(warning)
    epochs, sequences = task.training.epochs, [sequence for one in data.examples for sequence in one.sequences]
    tokens = epochs * sum(len(ids) for ids, _ in sequences)
    return TrainingOutcome(
        rows=data.rows,
        used=len(data.examples),
        dropped=data.dropped,
        truncated=data.truncated,
        tokens=tokens,
        trained_tokens=epochs * sum(count for _, count in sequences),
        steps=trainer.state.global_step,
        seconds=round(seconds, 3),
        tokens_per_second=round(tokens / seconds, 1),
        peak_memory_mib=round(peak, 1),
        devices=1,
        update_kept=update.share_kept,
        warning=warning,
        last=watch.last,
    )


def _trainer(task: TrainingTask, model: Any, tokenizer: Any, data: Examples, watch: _Watch) -> Any:
    """Return TRL's trainer of a task, ready to start."""
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback
    from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer

    from mt.engines.training.checkpoints import Clock, seal

    class Reports(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            last = state.global_step == state.max_steps
            control.should_log |= last
            control.should_save = control.should_log and not last and clock.due()

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            seal(Path(args.output_dir) / f"checkpoint-{state.global_step}")
            clock.taken()

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if "loss" in logs:  # a report of steps, and not the summary at the end
                watch.report(state.global_step, state.max_steps, logs)

    class TokenIdsDpoTrainer(DPOTrainer):
        """Takes rows of token ids with their reference's log-probabilities, which DPOTrainer would make of texts."""

        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

        def _precompute_ref_logps(self, dataset: Any, *_: Any) -> Any:
            return dataset

    asked = _settings(task.objective)
    rows = Dataset.from_list([_row(example, task.kind, asked.margin) for example in data.examples])
    common = {**_arguments(task, data), **asked.settings}
    kind: Any = RewardTrainer if task.kind == "reward" else TokenIdsDpoTrainer
    args: Any = RewardConfig(**common) if task.kind == "reward" else DPOConfig(**common, precompute_ref_log_probs=True)
    args._n_gpu = min(args.n_gpu, 1)  # one device means one: the Trainer would spread over all it sees
    trainer = kind(model=model, args=args, train_dataset=rows, processing_class=tokenizer, callbacks=[Reports()])
    trainer.remove_callback(PrinterCallback)
    clock = Clock(task.trainer.checkpoint_minutes, 1, args.device)
    return trainer


def _arguments(task: TrainingTask, data: Examples) -> dict[str, Any]:
    """Return what TRL's two configurations have in common."""
    from mt.engines.training.checkpoints import KEPT, checkpoint_folder
    from mt.engines.training.process import OPTIMIZERS, trains_on_cpu

    config, own = task.training, task.trainer
    on_cpu = trains_on_cpu(own)
    budget = own.tokens_per_micro_batch("cpu" if on_cpu else "cuda")
    rows = rows_of_micro_batch(config.batch_size, max(one.padded for one in data.examples), budget)
    return {
        "output_dir": str(checkpoint_folder(Path(task.scratch), {"trl": version("trl"), "rows": rows})),
        "save_total_limit": KEPT,
        "per_device_train_batch_size": rows,
        "gradient_accumulation_steps": config.batch_size // rows,
        "num_train_epochs": config.epochs,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": _SCHEDULES[config.schedule],
        "warmup_steps": config.warmup_ratio,  # below 1 it is a share
        "optim": OPTIMIZERS[config.optimizer],
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_gradient_norm,
        "max_length": None,  # sequences are fitted already
        "seed": task.seed,
        "bf16": own.dtype == "bfloat16",
        "gradient_checkpointing": own.gradient_checkpointing,
        "use_cpu": on_cpu,
        "logging_steps": own.report_steps,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "log_level": "error",
        "dataloader_pin_memory": False,
    }


def rows_of_micro_batch(batch_size: int, longest: int, budget: int) -> int:
    """Return the largest divisor of a batch so that as many rows, each as long as the longest, stay in the budget."""
    divisors = (rows for rows in range(2, batch_size + 1) if batch_size % rows == 0)
    return max((rows for rows in divisors if rows * longest <= budget), default=1)


def _row(example: Example, kind: str, margin: float | None) -> dict[str, Any]:
    """Return a row of token ids with the columns that TRL's trainers read."""
    (chosen, chosen_count), (rejected, rejected_count) = example.sequences
    if kind == "reward":
        found: dict[str, Any] = {"chosen_ids": chosen, "rejected_ids": rejected}
        if margin is not None:
            assert example.margin is not None  # `read` refuses pairs without rewards
            found["margin"] = margin * max(example.margin, 0.0)
        return found
    assert example.reference is not None  # every objective that TRL has needs one, and the task's check asks for it
    return {
        "prompt_ids": chosen[:-chosen_count],
        "chosen_ids": chosen[-chosen_count:],
        "rejected_ids": rejected[-rejected_count:],
        "ref_chosen_logps": example.reference.chosen,
        "ref_rejected_logps": example.reference.rejected,
    }
