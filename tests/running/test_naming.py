"""Names of runs: what distinguishes them, readable."""

from __future__ import annotations

import re

import pytest

from mt.config.compose import compose_runs
from mt.running.naming import run_name


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "mutual_taught-dpo-both-s0"),
        (["data=instructions", "policy.path=POLICY"], "mutual_taught-dpo-both-instructions-s0"),
        (["rm_data=frozen", "data=jsonl", "data.path=rows.jsonl", "policy.path=POLICY", "reward.path=REWARD"],
         "mutual_taught-dpo-frozen-jsonl-s0"),
        (["method=iterative", "seed=3"], "iterative-dpo-s3"),
    ],
)  # fmt: skip
def test_a_run_is_named_by_its_choices_and_by_its_data_where_these_are_not_the_world(
    overrides: list[str], name: str
) -> None:
    assert re.fullmatch(rf"{name}-[0-9a-f]{{6}}", run_name(compose_runs(overrides)[0].config))
