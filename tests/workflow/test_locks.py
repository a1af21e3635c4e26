from __future__ import annotations

import threading
from pathlib import Path

from mt.workflow.execute import execute
from mt.workflow.plan import plan
from mt.workflow.store import Store
from mt.workflow.work import NullObserver
from tests.workflow.fakes import Number, Sum


class Count(NullObserver):
    def __init__(self) -> None:
        self.computed = 0
        self.waited = 0

    def waiting(self, stage, owner) -> None:
        self.waited += 1

    def finished(self, stage, facts) -> None:
        self.computed += facts is not None


def test_two_that_want_the_same_stage_compute_it_once(tmp_path: Path) -> None:
    target, counts = Sum((Number(1),), seconds=0.6), [Count(), Count()]
    workers = [threading.Thread(target=execute, args=(plan([target]), Store(tmp_path), count)) for count in counts]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(count.computed for count in counts) == 2  # the number and the sum
    assert sum(count.waited for count in counts) >= 1
