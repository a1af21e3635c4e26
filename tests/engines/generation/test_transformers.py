"""Responses depend on policy, prompt, settings and seed; batches, order and company change nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mt.engines import settings
from mt.engines.generation.decoding import DecodingBatch
from mt.engines.generation.transformers import TransformersGenerator
from mt.engines.settings import DecodingConfig
from mt.errors import EngineError, ModelError
from mt.types import Prompt, Samples
from tests.engines.families import family_folder
from tests.engines.settings import decoding_config, generator_config
from tests.engines.tiny import WORDS, asked_ids, tiny_policy

PROMPTS = [
    Prompt(f"p{i}", [{"role": "user", "content": " ".join(WORDS[i % 7 : i % 7 + 1 + i % 5])}], "s") for i in range(17)
]


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_policy(tmp_path_factory.mktemp("policy"), initializer_range=0.3)


def answers(
    folder: Path,
    prompts: Iterable[Prompt] = PROMPTS,
    config: TransformersGenerator | None = None,
    decoding: DecodingConfig | None = None,
    seed: int = 11,
    skip: Iterable[str] = (),
) -> dict[str, Samples]:
    with (config or generator_config()).open(folder) as generator:
        found = list(generator.sample(list(prompts), decoding or decoding_config(), seed, set(skip)))
    assert len({samples.prompt_id for samples in found}) == len(found)
    return {samples.prompt_id: samples for samples in found}


def test_every_prompt_gets_its_k_responses(policy: Path) -> None:
    found = answers(policy)
    assert found.keys() == {prompt.prompt_id for prompt in PROMPTS}
    responses = [response for samples in found.values() for response in samples.responses]
    assert {len(samples.responses) for samples in found.values()} == {3}
    assert {response.finished for response in responses} == {True, False}
    assert len({response.text for response in responses}) > len(responses) // 2
    for response in responses:
        assert len(response.text.split()) <= response.n_tokens <= (11 if response.finished else 12)
        assert "<" not in response.text
    assert (found["p3"].messages, found["p3"].section) == (PROMPTS[3].messages, "s")


@pytest.mark.parametrize("batch_tokens", [1, 300, 100_000])
def test_batch_size_changes_nothing(policy: Path, batch_tokens: int) -> None:
    assert answers(policy, config=generator_config(batch_tokens=batch_tokens)) == answers(policy)


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma2"])  # two of them attend to the last tokens in some layers
def test_prompts_that_are_read_in_parts_get_the_same_responses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder, passes = family_folder(name, tmp_path), list[int]()
    whole = answers(folder, config=generator_config(batch_tokens=100_000))
    monkeypatch.setitem(settings._ON_CPU, "score", 40)
    forward = DecodingBatch._forward

    def count(batch: DecodingBatch, ids: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        passes.append(ids.numel())
        return forward(batch, ids, *others)

    monkeypatch.setattr(DecodingBatch, "_forward", count)
    assert answers(folder, config=generator_config(batch_tokens=None)) == whole
    assert len([tokens for tokens in passes if 20 < tokens <= 40]) > 3


def test_order_and_company_change_nothing(policy: Path) -> None:
    reference = answers(policy)
    assert answers(policy, reversed(PROMPTS)) == reference
    assert answers(policy, PROMPTS[4:9]) == {p.prompt_id: reference[p.prompt_id] for p in PROMPTS[4:9]}


def test_fewer_samples_are_the_first_of_more(policy: Path) -> None:
    five = answers(policy, decoding=decoding_config(samples=5))
    assert {key: samples.responses for key, samples in answers(policy).items()} == {
        key: samples.responses[:3] for key, samples in five.items()
    }


def test_another_seed_gives_other_responses(policy: Path) -> None:
    assert answers(policy, seed=12) != answers(policy, seed=11)


def test_a_resumed_run_yields_only_what_is_missing_and_the_same(policy: Path) -> None:
    reference = answers(policy, config=generator_config(batch_tokens=300))
    with generator_config(batch_tokens=300).open(policy) as generator:
        stream = generator.sample(PROMPTS, decoding_config(), 11)
        done = {samples.prompt_id: samples for samples in (next(stream) for _ in range(7))}
    rest = answers(policy, config=generator_config(batch_tokens=300), skip=done)
    assert not rest.keys() & done.keys()
    assert {**done, **rest} == reference


def test_greedy_responses_equal_those_of_transformers(policy: Path) -> None:
    tokenizer, model = AutoTokenizer.from_pretrained(policy), AutoModelForCausalLM.from_pretrained(policy)
    found = answers(policy, decoding=decoding_config(temperature=0, samples=2))
    for prompt in PROMPTS:
        ids = torch.tensor([asked_ids(policy, prompt.messages)])
        out = model.generate(ids, max_new_tokens=12, do_sample=False, pad_token_id=0, eos_token_id=2)
        new = out[0, ids.shape[1] :].tolist()
        text = tokenizer.decode(new, skip_special_tokens=True)
        expected = (text, len(new) - (new[-1] == 2), new[-1] == 2, new)
        for one in found[prompt.prompt_id].responses:
            assert (one.text, one.n_tokens, one.finished, one.ids) == expected


@pytest.mark.parametrize("heads", [(2, 2), (4, 2), (4, 1)])
def test_responses_keep_their_ids_and_the_raw_log_probability_of_them(tmp_path: Path, heads: tuple[int, int]) -> None:
    """Compared with the model's own logits on prompt and ids, one row at a time; the nucleus and 0.8 play no part."""
    shape = {"hidden_size": 32, "num_attention_heads": heads[0], "num_key_value_heads": heads[1]}
    policy = tiny_policy(tmp_path, initializer_range=0.3, **shape)
    tokenizer, model = AutoTokenizer.from_pretrained(policy), AutoModelForCausalLM.from_pretrained(policy)
    for samples in answers(policy, config=generator_config(batch_tokens=300)).values():
        prompt = asked_ids(policy, samples.messages)
        for response in samples.responses:
            ids = response.ids
            assert ids is not None
            assert response.finished == (ids[-1] == 2)
            assert 2 not in ids[:-1]
            assert response.n_tokens == len(ids) - response.finished
            assert response.text == tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            with torch.no_grad():
                logps = model(torch.tensor([prompt + ids])).logits[0].log_softmax(-1)
            own = sum(float(logps[len(prompt) + t - 1, token]) for t, token in enumerate(ids))
            assert response.logprob == pytest.approx(own, abs=1e-4)


def test_sampled_frequencies_match_the_policy(policy: Path) -> None:
    """The first token's frequencies over many samples follow the policy's nucleus."""
    from scipy.stats import chisquare

    tokenizer, model = AutoTokenizer.from_pretrained(policy), AutoModelForCausalLM.from_pretrained(policy)
    prompt = PROMPTS[2]
    with torch.no_grad():
        logits = model(torch.tensor([asked_ids(policy, prompt.messages)])).logits[0, -1]
    probabilities, order = (logits / 0.8).softmax(-1).sort(descending=True)
    inside = probabilities.cumsum(0) - probabilities < 0.95
    shares = probabilities[inside].double() / probabilities[inside].double().sum()
    expected = dict(zip(order[inside].tolist(), shares.tolist(), strict=True))
    decoding = decoding_config(samples=3000, max_new_tokens=1)
    drawn = answers(policy, [prompt], decoding=decoding)[prompt.prompt_id].responses
    counts = Counter(response.text for response in drawn)
    weights: Counter[str] = Counter()
    for token, p in expected.items():
        weights[tokenizer.decode([token], skip_special_tokens=True)] += float(p)
    assert counts.keys() <= weights.keys()
    assert chisquare([counts[text] for text in weights], [p * 3000 for p in weights.values()]).pvalue > 0.001


def test_responses_keep_within_the_length(policy: Path) -> None:
    ids = {p.prompt_id: asked_ids(policy, p.messages) for p in PROMPTS}
    longest = max(map(len, ids.values()))
    found = answers(policy, decoding=decoding_config(max_length=longest + 4, max_new_tokens=50, samples=8))
    for prompt_id, samples in found.items():
        room = longest + 4 - len(ids[prompt_id])
        assert all(r.n_tokens + r.finished <= room for r in samples.responses)
        assert all(r.n_tokens == room for r in samples.responses if not r.finished)


@pytest.mark.parametrize("long_prompts", ["drop", "truncate"])
def test_long_prompts_are_dropped_or_cut_and_counted(policy: Path, long_prompts: str) -> None:
    long = Prompt("long", [{"role": "user", "content": "red " * 70}], None)
    config = generator_config(long_prompts=long_prompts)
    with config.open(policy) as generator:
        found = {samples.prompt_id: samples for samples in generator.sample([*PROMPTS, long], decoding_config(), 1)}
        counts = generator.counts
    dropped = int(long_prompts == "drop")
    assert counts == {"prompts": 18, "prompts_dropped": dropped, "prompts_truncated": 1 - dropped}
    assert ("long" in found) == (not dropped)
    if not dropped:
        assert all(r.n_tokens + r.finished <= config.min_response_tokens for r in found["long"].responses)


def test_memory_that_runs_out_halves_the_batch(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mt.engines.generation import local as engine

    reference = answers(policy)
    sizes: list[int] = []
    whole = engine.DecodingBatch.decode

    def decode(batch: engine.DecodingBatch, *args: object) -> object:
        sizes.append(len(batch.ready))
        if len(batch.ready) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(batch, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(engine.DecodingBatch, "decode", decode)
    assert answers(policy, config=generator_config(batch_tokens=100_000)) == reference
    assert sizes[:4] == [17, 8, 4, 2]
    assert set(sizes[3:]) <= {1, 2}


def test_one_prompt_that_does_not_fit_is_an_error(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mt.engines.generation import local as engine

    def decode(batch: engine.DecodingBatch, *args: object) -> object:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(engine.DecodingBatch, "decode", decode)
    with pytest.raises(EngineError, match=r"generator\.batch_tokens"):
        answers(policy)


def test_a_length_beyond_the_context_is_refused(policy: Path) -> None:
    with pytest.raises(ModelError, match=r"sampling\.max_length=129.*at most 128"):
        answers(policy, decoding=decoding_config(max_length=129))
