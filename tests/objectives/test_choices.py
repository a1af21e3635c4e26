"""Every choice of objective= and selection= composes at every scale, is valid, and fits what it names."""

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from pydantic import ValidationError

from mt.choice import names, option
from mt.config.compose import CONF, register_resolvers
from mt.objectives import Objective
from mt.selection import Selection
from tests.objectives.example import random_pairs, random_responses

PRIMARY = """
defaults: [_self_, {{selection: length_controlled}}, {{objective: dpo}}]
scale: {{name: {scale}, family: {family}, weights: null}}
sampling: {{max_length: 2048}}
policy: {{path: null, training: {{}}}}
hydra: {{searchpath: ["file://{conf}"]}}
"""
SCALES = {"laptop": "world", "llama3_8b": "paper", "mistral_7b": "paper"}


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def composed(folder: Path, *overrides: str, scale: str = "laptop") -> dict[str, Any]:
    (folder / "primary.yaml").write_text(PRIMARY.format(scale=scale, family=SCALES[scale], conf=CONF))
    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(folder), version_base="1.3"):
        values = OmegaConf.to_container(compose("primary", overrides=list(overrides)), resolve=True)
    assert isinstance(values, dict)
    return {str(name): value for name, value in values.items()}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("choice", choices("objective"))
def test_an_objective_runs_with_the_values_of_its_file(tmp_path: Path, choice: str, scale: str) -> None:
    values = composed(tmp_path, f"objective={choice}", scale=scale)
    objective = Objective.model_validate(values["objective"])
    batch = random_pairs(4) if objective.learns_from == "pairs" else random_responses(4)
    assert objective(batch)[0].isfinite().all()
    assert Selection.model_validate(values["selection"]).makes == objective.learns_from


@pytest.mark.parametrize("choice", choices("selection"))
def test_a_selection_is_the_class_of_its_name(tmp_path: Path, choice: str) -> None:
    config = Selection.model_validate(composed(tmp_path, f"selection={choice}")["selection"])
    assert type(config) is option(Selection, choice)


def test_every_class_has_a_file(tmp_path: Path) -> None:
    assert set(choices("selection")) == set(names(Selection))
    named = {composed(tmp_path, f"objective={choice}")["objective"]["name"] for choice in choices("objective")}
    assert named == set(names(Objective))


def test_a_selection_on_the_command_line_beats_that_of_the_objective(tmp_path: Path) -> None:
    values = composed(tmp_path, "objective=rest_em", "selection=best_of_k")
    assert values["selection"] == {"name": "best_of_k"}


def test_the_values_of_the_papers(tmp_path: Path) -> None:
    dpo = composed(tmp_path, scale="llama3_8b")
    assert dpo["objective"] == {"name": "dpo", "beta": 0.01, "label_smoothing": 0.0, "nll_weight": 0.0}
    assert dpo["policy"]["training"] == {}
    simpo = composed(tmp_path, "objective=simpo", scale="llama3_8b")
    assert simpo["objective"]["gamma"] == pytest.approx(0.55 * simpo["objective"]["beta"])
    mistral = composed(tmp_path, "objective=simpo", scale="mistral_7b")
    assert mistral["objective"]["gamma"] == pytest.approx(0.1 * mistral["objective"]["beta"])
    sppo = composed(tmp_path, "objective=sppo", scale="llama3_8b")
    assert 1 / sppo["objective"]["beta"] == pytest.approx(1000)
    assert sppo["policy"]["training"] == {
        "learning_rate": 5e-7,
        "batch_size": 64,
        "optimizer": "rmsprop",
        "schedule": "linear",
        "epochs": 1,
        "max_length": 1024,
    }


@pytest.mark.parametrize(
    ("field", "value"), [("beta", 0), ("beta", -1), ("label_smoothing", 0.5), ("nll_weight", -1), ("gamma", 1)]
)
def test_impossible_values_are_refused(tmp_path: Path, field: str, value: float) -> None:
    values = composed(tmp_path)["objective"] | {field: value}
    with pytest.raises(ValidationError, match=field):
        Objective.model_validate(values)
