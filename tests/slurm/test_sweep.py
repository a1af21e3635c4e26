"""A whole sweep on a real cluster: shared stages once, jobs after one another, commands from another shell."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.slurm.cluster import Cluster
from tests.slurm.fakes import grid
from tests.slurm.launched import Launched

pytestmark = pytest.mark.slurm
ACCOUNTING = pytest.mark.parametrize("cluster", [("shim", "yes"), ("none", "yes")], indirect=True, ids=["", "bare"])


@ACCOUNTING
def test_a_sweep_computes_every_stage_once(cluster: Cluster, sweep: Callable[..., Launched]) -> None:
    one = sweep(grid(["dpo", "ipo"], ["both", "contrast"]))
    one.submit()
    status = one.wait_until_over()
    assert status.finished, status
    one.check_results()
    assert all(cluster.final_state(job.id) == "COMPLETED" for job in status.jobs)


def test_without_sharing_locks_guard_what_runs_have_in_common(cluster: Cluster, sweep: Callable[..., Launched]) -> None:
    one = sweep(grid(["dpo"], ["both", "contrast"], seconds=1.0))
    one.submit(share=False)
    assert one.wait_until_over().finished
    one.check_results()
