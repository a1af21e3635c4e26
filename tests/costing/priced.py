"""Runs that are priced."""

from __future__ import annotations

from mt.config.compose import compose_runs
from mt.engines.shapes import KNOWN
from mt.methods.compile import compile_run

LLAMA = KNOWN["meta-llama/Meta-Llama-3-8B-Instruct"]


def at_scale(*overrides: str):
    scale = [] if any(one.startswith("scale=") for one in overrides) else ["scale=llama3_8b"]
    return [compile_run(run.config) for run in compose_runs([*scale, *overrides], multirun=True)]
