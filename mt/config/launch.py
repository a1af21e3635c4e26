"""Where the runs of a command are computed: in this process, in processes of this machine, or as SLURM jobs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator
from typing_extensions import Doc

from mt.choice import Config, Count
from mt.errors import ConfigError, describe

SIGNAL_SLACK_S = 120
"""SLURM may send the signal a minute early, and Python needs time before it listens."""

SbatchOptions = dict[str, str | int | bool]

_OWNED = {
    "comment": "the launcher finds its jobs by it",
    "job-name": "it is the sweep's name",
    **dict.fromkeys(("array", "dependency", "hold", "kill-on-invalid-dep"), "the order of the jobs depends on it"),
    **dict.fromkeys(("requeue", "no-requeue", "signal"), "jobs go on in their next attempt by it"),
    **dict.fromkeys(("output", "error", "open-mode"), "the logs of a job are found by it"),
    **dict.fromkeys(("nodes", "ntasks", "ntasks-per-node", "ntasks-per-gpu"), "a job is one process on one node"),
    **dict.fromkeys(("parsable", "quiet", "test-only", "wait", "wrap"), "the answer of sbatch is read"),
    **dict.fromkeys(("clusters", "cluster-constraint"), "every command asks the cluster that SLURM_CLUSTERS names"),
}
"""sbatch options that no setting changes, and why."""
_SETTINGS = {
    **{name: name for name in ("partition", "account", "qos", "constraint")},
    **dict.fromkeys(("gpus", "gpus-per-node", "gpus-per-task", "gpus-per-socket"), "gpus"),
    **dict.fromkeys(("cpus-per-task", "cpus-per-gpu"), "cpus"),
    **dict.fromkeys(("mem", "mem-per-cpu", "mem-per-gpu"), "mem_gb"),
    "time": "time_min",
}
"""sbatch options that have a setting of their own, in launch or in launch.cpu."""


def refuse_owned(field: str, options: SbatchOptions, settings: Collection[str]) -> None:
    """Raise ConfigError for an option of `field` that has a setting beside it, or that the launcher sets itself."""
    group = field.rpartition(".")[0]
    for option, value in options.items():
        name = option.replace("_", "-")
        if name.startswith("-") or len(name) == 1:
            allowed = "long names without dashes, such as reservation"
            raise ConfigError(describe(f"{field}.{option}", value, "not the name of an sbatch option", allowed=allowed))
        asks_for_gpus = name == "gres" and any(word.split(":")[0] == "gpu" for word in str(value).split(","))
        setting = "gpus" if asks_for_gpus else _SETTINGS.get(name)
        if setting in settings:
            fix = f"Set {group}.{setting}"
            raise ConfigError(describe(f"{field}.{option}", value, "it has a setting of its own", fix=fix))
        if setting == "gpus":
            fix = "Leave it out; for jobs with GPUs set launch.gpus"
            raise ConfigError(describe(f"{field}.{option}", value, "these jobs hold no GPU", fix=fix))
        if name in _OWNED:
            problem = f"the launcher sets it: {_OWNED[name]}"
            raise ConfigError(describe(f"{field}.{option}", value, problem, fix="Leave it out"))


class InlineConfig(Config):
    """One run after another in this process."""

    detached: ClassVar[bool] = False
    """Whether it starts processes of its own."""
    queued: ClassVar[bool] = False
    """Whether a scheduler starts them, on other machines and in its own time."""

    name: Literal["inline"]
    """The choice's own name."""


class DetachedConfig(Config):
    """What launchers that start processes of their own have in common."""

    detached: ClassVar[bool] = True
    queued: ClassVar[bool] = False

    share: bool
    """Partition the merged plan into jobs so that what several runs share is computed by one of them; otherwise each
    run is one job and the store's locks guard what is shared. The results are identical."""
    max_running: Count
    """Jobs of the sweep that run at the same time."""
    max_attempts: Count
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
    cpus: Count
    """CPU cores."""
    mem_gb: Count | None
    """Memory in GB; null leaves it to the cluster where nothing is estimated (judges over the network)."""
    time_min: Count
    """Time limit in minutes."""
    extra: SbatchOptions
    """Further sbatch options of such a job by their long name, such as {reservation: mine}; false leaves one out."""

    @model_validator(mode="after")
    def _extra_is_not_owned(self) -> CpuConfig:
        """Refuse options that the launcher sets itself."""
        refuse_owned("launch.cpu.extra", self.extra, CpuConfig.model_fields)
        return self


class SlurmConfig(DetachedConfig):
    """SLURM jobs of one node each; the command returns once they are submitted and written down."""

    queued: ClassVar[bool] = True

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
    gpu_type: Annotated[str, Field(pattern=r"^[^:,=\s]+$"), Doc("without spaces and :,=")] | None
    """Type of those GPUs as the cluster names it, such as a100; null takes any."""
    cpus: Count
    """CPU cores of a GPU job."""
    mem_gb: Count | None
    """Memory of a GPU job in GB; null asks for what its stages need by the estimate of `mt.plan --cost`."""
    time_min: Count
    """Time limit of a GPU job in minutes; a job that reaches it goes on in its next attempt."""
    signal_delay_s: Count
    """Seconds before the time limit at which the job is asked to stop and is queued again."""
    cpu: CpuConfig
    """Jobs without GPUs."""
    container: list[str]
    """Command prefix that enters a container, such as [apptainer, exec, --nv, image.sif]."""
    setup: list[str]
    """Shell lines that prepare the environment of a job, such as "module load cuda"."""
    extra: SbatchOptions
    """Further sbatch options of a GPU job by their long name, such as {reservation: mine}; false leaves one out."""
    srun: list[str]
    """Further arguments of srun."""

    @model_validator(mode="after")
    def _extra_is_not_owned(self) -> SlurmConfig:
        """Refuse options that the launcher sets itself."""
        refuse_owned("launch.extra", self.extra, SlurmConfig.model_fields)
        return self

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


DetachedLaunch = Annotated[LocalConfig | SlurmConfig, Field(discriminator="name")]
"""What a sweep's jobs are started by."""
LaunchConfig = Annotated[InlineConfig | LocalConfig | SlurmConfig, Field(discriminator="name")]
"""The choices of `launch=`; nothing in them enters a stage's key."""
