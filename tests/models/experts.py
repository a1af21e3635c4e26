"""Families with experts and attention in every layer."""

from __future__ import annotations

from functools import partial

from tests.models import templates
from tests.models.family import Family
from tests.models.tokenizers_like import LLAMA3_SPLIT, PIECES, byte_level, sentence_piece

HARMONY = [
    "<|startoftext|>",
    "<|endoftext|>",
    "<|return|>",
    "<|channel|>",
    "<|start|>",
    "<|end|>",
    "<|message|>",
    "<|call|>",
]
DEEPSEEK = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>", "<｜User｜>", "<｜Assistant｜>"]
DEEPSEEK_NAMES = {"bos_token": DEEPSEEK[0], "eos_token": DEEPSEEK[1], "pad_token": DEEPSEEK[2]}
LATENT = {
    "num_key_value_heads": 4,
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "first_k_dense_replace": 1,
}

EXPERTS = [
    Family(
        "Mixtral",
        "MixtralForCausalLM",
        "MixtralForSequenceClassification",
        "MixtralConfig",
        {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None},
        partial(sentence_piece, ["<unk>", "<s>", "</s>"], templates.MISTRAL, **PIECES),
        "SentencePiece BPE with prefix space and byte fallback; no pad token",
        "[INST] is text; refuses a system turn",
        ("</s>",),
        system=False,
        note="experts",
    ),
    Family(
        "gpt-oss",
        "GptOssForCausalLM",
        "GptOssForSequenceClassification",
        "GptOssConfig",
        {
            "head_dim": 8,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "sliding_window": 16,
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 150000.0,
                "factor": 8.0,
                "beta_fast": 32.0,
                "beta_slow": 1.0,
                "truncate": False,
                "original_max_position_embeddings": 64,
            },
        },
        partial(
            byte_level,
            HARMONY,
            templates.HARMONY,
            split=LLAMA3_SPLIT,
            bos_token="<|startoftext|>",
            eos_token="<|return|>",
            pad_token="<|endoftext|>",
        ),
        "byte-level BPE, up to three digits a token",
        "channels, which the answer opens itself; date; another end in the last turn",
        ("<|return|>", "<|endoftext|>", "<|call|>"),
        note="experts, attention sinks, windows, YaRN",
    ),
    Family(
        "DeepSeek V2",
        "DeepseekV2ForCausalLM",
        "DeepseekV2ForSequenceClassification",
        "DeepseekV2Config",
        LATENT,
        partial(byte_level, DEEPSEEK, templates.DEEPSEEK, digits=True, adds_bos=True, **DEEPSEEK_NAMES),
        "byte-level BPE, every digit by itself",
        "writes bos; no text between turns; special tokens with ｜ and ▁",
        ("<｜end▁of▁sentence｜>",),
        note="latent attention, experts",
    ),
    Family(
        "DeepSeek V3",
        "DeepseekV3ForCausalLM",
        "DeepseekV3ForSequenceClassification",
        "DeepseekV3Config",
        {**LATENT, "n_group": 2, "topk_group": 1, "num_mtp_layers": 0},
        partial(byte_level, DEEPSEEK, templates.DEEPSEEK, split=LLAMA3_SPLIT, adds_bos=True, **DEEPSEEK_NAMES),
        "byte-level BPE, up to three digits a token",
        "writes bos; no text between turns; special tokens with ｜ and ▁",
        ("<｜end▁of▁sentence｜>",),
        note="latent attention, groups of experts",
    ),
]
