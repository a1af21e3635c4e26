"""Keys move together with a VERSION, or not at all: otherwise stores are recomputed, or worse, reused wrongly.

`golden_keys.json` holds one resolved configuration, so that new defaults in conf/ move nothing here. Write it anew by

python -m tests.stages.test_golden_keys
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mt.config.compose import compose_runs
from mt.config.run import RunConfig
from mt.methods.compile import compile_run
from mt.workflow.stage import SHORT

GOLDEN = Path(__file__).with_name("golden_keys.json")
METHODS = ("mutual_taught", "iterative", "offline", "meta_rewarding", "spin", "sail", "transfer")
BENCHMARKS = "eval=[held_out,alpaca_eval,arena_hard,reward_bench,in_distribution,pairwise]"
ANEW = "Write it anew: python -m tests.stages.test_golden_keys"


def config() -> dict[str, Any]:
    """The configuration of every method: all but `method` and `iterations` is that of the first one."""
    runs = {name: compose_runs([f"method={name}", "objective=dpo", BENCHMARKS])[0].config for name in METHODS}
    plain = {name: one.model_dump(mode="json") for name, one in runs.items()}
    methods = {name: {part: one[part] for part in ("method", "iterations")} for name, one in plain.items()}
    return {"base": plain[METHODS[0]], "methods": methods}


def keys(given: dict[str, Any]) -> dict[str, list[str]]:
    """The stages by the first method that needs them, as "name version key"."""
    found: dict[str, list[str]] = {}
    seen: set[str] = set()
    for name, own in given["methods"].items():
        order = compile_run(RunConfig.model_validate({**given["base"], **own})).plan.order
        found[name] = [f"{s.name} v{s.VERSION} {s.key[:SHORT]}" for s in order if s.key not in seen]
        seen |= {stage.key for stage in order}
    return found


def test_no_key_moves_unnoticed() -> None:
    golden = json.loads(GOLDEN.read_text())
    try:
        now = keys(golden["config"])
    except ValidationError as error:
        pytest.fail(f"golden_keys.json is of another configuration schema ({error.errors()[0]['loc']}). {ANEW}")
    known = {line for lines in golden["keys"].values() for line in lines}
    moved = sorted({line.rpartition(" ")[0] for lines in now.values() for line in lines if line not in known})
    assert now == golden["keys"], (
        f"the keys of {moved or 'no stage, but the order'} moved. Where a stage gives another output for the same "
        f"inputs, raise its VERSION; where its inputs changed, results are computed anew: say so. {ANEW}"
    )


if __name__ == "__main__":
    fresh = config()
    GOLDEN.write_text(json.dumps({"config": fresh, "keys": keys(fresh)}, indent=1) + "\n")
