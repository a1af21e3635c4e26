"""A training against plain transformers and torch: one sequence at a time, whole logits, no padding."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import logsigmoid
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback

from mt.engines.text import open_chat
from mt.engines.training.batches import plan
from mt.engines.training.data import read
from mt.engines.training.models import load_for_training
from mt.engines.training.process import TrainingProcess, arguments, build
from mt.engines.training.task import TrainingTask
from mt.types import Demonstration, Pair, PairLogProbs, Response
from tests.engines.tiny import SPECIALS, WORDS, tiny_policy
from tests.engines.training.conftest import DPO, TRAINER, TRAINING, Lab, changed, make_pairs, references_of

ONE_STEP = changed(TRAINING, batch_size=32, weight_decay=0.0, max_gradient_norm=1e9)
SPLIT = changed(TRAINER, micro_batch_tokens=60)


def sampled_pairs(folder: Path, n: int = 9) -> list[Pair]:
    """Return pairs whose ids no tokenizer would give their text: they were sampled, and some ended by themselves."""
    random_, chat = random.Random(3), open_chat(folder)

    def response() -> Response:
        ids = [random_.randrange(len(SPECIALS), len(SPECIALS) + len(WORDS)) for _ in range(random_.randint(2, 7))]
        finished = random_.random() < 0.5
        return Response("some other text", len(ids), finished, [*ids, 2] if finished else ids, chat.fingerprint)

    pairs = make_pairs(n)
    return [replace(pair, chosen=response(), rejected=response(), weight=random_.choice([1.0, 0.5])) for pair in pairs]


def loss_and_gradients(task: TrainingTask) -> tuple[float, dict[str, Tensor]]:
    """Run one step of our training; return its loss and the gradients that its optimizer gets."""
    chat = open_chat(task.model)
    data = read(task, chat)
    process, losses, gradients = TrainingProcess(rank=0, world_size=1), [], {}

    class Catch(TrainerCallback):
        def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
            named = trainer.model.named_parameters()
            gradients.update({name: parameter.grad.clone() for name, parameter in named})

    model, batches = load_for_training(task), plan(task, data)
    assert len(batches) == 1
    trainer = build(
        task,
        arguments(task, process),
        model,
        chat,
        data,
        batches,
        lambda step, total, metrics: losses.append(metrics["loss"]),
        process,
    )
    trainer.add_callback(Catch())
    trainer.train()
    return losses[0], gradients


def prompt_of(folder: Path, messages: list[dict[str, str]]) -> list[int]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)


def logp(model: Any, prompt: list[int], answer: list[int]) -> Tensor:
    logits = model(torch.tensor([prompt + answer])).logits[0]
    logps = logits.log_softmax(-1)
    places = range(len(prompt) - 1, len(prompt) + len(answer) - 1)
    return sum((logps[place, token] for place, token in zip(places, answer, strict=True)), torch.tensor(0.0))


def assert_same(model: Any, loss: Tensor, found: tuple[float, dict[str, Tensor]]) -> None:
    loss.backward()
    assert found[0] == pytest.approx(loss.item(), abs=1e-4)
    expected = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert expected.keys() == found[1].keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("trainer", [TRAINER, SPLIT])
def test_dpo_on_sampled_ids(lab: Lab, trainer: Any) -> None:
    pairs = sampled_pairs(lab.policy)
    references = references_of(pairs)
    task = lab.task(rows=pairs, references=references, training=ONE_STEP, trainer=trainer)
    model, losses = AutoModelForCausalLM.from_pretrained(lab.policy), []
    for pair, reference in zip(pairs, references, strict=True):
        prompt = prompt_of(lab.policy, pair.messages)
        chosen, rejected = (logp(model, prompt, answer.ids) for answer in (pair.chosen, pair.rejected))
        margin = (chosen - reference.chosen) - (rejected - reference.rejected)
        losses.append(-pair.weight * logsigmoid(DPO.beta * margin))
    assert_same(model, sum(losses) / len(pairs), loss_and_gradients(task))


@pytest.mark.parametrize("trainer", [TRAINER, SPLIT])
def test_supervised_finetuning_on_sampled_ids(lab: Lab, trainer: Any) -> None:
    rows = [Demonstration(p.prompt_id, p.messages, None, p.chosen, p.weight) for p in sampled_pairs(lab.policy)]
    task = lab.task("sft", rows=rows, training=ONE_STEP, trainer=trainer)
    model, losses = AutoModelForCausalLM.from_pretrained(lab.policy), []
    for row in rows:
        logps = logp(model, prompt_of(lab.policy, row.messages), row.response.ids)
        losses.append(-row.weight * logps / len(row.response.ids))
    assert_same(model, sum(losses) / len(rows), loss_and_gradients(task))


@pytest.mark.parametrize("trainer", [TRAINER, SPLIT])
def test_bradley_terry_on_conversations(lab: Lab, trainer: Any) -> None:
    pairs = [replace(pair, weight=weight) for pair, weight in zip(make_pairs(9), [1.0, 0.5, 2.0] * 3, strict=True)]
    task = lab.task("reward", rows=pairs, model=str(lab.reward), training=ONE_STEP, trainer=trainer)
    model, losses = AutoModelForSequenceClassification.from_pretrained(lab.reward), []
    tokenizer = AutoTokenizer.from_pretrained(lab.reward)

    def reward(pair: Pair, answer: Response) -> Tensor:
        messages = [*pair.messages, {"role": "assistant", "content": answer.text}]
        ids = tokenizer.apply_chat_template(messages, return_tensors="pt", return_dict=False)
        return model(ids).logits[0, 0]

    for pair in pairs:
        losses.append(-pair.weight * logsigmoid(reward(pair, pair.chosen) - reward(pair, pair.rejected)))
    assert_same(model, sum(losses) / len(pairs), loss_and_gradients(task))


def test_gradients_reach_exactly_the_sampled_ids(lab: Lab, tmp_path: Path) -> None:
    """An embedding row has a gradient where its id was read before a counted token, and nowhere else."""
    folder = tiny_policy(tmp_path / "untied", tie_word_embeddings=False, initializer_range=0.1)
    (pair,) = sampled_pairs(folder, n=1)
    row = Demonstration("p", pair.messages, None, pair.chosen)
    _, gradients = loss_and_gradients(lab.task("sft", rows=[row], model=str(folder), training=ONE_STEP))
    touched = gradients["model.embed_tokens.weight"].abs().sum(1).nonzero()[:, 0].tolist()
    assert touched == sorted({*prompt_of(folder, pair.messages), *pair.chosen.ids[:-1]})


def test_ids_of_another_tokenizer_are_foreign_text(lab: Lab) -> None:
    pairs = make_pairs(9)
    foreign = [replace(p, chosen=replace(p.chosen, ids=[7, 8, 9], tokenizer="another")) for p in pairs]
    plain, other = (lab.task(rows=rows, training=ONE_STEP) for rows in (pairs, foreign))
    assert loss_and_gradients(plain)[0] == loss_and_gradients(other)[0]


LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "short_factor": [1.0] * 4,
    "long_factor": [4.0, 3.0, 2.0, 1.5],
    "original_max_position_embeddings": 14,
}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}
ROTARY = [
    {"rope_parameters": LONGROPE, "max_position_embeddings": 56},
    {"rope_parameters": DYNAMIC, "max_position_embeddings": 14},
]


@pytest.mark.parametrize("rotary", ROTARY)
@pytest.mark.parametrize("trainer", [TRAINER, SPLIT])
def test_rotary_factors_by_length_make_no_row_depend_on_others(
    lab: Lab, tmp_path: Path, rotary: dict[str, Any], trainer: Any
) -> None:
    """Short and long sequences in one batch, and in one pair, against a fresh model for each sequence."""
    folder = tiny_policy(tmp_path / "rotary", initializer_range=0.1, **rotary)
    pairs = sampled_pairs(folder)
    lengths = [
        {len(prompt_of(folder, pair.messages)) + len(answer.ids) for answer in (pair.chosen, pair.rejected)}
        for pair in pairs
    ]
    assert any(min(both) <= 14 < max(both) for both in lengths)  # a pair on both sides of the bound
    references = [PairLogProbs(pair.prompt_id, -20.0, -21.0) for pair in pairs]
    task = lab.task(rows=pairs, references=references, model=str(folder), training=ONE_STEP, trainer=trainer)
    _, found = loss_and_gradients(task)
    total: dict[str, Tensor] = {}
    for pair in pairs:
        prompt = prompt_of(folder, pair.messages)
        sides = [AutoModelForCausalLM.from_pretrained(folder) for _ in range(2)]
        chosen, rejected = (
            logp(one, prompt, answer.ids) for one, answer in zip(sides, (pair.chosen, pair.rejected), strict=True)
        )
        (-pair.weight * logsigmoid(DPO.beta * (chosen + 20.0 - rejected - 21.0)) / len(pairs)).backward()
        for one in sides:
            for name, parameter in one.named_parameters():
                total[name] = total.get(name, 0.0) + parameter.grad
    assert found.keys() == total.keys()
    for name in found:
        torch.testing.assert_close(found[name], total[name], rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_steps_equal_a_plain_loop(lab: Lab, schedule: str) -> None:
    """Three steps of AdamW at learning rates written out by hand, on the whole data each time."""
    pairs = sampled_pairs(lab.policy, n=6)
    references = [PairLogProbs(pair.prompt_id, -20.0, -21.0) for pair in pairs]
    training = changed(TRAINING, batch_size=6, epochs=3, schedule=schedule, weight_decay=0.0)
    task = lab.task(rows=pairs, references=references, training=training)
    lab.train(task)
    model = AutoModelForCausalLM.from_pretrained(lab.policy)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.0)
    for factor in {"cosine": (0.5, 1.0, 0.5), "linear": (0.5, 1.0, 0.5), "constant": (0.5, 1.0, 1.0)}[schedule]:
        losses = []
        for pair in pairs:
            prompt = prompt_of(lab.policy, pair.messages)
            chosen, rejected = (logp(model, prompt, answer.ids) for answer in (pair.chosen, pair.rejected))
            losses.append(-pair.weight * logsigmoid(DPO.beta * (chosen + 20.0 - rejected - 21.0)))
        optimizer.zero_grad()
        (sum(losses) / len(pairs)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.param_groups[0]["lr"] = training.learning_rate * factor
        optimizer.step()
    expected = model.state_dict()
    for name, value in load_file(Path(task.output) / "model.safetensors").items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=2e-4, msg=name)
