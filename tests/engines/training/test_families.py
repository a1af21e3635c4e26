"""Training computes every family's log-probabilities and rewards as plain transformers does, row by row."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from mt.engines.models import load_weights
from mt.engines.training.batches import collate
from mt.engines.training.data import Example
from mt.engines.training.losses import answer_by_log_probability, answer_by_reward, pair_logps
from tests.engines.families import COMMON, LONG, MAKERS, family, family_folder
from tests.engines.tiny import tiny_tokenizer

LENGTHS = [(5, 2), (30, 9), (12, 4), (17, 6)]
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}
ROTARY: dict[str, tuple[str, dict[str, Any]]] = {
    "longrope": ("Phi3", LONG),
    "dynamic": ("Llama", {"max_position_embeddings": 16, "rope_parameters": DYNAMIC}),
}


def sequence(length: int) -> list[int]:
    return [3 + (7 * place + length) % 20 for place in range(length)]


ROWS = [
    Example("a", [(sequence(LENGTHS[0][0]), LENGTHS[0][1]), (sequence(LENGTHS[1][0]), LENGTHS[1][1])], 1.0),
    Example("b", [(sequence(LENGTHS[2][0]), LENGTHS[2][1]), (sequence(LENGTHS[3][0]), LENGTHS[3][1])], 1.0),
]
ORDER = [ROWS[row].sequences[side] for side in (0, 1) for row in (0, 1)]


def plain_logprob(model: Any, ids: list[int], count: int) -> torch.Tensor:
    logps = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, :-1].float().log_softmax(-1)
    return logps[torch.arange(len(ids) - 1), torch.tensor(ids[1:])][-count:].sum()


def found_logprobs(model: Any) -> torch.Tensor:
    answer_by_log_probability(model)
    pairs = pair_logps(model, collate(ROWS, 0, pooled=False))
    return torch.cat([pairs.chosen_B, pairs.rejected_B])


@pytest.mark.parametrize("name", MAKERS)
def test_log_probabilities_and_gradients_are_the_models_own(tmp_path: Path, name: str) -> None:
    folder = family_folder(name, tmp_path)
    plain, efficient = family(name), load_weights(folder, "policy", torch.float32).eval()
    wanted = torch.stack([plain_logprob(plain, *one) for one in ORDER])
    found = found_logprobs(efficient)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-4)
    wanted.sum().backward()
    found.sum().backward()
    gradients = {key: parameter.grad for key, parameter in plain.named_parameters()}
    for key, parameter in efficient.named_parameters():
        if gradients[key] is not None:
            torch.testing.assert_close(parameter.grad, gradients[key], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["policy", "reward"])
@pytest.mark.parametrize("rope", ROTARY)
def test_rotary_factors_are_those_of_each_sequence_of_a_pair(tmp_path: Path, rope: str, kind: Any) -> None:
    prefix, settings = ROTARY[rope]
    config = getattr(transformers, f"{prefix}Config")(**{**COMMON, **settings}, num_labels=1)
    torch.manual_seed(0)
    made = getattr(transformers, f"{prefix}For{'CausalLM' if kind == 'policy' else 'SequenceClassification'}")
    fresh = made(config).eval()
    fresh.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    loaded = load_weights(tmp_path, kind, torch.float32).eval()
    with torch.no_grad():
        if kind == "policy":
            wanted = [float(plain_logprob(copy.deepcopy(fresh), *one)) for one in ORDER]
            found = found_logprobs(loaded)
        else:
            wanted = [float(copy.deepcopy(fresh)(input_ids=torch.tensor([ids])).logits) for ids, _ in ORDER]
            answer_by_reward(loaded)
            read = [Example(row.prompt_id, [(ids, 1) for ids, _ in row.sequences], 1.0) for row in ROWS]
            batch = collate(read, 0, pooled=True)
            found = loaded(batch.ids_ST, batch.positions_R, batch.targets_R)
    assert found.tolist() == pytest.approx(wanted, abs=1e-4, rel=1e-5)
