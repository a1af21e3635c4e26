"""Children: ended with all that they started, deaf to the stop signal, dead with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from mt.runtime.child import PROJECT, Child

WAIT = "import time; time.sleep(300)"
READY = f"open('ready', 'w').close(); {WAIT}"


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    """Start a script in `tmp_path` and wait until it created the file "ready"."""
    started: list[Child] = []

    def begin(script: str, **options: object) -> Child:
        child = Child(["-c", script], folder=tmp_path, **options)  # type: ignore[arg-type]
        started.append(child)
        wait_for((tmp_path / "ready").exists, "the child is not ready")
        return child

    yield begin
    for child in started:
        child.close()


def number(folder: Path) -> int:
    """Return the process id that a script left."""
    return int((folder / "pid").read_text())


GRANDCHILD = "import subprocess; p = subprocess.Popen(['sleep', '300'], %s); "
GRANDCHILD += "open('pid', 'w').write(str(p.pid)); "


@pytest.mark.parametrize("options", ["", "start_new_session=True", "start_new_session=True, env={}"])
def test_the_whole_tree_is_ended(start: Callable[..., Child], tmp_path: Path, options: str) -> None:
    child = start(GRANDCHILD % options + READY, grace_s=5)
    child.close()
    assert child.poll() == -signal.SIGTERM
    assert not lives(number(tmp_path))
    child.close()  # once more: nothing is left to do


@pytest.mark.parametrize("options", ["start_new_session=True", "env={}"])
def test_orphans_of_the_tree_are_ended(start: Callable[..., Child], tmp_path: Path, options: str) -> None:
    """Their line of descent is broken: the process between has ended, and so has the child itself."""
    between = GRANDCHILD % options + "open('ready', 'w').close()"
    child = start(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {between!r}])")
    assert child.wait(30) == 0
    assert lives(number(tmp_path))
    child.close()
    assert not lives(number(tmp_path))


def test_a_child_may_end_itself_in_its_time_and_is_killed_after_it(start: Callable[..., Child], tmp_path: Path) -> None:
    handler = "import signal, sys; signal.signal(signal.SIGTERM, lambda *a: {}); "
    gentle = start(handler.format("(open('ended', 'w').close(), sys.exit(3))") + READY)
    gentle.close()
    assert gentle.poll() == 3 and (tmp_path / "ended").exists()
    (tmp_path / "ready").unlink()
    deaf = start(handler.format("None") + READY, grace_s=0.3)
    deaf.close()
    assert deaf.poll() == -signal.SIGKILL


def test_others_are_left_alone(start: Callable[..., Child], tmp_path: Path) -> None:
    first, second = start(READY), start(READY)
    first.close()
    assert lives(second.pid) and second.poll() is None


def test_an_error_in_the_block_ends_the_child(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Child(["-c", WAIT]) as child:
        raise KeyboardInterrupt
    assert child.poll() == -signal.SIGTERM


PARENT = """
import os, signal, sys, time
from pathlib import Path
from mt.runtime.child import Child
child = Child(["-c", sys.argv[1]])
Path("pid").write_text(str(child.pid))
while not Path("ready").exists(): time.sleep(0.02)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("grace", ["", "grace_s=20"])
def test_a_child_and_its_tree_end_with_the_parent(tmp_path: Path, grace: str) -> None:
    """At once, or after what it does at SIGTERM."""
    script = "import signal, sys; from mt.runtime.child import end_with_parent, kill_descendants; "
    script += "signal.signal(signal.SIGTERM, lambda *a: (open('told', 'w').close(), kill_descendants(), sys.exit())); "
    script += f"end_with_parent({grace}); " + (GRANDCHILD % "start_new_session=True").replace("'pid'", "'grand'")
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-c", PARENT, script + READY]
    subprocess.run(command, cwd=tmp_path, env=environment, timeout=60, check=False)
    pids = [number(tmp_path), int((tmp_path / "grand").read_text())]
    wait_for(lambda: not any(map(lives, pids)), "something outlives the parent")
    assert (tmp_path / "told").exists() == bool(grace)


def test_a_process_that_nobody_keeps_lives_on_its_own(tmp_path: Path) -> None:
    script = "import time; from mt.runtime import child; child.end_with_parent(); time.sleep(0.5); print('on')"
    done = subprocess.run(
        [sys.executable, "-c", script], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        cwd=PROJECT, start_new_session=True,
    )  # fmt: skip
    assert done.stdout == "on\n", done.stderr


def test_the_stop_signal_does_not_reach_the_work(start: Callable[..., Child], tmp_path: Path) -> None:
    """Neither held back nor delivered: a program that asks for held back signals does not get it either."""
    ask = "import signal; signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2}); "
    child = start(ask + "import time; open('ready', 'w').close(); time.sleep(1)", ignore_usr2=True)
    os.kill(child.pid, signal.SIGUSR2)
    assert child.wait() == 0
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: heard.append(number))
    os.kill(os.getpid(), signal.SIGUSR2)
    signal.signal(signal.SIGUSR2, before)
    assert heard == [signal.SIGUSR2], "the parent itself still hears it"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("raise ValueError('the engine is on fire')", "ValueError: the engine is on fire"),
        ("print('RuntimeError: first'); print('and so on')", "RuntimeError: first"),
        ("print('one'); print('two'); print()", "two"),
        ("", "it wrote nothing"),
    ],
)
def test_the_log_says_what_went_wrong(tmp_path: Path, script: str, reason: str) -> None:
    log = tmp_path / "log.txt"
    log.write_text("OldError: of an earlier attempt\n")
    with Child(["-c", script], output=log) as child:
        child.wait()
        assert child.last_error() == reason
    assert log.read_text().startswith("OldError: of an earlier attempt\n")


def test_output_and_messages_go_through_pipes(tmp_path: Path) -> None:
    script = "import sys, os; print(os.getcwd(), os.environ.get('ONLY'), os.environ.get('HOME')); print(input())"
    options = {"environment": {"ONLY": "this"}, "folder": tmp_path}
    with Child(["-c", script], output=subprocess.PIPE, **options) as child:  # type: ignore[arg-type]
        child.stdin.write(b"message\n")
        child.stdin.flush()
        assert child.stdout.read().decode().splitlines() == [f"{tmp_path} this None", "message"]
        assert child.wait() == 0


def test_a_child_imports_this_project_from_anywhere(tmp_path: Path) -> None:
    script = "import mt, tests.runtime; print(mt.__file__)"
    with Child(["-c", script], output=subprocess.PIPE, folder=tmp_path, environment={"PYTHONPATH": "/none"}) as child:
        assert Path(child.stdout.read().decode().strip()).parents[1] == PROJECT


def test_a_wait_has_an_end(start: Callable[..., Child]) -> None:
    child = start(READY)
    assert child.wait(0.05) is None and child.poll() is None


def test_descendants_of_this_process_end(tmp_path: Path) -> None:
    script = "from mt.runtime.child import kill_descendants; import subprocess; "
    script += "p = subprocess.Popen(['sleep', '300'], start_new_session=True); kill_descendants(); print(p.wait())"
    with Child(["-c", script], output=subprocess.PIPE) as child:
        assert child.stdout.read() == b"-9\n"
