"""From composed runs to jobs, with the methods and judges of the project."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from launch import slurm, submit
from launch.sweep import load, read_configs
from launch.work import compute, plan_run, reach
from mt.cli.execute import launch
from mt.config.compose import compose_runs
from mt.errors import ConfigError, JudgeError
from mt.methods.compile import compile_run
from mt.running.naming import run_folder
from mt.running.record import Record
from mt.runtime.interruption import Interrupted
from mt.workflow.store import Store
from tests.slurm.launched import PROJECT, launch_config
from tests.small import small


def test_a_sweep_shares_what_its_runs_have_in_common(launched: Any) -> None:
    sweep = load(launched(["objective=dpo,ipo", "rm_data=both,contrast"]))
    runs = {run.name: run for run in sweep.runs}
    shared = sweep.jobs[0]
    assert shared.runs == tuple(runs)
    assert shared.after == ()
    own = [job for job in sweep.jobs if len(job.runs) == 1]
    assert sorted(job.runs[0] for job in own) == sorted(runs)
    assert all(job.after and job.records == job.runs for job in own)
    assert len(sweep.stages) == sum(len(job.stages) for job in sweep.jobs)
    assert len(sweep.stages) < 0.7 * sum(run.total for run in runs.values())


def test_a_job_rebuilds_the_stages_that_were_planned(launched: Any) -> None:
    folder = launched(["objective=dpo,simpo"])
    sweep = load(folder)
    for job in sweep.jobs:
        for run in job.runs:
            assert {stage.key for stage in plan_run(sweep, folder, run).plan.order}.issuperset(job.stages)


def test_what_a_stage_needs_of_its_node_is_written_down(launched: Any) -> None:
    needs = {stage.kind: stage.memory_gb for stage in load(launched(["objective=dpo,ipo"])).stages}
    assert needs["sample"] == needs["train_policy"] == 5, "4 GiB of a process, and tiny weights"


def test_a_single_run_is_a_sweep_of_one_in_its_own_folder(launched: Any) -> None:
    folder = launched(["name=mine"], None)
    sweep = load(folder)
    assert folder.name == "mine"
    assert sweep.folder == {"mine": folder}
    assert [job.name for job in sweep.jobs] == ["mine"]
    assert read_configs(folder)["mine"]["name"] == "mine"


def test_judging_over_the_network_holds_no_gpus(launched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    sweep = load(launched(["judge=openai", "judge.model=judge"], None))
    network = [job for job in sweep.jobs if job.resource == "network"]
    assert network
    assert all(job.name.endswith("-judge") or "-judge-" in job.name for job in network)
    assert {sweep.stage[key].kind for job in network for key in job.stages} == {"judge_over_network"}


def test_submission_and_status_import_no_torch(tmp_path: Path) -> None:
    """In a process of its own; the jobs' processes alone are not started."""
    line = small(tmp_path, "launch=local", "objective=dpo,ipo", "sweep=two")
    code = (
        "import sys; from launch import local, status; from mt.run import main\n"
        "local.run = lambda *arguments: None\n"
        f"assert main(['-m', *{line!r}]) == 1\n"
        f"assert status.main(['--runs', {str(tmp_path / 'runs')!r}]) == 0\n"
        "assert not {'torch', 'transformers'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, cwd=PROJECT)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "two" / "sweep.json").is_file()


def test_runs_that_are_launched_differently_are_refused(tmp_path: Path) -> None:
    runs = compose_runs(small(tmp_path, "launch=local", "launch.max_running=1,2"), multirun=True)
    assert len(runs) == 1, "how a run is launched does not make it another run"
    runs = compose_runs(small(tmp_path, "launch=local", "seed=0,1"), multirun=True)
    other = runs[1].config.model_copy(update={"store": "elsewhere"})
    with pytest.raises(ConfigError, match="store=…: it differs between the runs of a sweep"):
        submit.submit([runs[0], type(runs[1])(runs[1].overrides, other)], "sweep", Console(quiet=True))


def test_a_folder_that_is_or_will_be_of_another_run_is_refused(tmp_path: Path) -> None:
    """As without a launcher: the other run's record would be lost."""
    runs = compose_runs(small(tmp_path, "launch=local", "name=mine", "seed=0,1"), multirun=True)
    with pytest.raises(ConfigError, match="name=mine: several runs of the sweep have it"):
        submit.submit(runs, "sweep", Console(quiet=True))
    recorded = runs[0].config.model_dump(mode="json")
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "record.json").write_text(json.dumps({"schema": 1, "config": recorded}))
    with pytest.raises(ConfigError, match=r"name=mine: .*is a run with other settings \(seed\)"):
        submit.submit(runs[1:], None, Console(quiet=True))
    assert not list((tmp_path / "runs").glob("*/sweep.json"))


@pytest.mark.parametrize(
    ("launcher", "runs", "sweep", "field"),
    [("local", "100%a", "two", "runs"), ("local", "runs", "50%t", "sweep"), ("slurm", "runs", "100%", "sweep")],
)
def test_a_folder_in_whose_name_ids_would_be_written_is_refused(
    launcher: str, runs: str, sweep: str, field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "check_commands", lambda: None)
    composed = compose_runs(small(tmp_path, f"launch={launcher}", f"runs='{tmp_path / runs}'"))
    with pytest.raises(ConfigError, match=f"{field}=.*%.*Choose a name without it"):
        submit.submit(composed, sweep, Console(quiet=True))
    assert not (tmp_path / runs).exists()


def test_local_jobs_write_into_a_folder_with_a_percent_sign(sweep: Any) -> None:
    one = sweep({"run": [["only", 0.2, [], "cpu"]]}, "100% of %x")
    one.submit("local")
    assert one.status.finished
    assert "(step only)" in one.command("logs", one.folder.name).stdout


def test_a_sweep_of_local_jobs_ends_with_its_folder_and_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = compose_runs(small(tmp_path, "launch=local", "seed=0,1", "sweep=two", "tracking=tensorboard"), multirun=True)

    def computed(*arguments: object) -> int:
        for one in runs:
            store, folder = Store(Path(one.config.store)), run_folder(one.config, "two")
            record = Record(folder, compile_run(one.config), store, "two")
            record.begin()
            record.end("finished")
        return 0

    monkeypatch.setattr(submit, "submit", computed)
    console = Console(file=io.StringIO(), width=200)
    assert launch(runs, True, console, details=False) == 0
    place = run_folder(runs[0].config, "two").parent
    tracking, *lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert tracking == f"tracking tensorboard/ of the run's folder; tensorboard --logdir {place} shows it"
    assert lines == [f"report   {place / 'report.html'}", f"sweep    {place}"]
    assert (place / "report.html").is_file()
    assert all((run_folder(one.config, "two") / "report.html").is_file() for one in runs)


def test_what_the_nodes_alone_have_is_reported_and_not_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key of a judge: SLURM's nodes may have it, the processes of this machine have what we have."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(slurm, "check_commands", lambda: None)
    monkeypatch.setattr(submit, "dispatch", lambda *arguments: 0)
    line = small(tmp_path, "judge=openai", "judge.model=judge", "seed=0,1")
    with pytest.raises(JudgeError, match="OPENAI_API_KEY=: not set in the environment"):
        submit.submit(compose_runs([*line, "launch=local"], multirun=True), "here", Console(quiet=True))
    assert not (tmp_path / "runs" / "here" / "sweep.json").exists()
    console = Console(file=io.StringIO(), width=200)
    assert submit.submit(compose_runs([*line, "launch=slurm"], multirun=True), "there", console) == 0
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert said.count("OPENAI_API_KEY=: not set in the environment") == 1
    assert "The nodes may have it (launch.setup, launch.container); each job looks when it starts" in said
    assert said.count("the nodes must reach the judge's endpoint api.openai.com:443 (the first jobs look)") == 1
    wrong = [*line, "launch=slurm", "trainer=torchrun", "trainer.processes=999"]
    with pytest.raises(ConfigError, match=r"trainer\.processes=999"):
        submit.submit(compose_runs(wrong, multirun=True), "wrong", Console(quiet=True))


def test_a_job_looks_for_what_it_lacks_before_it_computes_anything(
    launched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    folder = launched(["judge=openai", "judge.model=judge", "launch.share=false"], None)
    sweep = load(folder)
    (job,) = sweep.jobs
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(JudgeError, match="OPENAI_API_KEY=: not set in the environment"):
        compute(sweep, job, plan_run(sweep, folder, job.name).plan, [])
    assert len(sweep.absent(job.name)) == len(job.stages)


def test_the_first_job_looks_for_the_endpoint_that_a_later_one_needs(
    launched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port of this machine on which nobody listens: no sample is drawn before it is reported."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "a-key")
        folder = launched(["judge=openai", "judge.model=judge"], None)
        sweep = load(folder)
        first = sweep.jobs[0]
        assert first.resource == "gpu" and not first.after
        whole = plan_run(sweep, folder, first.runs[0]).plan
        with pytest.raises(JudgeError, match=r"the judge's endpoint=127\.0\.0\.1:\d+: .* cannot connect"):
            compute(sweep, first, whole, [])
        assert len(sweep.absent(first.name)) == len(first.stages)
        taken.listen()
        reach(sweep, first, whole, Store(Path(sweep.store)))


def test_jobs_with_gpus_do_not_look_where_judging_jobs_run_elsewhere(
    launched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    folder = launched(["judge=openai", "judge.model=judge"], None)
    cpu = {"partition": "network", "cpus": 1, "mem_gb": None, "time_min": 10, "extra": {}}
    sweep = load(folder).model_copy(update={"launch": launch_config("slurm", cpu=cpu)})
    judging = next(job for job in sweep.jobs if job.resource == "network")
    whole = plan_run(sweep, folder, sweep.jobs[0].runs[0]).plan
    reach(sweep, sweep.jobs[0], whole, Store(Path(sweep.store)))
    with pytest.raises(JudgeError, match="cannot connect"):
        reach(sweep, judging, whole, Store(Path(sweep.store)))


def test_an_interrupted_submission_says_how_to_go_on(sweep: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(slurm, "tagged", lambda tag: [])
    monkeypatch.setattr(slurm, "submit", interrupt)
    one = sweep({"run": [["only", 0.2, [], "gpu"]]})
    with pytest.raises(Interrupted, match=r"nothing is lost\. python -m launch\.resume sweep"):
        one.submit()
    assert load(one.folder).job["run"].id is None
