from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from mt.workflow import locks
from mt.workflow.execute import execute
from mt.workflow.plan import plan
from mt.workflow.store import Store
from mt.workflow.work import Silent
from tests.workflow.fakes import Number, Sum


class Count(Silent):
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


def test_the_lock_of_a_killed_process_is_taken_over_at_once(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from mt.workflow import locks\n"
        "with locks.hold(Path(sys.argv[1]), 'key', done=lambda: False):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    found = locks.holder(tmp_path, "key")
    assert found is not None
    assert found[0].pid == child.pid
    child.kill()
    child.wait()
    with locks.hold(tmp_path, "key", done=lambda: False) as mine:
        assert mine
    assert list(tmp_path.iterdir()) == []


def test_an_owner_elsewhere_is_given_up_when_its_heartbeat_stops(tmp_path: Path) -> None:
    owner = {"pid": 1, "host": "another-host", "process_started": 0.0, "job": "17", "token": "t"}
    (tmp_path / "key.1").write_text(json.dumps(owner))
    heard: list[str] = []
    begun = time.monotonic()
    with locks.hold(
        tmp_path, "key", done=lambda: False, waiting=lambda o: heard.append(str(o)), stale_seconds=0.5
    ) as mine:
        assert mine
    assert time.monotonic() - begun >= 0.5
    assert heard == ["process 1 on another-host, job 17"]


def test_of_many_that_take_over_one_wins(tmp_path: Path) -> None:
    dead = {"pid": 2**22 + 1, "host": os.uname().nodename, "process_started": 0.0, "job": None, "token": "t"}
    (tmp_path / "key.1").write_text(json.dumps(dead))
    inside, most, guard = [0], [0], threading.Lock()

    def work() -> None:
        with locks.hold(tmp_path, "key", done=lambda: False) as mine:
            assert mine
            with guard:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(0.02)
            with guard:
                inside[0] -= 1

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert most[0] == 1


def test_nobody_waits_for_what_is_done(tmp_path: Path) -> None:
    with locks.hold(tmp_path, "key", done=lambda: True) as mine:
        assert not mine
