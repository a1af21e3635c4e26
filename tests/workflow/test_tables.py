from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mt.errors import DataError
from mt.types import Pair, Response, Rewards, Samples
from mt.workflow import tables

ASK = [{"role": "user", "content": "why"}]
SAMPLED = Response("a", 1, True, [5, 2], "f1", -0.5)
FOREIGN = Response("b", 0)
EMPTY = Response("", 0, True, [], "f1", 0.0)


def test_token_ids_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [
        Samples("x", ASK, None, [SAMPLED, FOREIGN, EMPTY]),
        Samples("y", [], "Chat", []),
        Samples("z", ASK * 2, None, [Response("c", 3, False, [2**20, 0, 7], "f2", None)]),
    ]
    tables.write(tmp_path / "t.parquet", rows, Samples)
    found = tables.read(tmp_path / "t.parquet", Samples)
    assert found == rows
    assert [one.logprob for row in found for one in row.responses] == [-0.5, None, 0.0, None]
    assert pq.read_table(tmp_path / "t.parquet")["responses"][0].as_py()[0]["ids"] == [5, 2]  # as other tools see it


def test_nested_rows_and_absent_numbers_come_back(tmp_path: Path) -> None:
    rows = [Pair("x", ASK, None, SAMPLED, FOREIGN, 0.5), Pair("y", ASK, "s", FOREIGN, EMPTY, weight=2.0)]
    tables.write(tmp_path / "t.parquet", rows, Pair)
    assert tables.read(tmp_path / "t.parquet", Pair) == rows
    rewards = [Rewards("x", [0.5, float("inf")]), Rewards("y", [])]
    tables.write(tmp_path / "r.parquet", rewards, Rewards)
    assert tables.read(tmp_path / "r.parquet", Rewards) == rewards
    tables.write(tmp_path / "e.parquet", [], Pair)
    assert tables.read(tmp_path / "e.parquet", Pair) == []


def test_several_row_groups_are_read_as_one_table(tmp_path: Path) -> None:
    rows = [Samples(str(i), ASK, None, [Response("a", i, True, list(range(i)), "f", None)] * 2) for i in range(10)]
    tables.write(tmp_path / "t.parquet", rows, Samples)
    pq.write_table(pq.read_table(tmp_path / "t.parquet"), tmp_path / "u.parquet", row_group_size=3)
    assert tables.read(tmp_path / "u.parquet", Samples) == rows


def test_a_table_without_token_ids_is_refused_by_the_fields_that_it_lacks(tmp_path: Path) -> None:
    response = {"text": "a", "n_tokens": 1, "finished": True}
    old = pa.Table.from_pylist([{"prompt_id": "x", "messages": ASK, "section": None, "responses": [response]}])
    pq.write_table(old, tmp_path / "old.parquet")
    with pytest.raises(DataError, match=r"responses\.ids, responses\.tokenizer, responses\.logprob are missing"):
        tables.read(tmp_path / "old.parquet", Samples)
    pq.write_table(old.drop_columns(["responses"]), tmp_path / "none.parquet")
    with pytest.raises(DataError, match=r"columns responses are missing"):
        tables.read(tmp_path / "none.parquet", Samples)
