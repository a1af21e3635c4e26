"""Batches: dependencies first, and never more jobs at once than allowed."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from launch.batches import JobBatch, batches
from launch.job_partition import Job


def job(name: str, *after: str, resource: str = "gpu") -> Job:
    return Job(name, resource, (name,), ("run",), tuple(sorted(after)), (), 1.0)  # type: ignore[arg-type]


@st.composite
def graphs(draw: st.DrawFn) -> list[Job]:
    names: list[str] = []
    jobs = []
    for index in range(draw(st.integers(1, 12))):
        after = draw(st.lists(st.sampled_from(names), max_size=3, unique=True)) if names else []
        names.append(f"j{index}")
        jobs.append(job(names[-1], *after, resource=draw(st.sampled_from(["gpu", "cpu"]))))
    return jobs


def widest(made: list[JobBatch]) -> int:
    """The most jobs that a scheduler could run at once: a slot gives one, a batch without slot its width."""
    slots = {batch.slot for batch in made if batch.slot is not None}
    return len(slots) + sum(min(batch.width, len(batch.jobs)) for batch in made if batch.slot is None)


def test_jobs_that_wait_for_the_same_are_one_array() -> None:
    made = batches([job("a"), job("b", "a"), job("c", "a"), job("d", "b", "c")], width=10)
    assert [[one.name for one in batch.jobs] for batch in made] == [["a"], ["b", "c"], ["d"]]
    assert all(batch.slot is None for batch in made)


def test_cpu_and_gpu_jobs_are_different_arrays() -> None:
    made = batches([job("a"), job("b", resource="cpu"), job("c", resource="network")], width=10)
    assert [[one.name for one in batch.jobs] for batch in made] == [["a"], ["b", "c"]]


def test_one_array_is_throttled_by_itself() -> None:
    (batch,) = batches([job(f"run{index}") for index in range(100)], width=4)
    assert (batch.width, batch.slot, len(batch.jobs)) == (4, None, 100)


def test_several_arrays_share_the_limit_by_slots() -> None:
    jobs = [
        job("a"),
        *(job(f"b{index}", "a") for index in range(6)),
        *(job(f"c{index}", f"b{index}") for index in range(6)),
    ]
    made = batches(jobs, width=2)
    assert {batch.slot for batch in made} == {0, 1}
    assert all(batch.width == 1 for batch in made)


def test_a_slot_is_not_kept_waiting_while_another_is_free() -> None:
    """Two chains of unequal length on two slots: what is ready first starts first."""
    short = [replace(job("a"), cost=1.0), replace(job("a2", "a"), cost=1.0)]
    long = [replace(job("b"), cost=10.0), replace(job("b2", "b"), cost=1.0)]
    made = batches([short[0], long[0], short[1], long[1]], width=2)
    slot = {one.name: batch.slot for batch in made for one in batch.jobs}
    assert slot["a"] == slot["a2"] != slot["b"]


@given(graphs(), st.integers(1, 14))
def test_every_job_is_in_one_batch_after_what_it_waits_for(jobs: list[Job], width: int) -> None:
    seen: list[str] = []
    for batch in batches(jobs, width):
        assert all(set(one.after) <= set(seen) for one in batch.jobs)
        assert len({(one.after, one.resource == "gpu") for one in batch.jobs}) == 1
        seen += [one.name for one in batch.jobs]
    assert sorted(seen) == sorted(one.name for one in jobs)


@given(graphs(), st.integers(1, 14))
def test_no_more_jobs_than_allowed_can_run_at_once(jobs: list[Job], width: int) -> None:
    assert min(widest(batches(jobs, width)), len(jobs)) <= width
