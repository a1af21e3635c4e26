"""Make a small policy and a small reward model from scratch, from text files alone.

    python -m benchmarks.make_models --text answers.jsonl.gz --output models
    python -m mt.run data=jsonl data.path=prompts.jsonl.gz policy.path=models/policy reward.path=models/reward

The tokenizer is a byte-level BPE trained on the text, so that it reads any language; the policy is a Llama that has
read the text for a few hundred steps, so that its samples are words rather than noise; the reward model has the
policy's body and a new head. JSONL files give their string fields, everything else is read as plain text.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

PAD, BOS, END, USER, ASSISTANT, SYSTEM = SPECIAL = (
    "<|pad|>",
    "<|begin|>",
    "<|end|>",
    "<|user|>",
    "<|assistant|>",
    "<|system|>",
)
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the two model folders below the output folder."""
    options = _options(arguments)
    logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    if missing := [str(path) for path in options.text if not path.is_file()]:
        print(f"no such file: {', '.join(missing)}", file=sys.stderr)
        return 2
    texts = [text for path in options.text for text in read_texts(path) if text.strip()]
    if not texts:
        print(f"no text in {', '.join(map(str, options.text))}", file=sys.stderr)
        return 2
    tokenizer = make_tokenizer(texts, options.vocabulary, options.context)
    policy = LlamaForCausalLM(architecture(tokenizer, options))
    print(f"{len(texts):,} texts, {len(tokenizer):,} tokens, {policy.num_parameters():,} parameters")
    read(policy, tokenizer, texts, options)
    save(policy, tokenizer, options.output / "policy")
    save(reward_from(policy), tokenizer, options.output / "reward")
    print("Next, with prompts of yours (a JSONL file with a field `prompt`):")
    print(f"python -m mt.run data=jsonl data.path=PROMPTS.jsonl policy.path={options.output}/policy "
          f"reward.path={options.output}/reward")  # fmt: skip
    return 0


def read_texts(path: Path) -> Iterator[str]:
    """Yield the string fields of a JSONL file's rows, or the whole of a plain text file."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if ".jsonl" not in path.suffixes:
        yield content.decode()
        return
    for line in filter(str.strip, content.decode().split("\n")):
        yield from (value for value in json.loads(line).values() if isinstance(value, str) and " " in value)


def make_tokenizer(texts: Sequence[str], size: int, context: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer with a chat template; plain text gets a BOS as with Llama's."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    bpe.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, bpe.token_to_id(BOS))]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=END,
        additional_special_tokens=[USER, ASSISTANT, SYSTEM],
        clean_up_tokenization_spaces=False,
        padding_side="left",
        model_max_length=context,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def architecture(tokenizer: PreTrainedTokenizerFast, options: argparse.Namespace) -> LlamaConfig:
    """Return a narrow Llama over the tokenizer's vocabulary."""
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=options.hidden_size,
        intermediate_size=3 * options.hidden_size,
        num_hidden_layers=options.layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=options.context,
        initializer_range=0.05,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


def read(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    options: argparse.Namespace,
) -> None:
    """Teach the policy to continue the texts, framed as answers, so that it also learns how a turn ends."""
    stream = _stream(tokenizer, texts, options)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.learning_rate, max(2, options.steps))
    generator, started = torch.Generator().manual_seed(options.seed), time.monotonic()
    for step in range(1, options.steps + 1):
        starts = torch.randint(len(stream) - options.window, (options.batch,), generator=generator)
        batch = torch.stack([stream[start : start + options.window] for start in starts])
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 50 == 0 or step == options.steps:
            print(f"step {step}/{options.steps}  loss {loss.item():.3f}  {time.monotonic() - started:.0f} s")


def reward_from(policy: LlamaForCausalLM) -> LlamaForSequenceClassification:
    """Return a reward model with the policy's body and a new head that gives one number."""
    config = copy.deepcopy(policy.config)
    config.num_labels, config.tie_word_embeddings = 1, False
    reward = LlamaForSequenceClassification(config)
    reward.model.load_state_dict(policy.model.state_dict())
    return reward


def save(model: Any, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write an ordinary Hugging Face folder."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    print(folder)


def _stream(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], options: argparse.Namespace) -> torch.Tensor:
    """Return one long row of tokens: the texts in random order, each as an assistant's turn."""
    order = list(texts)
    random.Random(options.seed).shuffle(order)
    ids: list[int] = []
    before, after = tokenizer.convert_tokens_to_ids([BOS, ASSISTANT]), tokenizer.convert_tokens_to_ids([END])
    for encoded in tokenizer(order, add_special_tokens=False, verbose=False)["input_ids"]:
        ids += [*before, *encoded, *after]
    while len(ids) <= options.window:
        ids += ids
    return torch.tensor(ids)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, nargs="+", required=True, help="text, .jsonl or .jsonl.gz files")
    parser.add_argument("--output", type=Path, required=True, help="folder for policy/ and reward/")
    parser.add_argument("--vocabulary", type=int, default=6000, help="tokens of the tokenizer")
    parser.add_argument("--hidden-size", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--context", type=int, default=1024, help="longest sequence in tokens")
    parser.add_argument("--steps", type=int, default=300, help="steps of reading; 0 leaves the weights random")
    parser.add_argument("--batch", type=int, default=16, help="windows a step")
    parser.add_argument("--window", type=int, default=128, help="tokens a window")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
