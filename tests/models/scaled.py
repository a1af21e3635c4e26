"""Families that scale or cap their logits, and whose rotary factors change with the length of a row."""

from __future__ import annotations

from functools import partial

from tests.models import templates
from tests.models.family import Family
from tests.models.tokenizers_like import GEMMA, GEMMA_NAMES, byte_level, replaced_spaces, sentence_piece

PHI3 = ["<unk>", "<s>", "</s>", "<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>"]
COHERE = ["<PAD>", "<UNK>", "<BOS_TOKEN>", "<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>", "<|USER_TOKEN|>"]
SCALED = [
    Family(
        "Gemma 2",
        "Gemma2ForCausalLM",
        "Gemma2ForSequenceClassification",
        "Gemma2Config",
        {
            "head_dim": 8,
            "query_pre_attn_scalar": 16,
            "sliding_window": 16,
            "final_logit_softcapping": 5.0,
            "attn_logit_softcapping": 4.0,
        },
        partial(replaced_spaces, GEMMA, templates.GEMMA2, **GEMMA_NAMES),
        "SentencePiece BPE without prefix space",
        "writes bos; calls the assistant model; refuses a system turn",
        ("<end_of_turn>", "<eos>"),
        system=False,
        note="soft caps on logits and attention, alternating windows, tied embeddings",
    ),
    Family(
        "Gemma 3",
        "Gemma3ForCausalLM",
        "Gemma3TextForSequenceClassification",
        "Gemma3TextConfig",
        {"head_dim": 8, "query_pre_attn_scalar": 16, "sliding_window": 16, "sliding_window_pattern": 2},
        partial(replaced_spaces, GEMMA, templates.GEMMA3, **GEMMA_NAMES),
        "SentencePiece BPE without prefix space",
        "writes bos; puts the system turn into the first user turn",
        ("<end_of_turn>", "<eos>"),
        note="two rotary bases, windows, tied embeddings",
    ),
    Family(
        "Phi-3",
        "Phi3ForCausalLM",
        "Phi3ForSequenceClassification",
        "Phi3Config",
        {
            "original_max_position_embeddings": 48,
            "rope_parameters": {
                "rope_type": "longrope",
                "rope_theta": 10000.0,
                "original_max_position_embeddings": 48,
                "short_factor": [1.0, 1.1, 1.2, 1.3],
                "long_factor": [1.5, 3.0, 6.0, 10.0],
            },
        },
        partial(
            sentence_piece,
            PHI3,
            templates.PHI3,
            adds_bos=False,
            bos_token="<s>",
            eos_token="<|endoftext|>",
            unk_token="<unk>",
            pad_token="<|endoftext|>",
        ),
        "SentencePiece BPE with prefix space; pad = eos",
        "<|end|> ends a turn, eos the conversation",
        ("<|end|>", "<|endoftext|>", "<|assistant|>"),
        note="long rows take other rotary factors",
    ),
    Family(
        "Granite",
        "GraniteForCausalLM",
        None,
        "GraniteConfig",
        {
            "embedding_multiplier": 6.0,
            "logits_scaling": 4.0,
            "residual_multiplier": 0.4,
            "attention_multiplier": 0.2,
            "tie_word_embeddings": True,
        },
        partial(
            byte_level,
            ["<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>", "<|pad|>"],
            templates.GRANITE,
            bos_token="<|end_of_text|>",
            eos_token="<|end_of_text|>",
            pad_token="<|end_of_text|>",
        ),
        "byte-level BPE; pad = end of turn = bos",
        "writes today's date",
        ("<|end_of_text|>",),
        note="four multipliers",
    ),
    Family(
        "Cohere",
        "CohereForCausalLM",
        None,
        "CohereConfig",
        {"logit_scale": 0.5, "use_qk_norm": True},
        partial(
            byte_level,
            [*COHERE, "<|CHATBOT_TOKEN|>", "<|SYSTEM_TOKEN|>"],
            templates.COHERE,
            digits=True,
            adds_bos=True,
            bos_token="<BOS_TOKEN>",
            eos_token="<|END_OF_TURN_TOKEN|>",
            pad_token="<PAD>",
            unk_token="<UNK>",
        ),
        "byte-level BPE, every digit by itself",
        "writes bos; strips the turns",
        ("<|END_OF_TURN_TOKEN|>",),
        note="scaled logits, parallel layers, tied embeddings",
    ),
]
