"""A judge model without training: it says the same whatever it reads, with known probabilities."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tests.engines.tiny import SPECIALS, TEMPLATE

SAYINGS = ["m", "M", "[[A>B]]", "[[B>>A]]", "perhaps", "[[7]]"]
_WIDTH = 64  # heads of 32, the narrowest that vLLM's attention on a CPU knows
_NORMED = 8.0  # root of the width: what RMS normalisation makes of a unit vector


def speaking_judge(folder: Path, logits: dict[str, float], context: int = 1024) -> Path:
    """Save a model whose next-word logits at the answer's beginning are `logits`, and that then ends its turn.

    Attention and feed-forward add nothing, so that the logits depend on the last token alone.
    """
    words = [*SPECIALS, *SAYINGS]
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(words),
            hidden_size=_WIDTH,
            intermediate_size=_WIDTH,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=context,
            tie_word_embeddings=False,
            bos_token_id=words.index("<s>"),
            eos_token_id=words.index("<end>"),
            pad_token_id=words.index("<pad>"),
        )
    )
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                weights.zero_()
        embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
        embedding.zero_()
        embedding[:, 2] = 1.0
        embedding[words.index("<assistant>"), :3] = torch.tensor([1.0, 0.0, 0.0])
        for word in SAYINGS:
            embedding[words.index(word), :3] = torch.tensor([0.0, 1.0, 0.0])
        head.zero_()
        head[:, 0] = -50 / _NORMED
        for word, logit in logits.items():
            head[words.index(word), 0] = logit / _NORMED
        head[words.index("<end>"), 1] = 50 / _NORMED
    model.generation_config.eos_token_id = words.index("<end>")
    model.save_pretrained(folder)
    _tokenizer(words).save_pretrained(folder)
    return folder


def _tokenizer(words: list[str]) -> PreTrainedTokenizerFast:
    inner = Tokenizer(WordLevel({word: at for at, word in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<s>",
        eos_token="<end>",
        unk_token="<unk>",
        pad_token="<pad>",
        additional_special_tokens=["<user>", "<assistant>"],
    )
    # The judge's prompts have a system message, which is read like the user's.
    tokenizer.chat_template = TEMPLATE.replace("m.role == 'user'", "m.role != 'assistant'")
    return tokenizer
