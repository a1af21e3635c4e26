"""Training in separate processes, which torchrun starts; they report through files and end with this process."""

from __future__ import annotations

import importlib.util
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from mt.choice import Count, Positive, Unkeyed
from mt.engines.devices import own_cores
from mt.engines.training.base import Observe, Trainer
from mt.engines.training.settings import TrainingConfig
from mt.engines.training.task import TrainingOutcome, TrainingTask
from mt.errors import ConfigError, EngineError, MissingPackageError, describe
from mt.objectives import Objective
from mt.reward_losses import RewardLoss
from mt.runtime.child import Child, raise_left_error
from mt.runtime.jsonl import JsonLines

TASK, LOG, PROGRESS, OUTCOME, ERROR = "task.json", "workers.log", "progress.jsonl", "outcome.json", "error.json"
_POLL_S, _GRACE_S = 0.2, 15.0


class TorchrunTrainer(Trainer):
    """Training in processes of their own, one per GPU, with DDP or DeepSpeed."""

    spreads: ClassVar[bool] = True
    publishes_intermediate_models: ClassVar[bool] = True

    processes: Unkeyed[Count | None]
    """Processes that share a training; null starts one per GPU (one on a machine without)."""
    zero_stage: Literal[0, 1, 2, 3]
    """DeepSpeed ZeRO stage: shards optimizer (1), gradients (2), weights (3); 0 is plain DDP without DeepSpeed."""
    offload_optimizer: Unkeyed[bool]
    """Keep the optimizer's state in CPU memory (ZeRO only)."""
    timeout_minutes: Unkeyed[Positive]
    """Minutes that one collective operation may take before the processes give up."""

    @property
    def sharding(self) -> int:
        """The ZeRO stage."""
        return self.zero_stage

    @property
    def offloads(self) -> bool:
        """Whether the optimizer's state lies in CPU memory."""
        return self.offload_optimizer

    @property
    def collective_timeout_minutes(self) -> float:
        """Minutes that one collective operation may take."""
        return self.timeout_minutes

    def check(self, training: TrainingConfig, objective: Objective | RewardLoss) -> None:
        """Refuse more processes than a batch has rows, adapters under ZeRO-3, and ZeRO without DeepSpeed."""
        super().check(training, objective)
        if self.processes:
            _check_processes(self.processes, training)
        if training.lora is not None and self.zero_stage == 3:
            problem = "adapters cannot be merged into weights that are spread over processes"
            raise ConfigError(describe("trainer.zero_stage", 3, problem, allowed="0, 1, 2 with training.lora"))
        if self.zero_stage > 0 and importlib.util.find_spec("deepspeed") is None:
            fix = "Install it (pip install 'mutual-taught[cluster]'), or set trainer.zero_stage=0"
            raise MissingPackageError(
                describe("trainer.zero_stage", self.zero_stage, "DeepSpeed is not installed", fix=fix)
            )

    def train(self, task: TrainingTask, observe: Observe) -> TrainingOutcome:
        """Run the task by torchrun and return its result; raises what the first failing process raised."""
        import torch

        task.check()
        processes = self.processes or (0 if self.device == "cpu" else torch.cuda.device_count()) or 1
        _check_processes(processes, task.training)
        threads = self.threads or max(1, own_cores() // processes)
        folder = Path(task.scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for name in (LOG, PROGRESS, OUTCOME, ERROR):
            (folder / name).unlink(missing_ok=True)
        replace(task, trainer=self.model_copy(update={"threads": threads})).write(folder / TASK)
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        command = [*launcher, "-m", "mt.engines.training.torchrun_worker", str(folder / TASK), str(processes)]
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_OFFLINE": "1",
            "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",  # a checkpoint is data, not code
        }
        progress = JsonLines[Any](folder / PROGRESS)
        with Child(command, output=folder / LOG, environment=environment, grace_s=_GRACE_S) as workers:
            code = None
            while code is None:
                code = workers.wait(_POLL_S)
                for report in progress.follow():
                    observe(*report)
        raise_left_error(folder / ERROR)
        if code != 0 or not (folder / OUTCOME).is_file():
            problem = f"ended with code {code} ({workers.last_error()})"
            raise EngineError(describe("trainer", "torchrun", problem, fix=f"See {folder / LOG}"))
        return TrainingOutcome(**json.loads((folder / OUTCOME).read_text("utf-8")))


def _check_processes(processes: int, training: TrainingConfig) -> None:
    """Refuse more processes than a batch has rows; any smaller number shares it exactly."""
    if processes > training.batch_size:
        problem = f"more than the {training.batch_size} rows of a batch"
        raise ConfigError(describe("trainer.processes", processes, problem, fix="Start fewer"))
