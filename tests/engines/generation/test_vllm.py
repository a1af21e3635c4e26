"""Generation by vLLM: around it with a stand-in for the workers, and through the real engine where it is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mt.engines.generation import vllm_engine as engine
from mt.engines.generation.sampler import prompt_seed
from mt.engines.generation.vllm_engine import VllmPolicy
from mt.engines.settings import DecodingConfig
from mt.engines.text import open_chat
from mt.errors import ModelError
from mt.types import Prompt, Response, Samples
from tests.engines.generation.test_transformers import PROMPTS, answers
from tests.engines.settings import decoding_config, vllm_generator_config
from tests.engines.tiny import tiny_policy

END, RED, BLUE = 2, 6, 7
real = pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_policy(tmp_path_factory.mktemp("policy"), initializer_range=0.3, hidden_size=64)


Workers = Callable[[Any, str, dict[str, Any], Iterable[Any]], Iterator[Any]]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stand in for the workers: every response is "red blue", every second one unfinished."""
    requests: dict[str, Any] = {"started": [], "closed": 0}

    class StandIn:
        def __init__(self, config: Any, module: str, request: dict[str, Any]) -> None:
            requests["started"].append(request)

        def run(self, job: dict[str, Any], items: Iterable[Any]) -> Iterator[Any]:
            requests.update(job, items=list(items))
            for number, *_ in reversed(requests["items"]):
                best = [[BLUE, -0.5], [RED, -1.0]][: job["alternatives"]]
                rows = [[[RED, BLUE, END], "stop", -2.5, best], [[RED, BLUE], "length", None, best]]
                yield number, [rows[k % 2] for k in range(job["copies"])]

        def close(self) -> None:
            requests["closed"] += 1

    monkeypatch.setattr(engine, "device_groups", lambda config: [[]])
    monkeypatch.setattr(engine, "vllm_workers", StandIn)
    return requests


def test_responses_keep_their_ids_and_are_decoded_without_their_end_token(policy: Path, seen: dict[str, Any]) -> None:
    with vllm_generator_config().open(policy) as generator:
        found = {samples.prompt_id: samples for samples in generator.sample(PROMPTS, decoding_config(), 1)}
    assert found.keys() == {prompt.prompt_id for prompt in PROMPTS}
    finished, cut = seen_as([RED, BLUE, END], True, policy), seen_as([RED, BLUE], False, policy)
    assert found["p3"] == Samples("p3", PROMPTS[3].messages, "s", [finished, cut, finished])
    assert [response.logprob for response in found["p3"].responses] == [-2.5, None, -2.5]
    assert seen["alternatives"] == 0
    assert seen["stop"][0] == END
    assert all(room <= 12 and len(ids) + room <= 64 for _, ids, room, _ in seen["items"])


def seen_as(ids: list[int], finished: bool, policy: Path) -> Response:
    return Response("red blue", 2, finished, ids, open_chat(policy).fingerprint)


def test_only_missing_prompts_are_sent_with_seeds_of_their_own(policy: Path, seen: dict[str, Any]) -> None:
    with vllm_generator_config().open(policy) as generator:
        found = list(generator.sample(PROMPTS, decoding_config(), 1, skip={"p0", "p4"}))
    assert {samples.prompt_id for samples in found} == {p.prompt_id for p in PROMPTS} - {"p0", "p4"}
    assert [seed for *_, seed in seen["items"]] == [
        prompt_seed(1, p.prompt_id, 3) for p in PROMPTS if p.prompt_id not in {"p0", "p4"}
    ]


def test_greedy_asks_for_one_response_and_repeats_it(policy: Path, seen: dict[str, Any]) -> None:
    with vllm_generator_config().open(policy) as generator:
        found = list(generator.sample(PROMPTS, decoding_config(temperature=0), 1))
    assert seen["copies"] == 1
    assert all(samples.responses == [seen_as([RED, BLUE, END], True, policy)] * 3 for samples in found)


def test_one_engine_serves_until_longer_sequences_are_asked_for(policy: Path, seen: dict[str, Any]) -> None:
    with vllm_generator_config().open(policy) as generator:
        for length in (40, 30, 64):
            list(generator.sample(PROMPTS, decoding_config(max_length=length), 1))
    assert [request["max_length"] for request in seen["started"]] == [40, 64]
    assert seen["closed"] == 2


def test_first_tokens_are_told_by_their_text(policy: Path, seen: dict[str, Any]) -> None:
    opened = VllmPolicy(vllm_generator_config(), policy, None)
    told = dict(opened.first_tokens(PROMPTS, 64, 2))
    assert told == {prompt.prompt_id: {"blue": -0.5, "red": -1.0} for prompt in PROMPTS}
    assert (seen["alternatives"], seen["temperature"]) == (2, 0)
    assert all(room == 1 for _, _, room, _ in seen["items"])


def test_long_prompts_are_counted(policy: Path, seen: dict[str, Any]) -> None:
    long = Prompt("long", [{"role": "user", "content": "red " * 70}], None)
    with vllm_generator_config().open(policy) as generator:
        assert len(list(generator.sample([*PROMPTS, long], decoding_config(), 1))) == len(PROMPTS)
        assert generator.counts == {"prompts": 18, "prompts_dropped": 1, "prompts_truncated": 0}


def test_seeds_of_different_prompts_never_overlap() -> None:
    seeds = [prompt_seed(0, f"p{i}", 5) for i in range(5000)]
    assert len(set(seeds)) == 5000
    assert all(seed % 5 == 0 and 0 <= seed < 2**62 for seed in seeds)


def test_a_folder_that_cannot_serve_starts_no_process(tmp_path: Path, seen: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json"), vllm_generator_config().open(tmp_path):
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
