"""Hyper-parameters follow the size of the user's policy where no scale is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from mt.config.compose import compose_runs
from mt.config.run import RunConfig
from mt.engines.shapes import count_weights, family_of
from tests.engines.tiny import tiny_policy, tiny_reward


def composed(folder: Path, *overrides: str) -> RunConfig:
    (folder / "prompts.jsonl").write_text('{"prompt": "fox"}\n')
    tiny_policy(folder / "policy")
    tiny_reward(folder / "reward")
    own = [f"data.path={folder}/prompts.jsonl", f"policy.path={folder}/policy", f"reward.path={folder}/reward"]
    return compose_runs(["data=jsonl", *own, *overrides])[0].config


def test_the_weights_of_a_folder_are_counted_without_loading_them(tmp_path: Path) -> None:
    vocabulary, width, inner, layers = 25, 16, 32, 2
    by_hand = vocabulary * width + layers * (4 * width**2 + 3 * width * inner + 2 * width) + width
    assert count_weights(str(tiny_policy(tmp_path / "tied"))) == by_hand
    untied = tiny_policy(tmp_path / "untied", tie_word_embeddings=False)
    assert count_weights(str(untied)) == by_hand + vocabulary * width


@pytest.mark.parametrize("path", [None, "owner/name", "/no/such/folder"])
def test_the_size_of_what_is_not_here_is_not_known(path: str | None) -> None:
    assert count_weights(path) is None


@pytest.mark.parametrize(
    ("weights", "family"),
    [(1, "world"), (135_000_000, "smollm2"), (1_100_000_000, "small_gpu"), (8_000_000_000, "paper"), (None, "paper")],
)
def test_the_family_of_a_size(weights: int | None, family: str) -> None:
    assert family_of(weights, "paper") == family


def test_a_tiny_policy_of_the_users_own_takes_the_worlds_hyper_parameters(tmp_path: Path) -> None:
    config = composed(tmp_path)
    assert (config.scale.family, config.scale.weights) == ("world", count_weights(str(tmp_path / "policy")))
    assert (config.policy.training.learning_rate, config.policy.training.batch_size) == (2e-4, 32)


def test_a_named_scale_names_its_family(tmp_path: Path) -> None:
    config = composed(tmp_path, "scale=small_gpu")
    assert (config.scale.family, config.scale.weights) == ("paper", None)
    assert config.policy.training.batch_size == 128


def test_the_world_and_hub_names_keep_the_family_of_their_data() -> None:
    assert compose_runs([])[0].config.scale.family == "world"
    hub = ["data=hub", "data.path=o/n", "policy.path=o/p", f"policy.revision={'a' * 40}", "reward.path=o/r"]
    assert compose_runs(hub)[0].config.scale.family == "paper"


@pytest.mark.parametrize(
    ("overrides", "selection"),
    [([], "best_worst"), (["objective=rest_em"], "reward_weighted"), (["selection=margin"], "margin")],
)
def test_the_selection_of_a_scale_gives_way_to_the_objectives_and_the_users(
    overrides: list[str], selection: str
) -> None:
    assert compose_runs(["scale=smollm2", *overrides])[0].config.selection.name == selection


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ("llama3_8b", (5e-7, 64, "rmsprop")),
        ("llama3_8b_lora", (5e-6, 64, "rmsprop")),  # adapters need the learning rate of adapters
        ("smollm2", (1e-5, 8, "adamw")),
        ("laptop", (2e-4, 32, "adamw")),
    ],
)
def test_sppo_trains_as_its_paper_or_as_the_scale(scale: str, expected: tuple[float, int, str]) -> None:
    training = compose_runs([f"scale={scale}", "objective=sppo"])[0].config.policy.training
    assert (training.learning_rate, training.batch_size, training.optimizer) == expected
