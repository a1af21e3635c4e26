"""Cards (README.md) of exported models and data: where they come from, how they were made, what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml

from mt.evaluation.catalogue import quantity
from mt.methods.compile import CompiledRun

_TASKS = {"policy": "text-generation", "reward": "text-classification"}
_KEPT = ("method", "objective", "rm_data", "selection", "sampling", "seed", "iterations", "rounds")


def model_card(
    record: Mapping[str, Any], compiled: CompiledRun, iteration: int, kind: Literal["policy", "reward"]
) -> str:
    """Return the card of the policy or the reward model of one iteration."""
    settings = compiled.config.policy if kind == "policy" else compiled.config.reward
    head = {"library_name": "transformers", "pipeline_tag": _TASKS[kind], "tags": ["mutual-taught"]}
    if settings.revision is not None:
        head["base_model"] = str(settings.path)
    name = {"policy": "policy π", "reward": "reward model r"}[kind]
    kept = {**{key: record["config"][key] for key in _KEPT}, "training": record["config"][kind]["training"]}
    answer = record["answers"].get(kind)  # of its final policy or reward model
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=True)}---\n",
        f"# {record['name']}: the {name} of iteration {iteration}\n",
        f"Base model: {_base(compiled, kind)}. Data: {record['config']['data']['name']}. Made by\n",
        f"```console\n{record['command']}\n```\n",
        *([f"{answer}\n"] if answer and iteration == compiled.final(compiled.store).index else []),
        "## Metrics\n",
        _metrics(record["metrics"], iteration, kind),
        "## Settings\n",
        f"```yaml\n{yaml.safe_dump(kept, sort_keys=False)}```\n",
    ]
    return "\n".join(parts)


def data_card(record: Mapping[str, Any], compiled: CompiledRun, iteration: int, tables: Sequence[str]) -> str:
    """Return the card of the data of one iteration: each table is a configuration of one JSONL file."""
    configs = [{"config_name": name, "data_files": f"{name}.jsonl"} for name in tables]
    about = {
        "pairs": "pairs that the policy was trained on (conversational preference format, explicit prompt)",
        "demonstrations": "responses that the policy was trained on (conversational prompt-completion format)",
        "reward_pairs": "pairs that the reward model was trained on (the same format)",
        "samples": "responses that were sampled, with their rewards (conversational prompt-completion format)",
    }
    lines = "".join(f"- `{name}`: {about[name]}\n" for name in tables)
    head = yaml.safe_dump({"configs": configs, "tags": ["mutual-taught"]}, sort_keys=True)
    title = f"# {record['name']}: data of iteration {iteration}"
    return f"---\n{head}---\n\n{title}\n\nPolicy: {_base(compiled, 'policy')}.\n\n{lines}"


def _base(compiled: CompiledRun, kind: Literal["policy", "reward"]) -> str:
    settings = compiled.config.policy if kind == "policy" else compiled.config.reward
    if settings.path is None:
        return f"made by data={compiled.config.data.name}"
    if settings.revision is None:
        return f"the local folder {Path(settings.path).name}"  # a card is public, and the path is not
    return f"{settings.path} at {settings.revision}"


def _metrics(rows: Sequence[Mapping[str, Any]], iteration: int, kind: str) -> str:
    own = [row for row in rows if row["iteration"] == iteration and row["model"] == kind]
    # A count of what is missing is shown only where something is.
    found = [row for row in own if row["value"] or not row["metric"].startswith("missing")]
    lines = ["| metric | value | 95% interval | n |", "|---|---|---|---|"]
    for row in found:
        known = quantity(row["benchmark"], row["metric"])
        value, interval = known.format.text(row["value"]), known.format.interval(row["low"], row["high"])
        lines.append(f"| {known.title} | {value} | {interval} | {row['n'] or ''} |")
    return "\n".join(lines) + "\n" if found else "Nothing was measured of it.\n"
