"""launch.extra and launch.cpu.extra: the user's own sbatch options beside those that the launcher sets."""

from __future__ import annotations

from pathlib import Path

import pytest
from submitit import SlurmExecutor

from launch import slurm
from launch.submit import memory_of
from mt.config.compose import compose_runs
from mt.config.launch import SlurmConfig
from mt.errors import ConfigError


def composed(*overrides: str) -> SlurmConfig:
    config = compose_runs(["launch=slurm", *overrides])[0].config.launch
    assert isinstance(config, SlurmConfig)
    return config


def flags(config: SlurmConfig, folder: Path, *, gpu: bool, memory: str | None = None) -> set[str]:
    """Return the #SBATCH lines of a submission."""
    request = slurm.Request(["job"], gpu, [], "title", False, 1, "TAG", memory)
    executor = SlurmExecutor(folder=folder, python="python")
    executor.update_parameters(**slurm._parameters(config, request))
    lines = executor._make_submission_file_text("command", "uid").splitlines()
    return {line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH ")}


@pytest.fixture(autouse=True)
def _sbatch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Submitit looks for srun before it writes a submission."""
    (tmp_path / "srun").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


def test_the_documented_form_reaches_gpu_jobs_only(tmp_path: Path) -> None:
    config = composed("launch.extra={reservation: mine, exclusive: true, contiguous: false}", "launch.gpus=2")
    gpu, cpu = flags(config, tmp_path, gpu=True), flags(config, tmp_path, gpu=False)
    assert {"--reservation=mine", "--exclusive", "--gpus-per-node=2", "--comment=TAG"} <= gpu
    assert not any("contiguous" in flag for flag in gpu), "false leaves a flag out"
    assert not any(word in flag for flag in cpu for word in ("reservation", "exclusive", "gpus", "contiguous"))


def test_cpu_jobs_have_options_of_their_own(tmp_path: Path) -> None:
    config = composed("launch.cpu.extra={qos: network, mail_type: END}", "launch.qos=gpu")
    assert {"--qos=network", "--mail-type=END"} <= flags(config, tmp_path, gpu=False)
    assert "--qos=gpu" in flags(config, tmp_path, gpu=True)


def test_what_the_shell_sets_for_sbatch_counts_where_no_setting_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sbatch would prefer variables to a setting, and submitit hides them from it."""
    monkeypatch.setenv("SBATCH_ACCOUNT", "grant")
    monkeypatch.setenv("SBATCH_PARTITION", "long")
    for gpu in (True, False):
        given = flags(composed("launch.partition=short", "launch.cpu.partition=short"), tmp_path, gpu=gpu)
        assert {"--account=grant", "--partition=short"} <= given
        assert "--partition=long" in flags(composed(), tmp_path, gpu=gpu)


def test_a_gpu_type_is_one_setting(tmp_path: Path) -> None:
    config = composed("scale=llama3_8b", "launch.gpu_type=a100")
    assert "--gpus-per-node=a100:8" in flags(config, tmp_path, gpu=True)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("launch.extra.comment=mine", r"launch\.extra\.comment=mine: the launcher sets it: .* finds its jobs"),
        ("launch.extra={gpus-per-node: 'a100:2'}", r"launch\.extra\.gpus-per-node=.*Set launch\.gpus"),
        ("launch.extra={gres: 'nvme:1,gpu:8'}", r"launch\.extra\.gres=.*Set launch\.gpus"),
        ("launch.extra.nodes=2", r"launch\.extra\.nodes=2: the launcher sets it: a job is one process on one node"),
        ("launch.extra.time=10", r"launch\.extra\.time=10: it has a setting of its own\. Set launch\.time_min"),
        ("launch.extra.cpus_per_task=3", r"launch\.extra\.cpus_per_task=3: .*Set launch\.cpus"),
        ("launch.extra.requeue=false", r"launch\.extra\.requeue=false: the launcher sets it"),
        ("launch.extra.clusters=b", r"launch\.extra\.clusters=b: .*asks the cluster that SLURM_CLUSTERS names"),
        ("launch.extra.p=low", r"launch\.extra\.p=low: not the name of an sbatch option.*long names"),
        ("launch.cpu.extra.gres=gpu:1", r"launch\.cpu\.extra\.gres=gpu:1: these jobs hold no GPU.*launch\.gpus"),
        ("launch.cpu.extra.partition=low", r"launch\.cpu\.extra\.partition=low: .*Set launch\.cpu\.partition"),
        ("launch.gpu_type=a100:8", r"launch\.gpu_type=a100:8"),
    ],
)
def test_options_that_the_launcher_owns_are_refused(override: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        composed(override)


def test_memory_is_the_setting_s_or_the_estimate_s(tmp_path: Path) -> None:
    assert "--mem=150GB" in flags(composed(), tmp_path, gpu=True, memory="150GB")
    assert "--mem=20GB" in flags(composed("launch.mem_gb=20"), tmp_path, gpu=True, memory="150GB")
    assert not any("--mem" in flag for flag in flags(composed(), tmp_path, gpu=True))


@pytest.mark.parametrize(
    ("estimates", "largest_gb", "asked"),
    [
        ([None, 30, 150], None, "150GB"),
        ([30, 150], 500, "150GB"),
        ([30, 150], 128, "0"),
        ([30], 0, None),
        ([None], 500, None),
    ],
)
def test_no_more_memory_is_asked_for_than_a_node_has(
    estimates: list[int | None], largest_gb: int | None, asked: str | None
) -> None:
    assert memory_of(estimates, largest_gb) == asked


def test_a_disk_is_no_gpu(tmp_path: Path) -> None:
    assert "--gres=nvme:1" in flags(composed("launch.extra.gres=nvme:1"), tmp_path, gpu=True)
