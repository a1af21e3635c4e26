"""Every family is sampled as its own forward says, whatever state it keeps; a row depends on no other row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mt.engines.generation.sampler import draw, stream_key
from mt.engines.generation.sharing import plain_loop, shares_prompts
from mt.engines.settings import DecodingConfig
from mt.engines.text import open_chat
from mt.types import Prompt, Response
from tests.engines.families import family, family_folder
from tests.engines.settings import decoding_config, generator_config

SHARED = ["llama", "mistral", "gemma2", "cohere", "granite", "nanochat", "phi", "mixtral", "phi3"]
OWN_STATE = ["falcon_h1", "recurrent_gemma", "qwen3_5", "qwen3_next", "jamba", "bamba", "granite_hybrid", "minimax"]
OWN_STATE += ["mamba", "mamba2", "lfm2"]
UNCACHED = ["bamba_recurrent", "rwkv", "nemotron_h"]
PROMPTS = [
    Prompt(name, [{"role": "user", "content": text}])
    for name, text in {"a": "red fox", "b": "tell me the colour of owl and cat", "c": "blue dog"}.items()
]


def one_by_one(folder: Path, name: str, decoding: DecodingConfig, seed: int) -> dict[tuple[str, int], list[int]]:
    """Draw each response alone, from passes over the whole row, without any cache."""
    model, chat = family(name), open_chat(folder)
    found = {}
    for prompt in PROMPTS:
        start = chat.prompt_ids(prompt.messages)
        for sample in range(decoding.samples):
            key, ids = torch.tensor([stream_key(seed, prompt.prompt_id, sample)]), list(start)
            for step in range(min(decoding.max_new_tokens, decoding.max_length - len(start))):
                with torch.inference_mode():
                    logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[:, -1]
                ids.append(int(draw(logits, key, step, decoding.temperature, decoding.top_p)))
                if ids[-1] in chat.stop_ids:
                    break
            found[prompt.prompt_id, sample] = ids[len(start) :]
    return found


def sampled(folder: Path, decoding: DecodingConfig, seed: int, **settings: object) -> dict[tuple[str, int], Response]:
    with generator_config(**settings).open(folder) as generator:
        rows = list(generator.sample(PROMPTS, decoding, seed))
    return {(row.prompt_id, k): response for row in rows for k, response in enumerate(row.responses)}


@pytest.mark.parametrize("name", [*SHARED, *OWN_STATE, *UNCACHED])
def test_responses_are_those_of_the_models_own_forward(tmp_path: Path, name: str) -> None:
    folder, decoding = family_folder(name, tmp_path), decoding_config(max_new_tokens=8)
    found = sampled(folder, decoding, seed=3)
    assert {place: response.ids for place, response in found.items()} == one_by_one(folder, name, decoding, seed=3)


@pytest.mark.parametrize("name", ["qwen3_5", "mamba"])
def test_company_and_batches_change_nothing(tmp_path: Path, name: str) -> None:
    folder, decoding = family_folder(name, tmp_path), decoding_config(max_new_tokens=8)
    together, alone = (sampled(folder, decoding, 3, batch_tokens=budget) for budget in (4096, 1))
    assert {place: one.ids for place, one in together.items()} == {place: one.ids for place, one in alone.items()}
    for place, one in together.items():
        assert one.logprob == pytest.approx(alone[place].logprob, abs=1e-4)


@pytest.mark.parametrize("name", ["jamba", *UNCACHED])
def test_the_samplers_own_log_probability_is_the_models(tmp_path: Path, name: str) -> None:
    folder, decoding = family_folder(name, tmp_path), decoding_config(max_new_tokens=8, temperature=0.7, top_p=0.5)
    model, chat = family(name), open_chat(folder)
    found = sampled(folder, decoding, 0)
    for prompt in PROMPTS:
        start, response = chat.prompt_ids(prompt.messages), found[prompt.prompt_id, 1]
        assert response.ids is not None
        with torch.inference_mode():
            logps = model(input_ids=torch.tensor([start + response.ids]), use_cache=False).logits[0].log_softmax(-1)
        wanted = sum(float(logps[len(start) - 1 + i, token]) for i, token in enumerate(response.ids))
        assert response.logprob == pytest.approx(wanted, abs=1e-4)


def test_greedy_decoding_is_that_of_transformers(tmp_path: Path) -> None:
    folder, decoding = family_folder("falcon_h1", tmp_path), decoding_config(temperature=0.0, max_new_tokens=8)
    assert sampled(folder, decoding, 0)["b", 2].ids == one_by_one(folder, "falcon_h1", decoding, 0)["b", 2]


def test_the_folders_own_generation_settings_change_nothing(tmp_path: Path) -> None:
    folder, decoding = family_folder("mamba", tmp_path), decoding_config(max_new_tokens=8)
    plain = sampled(folder, decoding, 0)
    settings = {"repetition_penalty": 5.0, "suppress_tokens": [7, 8, 9, 10], "eos_token_id": 2, "min_length": 9}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    assert sampled(folder, decoding, 0) == plain


@pytest.mark.parametrize("name", ["bamba", "mamba", "qwen3_5", *UNCACHED])
def test_a_cache_is_used_only_where_it_gives_the_models_own_numbers(name: str) -> None:
    assert plain_loop(family(name)) == ("uncached" if name in UNCACHED else "cached")


@pytest.mark.parametrize("name", [*SHARED, *OWN_STATE])
def test_prompts_are_shared_only_where_keys_and_values_are_all_there_is(name: str) -> None:
    assert shares_prompts(family(name)) == (name in SHARED)
