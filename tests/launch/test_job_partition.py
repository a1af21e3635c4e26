"""The job partition: sharing, order, resources, and the properties that hold for every graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from launch.job_partition import Job, PlannedStage, ancestors, partition_into_jobs


@dataclass(frozen=True)
class Fake:
    key: str
    NEEDS: str = "gpu"
    upstream: tuple[Fake, ...] = field(default=(), repr=False)

    def inputs(self) -> Sequence[PlannedStage]:
        return self.upstream


def by_name(jobs: list[Job]) -> dict[str, Job]:
    return {job.name: job for job in jobs}


def test_what_runs_share_is_one_job_and_the_others_start_after_it() -> None:
    sample = Fake("sample")
    score = Fake("score", upstream=(sample,))
    runs = {name: [sample, score, Fake(f"train-{name}", upstream=(score,))] for name in ("dpo", "ipo")}
    jobs = by_name(partition_into_jobs(runs, share=True))
    assert jobs["shared-1"].stages == ("sample", "score")
    assert jobs["shared-1"].runs == ("dpo", "ipo")
    assert jobs["dpo"].after == ("shared-1",)
    assert jobs["dpo"].records == ("dpo",)
    assert len(jobs) == 3


def test_dependencies_that_follow_from_others_are_dropped() -> None:
    world = Fake("world")
    first = Fake("first", upstream=(world,))
    a = Fake("a", upstream=(world, first))
    b = Fake("b", upstream=(first,))
    c = Fake("c", upstream=(world,))
    jobs = by_name(partition_into_jobs({"a": [world, first, a], "b": [world, first, b], "c": [world, c]}, share=True))
    assert jobs["shared-2"].after == ("shared-1",)
    assert jobs["a"].after == ("shared-2",)
    assert jobs["c"].after == ("shared-1",)


def test_network_judging_is_a_job_of_its_own_without_gpus_and_does_not_hold_up_training() -> None:
    train = Fake("train")
    judge = Fake("judge", NEEDS="network", upstream=(train,))
    again = Fake("again", upstream=(train,))
    jobs = by_name(partition_into_jobs({"run": [train, judge, again]}, share=True))
    assert jobs["run"].stages == ("train", "again")
    assert jobs["run-judge"].stages == ("judge",)
    assert jobs["run-judge"].resource == "network"
    assert jobs["run-judge"].after == ("run",)
    assert jobs["run-judge"].records == ("run",)


def test_training_after_network_judging_is_a_second_job() -> None:
    sample = Fake("sample")
    judge = Fake("judge", NEEDS="network", upstream=(sample,))
    train = Fake("train", upstream=(judge,))
    jobs = partition_into_jobs({"run": [sample, judge, train]}, share=True)
    assert [(job.name, job.after) for job in jobs] == [
        ("run", ()),
        ("run-judge", ("run",)),
        ("run-2", ("run-judge",)),
    ]


def test_cpu_stages_stay_with_the_gpu_stages_around_them() -> None:
    sample = Fake("sample")
    select = Fake("select", NEEDS="cpu", upstream=(sample,))
    train = Fake("train", upstream=(select,))
    (job,) = partition_into_jobs({"run": [sample, select, train]}, share=True)
    assert job.resource == "gpu"
    assert partition_into_jobs({"run": [Fake("partition", NEEDS="cpu")]}, share=True)[0].resource == "cpu"


def test_a_run_that_ends_in_two_jobs_gets_a_closing_one() -> None:
    one, two = Fake("one"), Fake("two", NEEDS="network")
    jobs = by_name(partition_into_jobs({"run": [one, two]}, share=True))
    assert jobs["run-record"] == Job("run-record", "cpu", (), ("run",), ("run", "run-judge"), ("run",), 0.1)


def test_runs_with_nothing_missing_are_recorded_by_one_job() -> None:
    jobs = partition_into_jobs({"a": [], "b": []}, share=True)
    assert [(job.records, job.stages, job.after) for job in jobs] == [(("a", "b"), (), ())]


def test_without_sharing_each_run_is_one_job() -> None:
    sample = Fake("sample")
    judge = Fake("judge", NEEDS="network", upstream=(sample,))
    jobs = partition_into_jobs({"a": [sample], "b": [sample, judge]}, share=False)
    assert [(job.name, job.stages, job.after, job.resource) for job in jobs] == [
        ("a", ("sample",), (), "gpu"),
        ("b", ("sample", "judge"), (), "gpu"),
    ]


@st.composite
def sweeps(draw: st.DrawFn) -> dict[str, list[Fake]]:
    """Random graphs of up to 14 stages, and up to 5 runs that each need some of them with all they depend on."""
    nodes: list[Fake] = []
    for index in range(draw(st.integers(1, 14))):
        upstream = draw(st.lists(st.sampled_from(nodes), max_size=3, unique=True)) if nodes else []
        needs = draw(st.sampled_from(["gpu", "cpu", "network"]))
        nodes.append(Fake(f"s{index}", needs, tuple(upstream)))
    runs: dict[str, list[Fake]] = {}
    for index in range(draw(st.integers(1, 5))):
        wanted = set(draw(st.lists(st.sampled_from(nodes), max_size=4, unique=True)))
        for node in reversed(nodes):
            if node in wanted:
                wanted.update(node.upstream)
        runs[f"run{index}"] = [node for node in nodes if node in wanted]
    return runs


@given(sweeps())
def test_every_missing_stage_is_in_exactly_one_job(runs: dict[str, list[Fake]]) -> None:
    stages = [key for job in partition_into_jobs(runs, share=True) for key in job.stages]
    assert sorted(stages) == sorted({node.key for nodes in runs.values() for node in nodes})


@given(sweeps())
def test_dependencies_come_first_so_that_no_circle_exists(runs: dict[str, list[Fake]]) -> None:
    seen: set[str] = set()
    for job in partition_into_jobs(runs, share=True):
        assert seen.issuperset(job.after)
        assert job.name not in seen
        seen.add(job.name)


@given(sweeps())
def test_inputs_come_from_the_job_itself_or_from_what_it_waits_for(runs: dict[str, list[Fake]]) -> None:
    jobs = partition_into_jobs(runs, share=True)
    nodes = {node.key: node for stages in runs.values() for node in stages}
    before, made_by = ancestors(jobs), {key: job.name for job in jobs for key in job.stages}
    for job in jobs:
        done: set[str] = {key for key, name in made_by.items() if name in before[job.name]}
        for key in job.stages:
            assert done.issuperset(up.key for up in nodes[key].upstream)
            done.add(key)


@given(sweeps())
def test_a_job_computes_only_what_exactly_its_runs_need(runs: dict[str, list[Fake]]) -> None:
    needed = {name: {node.key for node in nodes} for name, nodes in runs.items()}
    for job in partition_into_jobs(runs, share=True):
        for key in job.stages:
            assert {name for name, keys in needed.items() if key in keys} == set(job.runs)


@given(sweeps())
def test_network_stages_and_gpu_stages_never_share_a_job(runs: dict[str, list[Fake]]) -> None:
    nodes = {node.key: node for stages in runs.values() for node in stages}
    for job in partition_into_jobs(runs, share=True):
        needs = {nodes[key].NEEDS for key in job.stages}
        assert "network" not in needs or needs == {"network"}
        assert (job.resource == "gpu") == ("gpu" in needs)


@given(sweeps())
def test_each_run_is_recorded_once_after_everything_it_needs(runs: dict[str, list[Fake]]) -> None:
    jobs = partition_into_jobs(runs, share=True)
    before, made_by = ancestors(jobs), {key: job.name for job in jobs for key in job.stages}
    recorded = [(run, job.name) for job in jobs for run in job.records]
    assert sorted(run for run, _ in recorded) == sorted(runs)
    for run, name in recorded:
        assert {made_by[node.key] for node in runs[run]} <= before[name] | {name}


@given(sweeps())
def test_dependencies_are_direct_ones(runs: dict[str, list[Fake]]) -> None:
    jobs = partition_into_jobs(runs, share=True)
    before = ancestors(jobs)
    for job in jobs:
        assert not any(name in before[other] for name in job.after for other in job.after)
