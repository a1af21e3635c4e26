"""An endpoint that misbehaves: every judgment is obtained or counted, and none is paid twice."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

import pytest

from mt.engines.judging import JudgeContext, open_judge
from mt.engines.judging.cache import JudgmentCache
from mt.errors import JudgeError
from tests.engines.judging.server import FAULTS, PAID_FAULTS, REPORTED, often
from tests.engines.judging.settings import comparisons, judged, openai_config

pytestmark = pytest.mark.usefixtures("environment")


@pytest.mark.parametrize("fault", FAULTS)
def test_every_single_fault_is_survived(endpoint, tmp_path, fault):
    endpoint.faults = lambda number: fault if number == 0 else None
    rows, counts = judged(comparisons(1), tmp_path, timeout_s=0.3)
    assert rows["p0", "baseline_first"].preference == pytest.approx(1.8)
    assert len(endpoint.requests) == 2
    assert counts["calls"] == (2 if fault in PAID_FAULTS else 1)


@pytest.mark.parametrize("fault", REPORTED)
def test_an_error_inside_of_a_reply_is_waited_for_like_one_by_status(endpoint, tmp_path, fault):
    endpoint.faults = lambda number: fault if number < 3 else None
    rows, counts = judged(comparisons(1), tmp_path, retries=3)
    assert rows["p0", "baseline_first"].preference == pytest.approx(1.8)
    assert (len(endpoint.requests), counts["calls"]) == (4, 1)
    endpoint.faults = lambda number: fault
    with pytest.raises(JudgeError, match=r"in a row got no answer \(.*: the provider is down\)"):
        judged(comparisons(60), tmp_path, retries=0)
    endpoint.faults = lambda number: None
    assert judged(comparisons(60), tmp_path)[1]["missing"] == 0


def test_a_third_of_faults_loses_nothing(endpoint, tmp_path):
    endpoint.faults = often(0.3)
    endpoint.hang_s = 1.5
    rows, counts = judged(comparisons(120), tmp_path, timeout_s=1.0)
    assert len(rows) == counts["judgments"] == 120
    assert all(endpoint.seen[fault] for fault in FAULTS)
    # A judgment is missing only where two whole replies in a row were of no use, and it says so.
    lost = [row for row in rows.values() if row.preference is None]
    assert counts["missing"] == len(lost) < 8
    assert all(row.problem for row in lost)
    assert max(endpoint.delivered.values()) <= 2
    assert sum(endpoint.delivered.values()) == counts["calls"]
    assert endpoint.most_at_once <= 8 + endpoint.seen["timeout"]  # a lost request still sleeps at the server
    before = len(endpoint.requests)
    assert judged(comparisons(120), tmp_path)[0] == rows
    assert len(endpoint.requests) == before


@pytest.fixture
def waits(monkeypatch):
    """The seconds that this judge's endpoints wait, which pass at once; other threads' events are left alone."""
    found = []

    class Stop(threading.Event):
        def wait(self, timeout=None):
            found.append(timeout)
            return False

    monkeypatch.setattr("mt.engines.judging.endpoint.threading", SimpleNamespace(Event=Stop))
    return found


def test_the_wish_of_the_server_is_obeyed(endpoint, tmp_path, waits):
    endpoint.faults = lambda number: "429" if number == 0 else None
    judged(comparisons(1), tmp_path, backoff_s=0.0001)
    assert 0.01 in waits


@pytest.mark.parametrize(("wish", "least", "most"), [("7", 7, 7), ("date", 25, 31), ("soon", 0, 1), ("1e9", 600, 600)])
def test_the_server_wishes_by_seconds_or_by_a_date(endpoint, tmp_path, waits, wish, least, most):
    endpoint.faults = lambda number: "429" if number == 0 else None
    endpoint.retry_after = formatdate(time.time() + 30, usegmt=True) if wish == "date" else wish
    judged(comparisons(1), tmp_path, backoff_s=0.0001)
    assert least <= max(waits) <= most


def test_waits_grow_and_end(monkeypatch):
    from mt.engines.judging.endpoint import Endpoint as Connection

    connection = Connection(openai_config(backoff_s=1.0))
    waits = [connection._wait_s(attempt, 0.0) for attempt in range(12)]
    assert waits[0] == 0
    assert all(
        0.5 * 2 ** (at - 1) <= wait <= min(60, 1.5 * 2 ** (at - 1)) for at, wait in enumerate(waits) if 0 < at < 7
    )
    assert max(waits) == 60
    connection.close()


def test_an_endpoint_that_is_down_ends_the_stage_and_keeps_what_is_there(endpoint, tmp_path):
    endpoint.faults = lambda number: "500" if number >= 3 else None
    said = r"5 comparisons in a row got no answer \(2 attempts, the last: status 500: no\)\. Check OPENAI_BASE_URL"
    with pytest.raises(JudgeError, match=said):
        judged(comparisons(20), tmp_path, retries=1, concurrency=1)
    endpoint.faults = lambda number: None
    assert judged(comparisons(20), tmp_path)[1]["cached"] == 3


@pytest.mark.parametrize(
    ("status", "said"), [("400", "no"), ("403", "Your chosen model requires moderation and your input was flagged")]
)
def test_a_request_that_is_refused_is_missing_and_costs_nothing(endpoint, tmp_path, status, said):
    endpoint.said, endpoint.faults = said, lambda number: status if number in (0, 2) else None
    rows, counts = judged(comparisons(4), tmp_path, concurrency=1)
    assert [row.problem is None for row in rows.values()] == [False, True, False, True]
    assert counts["calls"] == 2
    # Later comparisons were answered: the refusals lie in these two and are not asked for again.
    rows, counts = judged(comparisons(4), tmp_path)
    assert [row.problem is None for row in rows.values()] == [False, True, False, True]
    assert counts["calls"] == 0


@pytest.mark.parametrize("begins_well", [True, False])
@pytest.mark.parametrize("fault", ["400", "not_json", "no_choices"])
def test_a_fault_of_the_account_or_the_address_costs_no_judgment(endpoint, tmp_path, fault, begins_well):
    endpoint.faults = lambda number: None if begins_well and number < 3 else fault
    with pytest.raises(JudgeError, match="12 comparisons in a row got no usable answer"):
        judged(comparisons(60), tmp_path, concurrency=1)  # in order, so that no good answer comes after a fault
    endpoint.faults = lambda number: None
    _, counts = judged(comparisons(60), tmp_path)
    assert (counts["missing"], counts["cached"]) == (0, 3 if begins_well else 0)


def test_completions_of_no_use_are_asked_for_again_where_none_ever_came(endpoint, tmp_path):
    reply, endpoint.reply = endpoint.reply, lambda messages: ("m", None)
    assert judged(comparisons(3), tmp_path)[1]["missing"] == 3
    endpoint.reply = reply
    assert judged(comparisons(3), tmp_path)[1]["missing"] == 0


@pytest.mark.parametrize("content", [None, ""])
def test_a_judge_that_will_not_say_is_missing_and_paid(endpoint, tmp_path, content):
    endpoint.reply = lambda messages: (content if "Question 1" in messages[1]["content"] else "[[A>B]]", None)
    rows, counts = judged(comparisons(2), tmp_path, "verdict", concurrency=1)
    assert rows["p1", "baseline_first"].problem == "no verdict label, or several that differ"
    assert (counts["calls"], counts["input_tokens"]) == (3, 300)


@pytest.mark.parametrize(
    ("reply", "faults", "said"),
    [
        (("m", None), None, "no log-probabilities of m or M"),
        (("m", {"x": -0.1}), None, "no log-probabilities of m or M"),
        (("m", {"m": -0.1}), "400", "status 400"),
        (("m", {"m": -0.1}), "not_json", "not a chat completion"),
    ],
)
def test_an_endpoint_of_no_use_is_not_paid_for_long(endpoint, tmp_path, reply, faults, said):
    endpoint.reply, endpoint.faults = (lambda messages: reply), (lambda number: faults)
    with pytest.raises(JudgeError, match=rf"12 comparisons in a row got no usable answer \(.*{said}"):
        judged(comparisons(100), tmp_path, concurrency=2)
    assert len(endpoint.requests) <= 2 * (12 + 2)


@pytest.mark.parametrize(
    ("fault", "said"),
    [("401", "API_KEY"), ("402", "balance"), ("403", "API_KEY"), ("404", "OPENAI_MODEL"), ("405", "BASE_URL")],
)
def test_what_no_request_can_fix_ends_at_once(endpoint, tmp_path, fault, said):
    endpoint.faults = lambda number: fault
    with pytest.raises(JudgeError, match=said):
        judged(comparisons(50), tmp_path, concurrency=2)
    assert len(endpoint.requests) <= 4


def test_stopping_early_loses_no_answer_that_is_under_way(endpoint, tmp_path):
    endpoint.delay_s = 0.05
    with open_judge(openai_config(concurrency=4), JudgeContext("preference"), cache=tmp_path) as judge:
        rows = judge.judge(comparisons(40))
        next(rows)
        rows.close()
    delivered = sum(endpoint.delivered.values())
    assert 1 <= delivered < 40
    assert judged(comparisons(40), tmp_path)[1]["cached"] == delivered


SCRIPT = """
import sys
from pathlib import Path
from mt.engines.judging import JudgeContext, open_judge
from tests.engines.judging.settings import comparisons, openai_config
asked = JudgeContext("preference")
with open_judge(openai_config(concurrency=4, timeout_s=1.0), asked, cache=Path(sys.argv[1])) as judge:
    for row in judge.judge(comparisons(300)):
        print(row.prompt_id, flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_paid_twice_after_a_kill(endpoint, tmp_path, how):
    endpoint.faults, endpoint.hang_s, endpoint.delay_s = often(0.3, seed=3), 1.5, 0.02
    root = Path(__file__).parents[3]
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    for _ in range(20):
        assert child.stdout.readline()
    os.kill(child.pid, how)
    child.wait(timeout=30)
    child.stdout.close()
    while endpoint.at_once:
        time.sleep(0.01)
    paid = sum(endpoint.delivered.values())
    cached = JudgmentCache(next(tmp_path.glob("openai-*"))).answers
    kept = sum(answer.calls for answer in cached.values())
    # Only what was on its way at the very moment of a hard kill is unknown to the client.
    assert kept <= paid <= kept + (4 if how == signal.SIGKILL else 0)
    assert 20 <= len(cached) < 300  # so many that a busy machine cannot be done before the kill

    _, counts = judged(comparisons(300), tmp_path, timeout_s=1.0)
    assert (counts["judgments"], counts["cached"]) == (300, len(cached))
    assert sum(endpoint.delivered.values()) == paid + counts["calls"]
    assert math.isclose(counts["missing"], sum(answer.problem is not None for answer in all_answers(tmp_path)))


def all_answers(folder):
    return JudgmentCache(next(folder.glob("openai-*"))).answers.values()


def refusing(name, message, **error):
    """Refuse requests that hold a parameter."""
    return lambda request: {"message": message, "param": name, **error} if name in request else None


def test_a_model_that_knows_another_name_for_the_limit_gets_it_by_that(endpoint, tmp_path):
    endpoint.refuses = refusing("max_tokens", "Unsupported parameter.", code="unsupported_parameter")
    rows, counts = judged(comparisons(3), tmp_path, retries=0, concurrency=1)
    assert [row.preference for row in rows.values()] == pytest.approx([1.8] * 3)
    assert [one.get("max_completion_tokens") for one in endpoint.requests] == [None, 1, 1, 1]
    assert counts["calls"] == 3


@pytest.mark.parametrize(
    ("name", "message", "fix"),
    [
        ("temperature", "'temperature' does not support 0.0 with this model.", "judge.temperature=1"),
        ("logprobs", "You are not allowed to request logprobs from this model.", "judge.preference_by=text"),
    ],
)
def test_a_setting_that_the_model_does_not_know_is_named_at_once(endpoint, tmp_path, name, message, fix):
    endpoint.refuses = refusing(name, message)
    with pytest.raises(JudgeError, match=rf"Set {fix}\."):
        judged(comparisons(20), tmp_path, concurrency=1)
    assert len(endpoint.requests) == 1


def test_a_query_in_the_address_stands_behind_every_path(endpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", f"{endpoint.url}?api-version=2026-01-01&x=a%20b")
    assert judged(comparisons(1), tmp_path)[1]["missing"] == 0
    url = urlsplit(endpoint.paths[0])
    assert (url.path, parse_qsl(url.query)) == ("/v1/chat/completions", [("api-version", "2026-01-01"), ("x", "a b")])
