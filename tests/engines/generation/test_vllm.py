"""Generation by vLLM: around it with a stand-in for the workers, and through the real engine where it is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mt.engines.generation import vllm_engine
from mt.engines.generation.prompts import Ready, fit_prompt
from mt.engines.generation.sampler import prompt_seed
from mt.engines.generation.vllm_engine import VllmPolicy
from mt.engines.settings import DecodingConfig
from mt.engines.text import Chat, open_chat
from mt.errors import ModelError
from mt.types import Prompt, Response, Samples
from tests.engines.generation.test_transformers import PROMPTS, answers
from tests.engines.settings import decoding_config, vllm_generator_config
from tests.engines.tiny import asked_ids, tiny_policy
from tests.engines.vllm_stand_in import Seen, stand_in_for_vllm

END, RED, BLUE = 2, 6, 7
real = pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_policy(tmp_path_factory.mktemp("policy"), initializer_range=0.3, hidden_size=64)


@pytest.fixture(scope="module")
def opened(policy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[VllmPolicy, Seen]]:
    with ExitStack() as held:
        with stand_in_for_vllm(tmp_path_factory.mktemp("seen") / "log") as seen:
            generator = held.enter_context(vllm_generator_config(processes=2).open(policy))
            list(generator.sample(PROMPTS, decoding_config(), 0))
        yield generator, seen


@pytest.fixture
def generator(opened: tuple[VllmPolicy, Seen]) -> VllmPolicy:
    return opened[0]


@pytest.fixture
def seen(opened: tuple[VllmPolicy, Seen]) -> Seen:
    opened[1].rows()
    return opened[1]


def seen_as(ids: list[int], finished: bool, policy: Path, logprob: float | None = -2.5) -> Response:
    return Response("red blue", 2, finished, ids, open_chat(policy).fingerprint, logprob)


def test_two_workers_tokenise_every_prompt_once_and_this_process_none(
    policy: Path, generator: VllmPolicy, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, response = [asked_ids(policy, p.messages) for p in PROMPTS], seen_as([RED, BLUE, END], True, policy)
    monkeypatch.setattr(Chat, "_render", None)
    found = {samples.prompt_id: samples for samples in generator.sample(PROMPTS, decoding_config(max_length=24), 1)}
    asked = seen.requests()
    assert [row["ids"] for row in asked] == expected
    assert len({row["pid"] for row in asked}) == 2
    assert {(row["parameters"]["n"], row["parameters"]["logprobs"]) for row in asked} == {(3, 0)}
    assert all(row["parameters"]["stop_token_ids"][0] == END for row in asked)
    assert [row["parameters"]["max_tokens"] for row in asked] == [min(12, 24 - len(ids)) for ids in expected]
    assert [row["parameters"]["seed"] for row in asked] == [prompt_seed(1, p.prompt_id, 3) for p in PROMPTS]
    assert found["p3"] == Samples("p3", PROMPTS[3].messages, "s", [response] * 3)
    assert generator.counts == {"prompts": 17, "prompts_dropped": 0, "prompts_truncated": 0}


def test_a_response_that_was_cut_is_not_finished(policy: Path, generator: VllmPolicy) -> None:
    found = list(generator.sample(PROMPTS[:2], decoding_config(max_new_tokens=2), 1))
    assert [samples.responses for samples in found] == [[seen_as([RED, BLUE], False, policy)] * 3] * 2


def test_only_missing_prompts_are_answered_with_seeds_of_their_own(generator: VllmPolicy, seen: Seen) -> None:
    found = list(generator.sample(PROMPTS, decoding_config(), 1, skip={"p0", "p4"}))
    left = [prompt.prompt_id for prompt in PROMPTS if prompt.prompt_id not in {"p0", "p4"}]
    assert sorted(samples.prompt_id for samples in found) == sorted(left)
    assert [row["parameters"]["seed"] for row in seen.requests()] == [prompt_seed(1, name, 3) for name in left]
    assert generator.counts["prompts"] == 17


def test_greedy_asks_for_one_response_and_repeats_it(policy: Path, generator: VllmPolicy, seen: Seen) -> None:
    found = list(generator.sample(PROMPTS, decoding_config(temperature=0), 1))
    assert {row["parameters"]["n"] for row in seen.requests()} == {1}
    assert all(samples.responses == [seen_as([RED, BLUE, END], True, policy)] * 3 for samples in found)


def test_first_tokens_are_reported_by_their_text(generator: VllmPolicy, seen: Seen) -> None:
    told = dict(generator.first_tokens(PROMPTS, 64, 2))
    assert told == {prompt.prompt_id: {"blue": -0.5, "red": -1.0} for prompt in PROMPTS}
    asked = [row["parameters"] for row in seen.requests()]
    assert {(one["logprobs"], one["temperature"], one["max_tokens"]) for one in asked} == {(2, 0, 1)}


LONG = Prompt("long", [{"role": "user", "content": "red " * 70}], None)


def test_long_prompts_are_dropped_and_counted(generator: VllmPolicy, seen: Seen) -> None:
    assert len(list(generator.sample([LONG, *PROMPTS], decoding_config(), 1))) == len(PROMPTS)
    assert generator.counts == {"prompts": 18, "prompts_dropped": 1, "prompts_truncated": 0}
    assert [row["number"] for row in seen.requests()] == list(range(1, 18))


def test_one_engine_serves_until_longer_sequences_are_asked_for(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here prompts that are too long are cut, says the worker."""
    started, closed = list[int](), list[int]()

    class StandIn:
        def __init__(self, *_: Any, max_length: int) -> None:
            self.length = max_length
            started.append(max_length)

        def run(self, job: Any, items: Iterable[Any]) -> Iterator[Any]:
            yield from ([number, [[[RED, END], "stop", -1.0, []]], True] for number, *_ in items)

        def close(self) -> None:
            closed.append(self.length)

    monkeypatch.setattr(vllm_engine, "vllm_workers", StandIn)
    config = vllm_generator_config(long_prompts="truncate")
    with stand_in_for_vllm(tmp_path / "log"), config.open(policy) as opened:
        for length in (40, 30, 64):
            assert len(list(opened.sample([LONG], decoding_config(max_length=length), 1))) == 1
            assert opened.counts == {"prompts": 1, "prompts_dropped": 0, "prompts_truncated": 1}
    assert (started, closed) == ([40, 64], [40, 64])


def test_a_prompt_that_is_cut_leaves_just_the_room_that_is_asked_for(policy: Path) -> None:
    config, ids = vllm_generator_config(long_prompts="truncate"), asked_ids(policy, LONG.messages)
    assert fit_prompt(LONG, open_chat(policy), config, decoding_config()) == (Ready(LONG, ids[-60:], 4), True)


def test_seeds_of_different_prompts_never_overlap() -> None:
    seeds = [prompt_seed(0, f"p{i}", 5) for i in range(5000)]
    assert len(set(seeds)) == 5000
    assert all(seed % 5 == 0 and 0 <= seed < 2**62 for seed in seeds)


def test_a_folder_that_cannot_serve_starts_no_process(tmp_path: Path) -> None:
    with (
        stand_in_for_vllm(tmp_path / "log"),
        pytest.raises(ModelError, match=r"has no config\.json"),
        vllm_generator_config().open(tmp_path),
    ):
        pass


def by_vllm(
    policy: Path, prompts: Sequence[Prompt], decoding: DecodingConfig, skip: Sequence[str] = (), **changes: object
) -> dict[str, Samples]:
    with vllm_generator_config(**changes).open(policy) as generator:
        return {samples.prompt_id: samples for samples in generator.sample(prompts, decoding, 11, skip)}


@real
@pytest.mark.engines
def test_greedy_responses_equal_those_of_transformers(policy: Path) -> None:
    decoding = decoding_config(temperature=0)
    assert by_vllm(policy, PROMPTS, decoding) == answers(policy, decoding=decoding)


@real
@pytest.mark.engines
def test_shards_order_and_company_change_nothing(policy: Path) -> None:
    decoding = decoding_config(samples=5)
    reference = by_vllm(policy, PROMPTS, decoding)
    assert {len(samples.responses) for samples in reference.values()} == {5}
    responses = [response for samples in reference.values() for response in samples.responses]
    assert len({response.text for response in responses}) > len(responses) // 2
    assert {response.finished for response in responses} == {True, False}
    done = [prompt.prompt_id for prompt in PROMPTS[:6]]
    rest = by_vllm(policy, PROMPTS[::-1], decoding, skip=done, processes=2)
    assert rest == {prompt_id: samples for prompt_id, samples in reference.items() if prompt_id not in done}
