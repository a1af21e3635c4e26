"""A model family as its public models are: tokenizer, chat template and a shrunk configuration with random weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from transformers import PreTrainedTokenizerFast

Sampling = Literal["shared prompt pass", "one prompt pass per response"]

SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
}


@dataclass(frozen=True)
class Family:
    """A kind of model, and what is expected of it."""

    name: str
    causal: str
    """The class of its policies in transformers."""
    reward: str | None
    """The class of its reward models; None where transformers has none."""
    config: str
    values: Mapping[str, Any]
    """What its configuration has beside `SHAPE`; a value of None takes a field of `SHAPE` away."""
    tokenizer: Callable[[], PreTrainedTokenizerFast]
    tokens: str
    """What its tokenizer is, for the table."""
    template: str
    """What its chat template does, for the table."""
    ends: tuple[str, ...]
    """The tokens that its generation_config.json ends with; the first one ends a turn."""
    sampling: Sampling = "shared prompt pass"
    settings: tuple[str, ...] = ()
    """What a user adds to the command line for it."""
    template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    """What `settings` pass to its template."""
    system: bool = True
    """Whether its template takes a system turn."""
    note: str = ""
    """What its configuration has that others have not, for the table."""

    def policy(self, folder: Path) -> Path:
        """Save a policy whose answers end by themselves now and then."""
        tokenizer = self.tokenizer()
        model = self.model(self.causal, tokenizer, seed=0)
        ends = [tokenizer.convert_tokens_to_ids(end) for end in self.ends]
        _end_sooner(model, tokenizer, ends[0])
        model.generation_config = transformers.GenerationConfig(
            eos_token_id=ends if len(ends) > 1 else ends[0], **_ids(tokenizer, "bos", "pad")
        )
        return _save(model, tokenizer, folder)

    def reward_model(self, folder: Path) -> Path:
        """Save a reward model of the same family, with a tokenizer and template of its own."""
        assert self.reward is not None
        tokenizer = self.tokenizer()
        return _save(self.model(self.reward, tokenizer, seed=1, num_labels=1), tokenizer, folder)

    def model(self, name: str, tokenizer: PreTrainedTokenizerFast, seed: int, **more: Any) -> Any:
        """Return a model with random weights; norms and biases are moved from where they start."""
        config = getattr(transformers, self.config)
        values = {**SHAPE, "vocab_size": len(tokenizer) + 7, **_ids(tokenizer, "bos", "eos", "pad"), **self.values}
        torch.manual_seed(seed)
        model = getattr(transformers, name)(config(**{k: v for k, v in {**values, **more}.items() if v is not None}))
        with torch.no_grad():
            for weight in model.parameters():
                if weight.ndim == 1:
                    weight += 0.1 * torch.randn_like(weight)
        return model.float().eval()


def _ids(tokenizer: PreTrainedTokenizerFast, *names: str) -> dict[str, int | None]:
    return {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in names}


def _save(model: Any, tokenizer: PreTrainedTokenizerFast, folder: Path) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@torch.no_grad()
def _end_sooner(model: Any, tokenizer: PreTrainedTokenizerFast, end: int) -> None:
    """Turn the end token's output row towards the mean hidden state, until it has a probability above 0.06."""
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    ids = torch.tensor([tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)])
    head = model.get_output_embeddings()
    hidden: list[torch.Tensor] = []
    hook = head.register_forward_pre_hook(lambda module, inputs: hidden.append(inputs[0][0]))
    model(ids)
    hook.remove()
    direction = hidden[0].mean(0) / hidden[0].mean(0).norm()
    row = head.weight[end].clone()
    for length in torch.linspace(0, 30, 61):
        head.weight[end] = row + length * direction
        if float(model(ids).logits[0].softmax(-1)[:, end].mean()) > 0.06:
            return
