from __future__ import annotations

import base64
import json

import pytest

from mt.engines.judging import both_orders
from mt.engines.judging.cache import JudgmentCache
from mt.errors import JudgeError
from mt.types import Judgment
from mt.workflow import tables
from tests.engines.judging.server import Endpoint, completion, serving
from tests.engines.judging.settings import comparisons, judged

pytestmark = pytest.mark.usefixtures("environment")


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


def test_a_judge_that_is_asked_again_does_not_read_its_own_thinking(endpoint, tmp_path):
    endpoint.reply = lambda messages: (
        "So: [[B>A]]" if len(messages) > 2 else "<think>[[A>B]]</think>Both are good.",
        None,
    )
    rows, _ = judged(comparisons(1), tmp_path, "verdict")
    assert rows["p0", "baseline_first"].verdict == "B>A"
    assert endpoint.requests[1]["messages"][2]["content"] == "Both are good."


def test_a_verdict_that_never_comes_is_missing_and_not_asked_for_again(endpoint, tmp_path):
    def reply(messages):
        return ("[[A>B]]" if "Question 1" in messages[1]["content"] else "[[A>B]] or [[B>A]]"), None

    endpoint.reply = reply
    rows, counts = judged(comparisons(3), tmp_path, "verdict", concurrency=1)
    problem = "no verdict label, or several that differ"
    assert [row.problem for row in rows.values()] == [problem, None, problem]
    assert (counts["missing"], counts["calls"]) == (2, 5)
    _, counts = judged(comparisons(3), tmp_path, "verdict")
    assert (counts["missing"], counts["calls"]) == (2, 0)


def test_preferences_from_text(endpoint, tmp_path):
    endpoint.reply = lambda messages: (' "m".\n', None)
    rows, _ = judged(comparisons(1), tmp_path, preference_by="text")
    assert rows["p0", "baseline_first"].preference == 1.0
    assert "logprobs" not in endpoint.requests[0]
    assert endpoint.requests[0]["max_tokens"] == 64  # room to think


def test_concurrency_is_bounded(endpoint, tmp_path):
    endpoint.delay_s = 0.03
    judged(comparisons(12), tmp_path, concurrency=3)
    assert endpoint.most_at_once == 3


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


@pytest.mark.parametrize("fault", ["400", "401", "500"])
def test_an_endpoint_that_repeats_the_key_does_not_spread_it(endpoint, tmp_path, fault):
    endpoint.said = "wrong key: sk-not-to-be-seen!"
    endpoint.faults = lambda number: None if number in (0, 3) else fault
    with pytest.raises(JudgeError, match=r"wrong key: \*\*\*!") as caught:
        judged(comparisons(40), tmp_path, concurrency=1, retries=0)
    assert "sk-not" not in str(caught.value)
    assert not any("sk-not" in path.read_text() for path in tmp_path.rglob("*.json*"))


@pytest.mark.parametrize("address", ["localhost:8000/v1", "ftp://user:secret@host/v1", "http://", "nowhere"])
def test_an_address_that_is_none_is_said_at_once_and_not_shown(tmp_path, monkeypatch, address):
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    with pytest.raises(JudgeError, match=r"OPENAI_BASE_URL=\*\*\*: .*begins with http://") as caught:
        judged(comparisons(1), tmp_path)
    assert "secret" not in str(caught.value)


def test_the_key_does_not_follow_to_another_host(endpoint, tmp_path):
    with serving(Endpoint(endpoint.reply)) as elsewhere:
        endpoint.moved, endpoint.faults = f"{elsewhere.url}/chat/completions", lambda number: "307"
        assert judged(comparisons(1), tmp_path)[1]["missing"] == 0
    assert endpoint.headers[0]["authorization"] == "Bearer sk-not-to-be-seen"
    assert len(elsewhere.requests) == 1
    assert "authorization" not in elsewhere.headers[0]


def test_a_missing_key_or_model_is_said(endpoint, tmp_path, monkeypatch):
    with pytest.raises(JudgeError, match="Export OPENAI_MODEL"):
        judged(comparisons(1), tmp_path, model=None)
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(JudgeError, match="OPENAI_API_KEY"):
        judged(comparisons(1), tmp_path)


@pytest.mark.parametrize("fault", ["400", "401", "500"])
def test_secrets_in_the_address_are_not_repeated_plainly_or_coded(endpoint, tmp_path, monkeypatch, fault):
    address = endpoint.url.replace("http://", "http://me:p%40ss-word@")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{address}?api-key=of%2Bthe+query")
    coded = base64.b64encode(b"Basic me:p@ss-word!").decode()
    endpoint.said = "not you: p@ss-word, p%40ss-word, of+the query, of%2Bthe%20query, "
    endpoint.said += f"{coded}, {base64.b64encode(b'sk-not-to-be-seen').decode()}"
    endpoint.faults = lambda number: None if number in (0, 3) else fault
    with pytest.raises(JudgeError, match=r"not you: (\*\*\*, ){4}") as caught:
        judged(comparisons(40), tmp_path, concurrency=1, retries=0)
    written = [str(caught.value), *(path.read_text() for path in tmp_path.rglob("*.json*"))]
    for secret in ("p@ss-word", "p%40ss-word", "the query", "the%20query", coded[8:-4], "c2stbm90LXRv"):
        assert not any(secret in text for text in written)


HALF = "\ud83d"
ODD_ANSWERS = [
    {"message": {"content": f"[[A>B]] {HALF}\x00\x1b[2J"}},
    {"message": {"content": [{"type": "text", "text": f"[[A>B]]{HALF}"}]}},
    {"message": {"content": HALF * 100_000}},
    {"message": {"refusal": HALF}},
    {"message": {"content": {"deep": [HALF]}}},
    {"message": 5},
    {"finish_reason": ["length"], "message": {"content": "x" * 2_000_000}},
    {"message": {"content": "[[" * 300_000}},
    {"message": {"content": "<think>" * 100_000}},
]


@pytest.mark.parametrize("number", range(len(ODD_ANSWERS)))
@pytest.mark.parametrize("style", ["preference", "verdict"])
def test_an_odd_answer_is_one_judgment_that_tables_can_hold(endpoint, tmp_path, monkeypatch, style, number):
    odd = {
        "model": HALF,
        "usage": {"prompt_tokens": 10**400, "completion_tokens": -1},
        "choices": [ODD_ANSWERS[number]],
    }
    odd["choices"][0]["logprobs"] = {"content": [{"top_logprobs": [{"token": f"m{HALF}", "logprob": -(10**400)}]}]}
    plain = completion
    monkeypatch.setattr(
        "tests.engines.judging.server.completion",
        lambda one, request: json.dumps(odd).encode() if "Question 1" in str(request) else plain(one, request),
    )
    endpoint.reply = lambda messages: ("m" if style == "preference" else "[[A>B]]", {"m": -0.1})
    rows, counts = judged(comparisons(3), tmp_path / "kept", style, concurrency=1)
    assert counts["judgments"] == 3
    assert [row.problem for row in rows.values()][::2] == [None, None]
    tables.write(tmp_path / "table.parquet", list(rows.values()), Judgment)
    assert len(tables.read(tmp_path / "table.parquet", Judgment)) == 3
    again, counts = judged(comparisons(3), tmp_path / "kept", style, concurrency=1)
    assert again == rows


def test_errors_of_any_kind_are_one_line(endpoint, tmp_path):
    for said in (f"no {HALF}\x00", "a\nb\r\nc", "x" * 5000):
        endpoint.said, endpoint.faults = said, lambda number: "401"
        endpoint.retry_after = "9" * 400
        with pytest.raises(JudgeError) as caught:
            judged(comparisons(3), tmp_path, concurrency=1, retries=0)
        assert str(caught.value).encode() and "\n" not in str(caught.value) and len(str(caught.value)) < 500
