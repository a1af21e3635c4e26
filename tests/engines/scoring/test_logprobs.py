"""Summed log-probabilities equal those of the full logits, by the conventions of training."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, profile
from transformers import AutoModelForCausalLM, AutoTokenizer

from mt.engines.logprobs import predicting_positions, row_sums, token_logprobs
from mt.engines.scoring import logprobs
from mt.engines.text import open_chat
from mt.errors import EngineError
from mt.types import Messages, Prompt, Response
from tests.engines.scoring.asking import response_logprobs
from tests.engines.settings import decoding_config, generator_config, logprobs_config
from tests.engines.tiny import WORDS, asked_ids, tiny_policy

END = 2
ROWS: list[tuple[Messages, Response]] = [
    (
        [{"role": "user", "content": " ".join(WORDS[i % 7 : i % 7 + 1 + i % 5])}],
        Response(" ".join(WORDS[(3 * i + j) % 19] for j in range(1 + 5 * i % 13)), 1 + 5 * i % 13, i % 3 > 0),
    )
    for i in range(19)
]


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_policy(tmp_path_factory.mktemp("policy"), initializer_range=0.3)


def by_full_logits(folder: Path, row: tuple[Messages, Response], max_length: int = 64) -> tuple[float, int]:
    """Sum the log-softmax of the whole sequence's logits, one row at a time."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    prompt = asked_ids(folder, row[0])
    response = tokenizer(row[1].text, add_special_tokens=False)["input_ids"] + [END] * row[1].finished
    prompt = prompt[max(0, len(prompt) + len(response) - max_length) :]
    with torch.no_grad():
        logps = model(torch.tensor([prompt + response])).logits[0].log_softmax(-1)
    return sum(float(logps[len(prompt) + t - 1, token]) for t, token in enumerate(response)), len(response)


@pytest.mark.parametrize("batch_tokens", [1, 70, 100_000])
def test_sums_equal_those_of_the_full_logits(policy: Path, batch_tokens: int) -> None:
    found = {
        i: (value, n) for i, value, n in response_logprobs(logprobs_config(batch_tokens=batch_tokens), policy, ROWS, 64)
    }
    assert sorted(found) == list(range(len(ROWS)))
    for i, row in enumerate(ROWS):
        value, n = by_full_logits(policy, row)
        assert found[i] == (pytest.approx(value, abs=1e-4), n)


def test_sampled_ids_are_summed_as_sampled_and_foreign_text_in_its_own_ids(policy: Path) -> None:
    """Ids that no tokenizer makes of the text: the pass has to read them, unless another tokenizer sampled them."""
    chat = open_chat(policy)
    asked, odd = ROWS[3][0], [*chat.tokenizer("red blue")["input_ids"], 5, 8, END]
    sampled = Response("red blue fox", 4, True, odd, chat.fingerprint)
    foreign = Response("red blue fox", 4, True, odd, "another tokenizer")
    rows = [(asked, sampled), (asked, foreign), (asked, Response("red blue fox", 3))]
    found = {i: (value, n) for i, value, n in response_logprobs(logprobs_config(), policy, rows, 64)}
    model, prompt = AutoModelForCausalLM.from_pretrained(policy), asked_ids(policy, asked)
    with torch.no_grad():
        logps = model(torch.tensor([prompt + odd])).logits[0].log_softmax(-1)
    own = sum(float(logps[len(prompt) + t - 1, token]) for t, token in enumerate(odd))
    assert found[0] == (pytest.approx(own, abs=1e-4), len(odd))
    text = (pytest.approx(by_full_logits(policy, rows[2])[0], abs=1e-4), 4)
    assert found[1] == text == found[2]


def test_what_was_sampled_has_the_log_probability_that_the_sampler_saw(policy: Path) -> None:
    asked = [Prompt(str(i), messages) for i, (messages, _) in enumerate(ROWS)]
    with generator_config().open(policy) as generator:
        rows = [(row.messages, one) for row in generator.sample(asked, decoding_config(), 5) for one in row.responses]
    found = {i: value for i, value, _ in response_logprobs(logprobs_config(), policy, rows, 64)}
    assert [found[i] for i in range(len(rows))] == pytest.approx([one.logprob for _, one in rows], abs=1e-4)


def test_processes_of_several_gpus_give_the_same_sums(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes on the CPU, each told of a GPU of its own; one row is too long for training."""
    rows = [*ROWS, ([{"role": "user", "content": "red"}], Response("blue " * 70, 70, False))]
    expected = sorted(response_logprobs(logprobs_config(), policy, rows, 64))
    monkeypatch.setattr(logprobs, "visible_gpus", lambda: ["0", "1", "2"])
    monkeypatch.setattr(logprobs, "WINDOW", 12)
    found = sorted(response_logprobs(logprobs_config(device="auto"), policy, rows, 64))
    assert [(i, n) for i, _, n in found] == [(i, n) for i, _, n in expected]
    sums = [[value for _, value, _ in some] for some in (found, expected)]
    assert sums[0] == pytest.approx(sums[1], abs=1e-5, nan_ok=True)
    assert math.isnan(sums[0][-1])


def test_long_prompts_are_cut_and_rows_that_training_drops_say_so(policy: Path) -> None:
    long = ([{"role": "user", "content": "red " * 40}], Response("blue fox", 2, True))
    endless = ([{"role": "user", "content": "red"}], Response("blue " * 40, 40, False))
    found = {i: (value, n) for i, value, n in response_logprobs(logprobs_config(), policy, [long, endless, *ROWS], 32)}
    value, n = by_full_logits(policy, long, max_length=32)
    assert found[0] == (pytest.approx(value, abs=1e-4), n)
    assert math.isnan(found[1][0]) and found[1][1] == 0
    dropped = {i: n for i, _, n in response_logprobs(logprobs_config(), policy, [long], 32, "drop")}
    assert dropped == {0: 0}


def test_sums_that_are_not_finite_name_their_row(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "mt.engines.scoring.logprobs.row_sums", lambda values, lengths: values[: len(lengths)] * torch.nan
    )
    with pytest.raises(EngineError, match=r"log-probability=nan: item \d+"):
        list(response_logprobs(logprobs_config(), policy, ROWS, 64))


def test_chunks_change_neither_values_nor_gradients() -> None:
    torch.manual_seed(0)
    head, targets = torch.nn.Linear(8, 50, bias=False), torch.randint(50, (37,))
    gradients = []
    for chunk in (1000, 5):
        hidden = torch.randn(37, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
        logps = token_logprobs(hidden, head, targets, chunk, vocabulary=50)
        expected = head(hidden).log_softmax(-1)[torch.arange(37), targets]
        assert torch.allclose(logps, expected, atol=1e-6)
        gradients.append(torch.autograd.grad(logps.square().sum(), [hidden, head.weight]))
    for whole, chunked in zip(*gradients, strict=True):
        assert torch.allclose(whole, chunked, atol=1e-4)


def peak_of_training(rows: int, chunk: int, vocabulary: int = 5000) -> float:
    """Return the most memory that a loss and its gradient take at once, in chunks of float32 logits."""
    head = torch.nn.Linear(8, vocabulary, bias=False)
    hidden, targets = torch.randn(rows, 8, requires_grad=True), torch.randint(vocabulary, (rows,))
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        token_logprobs(hidden, head, targets, chunk, vocabulary=vocabulary).sum().backward()
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    ordered = sorted(events, key=lambda event: event.start_ns())
    return max(itertools.accumulate(event.nbytes() for event in ordered)) / (4 * chunk * vocabulary)


def test_full_logits_never_exist_not_even_for_the_gradient() -> None:
    """The peak is that of a few chunks, however many there are; whole logits would be 64 chunks."""
    few, many = peak_of_training(256, 64), peak_of_training(64 * 64, 64)
    assert few < many < 5
    assert peak_of_training(256, 256) == pytest.approx(few, rel=0.1)


def test_positions_and_sums_by_hand() -> None:
    assert predicting_positions([2, 1], [2, 3], width=5).tolist() == [1, 2, 5, 6, 7]
    assert row_sums(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]), [2, 3]).tolist() == [3.0, 12.0]
