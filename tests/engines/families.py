"""Tiny random models of families that scale their logits, keep recurrent states or change with the length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

from tests.engines.tiny import SPECIALS, WORDS, tiny_tokenizer

VOCABULARY = len(SPECIALS) + len(WORDS)
COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
MAMBA: dict[str, Any] = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_n_groups": 1, "mamba_d_state": 8}
LINEAR: dict[str, Any] = {
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "head_dim": 8,
}
STATES: dict[str, Any] = {"state_size": 8, "num_heads": 8, "head_dim": 8, "n_groups": 1, "chunk_size": 8}
LONG_ROPE: dict[str, Any] = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0] * 4,
    "long_factor": [4.0, 3.0, 2.0, 1.5],
    "partial_rotary_factor": 1.0,
}
LONG: dict[str, Any] = {"rope_parameters": LONG_ROPE, "original_max_position_embeddings": 16}
MAKERS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {}),
    "mistral": ("Mistral", {"sliding_window": 4}),
    "gemma2": ("Gemma2", {"head_dim": 8, "sliding_window": 4, "final_logit_softcapping": 2.0}),
    "cohere": ("Cohere", {"logit_scale": 0.25}),
    "granite": ("Granite", {"logits_scaling": 4.0}),
    "nanochat": ("NanoChat", {"final_logit_softcapping": 2.0}),
    "phi": ("Phi", {}),  # its output layer has a bias
    "mixtral": ("Mixtral", {"num_local_experts": 4}),
    "phi3": ("Phi3", LONG),
    "falcon_h1": ("FalconH1", {**MAMBA, "mamba_d_ssm": 64, "lm_head_multiplier": 0.25, "embedding_multiplier": 2.0}),
    "recurrent_gemma": (
        "RecurrentGemma",
        {"num_hidden_layers": 3, "lru_width": 32, "attention_window_size": 4, "head_dim": 8, "logits_soft_cap": 2.0},
    ),
    "qwen3_5": ("Qwen3_5", {**LINEAR, "num_hidden_layers": 4}),
    "qwen3_next": (
        "Qwen3Next",
        {
            **LINEAR,
            "num_hidden_layers": 4,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "shared_expert_intermediate_size": 16,
        },
    ),
    "jamba": (
        "Jamba",
        {"num_hidden_layers": 4, "attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 2, "mamba_d_state": 8},
    ),
    "bamba": ("Bamba", {**MAMBA, "attn_layer_indices": [1]}),
    "granite_hybrid": (
        "GraniteMoeHybrid",
        {**MAMBA, "layer_types": ["mamba", "attention"], "num_local_experts": 2, "logits_scaling": 4.0},
    ),
    "minimax": (
        "MiniMax",
        {"num_local_experts": 2, "head_dim": 8, "layer_types": ["linear_attention", "full_attention"], "block_size": 4},
    ),
    "mamba": ("Mamba", {"state_size": 8}),
    "mamba2": ("Mamba2", STATES),
    "bamba_recurrent": ("Bamba", {**MAMBA, "attn_layer_indices": []}),  # no layer that could tell the past's length
    "rwkv": ("Rwkv", {"attention_hidden_size": 32, "rescale_every": 0}),
    "nemotron_h": (  # a whole pass bounds its steps from below, a cached one does not
        "NemotronH",
        {**MAMBA, "mamba_num_heads": 8, "mamba_head_dim": 8, "ssm_state_size": 8, "n_groups": 1, "head_dim": 8}
        | {"layers_block_type": ["mamba", "attention"], "time_step_min": 0.8},
    ),
    "lfm2": ("Lfm2", {"layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False}),
}


def family(name: str, seed: int = 0) -> Any:
    """Return a tiny random model of a family, in evaluation mode."""
    prefix, settings = MAKERS[name]
    config_class = getattr(transformers, f"{prefix}TextConfig", None) or getattr(transformers, f"{prefix}Config")
    torch.manual_seed(seed)
    return getattr(transformers, f"{prefix}ForCausalLM")(config_class(**{**COMMON, **settings})).eval()


def family_folder(name: str, folder: Path) -> Path:
    """Save a family's tiny model with a tokenizer; returns the folder."""
    family(name).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder
