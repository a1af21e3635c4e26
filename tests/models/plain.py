"""What is right, by transformers alone: one row at a time, no padding, no cache, float32."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

DAY = datetime.datetime(2024, 7, 26)
"""The day that templates are shown where nothing else is set."""

Messages = list[dict[str, str]]


class Plain:
    """A model folder opened by transformers."""

    def __init__(self, folder: Path, template_kwargs: Mapping[str, Any], *, reward: bool = False):
        """Load it; raises `AssertionError` where a weight is missing, unexpected or of another shape."""
        loader = AutoModelForSequenceClassification if reward else AutoModelForCausalLM
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.model, info = loader.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
        for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
            assert not info[kind], (kind, info[kind])
        added = self.tokenizer.added_tokens_decoder
        self.specials = {i for i, token in added.items() if token.special}
        self.kwargs = {**template_kwargs, "strftime_now": DAY.strftime}

    def render(self, messages: Messages, *, prompt: bool) -> list[int]:
        """Return the ids of a prompt, or of a whole conversation."""
        ids = self.tokenizer.apply_chat_template(
            messages, add_generation_prompt=prompt, return_dict=False, **self.kwargs
        )
        return list(ids)

    def logits(self, ids: Sequence[int]) -> torch.Tensor:
        """Return the logits at every position of one row (T x V)."""
        logits: torch.Tensor = self.model(torch.tensor([ids]), use_cache=False).logits[0]
        return logits.float()

    def response_logits(self, messages: Messages, ids: Sequence[int]) -> torch.Tensor:
        """Return the logits that predict each token of a response (R x V)."""
        prompt = self.render(messages, prompt=True)
        return self.logits([*prompt, *ids])[len(prompt) - 1 : -1]

    def sampling_logits(self, messages: Messages, ids: Sequence[int]) -> torch.Tensor:
        """Return the logits that each token of a response is drawn from (R x V).

        They are those of one pass over the response, but where the length of a row chooses its rotary factors
        (longrope): there each token sees a shorter row than the next one, and takes a pass of its own.
        """
        rope = getattr(self.model.config, "rope_parameters", None) or {}
        if rope.get("rope_type") != "longrope":
            return self.response_logits(messages, ids)
        prompt = self.render(messages, prompt=True)
        return torch.stack([self.logits([*prompt, *ids[:place]])[-1] for place in range(len(ids))])

    def logprob(self, messages: Messages, ids: Sequence[int]) -> torch.Tensor:
        """Return the summed log-probability of a response, a scalar with a gradient."""
        return summed(self.response_logits(messages, ids), ids)

    def reward(self, messages: Messages, text: str) -> torch.Tensor:
        """Return the reward of a conversation, read at its last token, a scalar with a gradient."""
        ids = self.render([*messages, {"role": "assistant", "content": text}], prompt=False)
        self.model.config.get_text_config().pad_token_id = None  # else an end token that also pads would be passed over
        reward: torch.Tensor = self.model(torch.tensor([ids]), use_cache=False).logits[0, 0]
        return reward

    def text(self, messages: Messages, ids: Sequence[int]) -> str:
        """Return the text of a response: what its ids add to a text before them, without special tokens.

        A space that the template writes before every answer is not the answer's: it would be written twice.
        """
        before = [self.tokenizer.convert_tokens_to_ids("a")]  # no first piece, which would lose its space
        text = self._decode([*before, *ids]).removeprefix("a")
        asked, whole = (
            self.tokenizer.apply_chat_template(turns, add_generation_prompt=prompt, tokenize=False, **self.kwargs)
            for turns, prompt in ((messages, True), ([*messages, {"role": "assistant", "content": "x"}], False))
        )
        return text.removeprefix(" ") if whole.startswith(f"{asked} x") else text

    def _decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def stops(self) -> list[int]:
        """Return the ids that its generation config ends with."""
        ends = self.model.generation_config.eos_token_id
        return ends if isinstance(ends, list) else [ends]


def summed(logits_RV: torch.Tensor, ids: Sequence[int]) -> torch.Tensor:
    """Return the summed log-probability of a response's tokens, given the logits that predict them.

    In float64: in float32 torch's log_softmax over 49,152 words is off by 8e-6 a token, always to the same side,
    so that ten tokens would use up a tolerance of 1e-4.
    """
    return logits_RV.double().log_softmax(-1).gather(1, torch.tensor(ids)[:, None]).sum()


def outside_nucleus(logits_RV: torch.Tensor, ids: Sequence[int], temperature: float, top_p: float) -> float:
    """Return by how much probability the worst token lies beyond the top-p set (0: all inside)."""
    probabilities_RV = (logits_RV / temperature).softmax(-1)
    chosen_R1 = probabilities_RV.gather(1, torch.tensor(ids)[:, None])
    likelier_R = (probabilities_RV * (probabilities_RV > chosen_R1)).sum(-1)
    return max(0.0, float((likelier_R - top_p).max()))


def train_step(
    model: Any, losses: Iterable[Callable[[], torch.Tensor]], learning_rate: float, max_norm: float = 1.0
) -> tuple[float, float]:
    """Take one AdamW step on the mean loss, row by row; returns (mean loss, norm of its gradient)."""
    rows = list(losses)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0)
    model.train()
    total = 0.0
    for row in rows:
        loss = row() / len(rows)
        loss.backward()
        total += loss.item()
    norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm))
    optimizer.step()
    model.eval()
    return total, norm


def largest_change(before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor]) -> float:
    """Return the largest absolute difference of two state dicts with the same names."""
    assert before.keys() == after.keys()
    return max(float((before[name].float() - after[name].float()).abs().max()) for name in before)


def agreement(
    start: Mapping[str, torch.Tensor], one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]
) -> float:
    """Return the cosine of two updates of the same start, over all weights."""
    dot = one_square = other_square = 0.0
    for name, weight in start.items():
        a, b = (one[name] - weight).double().flatten(), (other[name] - weight).double().flatten()
        dot, one_square, other_square = dot + float(a @ b), one_square + float(a @ a), other_square + float(b @ b)
    return dot / math.sqrt(one_square * other_square)
