"""Worker processes share the work, hand results on as they come, and never outlive their parent."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from mt.engines import vllm_pool, workers
from mt.engines.scoring.vllm import VllmScorer
from mt.engines.vllm_pool import device_groups, vllm_workers
from mt.errors import ConfigError, DataError, EngineError
from mt.runtime.child import logging_into
from tests.engines.settings import vllm_scorer_config

FAKE = "tests.engines.fake_worker"


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(vllm_pool, "visible_gpus", list)


def run(act: str, items: list[int], **changes: object) -> Iterator[list[object]]:
    config: VllmScorer = vllm_scorer_config(**changes)
    with closing(vllm_workers(config, FAKE, Path(), None)) as opened:
        yield from opened.run({"act": act}, items)


def test_every_item_is_answered_once_by_one_of_the_workers() -> None:
    found = list(run("answer", list(range(7)), processes=2))
    assert sorted(item for item, *_ in found) == list(range(7))
    by_worker = {pid: sorted(item for item, other, *_ in found if other == pid) for _, pid, *_ in found}
    assert sorted(by_worker.values()) == [[0, 2, 4, 6], [1, 3, 5]]
    assert {engine["dtype"] for *_, engine in found} == {"float32"}  # type: ignore[index]
    assert not any(psutil.pid_exists(pid) for pid in by_worker)  # type: ignore[arg-type]


def test_results_come_while_the_worker_still_runs() -> None:
    stream = run("hang", [5, 6])
    item, pid, *_ = next(stream)
    assert item == 5 and psutil.pid_exists(pid)  # type: ignore[arg-type]
    stream.close()  # type: ignore[attr-defined]
    assert not psutil.pid_exists(pid)  # type: ignore[arg-type]


def test_a_worker_that_fails_is_one_line_and_ends_the_others() -> None:
    with pytest.raises(EngineError, match=r"ended with code 1: ValueError: the engine is on fire"):
        list(run("fail", [1, 2, 3, 4], processes=2))


def test_what_a_worker_refuses_is_refused_in_the_same_words() -> None:
    with pytest.raises(DataError, match=r"^messages=user/user: the chat template refuses them\.$"):
        list(run("refuse", [1, 2, 3, 4], processes=2))


def test_the_log_of_a_worker_survives_in_the_scratch_folder_of_the_stage(tmp_path: Path) -> None:
    for _ in range(2):
        with logging_into(tmp_path), pytest.raises(EngineError, match=rf"on fire\. See {tmp_path}"):
            list(run("fail", [1, 2], processes=1))
    log = (tmp_path / "worker-0.log").read_text()
    assert log.count("Traceback") == 2, "a later attempt appends"


def test_workers_serve_one_job_after_another_and_end_when_they_are_closed() -> None:
    with closing(vllm_workers(vllm_scorer_config(processes=2), FAKE, Path(), None)) as opened:
        first = [pid for _, pid, *_ in opened.run({"act": "answer"}, [1])]
        assert len(first) == 1, "a worker that has nothing to do is not started"
        second = {item: pid for item, pid, *_ in opened.run({"act": "answer"}, [1, 2, 3])}
        assert second[1] == second[3] == first[0] != second[2]
    assert not any(psutil.pid_exists(pid) for pid in second.values())


def test_after_a_failure_the_next_job_has_new_workers(tmp_path: Path) -> None:
    with closing(vllm_workers(vllm_scorer_config(), FAKE, Path(), None)) as opened:
        with pytest.raises(EngineError, match="on fire"):
            list(opened.run({"act": "fail"}, [1, 2]))
        assert len(list(opened.run({"act": "answer"}, [1, 2]))) == 2


def test_a_stage_that_fails_keeps_the_log_of_workers_that_an_earlier_one_started(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    with closing(vllm_workers(vllm_scorer_config(), FAKE, Path(), None)) as opened:
        with logging_into(tmp_path / "first"):
            list(opened.run({"act": "answer"}, [1]))
        with logging_into(tmp_path / "second"), pytest.raises(EngineError):
            list(opened.run({"act": "fail"}, [1, 2]))
    assert not list((tmp_path / "first").iterdir())
    assert "loading\n" in (tmp_path / "second" / "worker-0.log").read_text()


def test_what_belongs_together_goes_to_one_worker() -> None:
    with closing(vllm_workers(vllm_scorer_config(processes=2), FAKE, Path(), None)) as opened:
        found = opened.run({"act": "answer"}, [10, 11, 12, 20, 21, 30], together=lambda item: item // 10)
        by_worker: dict[int, set[int]] = {}
        for item, pid, *_ in found:
            by_worker.setdefault(pid, set()).add(item)
    assert sorted(map(sorted, by_worker.values())) == [[10, 11, 12, 30], [20, 21]]


def test_every_model_has_the_same_name_for_its_worker(tmp_path: Path) -> None:
    """VLLM keys its compiled graphs by that name."""
    for folder in (tmp_path / "one", tmp_path / "other"):
        folder.mkdir()
        with closing(vllm_workers(vllm_scorer_config(), FAKE, folder, None)) as opened:
            ((*_, name, place, _),) = opened.run({"act": "answer"}, [1])
        assert (name, place) == ("model", str(folder))


def test_results_that_never_come_are_an_error() -> None:
    with pytest.raises(EngineError, match="gave 1 of 3 results"):
        list(run("stop early", [1, 2, 3]))


def test_no_items_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    assert list(run("answer", [])) == []


def test_a_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "from mt.engines import vllm_pool as pool\n"
        "from tests.engines.test_vllm_pool import FAKE, vllm_scorer_config\n"
        "from pathlib import Path\n"
        "pool.device_groups = lambda config: [[]]\n"
        "for _, pid, *_ in pool.vllm_workers(vllm_scorer_config(), FAKE, Path(), None).run({'act': 'hang'}, [1, 2]):\n"
        "    print(pid, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        worker = int(parent.stdout.readline())
        assert psutil.pid_exists(worker)
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while psutil.pid_exists(worker) and psutil.Process(worker).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the worker outlives its parent"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("gpus", "changes", "expected"),
    [
        ([], {}, [[]]),
        ([], {"processes": 2}, [[], []]),
        (["0", "1", "2", "3"], {}, [["0"], ["1"], ["2"], ["3"]]),
        (["4", "5", "6", "7"], {"tensor_parallel": 2}, [["4", "5"], ["6", "7"]]),
        (["0", "1", "2", "3"], {"processes": 2}, [["0"], ["1"]]),
    ],
)
def test_gpus_are_shared_out(
    monkeypatch: pytest.MonkeyPatch, gpus: list[str], changes: dict[str, object], expected: list[list[str]]
) -> None:
    monkeypatch.setattr(vllm_pool, "visible_gpus", lambda: gpus)
    assert device_groups(vllm_scorer_config(**changes)) == expected


@pytest.mark.parametrize(
    ("gpus", "changes", "problem"),
    [
        (["0", "1"], {"processes": 3}, r"processes=3: with tensor_parallel=1 needs 3 GPUs, 2 are visible.*1 to 2"),
        (["0"], {"tensor_parallel": 2}, r"needs 2 GPUs, 1 are visible"),
        ([], {"tensor_parallel": 2}, r"tensor_parallel=2: there is no GPU. Allowed: 1"),
    ],
)
def test_more_gpus_than_there_are_is_refused(
    monkeypatch: pytest.MonkeyPatch, gpus: list[str], changes: dict[str, object], problem: str
) -> None:
    monkeypatch.setattr(vllm_pool, "visible_gpus", lambda: gpus)
    with pytest.raises(ConfigError, match=problem):
        device_groups(vllm_scorer_config(**changes))


def test_a_worker_sees_its_gpus_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_pool, "visible_gpus", lambda: ["6", "7"])
    assert {devices for _, _, devices, *_ in run("answer", [1, 2])} == {"6", "7"}


def test_missing_vllm_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"vLLM is not installed\. Install the extra"):
        device_groups(vllm_scorer_config())


@pytest.mark.parametrize(
    ("named", "count", "expected"),
    [(None, 2, ["0", "1"]), ("3, GPU-5d5b", 2, ["3", "GPU-5d5b"]), ("0,-1,2", 1, ["0"]), ("", 0, []),
     ("MIG-c6d4,MIG-cba6", 1, ["MIG-c6d4", "MIG-cba6"])],
)  # fmt: skip
def test_workers_get_every_gpu_that_is_visible_and_every_mig_device(
    monkeypatch: pytest.MonkeyPatch, named: str | None, count: int, expected: list[str]
) -> None:
    """A process sees one MIG device, however many are named; that is what `device_count` returns."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert workers.visible_gpus() == expected
