from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt.choice import Config, Unkeyed
from mt.workflow.keys import canonical, derive_seed, digest
from mt.workflow.stage import External
from tests.workflow.fakes import Number, Sum


class Settings(Config):
    keyed: int
    free: Unkeyed[int]
    optional: int | None = None


def test_unkeyed_fields_and_none_do_not_enter() -> None:
    assert canonical(Settings(keyed=1, free=2)) == {"keyed": 1}
    assert digest(Settings(keyed=1, free=2)) == digest(Settings(keyed=1, free=3))
    assert digest(Settings(keyed=1, free=2)) != digest(Settings(keyed=1, free=2, optional=0))


@given(st.dictionaries(st.text(), st.integers()))
def test_order_of_a_mapping_does_not_matter(values: dict[str, int]) -> None:
    assert digest(values) == digest(dict(reversed(list(values.items()))))


def test_paths_have_no_place_in_a_key() -> None:
    with pytest.raises(TypeError, match="Path"):
        canonical({"path": Path("a")})


def test_a_stage_is_its_name_version_and_inputs() -> None:
    assert Number(1).key == Number(1).key
    assert Number(1).key != Number(2).key
    assert Sum((Number(1), Number(2))).key != Sum((Number(2), Number(1))).key
    assert Sum((Number(1),), seconds=1.0).key == Sum((Number(1),)).key
    assert Sum((Number(1),)).inputs()[0].key == Number(1).key
    assert Number(1).address == f"number/{Number(1).key[:20]}"


def test_golden_keys_move_only_with_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, every artifact of every user would be recomputed: raise VERSIONs instead, or mean it."""
    monkeypatch.setattr("mt.workflow.stage.source_hash", lambda kind: None)  # as of a stage of this package
    assert Sum((Number(1), Number(2))).key[:16] == "924f7bb5af8ab20d"
    before = Number(1).key
    monkeypatch.setattr(Number, "VERSION", 2)
    assert Number(1).key != before


def test_a_stage_of_the_users_own_is_keyed_by_its_source() -> None:
    source = Path(__file__).with_name("fakes.py").read_bytes()
    assert Number(1).identity["code"] == hashlib.sha256(source).hexdigest()
    assert "code" not in External("abc", Path("/a")).identity


def test_external_things_are_keyed_by_content_not_by_place() -> None:
    assert External("abc", Path("/a")).key == External("abc", Path("/b")).key
    assert External("abc", Path("/a")).key != External("abd", Path("/a")).key


def test_seeds_differ_by_name_and_fit_31_bits() -> None:
    seeds = {derive_seed(0, "sample"), derive_seed(0, "train"), derive_seed(1, "sample")}
    assert len(seeds) == 3
    assert all(0 <= seed < 2**31 for seed in seeds)
