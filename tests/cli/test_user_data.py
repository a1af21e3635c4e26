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
    assert "no gold: this data has no gold judge" in printed
    assert f"folder   {place}/runs/" in printed
    loaded = counts(place, "load_prompts")
    assert {one["rows"] for one in loaded} == {28}
    assert sum(one["prompts"] for one in loaded) == 25
    assert sum(one[lost] for one in counts(place, "sample")) >= 1


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
