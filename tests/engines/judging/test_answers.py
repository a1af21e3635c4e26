from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt.engines.judging.answers import preference_from_logprobs, preference_from_text, read_answer, read_reply
from mt.verdicts import LABELS, extract_label, label_of, preference_of, without_thinking

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "logprobs", "top_logprobs", "token", "logprob", "usage"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def body(**changes):
    entry = {"token": "m", "logprob": -0.1, "top_logprobs": [{"token": "m", "logprob": -0.1}]}
    choice = {"message": {"content": "m"}, "logprobs": {"content": [entry]}}
    return {"model": "x", "choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 1}} | changes


@pytest.mark.parametrize(
    ("completion", "total", "output"),
    [(2809, 12929, 2809), (1499, 14428, 4308), (1499, None, 1499), (1499, 3, 1499), (None, 14428, None)],
)
def test_thinking_that_only_the_total_counts_is_paid(completion, total, output):
    """Of 10,120 tokens read, 1,499 written and 2,809 of thinking: all as output (OpenAI), or apart (Grok, Gemini)."""
    usage = {"prompt_tokens": 10120, "completion_tokens": completion, "total_tokens": total}
    assert read_reply(json.dumps(body(usage=usage))).output_tokens == output


def test_preferences_by_hand():
    assert preference_from_logprobs({"m": math.log(0.3), "M": math.log(0.1), "x": -1.0}) == pytest.approx(2 - 0.75)
    assert preference_from_logprobs({"m": -0.5}) == 1.0
    assert preference_from_logprobs({"M": -9999.0, "The": -0.1}) == 2.0
    assert preference_from_logprobs({"The": -0.1}) is None
    assert preference_from_logprobs({}) is None


def test_the_probability_of_a_name_is_the_sum_over_the_tokens_that_write_it():
    # m: 0.2 + 0.1, M: 0.1 + 0.05 + 0.05, so that p(m) is 0.3/0.5.
    shares = {"m": 0.2, " m": 0.1, "M": 0.1, "ĠM": 0.05, '"M': 0.05, "The": 0.4, "mM": 0.1}
    top = {token: math.log(share) for token, share in shares.items()}
    assert preference_from_logprobs(top) == pytest.approx(2 - 0.6)
    assert preference_from_logprobs({" m": -1.0, " M": -1.0}) == 1.5


@given(st.floats(-9999, 0), st.floats(-9999, 0))
def test_swapping_the_names_mirrors_the_preference(first, second):
    one = preference_from_logprobs({"m": first, "M": second})
    assert 1 <= one <= 2
    assert one + preference_from_logprobs({"m": second, "M": first}) == pytest.approx(3)


@pytest.mark.parametrize(
    ("text", "preference"),
    [
        ("m", 1.0),
        (" M\n", 2.0),
        ('"m"', 1.0),
        ("'M'.", 2.0),
        ("m or M", None),
        ("", None),
        ("mM", None),
        ("A", None),
    ],
)
def test_names_in_texts(text, preference):
    assert preference_from_text(text) == preference


def test_a_whole_reply():
    reply = read_reply(json.dumps(body()))
    assert (reply.text, reply.top_logprobs, reply.served_by) == ("m", {"m": -0.1}, "x")
    assert (reply.input_tokens, reply.output_tokens) == (3, 1)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>\nM is longer\n</think>\n\nm", "m"),
        ("M, I think.</think> m", "m"),
        (" <Thinking>a</Thinking><think>b</think>m", "m"),
        ("<think>M", ""),
        ("[THINK]M[/THINK]m", "m"),
        ("◁think▷M◁/think▷m", "m"),
        ("<|channel|>analysis<|message|>M<|end|><|start|>assistant<|channel|>final<|message|>m", "m"),
        ("<|channel|>analysis<|message|>M", ""),
        ("A writes <think>x</think> before it answers.", "A writes <think>x</think> before it answers."),
        ("plain", "plain"),
    ],
)
def test_thinking_before_the_answer_is_left_out(text, answer):
    assert without_thinking(text).strip() == answer


def test_a_verdict_is_read_after_the_thinking_only():
    answer = read_answer("<think>[[A>B]] or not</think>\n[[B>A]]", "verdict")
    assert (answer.label, answer.preference, answer.problem) == ("B>A", 2.0, None)


def test_a_judge_that_is_cut_while_it_thinks_says_so():
    answer = read_answer("<think>M is longer, but", "preference", cut=True)
    assert answer.preference is None
    assert "cut at judge.max_tokens" in answer.problem
    assert read_answer("m", "preference", cut=True).preference == 1.0


def test_thinking_that_comes_apart_is_no_answer():
    message = {"content": None, "reasoning_content": "[[A>B]]"}
    reply = read_reply(json.dumps(body(choices=[{"message": message, "finish_reason": "length"}])))
    assert (reply.text, reply.cut) == ("", True)
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "M"}]}, {"type": "text", "text": "m"}]
    assert read_reply(json.dumps(body(choices=[{"message": {"content": parts}}]))).text == "m"


@pytest.mark.parametrize("text", ["", "<html>", "[]", "3", "null", '{"choices": []}', "[" * 100_000])
def test_what_is_no_completion(text):
    assert read_reply(text) is None


@pytest.mark.parametrize("logprob", [float("nan"), float("inf"), 0.5, "0", None, True])
def test_what_is_no_log_probability_is_left_out(logprob):
    value = body()
    value["choices"][0]["logprobs"]["content"][0]["top_logprobs"][0]["logprob"] = logprob
    assert read_reply(json.dumps(value)).top_logprobs == {}


@given(JSON)
def test_no_json_breaks_the_reader(value):
    reply = read_reply(json.dumps(value))
    assert reply is None or isinstance(reply.text, str)
    nested = read_reply(json.dumps(body(choices=[{"message": {"content": "m"}, "logprobs": value}], usage=value)))
    assert nested.text == "m"


@given(st.text())
def test_no_text_breaks_the_readers(text):
    for style in ("preference", "verdict"):
        answer = read_answer(text, style)
        assert (answer.preference is None) == (answer.problem is not None)
        assert answer.raw == text


@pytest.mark.parametrize("label", LABELS)
def test_labels_and_preferences(label):
    assert read_answer(f"so [[{label}]].", "verdict").preference == preference_of(label)
    assert extract_label(f"[[{label}]]") == label


def test_an_unknown_label_is_no_verdict():
    assert read_answer("[[A]]", "verdict").problem


def test_a_label_that_points_the_other_way_is_kept_as_it_is_written():
    answer = read_answer("[[A<B]]", "verdict")
    assert (answer.label, answer.preference) == ("A<B", 2.0)


@given(st.floats(1, 2))
def test_computed_labels_point_where_the_preference_does(preference):
    mirror = dict(zip(LABELS, reversed(LABELS), strict=True))
    if not any(math.isclose(preference - 1, edge, abs_tol=1e-9) for edge in (0.1, 0.45, 0.55, 0.9)):
        assert label_of(3 - preference) == mirror[label_of(preference)]
    assert label_of(preference) in ("A=B" if abs(preference - 1.5) < 0.05 else LABELS)


def test_the_scale_of_computed_labels():
    assert [label_of(value) for value in (1.0, 1.3, 1.5, 1.7, 1.95)] == list(LABELS)
