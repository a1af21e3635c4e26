"""Tokenizers and chat templates with the structure of public ones, trained in milliseconds on a few sentences."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

SENTENCES = [
    "The quick brown fox jumps over the lazy dog .",
    "def f(x, y): return x != y and not x",
    "Hello , how are you ? I'm fine ! <b>bold</b>",
    "What is the capital of France ? Paris .",
    "Ein Hund, eine Katze und zwölf Mäuse.",
] * 4

ALTERNATE = (
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
)
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% if date_string is not defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "{{ '<|start_header_id|>system<|end_header_id|>\n\nToday: ' + date_string + '\n\n<|eot_id|>' }}"
    "{% for m in messages %}"
    "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content | trim + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
ZEPHYR = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + eos_token + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}"
    + ALTERNATE
    + "{% if m.role == 'user' %}{{ ' [INST] ' + m.content + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}"
)
LLAMA2 = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token + '[INST] ' + m.content.strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
PHI3 = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{% for m in messages %}"
    + ALTERNATE
    + "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n'"
    " + m.content | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
QWEN3 = (
    "{% for m in messages %}{% if m.role == 'assistant' %}{% set parts = m.content.split('</think>') %}"
    "{% set thought = parts[0].split('<think>')[-1].strip('\n') if parts | length > 1 else '' %}"
    "{{ '<|im_start|>assistant\n' }}{% if loop.last %}{{ '<think>\n' + thought + '\n</think>\n\n' }}{% endif %}"
    "{{ parts[-1].lstrip('\n') + '<|im_end|>\n' }}"
    "{% else %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
DEEPSEEK = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '<｜User｜>' + m.content }}"
    "{% else %}{{ '<｜Assistant｜>' + m.content.split('</think>')[-1] + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\n' }}{% endif %}"
)
COMMAND = (
    "{{ bos_token }}{% for m in messages %}{{ '<|START|><|' + m.role | upper + '|>' }}{% if m.role == 'assistant' %}"
    "{{ '<|SAY|>' + m.content + '<|SAID|>' }}{% else %}{{ m.content }}{% endif %}{{ '<|TURN|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|START|><|ASSISTANT|>' }}{% endif %}"
)
PLAIN = (
    "{% for m in messages %}{{ m.role.title() + ': ' + m.content + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)


def byte_level(special: Sequence[Any], template: str, *, plain: Sequence[str] = (), **names: Any) -> Any:
    """As of GPT-2, Llama 3, Qwen: bytes, spaces inside words, no space put in front."""
    inner = Tokenizer(models.BPE())
    pattern = pre_tokenizers.Split(Regex(r"[^\r\n\w]?\w+| ?[^\s\w]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"), "isolated")
    inner.pre_tokenizer = pre_tokenizers.Sequence([pattern, pre_tokenizers.ByteLevel(False, use_regex=False)])
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator(
        SENTENCES, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    )
    inner.add_special_tokens(list(special))
    inner.add_tokens([AddedToken(token, special=False, normalized=False) for token in plain])
    return _wrapped(inner, template, **names)


def metaspace(
    special: Sequence[str], template: str, *, scheme: str = "first", plain: Sequence[str] = (), **names: Any
) -> Any:
    """As of Llama 2, Mistral, Zephyr, Gemma: SentencePiece BPE whose spaces are pieces, with byte fallback.

    `scheme` is Metaspace's (first, always, never), or "legacy" for the normaliser that older files have instead.
    """
    inner = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always" if scheme == "legacy" else scheme)
    byte = [f"<0x{i:02X}>" for i in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=620, special_tokens=[*special, *byte], show_progress=False)
    inner.train_from_iterator(SENTENCES, trainer)
    state = json.loads(inner.to_str())
    state["added_tokens"] = [token for token in state["added_tokens"] if not token["content"].startswith("<0x")]
    inner = Tokenizer.from_str(json.dumps(state))
    if scheme == "legacy":
        inner.pre_tokenizer = None
        inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    strip = [] if scheme == "never" else [decoders.Strip(" ", 1, 0)]
    inner.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
    inner.add_tokens([AddedToken(token, special=False, normalized=False) for token in plain])
    return _wrapped(inner, template, **names)


def unigram(special: Sequence[str], template: str, **names: Any) -> Any:
    """As of T5 and XLM-R: its model's own vocabulary holds the special tokens as pieces, and finds them in text."""
    inner = Tokenizer(models.Unigram())
    inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    inner.decoder = decoders.Metaspace(prepend_scheme="first")
    letters = sorted({letter for text in SENTENCES for letter in text} | set("<>/|_s"))
    trainer = trainers.UnigramTrainer(
        vocab_size=200, special_tokens=list(special), unk_token="<unk>", initial_alphabet=letters, show_progress=False
    )
    inner.train_from_iterator(SENTENCES, trainer)
    return _wrapped(inner, template, **names)


def _wrapped(inner: Tokenizer, template: str, **names: Any) -> PreTrainedTokenizerFast:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, **names)
    tokenizer.chat_template = template
    return tokenizer


def saved(tokenizer: Any, folder: Path, stops: int | Sequence[int] | None = None) -> Path:
    """Save a tokenizer as part of a model folder, with the ids that its generation config stops at."""
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"vocab_size": len(tokenizer)}))
    if stops is not None:
        (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": stops}))
    return folder


HEADERS = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|reserved_special_token_0|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
]


def _stripping(**flags: bool) -> Any:
    """As Phi-3, whose special tokens swallow the spaces beside them."""
    special = [AddedToken(token, special=True, normalized=False, **flags) for token in ("<|im_start|>", "<|im_end|>")]
    return byte_level(special, CHATML, eos_token=special[1])


S = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
MAKERS: dict[str, Any] = {
    "llama3": lambda: byte_level(HEADERS, LLAMA3, bos_token=HEADERS[0], eos_token=HEADERS[5]),
    "chatml": lambda: byte_level(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        CHATML,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
    ),
    "qwen3": lambda: byte_level(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        QWEN3,
        plain=["<think>", "</think>"],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
    ),
    "deepseek": lambda: byte_level(
        ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"],
        DEEPSEEK,
        plain=["<｜User｜>", "<｜Assistant｜>", "<think>", "</think>"],
        bos_token="<｜begin▁of▁sentence｜>",
        eos_token="<｜end▁of▁sentence｜>",
    ),
    "command": lambda: byte_level(
        ["<BOS>", "<|START|>", "<|TURN|>", "<|SAY|>", "<|SAID|>", "<|USER|>", "<|ASSISTANT|>"],
        COMMAND,
        bos_token="<BOS>",
        eos_token="<|TURN|>",
    ),
    "plain": lambda: byte_level(["<|endoftext|>"], PLAIN, bos_token="<|endoftext|>", eos_token="<|endoftext|>"),
    "zephyr": lambda: metaspace(["<unk>", "<s>", "</s>"], ZEPHYR, pad_token="</s>", **S),
    "zephyr-legacy": lambda: metaspace(["<unk>", "<s>", "</s>"], ZEPHYR, scheme="legacy", pad_token="</s>", **S),
    "zephyr-always": lambda: metaspace(["<unk>", "<s>", "</s>"], ZEPHYR, scheme="always", **S),
    "mistral": lambda: metaspace(["<unk>", "<s>", "</s>"], MISTRAL, **S),
    "llama2": lambda: metaspace(["<unk>", "<s>", "</s>"], LLAMA2, scheme="legacy", **S),
    "phi3": lambda: metaspace(
        ["<unk>", "<s>", "</s>", "<|endoftext|>", "<|assistant|>", "<|end|>", "<|user|>"],
        PHI3,
        **{**S, "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"},
    ),
    "gemma": lambda: metaspace(
        ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"],
        GEMMA,
        scheme="never",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        pad_token="<pad>",
    ),
    "lstrip": lambda: _stripping(lstrip=True),
    "rstrip": lambda: _stripping(rstrip=True),
    "unigram": lambda: unigram(["<pad>", "</s>", "<unk>", "<s>"], MISTRAL, pad_token="<pad>", **S),
}
ENDS = {
    "llama3": "<|eot_id|>",
    "lstrip": "<|im_end|>",
    "rstrip": "<|im_end|>",
    "chatml": "<|im_end|>",
    "qwen3": "<|im_end|>",
    "deepseek": "<｜end▁of▁sentence｜>",
    "command": "<|TURN|>",
    "plain": "<|endoftext|>",
    "phi3": "<|end|>",
    "gemma": "<end_of_turn>",
}
"""The text of the token that ends a turn; </s> in all others."""
