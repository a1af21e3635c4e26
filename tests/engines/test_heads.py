"""Output heads compute the model's own logits, whatever is hung on the model meanwhile."""

from __future__ import annotations

from typing import Any

import torch
from transformers import LlamaForCausalLM

from mt.engines.heads import OutputHead
from tests.engines.tiny import tiny_config


def test_hooks_hung_on_the_model_later_do_not_run_in_its_head() -> None:
    """ZeRO-3 hangs some on every module of a model that trains, and they look there for what they keep in it."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(tiny_config()).eval()
    head = OutputHead(model)
    model.kept = 1

    def look(module: Any, *_: Any) -> None:
        assert module.kept

    model.register_forward_pre_hook(look)
    model.register_forward_hook(look)
    hidden_RD = torch.randn(3, 16)
    torch.testing.assert_close(head.logits(hidden_RD), model.lm_head(hidden_RD))
