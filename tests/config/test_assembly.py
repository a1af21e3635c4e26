"""Assembly: the short ways give what Hydra gives."""

from __future__ import annotations

from typing import Any

import pytest
from hydra import compose
from hydra._internal.config_repository import ConfigRepository
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigResult
from omegaconf import OmegaConf

from mt.config.assembly import Assembler, hydra_at
from mt.config.compose import PACKAGE, groups, register_resolvers

SETTINGS = [
    ["seed=3"],
    ["seed=3", "iterations=1"],
    ["sampling.max_new_tokens=7"],
    ["sampling.max_length=48", "seed=1"],
    ["world_seed=5"],
    ["policy.training.learning_rate=1e-5"],
    ["scale.family=paper"],
    ["store=/somewhere/else", "name=mine"],
    ["name=null"],
    ["objective.beta=0.2"],
]


def by_hydra(overrides: list[str]) -> dict[str, Any]:
    plain = OmegaConf.to_container(compose("config", overrides=overrides), resolve=True, throw_on_missing=True)
    assert isinstance(plain, dict)
    return {str(name): value for name, value in plain.items()}


def test_settings_on_a_copy_equal_a_composition_of_their_own() -> None:
    register_resolvers()
    with hydra_at(PACKAGE):
        assembler = Assembler(set(groups()))
        for choices in ([], ["objective=simpo", "rm_data=pm"]):
            for settings in SETTINGS:
                assert assembler.assemble([*choices, *settings]) == by_hydra([*choices, *settings]), settings


@pytest.mark.parametrize("choices", [["judge=vllm"], ["data=jsonl", "judge=transformers"]])
def test_settings_that_must_be_given_are_taken_from_the_command_line(choices: list[str]) -> None:
    register_resolvers()
    settings = [f"{choice.partition('=')[0]}.path=DIR" for choice in choices]
    with hydra_at(PACKAGE):
        assert Assembler(set(groups())).assemble([*choices, *settings]) == by_hydra([*choices, *settings])


def test_hydra_reads_each_file_once_through_the_repository_that_remembers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails where Hydra no longer asks the repository that `hydra_at` gives to its loader: a private part of Hydra."""
    read: list[str] = []
    load = ConfigRepository.load_config

    def counted(self: ConfigRepository, config_path: str) -> ConfigResult | None:
        read.append(config_path)
        return load(self, config_path)

    monkeypatch.setattr(ConfigRepository, "load_config", counted)
    register_resolvers()
    with hydra_at(PACKAGE):
        first = compose("config", overrides=["objective=ipo"])
        assert {"config", "objective/ipo", "method/mutual_taught"} <= set(read)
        once = len(read)
        assert len(set(read)) == once
        assert compose("config", overrides=["objective=ipo"]) == first
        assert len(read) == once
        compose("config", overrides=["objective=kto"])
        assert read[once:] == ["objective/kto"]


def test_a_run_does_not_see_the_settings_of_another() -> None:
    register_resolvers()
    with hydra_at(PACKAGE):
        assembler = Assembler(set(groups()))
        before = assembler.assemble(["seed=0"])
        assembler.assemble(["seed=9"])["sampling"]["samples"] = 99
        assert assembler.assemble(["seed=0"]) == before


def test_an_unknown_setting_is_refused_on_every_way() -> None:
    register_resolvers()
    with hydra_at(PACKAGE):
        assembler = Assembler(set(groups()))
        for wrong in ("sed=1", "sampling.sample=3", "nothing.at.all=1"):
            with pytest.raises(HydraException, match="Could not override"):
                assembler.assemble([wrong])
