"""Output heads: from a model's final hidden states to its logits, or to its reward, as the model itself does it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

from torch import nn
from torch.nn.functional import linear
from transformers.modeling_outputs import BaseModelOutputWithPast

from mt.errors import ModelError, describe

if TYPE_CHECKING:
    from torch import Tensor

REWARD_HEAD = "score"


class OutputHead:
    """What a causal language model does after its last layer: the projection and whatever follows it.

    Scalings, soft caps and biases differ between families, and their names do not tell what they do: Granite divides
    by `logits_scaling`, HyperCLOVA X multiplies by it. So the model's own forward computes the logits, with hidden
    states that exist already in the place of its body.
    """

    def __init__(self, model: Any):
        """Take the head of a model; raises `ModelError` where the model keeps none beside its body."""
        module = model.get_output_embeddings()
        name = next((name for name, child in model.named_children() if child is module and child is not None), None)
        body = getattr(model, model.base_model_prefix, None)
        if name is None or body is None:
            problem = "it has no output layer beside its body that turns hidden states into logits"
            raise ModelError(describe("architecture", type(model).__name__, problem, fix="Use a decoder model"))
        self.module: Any = module
        """The projection, which holds the parameters: one module, so that ZeRO-3 gathers them by one call."""
        self.vocabulary: int = module.out_features
        """Logits for each position."""
        # The projection is called by the forward it has now: training replaces it by one that calls `logits`.
        self._headless = copy.copy(model)
        stand_ins = {model.base_model_prefix: _Body(body), name: _Projection(module)}
        self._headless._modules = {**model._modules, **stand_ins}

    def logits(self, hidden_RD: Tensor) -> Tensor:
        """Return the logits (R x vocabulary) of final hidden states (R x width), as the model's own forward does."""
        # The forward of the class: training replaces the model's own, and ZeRO-3 hangs hooks on the model that would
        # run in the copy, too, and look there for what they keep in the model.
        forward = type(self._headless).forward
        logits_1RV = forward(self._headless, inputs_embeds=hidden_RD[None], use_cache=False).logits
        logits_RV: Tensor = logits_1RV[0]
        return logits_RV


def reward_head(model: Any) -> Any:
    """Return the layer that maps a final hidden state to a reward; raises `ModelError` where there is none such."""
    head = getattr(model, REWARD_HEAD, None)
    if not isinstance(head, nn.Linear):
        problem = f"its classifier has no '{REWARD_HEAD}' layer that maps the last hidden state to a reward"
        fix = "Use a decoder reward model, such as LlamaForSequenceClassification"
        raise ModelError(describe("architecture", type(model).__name__, problem, fix=fix))
    return head


def read_rewards(head: Any, hidden_BD: Tensor) -> Tensor:
    """Return rewards (float32, shape B) of the last tokens' hidden states.

    The head multiplies in float32: a bfloat16 reward would tie responses that differ by 1%.
    """
    bias = None if head.bias is None else head.bias.float()
    rewards_B1 = linear(hidden_BD.float(), head.weight.float(), bias)
    return rewards_B1[:, 0]


class _StandIn(nn.Module):
    """Stands in for a module: has its attributes, and computes something else."""

    def __init__(self, original: nn.Module):
        super().__init__()
        object.__setattr__(self, "original", original)  # not as a submodule: it stays where it is

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "original"), name)


class _Body(_StandIn):
    """Returns the hidden states that it is given."""

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)
        return _Body(value) if isinstance(value, nn.Module) else value  # OPT calls its body's decoder

    def forward(self, *_: Any, inputs_embeds: Tensor, **__: Any) -> _Hidden:
        return _Hidden(last_hidden_state=cast(Any, inputs_embeds))


class _Hidden(BaseModelOutputWithPast):
    """Hidden states and nothing else, whatever else families return."""

    def __getattr__(self, _: str) -> None:
        return None


class _Projection(_StandIn):
    """Projects without the module's hooks: where those matter, the module itself is being called already."""

    def __init__(self, original: nn.Module):
        super().__init__(original)
        object.__setattr__(self, "forward", original.forward)
