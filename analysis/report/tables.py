"""Reading the tables of a store by what they hold, not by which stage wrote them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.report.record import StageRow
from mt.errors import first_line
from mt.workflow.work import TABLE


class TableKind(StrEnum):
    """What a table holds."""

    SAMPLES = "samples"
    REWARDS = "rewards"
    PAIRS = "pairs"


_COLUMNS = {
    TableKind.SAMPLES: {"prompt_id", "messages", "responses"},
    TableKind.REWARDS: {"prompt_id", "rewards"},
    TableKind.PAIRS: {"prompt_id", "messages", "chosen", "rejected"},
}


@dataclass(frozen=True)
class StoredTable:
    """A table of the store and the stage that it came from."""

    stage: StageRow
    kind: TableKind
    path: Path

    def read(self, columns: list[str], prompt_ids: Iterable[str] | None = None) -> pa.Table:
        """Read columns (the prompt's id among them where prompts are chosen), for some prompts or for all.

        Token ids, most of a table's bytes, are left out: a report shows text.
        """
        with pq.ParquetFile(self.path) as file:  # read_table would import its data-set machinery
            schema = file.metadata.schema
            paths = [schema.column(index).path for index in range(len(schema))]
            table = file.read([path for path in paths if path.split(".")[0] in columns and not _is_ids(path)])
        if prompt_ids is None:
            return table
        return table.filter(pc.is_in(table["prompt_id"], pa.array(sorted(prompt_ids), pa.string())))


def find(stages: Mapping[str, StageRow]) -> tuple[dict[str, StoredTable], list[str]]:
    """Return the readable tables by stage key, and a note for each that is there but cannot be read."""
    tables, notes = {}, []
    for key, row in stages.items():
        path = row.folder / TABLE if row.folder else None
        if path is None or not path.is_file():
            continue
        try:
            columns = set(pq.read_schema(path).names)
        except (pa.ArrowInvalid, OSError) as error:
            notes.append(f"The table of {row.name} {key[:8]} cannot be read ({first_line(error)}).")
            continue
        kind = next((kind for kind, needed in _COLUMNS.items() if needed <= columns), None)
        if kind is not None:  # else the report does not show it
            tables[key] = StoredTable(row, kind, path)
    return tables, notes


def responses_per_prompt(samples: StoredTable) -> float:
    """Return the mean number of responses of a samples table, from the file's metadata alone."""
    metadata, columns = _sizes(samples)
    return sum(c.num_values for c in columns if c.path_in_schema.endswith("n_tokens")) / max(metadata.num_rows, 1)


def characters_per_prompt(samples: StoredTable) -> float:
    """Return about how many characters a prompt and its responses have, from the file's metadata alone."""
    metadata, columns = _sizes(samples)
    sizes = (column.total_uncompressed_size for column in columns if not _is_ids(column.path_in_schema))
    return float(sum(sizes)) / max(metadata.num_rows, 1)


def _is_ids(path: str) -> bool:
    return "ids" in path.split(".")


def _sizes(table: StoredTable) -> tuple[pq.FileMetaData, list[pq.ColumnChunkMetaData]]:
    metadata = pq.read_metadata(table.path)
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    return metadata, [group.column(index) for group in groups for index in range(group.num_columns)]


def flat_lengths(samples: StoredTable) -> np.ndarray:
    """Return the length (policy tokens) of every response of a samples table."""
    responses = pc.list_flatten(samples.read(["responses"])["responses"])
    return pc.struct_field(responses, "n_tokens").to_numpy()


def flat_rewards(rewards: StoredTable) -> np.ndarray:
    """Return every finite reward of a rewards table."""
    values = pc.list_flatten(rewards.read(["rewards"])["rewards"]).to_numpy(zero_copy_only=False)
    return values[np.isfinite(values)]


def rewards_by_prompt(rewards: StoredTable, prompt_ids: Iterable[str] | None = None) -> dict[str, list[float]]:
    """Return prompt → rewards aligned with the prompt's responses."""
    table = rewards.read(["prompt_id", "rewards"], prompt_ids)
    return dict(zip(table["prompt_id"].to_pylist(), table["rewards"].to_pylist(), strict=True))


def rows(table: StoredTable, columns: list[str], prompt_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Return rows as plain dicts, for some prompts."""
    return table.read(columns, prompt_ids).to_pylist()
