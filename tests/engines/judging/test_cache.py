from __future__ import annotations

import resource
import threading

import pytest

from mt.engines.judging.cache import Answer, JudgmentCache, content_key
from mt.errors import JudgeError

ANSWER = Answer(1.25, None, "ü\n{", None, 1, 10, 2, 0.5, "x-0806")


def test_what_was_kept_is_there_again(tmp_path):
    cache = JudgmentCache(tmp_path)
    cache.keep("a", ANSWER)
    cache.keep("b", Answer(None, None, problem="nothing"))
    again = JudgmentCache(tmp_path)  # without closing: a kill closes nothing
    assert again.get("a") == ANSWER
    assert again.get("b") == Answer(None, None, problem="nothing")
    assert again.get("c") is None


def test_processes_write_beside_each_other(tmp_path):
    first, second = JudgmentCache(tmp_path), JudgmentCache(tmp_path)
    first.keep("a", ANSWER)
    second.keep("b", ANSWER)
    second.keep("a", Answer(2.0, None))
    assert len(list(tmp_path.glob("*.jsonl"))) == 2
    assert set(JudgmentCache(tmp_path).answers) == {"a", "b"}


def test_a_line_cut_by_a_kill_is_dropped(tmp_path):
    cache = JudgmentCache(tmp_path)
    cache.keep("a", ANSWER)
    cache.keep("b", ANSWER)
    cache.close()
    path = next(tmp_path.glob("*.jsonl"))
    path.write_bytes(path.read_bytes()[:-9])
    assert set(JudgmentCache(tmp_path).answers) == {"a"}


def test_a_full_disk_costs_no_answer_that_follows(tmp_path):
    cache = JudgmentCache(tmp_path)
    cache.keep("a", ANSWER)
    (file,) = tmp_path.glob("*.jsonl")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 10, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            cache.keep("b", ANSWER)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert file.read_bytes()[-1:] != b"\n", "a part of the line was written"
    cache.keep("c", ANSWER)
    assert set(JudgmentCache(tmp_path).answers) == {"a", "c"}


@pytest.mark.parametrize("line", ["{", "3", '{"key": "a"}', '{"preference": 1, "label": null}'])
def test_a_damaged_line_is_named(tmp_path, line):
    (tmp_path / "x.jsonl").write_text(line + "\n")
    with pytest.raises(JudgeError, match=r"x\.jsonl line 1: cannot be read"):
        JudgmentCache(tmp_path)


def test_fields_of_a_later_version_are_no_harm(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"key": "a", "preference": 1.5, "label": null, "mood": "good"}\n')
    assert JudgmentCache(tmp_path).get("a") == Answer(1.5, None)


def test_threads_do_not_mix_their_lines(tmp_path):
    cache = JudgmentCache(tmp_path)
    threads = [
        threading.Thread(target=lambda at=at: [cache.keep(f"{at}-{n}", ANSWER) for n in range(200)]) for at in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(JudgmentCache(tmp_path).answers) == 1600


def test_the_key_is_the_content():
    base = ({"judge": "j", "version": "1"}, [{"role": "user", "content": "q"}], "a", "b")
    key = content_key(*base)
    assert key == content_key({"version": "1", "judge": "j"}, *base[1:])
    others = [
        ({"judge": "j", "version": "2"}, *base[1:]),
        (base[0], [{"role": "user", "content": "r"}], "a", "b"),
        (*base[:2], "b", "a"),
        (*base[:2], "a", "c"),
        (*base[:2], "ab", ""),
    ]
    assert len({key, *(content_key(*other) for other in others)}) == 6
    assert content_key(*base[:2], "\ud800", "b")  # half a character, as models do write
