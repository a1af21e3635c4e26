"""Every choice and every setting explains itself on the command line."""

from __future__ import annotations

import pytest

from mt import plan
from mt.cli.help import COMMON
from mt.config.compose import groups, options
from mt.config.explain import choices, settings
from mt.config.explain import groups as explained_groups
from mt.run import main


def test_every_choice_says_what_it_is() -> None:
    found = choices()
    assert {group: sorted(names) for group, names in found.items()} == {group: options(group) for group in groups()}
    assert [f"{group}={name}" for group, names in found.items() for name, text in names.items() if not text] == []


@pytest.mark.parametrize("group", sorted(set(groups()) - {"eval", "experiment"}))
def test_every_setting_says_what_it_means(group: str) -> None:
    for name in options(group):
        assert [one.path for one in settings([], [f"{group}={name}"]) if not one.meaning] == [], name


def test_help_lists_the_groups_and_the_settings_that_people_change(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    for wanted in (*groups(), *COMMON, "mutual_taught | iterative", "dpo | apo_zero", "--cfg job"):
        assert wanted in printed
    assert len(COMMON) == 20 and {one.path for one in settings([], [])} >= set(COMMON)
    assert set(explained_groups()) == set(groups()) and all(explained_groups().values())


def test_help_explains_the_fields_of_a_group_that_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help", "policy.training.lora"]) == 0
    lines = [line.split()[:2] for line in capsys.readouterr().out.splitlines() if line.startswith("policy.")]
    assert lines == [
        ["policy.training.lora", "null"],
        ["policy.training.lora.rank", "(16)"],
        ["policy.training.lora.alpha", "(32)"],
        ["policy.training.lora.targets", "(['all-linear'])"],
    ]


def test_help_explains_a_choice_with_its_settings_and_the_values_they_take(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help", "policy.reference", "objective=ipo"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for wanted in ("objective.tau", "Eq. 17", "[previous | base]"):
        assert wanted in printed
    assert "sampling.top_p" not in printed and "objective.beta" not in printed
    assert "objective=ipo" in printed and "objective=dpo" not in printed, "one option was asked for"


def test_help_of_a_choice_without_settings_ends_with_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help", "policy.checkpoint"]) == 0
    printed = capsys.readouterr().out
    assert "policy.checkpoint=win_rate" in printed and "meaning" not in printed


def test_help_names_every_flag_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "\n--details " in capsys.readouterr().out
    assert plan.main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert [flag for flag in ("--stages", "--cost", "--json") if f"\n{flag} " not in printed] == []


def test_help_names_the_nearest_setting_of_a_mistyped_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help", "smapling"]) != 0
    assert "--help=smapling: no such setting. Did you mean 'sampling'?" in capsys.readouterr().err
