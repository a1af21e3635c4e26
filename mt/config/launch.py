"""Where the runs of a command are computed: in this process, in processes of this machine, or as SLURM jobs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mt.config.base import Config
from mt.errors import ConfigError, describe

Positive = Annotated[int, Field(ge=1)]

SIGNAL_SLACK_S = 120
"""SLURM may send the signal a minute early, and Python needs time before it listens."""


class InlineConfig(Config):
    """One run after another in this process."""

    name: Literal["inline"]
    """The choice's own name."""


class DetachedConfig(Config):
    """What launchers that start processes of their own have in common."""

    share: bool
    """Cut the merged plan into jobs so that what several runs share is computed by one of them; otherwise each run
    is one job and the store's locks guard what is shared. The results are identical."""
    max_running: Positive
    """Jobs of the sweep that run at the same time."""
    max_attempts: Positive
    """Attempts of a job without progress after which it fails with the reason."""
    require_clean: bool
    """Refuse to submit from a working tree with uncommitted changes; otherwise the difference is recorded."""


class LocalConfig(DetachedConfig):
    """Jobs as processes on this machine; the command stays until they are done."""

    name: Literal["local"]
    """The choice's own name."""


class CpuConfig(Config):
    """What a job without GPUs asks for (judges over the network, run records)."""

    partition: str | None
    """SLURM partition; null takes that of the GPU jobs, then the cluster's default."""
    cpus: Positive
    """CPU cores."""
    mem_gb: Positive | None
    """Memory in GB; null leaves it to the cluster."""
    time_min: Positive
    """Time limit in minutes."""


class SlurmConfig(DetachedConfig):
    """SLURM jobs of one node each; the command returns once they are submitted and written down."""

    name: Literal["slurm"]
    """The choice's own name."""
    partition: str | None
    """SLURM partition; null takes the cluster's default."""
    account: str | None
    """Account that is charged; null takes the user's default."""
    qos: str | None
    """Quality of service."""
    constraint: str | None
    """Node features, such as "a100"."""
    gpus: Annotated[int, Field(ge=0)]
    """GPUs of a job that needs them; 0 asks for none (the synthetic world)."""
    cpus: Positive
    """CPU cores of a GPU job."""
    mem_gb: Positive | None
    """Memory of a GPU job in GB; null leaves it to the cluster."""
    time_min: Positive
    """Time limit of a GPU job in minutes; a job that reaches it goes on in its next attempt."""
    signal_delay_s: Positive
    """Seconds before the time limit at which the job is asked to stop and is queued again."""
    cpu: CpuConfig
    """Jobs without GPUs."""
    container: list[str]
    """Command prefix that enters a container, such as [apptainer, exec, --nv, image.sif]."""
    setup: list[str]
    """Shell lines that prepare the environment of a job, such as "module load cuda"."""
    extra: dict[str, str | int | bool]
    """Further sbatch options by their long name, such as {reservation: mine}."""
    srun: list[str]
    """Further arguments of srun."""

    @model_validator(mode="after")
    def _limits_leave_time(self) -> SlurmConfig:
        """Refuse limits so short that the signal would come before a job can listen."""
        needed = self.signal_delay_s + SIGNAL_SLACK_S
        limits = {"launch.time_min": self.time_min, "launch.cpu.time_min": self.cpu.time_min}
        for field, minutes in limits.items():
            if minutes * 60 <= needed:
                problem = f"the stop signal comes launch.signal_delay_s={self.signal_delay_s} s before the limit"
                allowed = f"at least {needed // 60 + 1} minutes"
                raise ConfigError(describe(field, minutes, problem, allowed=allowed))
        return self


LaunchConfig = Annotated[InlineConfig | LocalConfig | SlurmConfig, Field(discriminator="name")]
"""The choices of `launch=`; nothing in them enters a stage's key."""
