"""The tiny models of the world, from scratch, in the ordinary Hugging Face layout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mt.types import Messages
from mt.world.language import VOCABULARY
from mt.world.settings import TinyModelConfig

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerFast

PAD, BOS, END, USER, ASSISTANT, UNKNOWN = SPECIAL = ("<pad>", "<bos>", "<end>", "<user>", "<assistant>", "<unk>")
"""Special tokens in the order of their ids; `<end>` closes every turn and is the end-of-sequence token."""

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] not in ['user', 'assistant'] %}"
    "{{ raise_exception('the world knows user and assistant turns only') }}"
    "{% endif %}"
    "{{ '<' + message['role'] + '> ' + message['content'] + ' <end> ' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)


def prompt_length(messages: Messages) -> int:
    """Return the tokens of a prompt by the world's tokenizer and template: a token per word, and the special ones."""
    return 2 + sum(2 + len(message["content"].split()) for message in messages)


def write_tokenizer(folder: Path) -> None:
    """Write the world's tokenizer: a token per word, `<bos>` put before plain text as Llama's tokenizer does."""
    make_tokenizer().save_pretrained(folder)


def write_policy(folder: Path, model: TinyModelConfig, seed: int) -> int:
    """Write a randomly initialised policy and its tokenizer; return its number of parameters."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        policy = AutoModelForCausalLM.from_config(architecture(model), dtype=torch.float32)
    policy.save_pretrained(folder)
    write_tokenizer(folder)
    return int(policy.num_parameters())


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Return the world's tokenizer with its chat template."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = {token: index for index, token in enumerate(SPECIAL + VOCABULARY)}
    words = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, ids[BOS])]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=END,
        unk_token=UNKNOWN,
        additional_special_tokens=[USER, ASSISTANT],
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def architecture(model: TinyModelConfig) -> PretrainedConfig:
    """Return what transformers builds a policy from."""
    from transformers import LlamaConfig, MistralConfig

    sizes: dict[str, Any] = {
        "vocab_size": len(SPECIAL) + len(VOCABULARY),
        "hidden_size": model.hidden_size,
        "intermediate_size": model.feed_forward,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.key_value_heads,
        "initializer_range": model.initializer_range,
        "max_position_embeddings": model.context,
        "tie_word_embeddings": True,
        "pad_token_id": SPECIAL.index(PAD),
        "bos_token_id": SPECIAL.index(BOS),
        "eos_token_id": SPECIAL.index(END),
    }
    if model.architecture == "mistral":
        return MistralConfig(**sizes, sliding_window=None)
    return LlamaConfig(**sizes)
