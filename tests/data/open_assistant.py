"""A small file in OpenAssistant's two formats (oasst1, oasst2), in our own words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd


def message(name: str, text: str, role: str = "assistant", **others: Any) -> dict[str, Any]:
    """A message as a tree holds it; a reply that stands alone has no rank."""
    common = {"lang": "en", "review_count": 3, "review_result": True, "deleted": False, "synthetic": False}
    return {"message_id": name, "text": text, "role": role, **common, "model_name": None, "replies": [], **others}


def trees() -> list[dict[str, Any]]:
    """Three English conversations, one of them without a second ranked reply, and a German one."""
    further = message("s3", "And Mars?", "prompter", replies=[message("s4", "It has two.", rank=0)])
    moons = [
        message("s1", "One moon.", rank=1, replies=[further]),
        message("s2", "No idea.", rank=2),
        message("s0", "Earth has one moon, the Moon.", rank=0),
        message("s5", "Spam.", rank=3, deleted=True),
        message("s6", "I was never ranked."),
    ]
    sums = [message("a1", "2 + 2 = 4.", rank=0), message("a2", "5", rank=1)]
    roots = [
        message("s", "How many moons does Earth have?", "prompter", replies=moons),
        message("b", "Hello?", "prompter", replies=[message("b1", "Hello!", rank=0), message("b2", " ", rank=1)]),
        message("d", "Wie geht es?", "prompter", lang="de", replies=sums),
        message("a", "What is 2 + 2?", "prompter", replies=sums),
    ]
    return [{"message_tree_id": one["message_id"], "tree_state": "ready_for_export", "prompt": one} for one in roots]


def flat() -> list[dict[str, Any]]:
    """The same as flat messages, replies before their prompts where the file has them so."""
    rows: list[dict[str, Any]] = []

    def add(node: dict[str, Any], parent: str | None, tree: str) -> None:
        own = {name: value for name, value in node.items() if name != "replies"}
        for reply in node["replies"]:
            # One reply cannot have two prompts: those that two trees share have their tree in their name.
            add({**reply, "message_id": f"{tree}/{reply['message_id']}"}, node["message_id"], tree)
        rows.append({"rank": None, **own, "parent_id": parent, "message_tree_id": tree})

    for one in trees():
        add(one["prompt"], None, one["message_tree_id"])
    return rows


def write(folder: Path, shape: str) -> Path:
    """Write the file as it is published: trees or messages as JSON lines, or messages as Parquet."""
    if shape == "parquet":
        path = folder / "train-00000-of-00001.parquet"
        pd.DataFrame(flat()).to_parquet(path)  # ranks with gaps become floats and NaN
        return path
    path = folder / f"2023-04-12_oasst_ready.{shape}.jsonl"
    rows = trees() if shape == "trees" else flat()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
