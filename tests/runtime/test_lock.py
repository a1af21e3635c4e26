"""The lock: one owner at a time, a dead one taken over, a living one never, and nothing left behind."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from mt.runtime import lock as module
from mt.runtime.lock import Held, Lock, Owner, create_once

ELSEWHERE = {"pid": 7, "host": "another-host", "namespace": 0, "started": 3.0, "job": "17", "token": "t"}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A lock of a process on another machine."""
    file = tmp_path / "key.1"
    file.write_text(json.dumps(ELSEWHERE))
    return file


@pytest.fixture
def beating(elsewhere: Path) -> Iterator[Path]:
    """A lock of a process on another machine, which lives."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(0.05):
            os.utime(elsewhere)

    thread = threading.Thread(target=beat)
    thread.start()
    yield elsewhere
    stop.set()
    thread.join()


def here(**changes: object) -> str:
    """Return the content of a lock of this machine: of a process that has ended, unless changed."""
    dead = {"pid": 2**22 + 1, "host": socket.gethostname(), "namespace": Owner.me().namespace}
    return json.dumps({**ELSEWHERE, **dead, **changes})


def test_the_owner_can_be_read_and_nothing_is_left_behind(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "made" / "key")
    assert lock.owner() is None
    with lock.hold() as mine:
        assert mine
        owner = lock.owner()
        assert owner is not None
        assert (owner.pid, owner.host, owner.is_dead) == (os.getpid(), socket.gethostname(), False)
    assert lock.owner() is None
    assert list((tmp_path / "made").iterdir()) == []


def test_names_that_begin_alike_are_different_locks(tmp_path: Path) -> None:
    with Lock(tmp_path / "key").hold() as mine, Lock(tmp_path / "key.b").hold() as other, Lock(tmp_path / "k").hold():
        assert mine and other


def test_a_lock_that_is_not_waited_for_names_its_owner(tmp_path: Path) -> None:
    with (
        Lock(tmp_path / "key").hold(),
        pytest.raises(Held, match=f"held by process {os.getpid()} on") as held,
        Lock(tmp_path / "key").hold(wait=False),
    ):
        pass
    assert held.value.owner.pid == os.getpid()


def test_the_lock_of_a_killed_process_is_taken_over_at_once(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from mt.runtime.lock import Lock\n"
        "with Lock(Path(sys.argv[1])).hold():\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "key")], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "held\n"
    owner = Lock(tmp_path / "key").owner()
    assert owner is not None and owner.pid == child.pid
    child.kill()
    child.wait()
    with Lock(tmp_path / "key").hold(wait=False) as mine:
        assert mine
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_another_process_has_now_is_a_dead_owner(tmp_path: Path) -> None:
    started = psutil.Process().create_time() - psutil.boot_time()
    (tmp_path / "key.1").write_text(here(pid=os.getpid(), started=started))
    assert Lock(tmp_path / "key").owner() is not None
    (tmp_path / "key.1").write_text(here(pid=os.getpid(), started=started - 10))
    assert Lock(tmp_path / "key").owner() is None


def test_a_clock_that_is_set_kills_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, boot, created = Owner.me(), psutil.boot_time(), psutil.Process().create_time()
    monkeypatch.setattr(psutil, "boot_time", lambda: boot + 3600)
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: created + 3600)
    assert not owner.is_dead


def test_a_process_of_another_container_is_not_looked_up_by_its_number(tmp_path: Path) -> None:
    (tmp_path / "key.1").write_text(here(namespace=1))
    assert Lock(tmp_path / "key").owner() is not None


def test_an_owner_elsewhere_is_given_up_when_its_heartbeat_stops(tmp_path: Path, elsewhere: Path) -> None:
    heard: list[str] = []
    begun = time.monotonic()
    with Lock(tmp_path / "key", stale_s=0.5).hold(waiting=lambda owner: heard.append(str(owner))) as mine:
        assert mine and not elsewhere.exists()
    assert time.monotonic() - begun >= 0.5
    assert heard == ["process 7 on another-host, job 17"]


def test_an_owner_elsewhere_that_dies_while_it_is_watched_is_given_up(tmp_path: Path, elsewhere: Path) -> None:
    beats = [0.2, 0.4]
    begun = time.monotonic()

    def die_later() -> bool:
        if beats and time.monotonic() - begun > beats[0]:
            os.utime(elsewhere)
            beats.pop(0)
        return False

    with Lock(tmp_path / "key", stale_s=0.5).hold(done=die_later) as mine:
        assert mine and not beats
    assert time.monotonic() - begun >= 0.4 + 0.5


def test_an_owner_elsewhere_whose_heart_beats_is_never_given_up(tmp_path: Path, beating: Path) -> None:
    ends = time.monotonic() + 1.5
    with Lock(tmp_path / "key", stale_s=0.5).hold(done=lambda: time.monotonic() > ends) as mine:
        assert not mine
    with pytest.raises(Held, match="on another-host"), Lock(tmp_path / "key", stale_s=60).hold(wait=False):
        pass
    assert beating.exists()


def test_a_heartbeat_is_read_from_a_newly_opened_file(
    tmp_path: Path, beating: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Network file systems answer `stat` of a path from a cache, and ask their server when a file is opened."""
    stat, cached = os.stat, {beating: beating.stat()}
    cache = lambda path, *rest, **named: cached.get(path) or stat(path, *rest, **named)  # noqa: E731
    monkeypatch.setattr(os, "stat", cache)
    ends = time.monotonic() + 1.0
    with Lock(tmp_path / "key", stale_s=0.5).hold(done=lambda: time.monotonic() > ends) as mine:
        assert not mine
    assert module.STALE_S >= 60 + 2 * module.HEARTBEAT_S, "NFS shows attributes that are 60 s old"


@pytest.mark.parametrize("refreshed_s", [3, 30, 60])
def test_an_owner_whose_heartbeats_are_shown_late_is_given_up_only_when_it_is_dead(
    tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, refreshed_s: int
) -> None:
    """A network file system that shows a file as it was up to a minute ago (NFS: acregmin 3 s, acregmax 60 s)."""
    clock, read, dies_at = [0.0], module._read, 3600.0

    def sleep(seconds: float) -> None:
        clock[0] += max(seconds, 0.1)

    def shown(file: Path) -> module._Seen | None:
        asked_last = clock[0] // refreshed_s * refreshed_s
        beat = min(asked_last, dies_at) // module.HEARTBEAT_S * module.HEARTBEAT_S
        found = read(file)
        return found._replace(beat=int(beat)) if found and file == elsewhere else found

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep))
    monkeypatch.setattr(module, "_read", shown)
    with Lock(tmp_path / "key").hold() as mine:
        assert mine and not elsewhere.exists()
    assert dies_at + module.STALE_S - module.HEARTBEAT_S <= clock[0] <= dies_at + refreshed_s + module.STALE_S + 1


def test_the_holder_shows_that_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.02)
    with Lock(tmp_path / "key").hold():
        (file,) = tmp_path.glob("key.*")
        first, deadline = file.stat().st_mtime_ns, time.monotonic() + 20
        while file.stat().st_mtime_ns == first:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.mark.parametrize("dead", [0, 1])
def test_of_many_one_at_a_time_has_it(tmp_path: Path, dead: int) -> None:
    for number in range(dead):
        (tmp_path / f"key.{number + 1}").write_text(here())
    inside, most, rounds, guard = [0], [0], [0], threading.Lock()

    def work() -> None:
        for _ in range(5):
            with Lock(tmp_path / "key").hold() as mine:
                assert mine
                with guard:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                time.sleep(0.01)
                with guard:
                    inside[0] -= 1
                    rounds[0] += 1

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert (most[0], rounds[0]) == (1, 30)
    assert list(tmp_path.iterdir()) == []


def test_who_was_too_slow_to_take_over_gives_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process saw a dead owner; before it took over, others had taken the lock, released it, and taken it anew."""
    (tmp_path / "key.2").write_text(here())
    slow, create = Lock(tmp_path / "key"), module.create_once
    other = here(pid=os.getpid(), started=psutil.Process().create_time() - psutil.boot_time(), token="other")

    def late(file: Path, text: str) -> bool:
        (tmp_path / "key.2").unlink(missing_ok=True)
        (tmp_path / "key.1").write_text(other)
        return create(file, text)

    monkeypatch.setattr(module, "create_once", late)
    with pytest.raises(Held), slow.hold(wait=False):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["key.1"]


def test_a_lock_that_was_taken_over_is_not_removed_by_its_former_owner(tmp_path: Path) -> None:
    with Lock(tmp_path / "key").hold():
        (file,) = tmp_path.glob("key.*")
        file.write_text(json.dumps(ELSEWHERE))
    assert file.read_text() == json.dumps(ELSEWHERE)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\xff{",
        b"3",
        b'{"pid": 1, "host": "another-host", "process_started": 0.0, "job": null, "token": "t"}',
        json.dumps({**ELSEWHERE, "pid": -1}).encode(),
    ],
)
def test_what_is_no_lock_of_ours_has_no_owner(tmp_path: Path, content: bytes) -> None:
    """Among it locks of an earlier format, whose processes want other artifacts."""
    (tmp_path / "key.1").write_bytes(content)
    assert Lock(tmp_path / "key").owner() is None
    with Lock(tmp_path / "key").hold(wait=False) as mine:
        assert mine
    assert list(tmp_path.iterdir()) == []


def test_nobody_waits_for_what_is_done(tmp_path: Path, elsewhere: Path) -> None:
    with Lock(tmp_path / "key").hold(done=lambda: True) as mine:
        assert not mine
    assert elsewhere.exists()


def test_a_file_is_created_once_with_its_whole_content(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "file"
    assert create_once(file, "first")
    assert not create_once(file, "second")
    assert [(path.name, path.read_text()) for path in file.parent.iterdir()] == [("file", "first")]


def test_a_file_counts_as_created_where_the_network_lost_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def twice(*arguments: Path) -> None:
        link(*arguments)
        link(*arguments)

    monkeypatch.setattr(os, "link", twice)
    assert create_once(tmp_path / "file", "first")
