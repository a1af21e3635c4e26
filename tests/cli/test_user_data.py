"""A run on prompts and models of the user's own, whatever the file and its place look like."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from mt.run import main
from tests.engines.tiny import tiny_policy, tiny_reward

SMALL = [
    "data=jsonl",
    "data.held_out=4",
    "iterations=1",
    "sampling.samples=3",
    "sampling.max_new_tokens=6",
    "policy.training.batch_size=4",
    "reward.training.batch_size=4",
    "eval.held_out.diagnostics=false",
]


def prompts() -> list[dict[str, Any]]:
    asked = [f"tell me the colour of {n} {a}" for n in ("one", "two", "three") for a in ("fox", "owl", "cat", "dog")]
    plain = [{"prompt": text} for text in asked]
    chats = [
        {"messages": [{"role": "system", "content": "count"}, {"role": "user", "content": text}]} for text in asked
    ]
    lost = [{"prompt": " "}, plain[0], chats[0], {"prompt": "fox " * 400}]
    return [*plain, *chats, *lost]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "mein [b]Ordner ü 日本"
    place.mkdir()
    text = "\r\n".join(json.dumps(row, ensure_ascii=False) for row in prompts())
    (place / "prompts.jsonl.gz").write_bytes(gzip.compress(text.encode("utf-8-sig")))
    tiny_policy(place / "policy")
    tiny_reward(place / "reward")
    return place


def arguments(place: Path, *more: str) -> list[str]:
    given = {"data.path": "prompts.jsonl.gz", "policy.path": "policy", "reward.path": "reward"}
    given |= {"store": "store", "runs": "runs"}
    return [*SMALL, *(f'{name}="{place / value}"' for name, value in given.items()), *more]


def counts(place: Path, stage: str) -> list[dict[str, float]]:
    (path,) = (place / "runs").rglob("record.json")
    return [one["counts"] for one in json.loads(path.read_text("utf-8"))["stages"] if one["stage"] == stage]


@pytest.mark.parametrize(("rule", "lost"), [("drop", "prompts_dropped"), ("truncate", "prompts_truncated")])
def test_a_run_on_own_data_counts_what_it_leaves_out(
    place: Path, capsys: pytest.CaptureFixture[str], rule: str, lost: str
) -> None:
    assert main(arguments(place, f"generator.long_prompts={rule}")) == 0
    printed = capsys.readouterr().out
    assert printed.count("prompts dropped: 1 empty, 2 duplicates") == 1
    assert f"1 {lost.replace('_', ' ')}" in printed
    assert "This data has no gold judge" in " ".join(printed.split())
    assert f"folder   {place}/runs/" in printed
    loaded = counts(place, "load_prompts")
    assert {one["rows"] for one in loaded} == {28}
    assert sum(one["prompts"] for one in loaded) == 25
    assert sum(one[lost] for one in counts(place, "sample")) >= 1


def test_one_command_takes_a_base_model_without_template_through_the_whole_chain(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "policy" / "chat_template.jinja").unlink()
    config = json.loads((place / "policy" / "tokenizer_config.json").read_text())
    (place / "policy" / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": None}))
    turns = "{% for message in messages %}{{ message['content'] + eos_token }}{% endfor %}"
    (place / "turns.jinja").write_text(turns)
    asked = [[{"role": "user", "content": f"count {n} fox"}] for n in range(12)]
    answer, other = ([{"role": "assistant", "content": text}] for text in ("red fox", "blue"))
    shown = [json.dumps({"messages": [*prompt, *answer]}) for prompt in asked]
    pairs = [json.dumps({"prompt": prompt, "chosen": answer, "rejected": other}) for prompt in asked]
    (place / "shown.jsonl").write_text("\n".join(shown))
    (place / "pairs.jsonl").write_text("\n".join(pairs))
    files = {"data.demonstrations": "shown.jsonl", "data.preferences": "pairs.jsonl"}
    files |= {"policy.chat_template": "turns.jinja", "reward.chat_template": "turns.jinja"}
    chain = ["policy.sft=true", "reward=train", "data.held_out_preferences=0.25", "partition.part_size=6"]
    chain += ["reward.training.epochs=1"]
    own = [one for one in arguments(place) if not one.startswith("reward.path")]
    assert main([*own, *chain, *(f'{name}="{place / file}"' for name, file in files.items()), "--details"]) == 0
    (sft,), (held_out,) = counts(place, "supervised_finetune"), counts(place, "held_out_preferences")
    assert (sft["used"], held_out["pairs"]) == (12, 3)
    assert [one["used"] for one in counts(place, "train_reward")] == [9, 12], (
        "r_0 on pairs of its own, r_1 on both kinds"
    )
    printed = capsys.readouterr().out
    assert "of rₜ on your own held-out pairs" in printed and "Where rₜ and r₀ disagree most" in printed


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("policy.path", "prompts.jsonl.gz", "is a file. Give a Hugging Face model folder"),
        ("policy.path", ".", "has no config.json. Give a Hugging Face model folder"),
        ("reward.path", "policy", "is a LlamaForCausalLM, not a sequence-classification reward model"),
        ("data.path", "none.csv", "no such file. Check the path"),
    ],
)
def test_what_cannot_serve_is_named_before_the_run(
    place: Path, capsys: pytest.CaptureFixture[str], setting: str, value: str, said: str
) -> None:
    assert main(arguments(place, f'{setting}="{place / value}"')) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
    assert not list((place / "store").glob("[!.]*"))
