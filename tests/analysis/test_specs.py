"""Tables as data: the paper's numbers fit their rows and columns, and the experiments make exactly these rows."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from analysis.paper import PREPRINT, PUBLISHED
from analysis.settings import matches
from analysis.specs import SPECS
from mt.config.compose import compose_runs
from mt.config.fields import setting


@cache
def composed(name: str) -> list[dict[str, Any]]:
    """Return the configurations of an experiment's runs."""
    return [one.config.model_dump(mode="json") for one in compose_runs([f"experiment={name}"], multirun=True)]


def test_reported_numbers_belong_to_rows_and_columns_of_the_tables() -> None:
    for source in (PREPRINT, PUBLISHED):
        for name, rows in source.tables.items():
            spec = SPECS[name]
            columns = {column.key for column in spec.columns}
            for title, values in rows.items():
                assert spec.row(title) and values.keys() <= columns


def test_reported_averages_agree_with_their_sections() -> None:
    for values in PREPRINT.tables["table2"].values():
        *sections, average = values.values()
        assert sum(sections) / 4 == pytest.approx(average, abs=0.06)


@pytest.mark.parametrize("name", list(SPECS))
def test_the_suggested_command_makes_exactly_one_run_for_every_row(name: str) -> None:
    for row in SPECS[name].rows:
        if row.select is None:
            continue
        wanted = row.select.items()
        chosen = [one for one in composed(name) if all(matches(setting(one, key), value) for key, value in wanted)]
        assert len(chosen) == 1 or (chosen and row.iteration == 0), row.title
        assert all(row.iteration <= one["iterations"] * one["rounds"] for one in chosen)


@pytest.mark.parametrize("name", list(SPECS))
def test_the_experiments_measure_every_column(name: str) -> None:
    held_out = dict.fromkeys(("gold", "proxy", "labels"), "held_out")
    wanted = {held_out.get(column.key[0], column.key[0]) for column in SPECS[name].columns if not column.optional}
    for one in composed(name):
        assert wanted <= {benchmark for benchmark, settings in one["eval"].items() if settings is not None}
