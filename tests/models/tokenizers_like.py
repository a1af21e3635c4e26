"""Tokenizers built like the public ones: their pipelines and special tokens, trained here on a small text of ours."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

TEXTS = [
    "The quick brown fox jumps over the lazy dog, and the dog did not mind at all.",
    "What is the capital of France? Paris. What is the capital of Italy? Rome.",
    "def area(width, height):\n    return width * height  # 12 x 30 = 360\n",
    "Hello, how are you? I'm fine, thanks. It's raining; we'll stay in today.",
    "1, 2, 3 and 2024 or 1999: numbers like 3.14159 and 1000000 are cut in many ways.",
    "Grüße aus Zürich! Ça va très bien. Добрый день, 你好, こんにちは 🙂.",
    "Please answer in one short sentence. Use simple words, and end with a full stop.",
    "A list:\n- red apples\n- green pears\n\n\tand a tab before this line.",
]
"""Ours; other scripts than Latin fall back to bytes, since they are too rare to be merged."""

GPT2_SPLIT = None
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
"""Words with the mark before them, numbers of up to three digits, runs of marks, line breaks."""
DIGITS_SPLIT = LLAMA3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")
"""As above, with every digit by itself (Qwen)."""

PIECES = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
CHATML = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
QWEN = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
GEMMA = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
GEMMA_NAMES = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"}


def byte_level(
    specials: Sequence[str],
    template: str,
    *,
    split: str | None = GPT2_SPLIT,
    digits: bool = False,
    adds_bos: bool = False,
    words: Sequence[str] = (),
    size: int = 420,
    **names: Any,
) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer (GPT-2, Llama 3, Qwen …).

    `split` cuts the text before the bytes are merged, `digits` cuts numbers into digits, `adds_bos` puts the
    beginning-of-sequence token before plain text, `words` are added tokens that are no special tokens.
    """
    text = _trained_bytes(tuple(specials), split, digits, size)
    inner = Tokenizer.from_str(text)
    if words:
        inner.add_tokens([AddedToken(word, special=False, normalized=False) for word in words])
    if adds_bos:
        inner.post_processor = _leading(inner, names["bos_token"])
    return _fast(inner, template, names)


def sentence_piece(
    specials: Sequence[str],
    template: str,
    *,
    prefix: str = "first",
    adds_bos: bool = True,
    words: Sequence[str] = (),
    size: int = 600,
    **names: Any,
) -> PreTrainedTokenizerFast:
    """Return a SentencePiece-like BPE tokenizer with byte fallback (Llama 2, Mistral, Gemma …).

    `prefix` says where a space is put before the text: at its "first" piece, "always" (at every piece between special
    tokens), or "never".
    """
    inner = Tokenizer.from_str(_trained_pieces(tuple(specials), prefix, size))
    if words:
        inner.add_tokens([AddedToken(word, special=False, normalized=False) for word in words])
    if adds_bos:
        inner.post_processor = _leading(inner, names["bos_token"])
    return _fast(inner, template, names)


def replaced_spaces(
    specials: Sequence[str], template: str, *, size: int = 600, **names: Any
) -> PreTrainedTokenizerFast:
    """Return a tokenizer like Gemma's: a normalizer writes spaces as ▁, no space is added, digits stand alone."""
    inner = Tokenizer.from_str(_trained_gemma(tuple(specials), size))
    inner.post_processor = _leading(inner, names["bos_token"])
    return _fast(inner, template, names)


def _fast(inner: Tokenizer, template: str, names: dict[str, Any]) -> PreTrainedTokenizerFast:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, model_max_length=2048, clean_up_tokenization_spaces=False, **names
    )
    tokenizer.chat_template = template
    return tokenizer


def _leading(inner: Tokenizer, bos: str) -> Any:
    return processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, inner.token_to_id(bos))]
    )


@cache
def _trained_bytes(specials: tuple[str, ...], split: str | None, digits: bool, size: int) -> str:
    inner = Tokenizer(models.BPE())
    parts: list[Any] = [pre_tokenizers.Digits(individual_digits=True)] if digits else []
    if split:
        parts.append(pre_tokenizers.Split(Regex(split), "isolated"))
    parts.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split is None))
    inner.pre_tokenizer = pre_tokenizers.Sequence(parts) if len(parts) > 1 else parts[0]
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(specials), initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(TEXTS * 3, trainer)
    return str(inner.to_str())


@cache
def _trained_pieces(specials: tuple[str, ...], prefix: str, size: int) -> str:
    inner = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    inner.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=prefix, split=True)
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    inner.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if prefix != "never" else steps)
    return _with_bytes(inner, specials, size)


@cache
def _trained_gemma(specials: tuple[str, ...], size: int) -> str:
    inner = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    inner.normalizer = normalizers.Replace(" ", "▁")
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split("▁", "merged_with_next"), pre_tokenizers.Digits(individual_digits=True)]
    )
    inner.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return _with_bytes(inner, specials, size)


def _with_bytes(inner: Tokenizer, specials: Sequence[str], size: int) -> str:
    """Train with the 256 byte tokens in the vocabulary; unlike the special ones they are ordinary tokens."""
    bytes_ = [f"<0x{i:02X}>" for i in range(256)]
    printable = [chr(code) for code in range(33, 127)]
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[*specials, *bytes_], initial_alphabet=printable, show_progress=False
    )
    inner.train_from_iterator([text for text in TEXTS if text.isascii()] * 3, trainer)
    described = json.loads(inner.to_str())
    described["added_tokens"] = [token for token in described["added_tokens"] if token["content"] in specials]
    return json.dumps(described)
