from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mt.engines.judging import both_orders, open_judge
from mt.engines.judging.cache import JudgmentCache
from mt.errors import JudgeError
from tests.engines.judging.server import FAULTS, PAID_FAULTS, Endpoint, often, prefers, serving
from tests.engines.judging.settings import comparisons, openai_config


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-seen")
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def endpoint(monkeypatch):
    with serving(Endpoint(prefers(lambda messages: 0.8))) as started:
        monkeypatch.setenv("OPENAI_BASE_URL", started.url)
        yield started


def judged(items, cache, style="preference", announce=lambda line: None, **changes):
    with open_judge(openai_config(**changes), style, cache=cache, announce=announce) as judge:
        rows = {(row.prompt_id, row.order): row for row in judge.judge(items)}
    # Answers arrive in any order.
    return {key: rows[key] for key in dict.fromkeys((item.prompt_id, item.order) for item in items)}, judge.counts


def test_token_log_probabilities_become_preferences(endpoint, tmp_path):
    first, _ = judged(comparisons(3), tmp_path, concurrency=1)
    switched, _ = judged(comparisons(3, "model_first"), tmp_path)
    # The second answer has 0.8: once it is the model's, once the baseline's.
    assert {round(row.preference, 9) for row in first.values()} == {1.8}
    assert {round(row.preference, 9) for row in switched.values()} == {1.2}
    request = endpoint.requests[0]
    assert (request["model"], request["max_tokens"], request["top_logprobs"]) == ("tiny-judge", 1, 5)
    text = request["messages"][1]["content"]
    assert text.index("Question 0 ü") < text.index("base 0") < text.index("model 0")


def test_nothing_is_asked_twice(endpoint, tmp_path):
    items = comparisons(6)
    first, counts = judged(items, tmp_path)
    assert (counts["calls"], counts["cached"]) == (6, 0)
    again, counts = judged(items + comparisons(1), tmp_path)
    assert (counts["calls"], counts["cached"], counts["judgments"]) == (0, 7, 7)
    assert again == first
    assert len(endpoint.requests) == 6


def test_the_same_comparison_is_asked_once_within_a_call(endpoint, tmp_path):
    rows, counts = judged(comparisons(2) * 3, tmp_path)
    assert (counts["judgments"], counts["calls"], len(rows)) == (6, 2, 2)


@pytest.mark.parametrize(
    "changes", [{"model": "other"}, {"temperature": 0.5}, {"top_logprobs": 3}, {"preference_by": "text"}]
)
def test_another_judge_is_asked_afresh(endpoint, tmp_path, changes):
    judged(comparisons(2), tmp_path)
    assert judged(comparisons(2), tmp_path, **changes)[1]["calls"] == 2


def test_settings_of_the_connection_do_not_ask_afresh(endpoint, tmp_path):
    judged(comparisons(2), tmp_path)
    changes = {"concurrency": 1, "timeout_s": 9.0, "retries": 1, "limit_usd": 1.0}
    assert judged(comparisons(2), tmp_path, **changes)[1]["calls"] == 0


def test_verdicts_of_both_games(endpoint, tmp_path):
    def reply(messages):
        first = messages[1]["content"].index("base 0") < messages[1]["content"].index("model 0")
        return ("A is better. [[A>>B]]" if first else "Equal: [[A=B]]"), None

    endpoint.reply = reply
    item = comparisons(1)[0]
    rows, _ = judged(both_orders(item.prompt_id, item.messages, item.baseline, item.model), tmp_path, "verdict")
    assert [(row.verdict, row.preference) for row in rows.values()] == [("A>>B", 1.0), ("A=B", 1.5)]
    assert rows["p0", "baseline_first"].raw == "A is better. [[A>>B]]"
    assert "logprobs" not in endpoint.requests[0]


def test_a_verdict_without_label_is_asked_for_once_more(endpoint, tmp_path):
    endpoint.reply = lambda messages: (("So: [[B>A]]" if len(messages) > 2 else "Both are good."), None)
    rows, counts = judged(comparisons(1), tmp_path, "verdict")
    assert rows["p0", "baseline_first"].verdict == "B>A"
    assert counts["calls"] == 2
    conversation = endpoint.requests[1]["messages"]
    assert [message["role"] for message in conversation] == ["system", "user", "assistant", "user"]


def test_a_verdict_that_never_comes_is_missing_and_not_asked_for_again(endpoint, tmp_path):
    endpoint.reply = lambda messages: ("[[A>B]] or [[B>A]]", None)
    rows, counts = judged(comparisons(2), tmp_path, "verdict")
    assert {row.problem for row in rows.values()} == {"no verdict label, or several that differ"}
    assert (counts["missing"], counts["calls"]) == (2, 4)
    _, counts = judged(comparisons(2), tmp_path, "verdict")
    assert (counts["missing"], counts["calls"]) == (2, 0)


def test_preferences_from_text(endpoint, tmp_path):
    endpoint.reply = lambda messages: (' "m".\n', None)
    rows, _ = judged(comparisons(1), tmp_path, preference_by="text")
    assert rows["p0", "baseline_first"].preference == 1.0
    assert "logprobs" not in endpoint.requests[0]


@pytest.mark.parametrize("fault", FAULTS)
def test_every_single_fault_is_survived(endpoint, tmp_path, fault):
    endpoint.faults = lambda number: fault if number == 0 else None
    rows, counts = judged(comparisons(1), tmp_path, timeout_s=0.3)
    assert rows["p0", "baseline_first"].preference == pytest.approx(1.8)
    assert len(endpoint.requests) == 2
    assert counts["calls"] == (2 if fault in PAID_FAULTS else 1)


def test_a_third_of_faults_loses_nothing(endpoint, tmp_path):
    endpoint.faults = often(0.3)
    endpoint.hang_s = 0.5
    rows, counts = judged(comparisons(120), tmp_path, timeout_s=0.25)
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


def test_concurrency_is_bounded(endpoint, tmp_path):
    endpoint.delay_s = 0.03
    judged(comparisons(12), tmp_path, concurrency=3)
    assert endpoint.most_at_once == 3


def test_the_wish_of_the_server_is_obeyed(endpoint, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr("threading.Event.wait", lambda self, s=None: waits.append(s) or False)
    endpoint.faults = lambda number: "429" if number == 0 else None
    judged(comparisons(1), tmp_path, backoff_s=0.0001)
    assert 0.01 in waits


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
    with pytest.raises(JudgeError, match=r"5 comparisons in a row got no answer \(status 500 in 2 attempts\)"):
        judged(comparisons(20), tmp_path, retries=1, concurrency=1)
    endpoint.faults = lambda number: None
    assert judged(comparisons(20), tmp_path)[1]["cached"] == 3


def test_a_request_that_is_refused_is_missing_and_costs_nothing(endpoint, tmp_path):
    endpoint.faults = lambda number: "400" if number in (0, 2) else None
    rows, counts = judged(comparisons(4), tmp_path, concurrency=1)
    assert [row.problem is None for row in rows.values()] == [False, True, False, True]
    assert counts["calls"] == 2
    # The first refusal came before any answer and might be the settings' fault; the second is the comparison's.
    rows, counts = judged(comparisons(4), tmp_path)
    assert [row.problem is None for row in rows.values()] == [True, True, False, True]
    assert counts["calls"] == 1


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
    with pytest.raises(JudgeError, match=rf"the first 12 comparisons got no usable answer \(.*{said}"):
        judged(comparisons(100), tmp_path, concurrency=2)
    assert len(endpoint.requests) <= 2 * (12 + 2)


@pytest.mark.parametrize(("fault", "said"), [("401", "OPENAI_API_KEY"), ("404", "OPENAI_MODEL")])
def test_what_no_request_can_mend_ends_at_once(endpoint, tmp_path, fault, said):
    endpoint.faults = lambda number: fault
    with pytest.raises(JudgeError, match=said):
        judged(comparisons(50), tmp_path, concurrency=2)
    assert len(endpoint.requests) <= 4


def test_cost_is_announced_before_the_first_call_and_counted(endpoint, tmp_path):
    told = []
    _, counts = judged(comparisons(3), tmp_path, announce=lambda line: told.append((line, len(endpoint.requests))))
    assert len(told) == 1
    assert told[0][1] == 0
    assert "3 judgments to ask for" in told[0][0]
    assert "$" in told[0][0]
    assert counts["usd"] == pytest.approx(3 * (100 * 10 + 10 * 30) / 1e6)
    assert (counts["input_tokens"], counts["output_tokens"]) == (300, 30)


def test_the_estimate_is_not_below_what_a_tokenizer_would_count(endpoint, tmp_path):
    from mt.engines.judging.budget import input_tokens

    assert input_tokens([{"role": "user", "content": "word " * 300}]) >= 300
    assert input_tokens([{"role": "user", "content": "語" * 300}]) >= 300


def test_the_limit_is_never_passed(endpoint, tmp_path):
    endpoint.reply, endpoint.usage = (lambda messages: ("[[A>B]]", None)), (500, 64)
    each = (500 * 10 + 64 * 30) / 1e6
    with pytest.raises(JudgeError, match=r"judge\.limit_usd=0\.1: .*the next call could pass the limit"):
        judged(comparisons(20), tmp_path, "verdict", limit_usd=0.1)
    kept = JudgmentCache(next(tmp_path.glob("openai-*"))).answers
    assert 8 <= len(kept) <= 0.1 / each
    assert len(endpoint.requests) == len(kept)
    rows, counts = judged(comparisons(20), tmp_path, "verdict", limit_usd=1.0)
    assert (len(rows), counts["cached"]) == (20, len(kept))


def test_tokens_that_the_endpoint_does_not_count_are_estimated(endpoint, tmp_path):
    endpoint.usage = None
    _, counts = judged(comparisons(2), tmp_path)
    assert counts["input_tokens"] > 2 * 100
    assert counts["usd"] > 0


def test_a_hopeless_limit_stops_before_the_first_call(endpoint, tmp_path):
    with pytest.raises(JudgeError, match="the prompts alone cost"):
        judged(comparisons(20), tmp_path, limit_usd=0.0001)
    assert endpoint.requests == []


def test_secrets_stay_in_the_environment(endpoint, tmp_path):
    judged(comparisons(2), tmp_path)
    assert endpoint.headers[0]["authorization"] == "Bearer sk-not-to-be-seen"
    written = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    assert not any("sk-not" in text or "127.0.0.1" in text for text in written)


def test_a_missing_key_or_model_is_said(endpoint, tmp_path, monkeypatch):
    with pytest.raises(JudgeError, match="Export OPENAI_MODEL"):
        judged(comparisons(1), tmp_path, model=None)
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(JudgeError, match="OPENAI_API_KEY"):
        judged(comparisons(1), tmp_path)


def test_stopping_early_loses_no_answer_that_is_under_way(endpoint, tmp_path):
    endpoint.delay_s = 0.05
    with open_judge(openai_config(concurrency=4), "preference", cache=tmp_path) as judge:
        rows = judge.judge(comparisons(40))
        next(rows)
        rows.close()
    delivered = sum(endpoint.delivered.values())
    assert 1 <= delivered < 40
    assert judged(comparisons(40), tmp_path)[1]["cached"] == delivered


SCRIPT = """
import sys
from pathlib import Path
from mt.engines.judging import open_judge
from tests.engines.judging.settings import comparisons, openai_config
with open_judge(openai_config(concurrency=4, timeout_s=0.4), "preference", cache=Path(sys.argv[1])) as judge:
    for row in judge.judge(comparisons(300)):
        print(row.prompt_id, flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_paid_twice_after_a_kill(endpoint, tmp_path, how):
    endpoint.faults, endpoint.hang_s, endpoint.delay_s = often(0.3, seed=3), 0.6, 0.02
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

    _, counts = judged(comparisons(300), tmp_path, timeout_s=0.4)
    assert (counts["judgments"], counts["cached"]) == (300, len(cached))
    assert sum(endpoint.delivered.values()) == paid + counts["calls"]
    assert math.isclose(counts["missing"], sum(answer.problem is not None for answer in all_answers(tmp_path)))


def all_answers(folder):
    return JudgmentCache(next(folder.glob("openai-*"))).answers.values()
