"""Tiny models and tokenizers for the tests of the engines: made in milliseconds, saved like any other."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
)

WORDS = "red blue green fox owl cat dog tell me the colour of and count from one two three is".split()  # noqa: SIM905
SPECIALS = ["<pad>", "<s>", "<end>", "<user>", "<assistant>", "<unk>"]
TEMPLATE = (
    "{{ '<s>' }}{% for m in messages %}{% if m.role == 'user' %}{{ ' <user> ' + m.content + ' <end>' }}"
    "{% else %}{{ ' <assistant> ' + m.content + ' <end>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ ' <assistant>' }}{% endif %}"
)


def tiny_tokenizer(
    template: str | None = TEMPLATE, pad: str | None = "<pad>", unk: str = "<unk>"
) -> PreTrainedTokenizerFast:
    vocabulary = {word: i for i, word in enumerate([*SPECIALS, *WORDS])}
    inner = Tokenizer(WordLevel(vocabulary, unk_token=unk))
    inner.pre_tokenizer = WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<s>",
        eos_token="<end>",
        unk_token=unk,
        pad_token=pad,
        additional_special_tokens=["<user>", "<assistant>"],
    )
    tokenizer.chat_template = template
    return tokenizer


def asked_ids(folder: Path, messages: list[dict[str, str]]) -> list[int]:
    """The ids of a prompt by plain transformers."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return list(tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False))


def answered_ids(folder: Path, messages: list[dict[str, str]], text: str) -> list[int]:
    """The ids of a conversation by plain transformers."""
    answer = {"role": "assistant", "content": text}
    return list(AutoTokenizer.from_pretrained(folder).apply_chat_template([*messages, answer], return_dict=False))


def tiny_config(**changes: object) -> LlamaConfig:
    values: dict[str, object] = {
        "vocab_size": len(SPECIALS) + len(WORDS),
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 128,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    return LlamaConfig(**{**values, **changes})


def tiny_policy(folder: Path, seed: int = 0, **changes: object) -> Path:
    torch.manual_seed(seed)
    model = LlamaForCausalLM(tiny_config(**changes))
    model.generation_config.eos_token_id = 2
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def tiny_reward(folder: Path, seed: int = 0, **changes: object) -> Path:
    torch.manual_seed(seed)
    model = LlamaForSequenceClassification(tiny_config(num_labels=1, tie_word_embeddings=False, **changes))
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder
