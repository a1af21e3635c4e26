"""Names that sort, ids that stay, and what counts as a secret."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mt.runtime.redact import redact
from mt.tracking.base import RunInfo
from mt.tracking.naming import curve_values, metric_values, slugs
from mt.tracking.wandb import run_id, run_tags
from mt.types import Metric
from mt.workflow.position import Position
from tests.tracking.example import CONFIG, STAGE

DEMO = RunInfo("demo", Path("runs/demo"), CONFIG)


def test_a_run_keeps_its_id_however_it_is_launched_or_tracked() -> None:
    moved = CONFIG | {"tracking": {"name": "wandb", "mode": "online"}, "launch": {"name": "slurm"}, "store": "x"}
    assert run_id(DEMO) == run_id(replace(DEMO, config=moved, folder=Path("elsewhere")))


@pytest.mark.parametrize("change", [{"seed": 4}, {"objective": {"name": "dpo", "beta": 0.2}}])
def test_other_settings_are_another_run(change: dict[str, object]) -> None:
    assert run_id(DEMO) != run_id(replace(DEMO, config=CONFIG | change))
    assert run_id(DEMO) != run_id(replace(DEMO, name="other"))


def test_the_same_run_of_another_sweep_is_another_run() -> None:
    assert len({run_id(replace(DEMO, sweep=sweep)) for sweep in (None, "table1", "table2")}) == 3


def test_choices_are_tags() -> None:
    config = CONFIG | {"rm_data": {"name": "pm", "replay": 0.0}, "scale": None}
    run = replace(DEMO, config=config, groups=["method", "objective", "rm_data"])
    assert run_tags(run, ["mine"]) == ["method=mutual_taught", "mine", "objective=dpo", "rm_data=pm"]
    assert run_tags(replace(run, groups=["method", "objective"]), []) == ["method=mutual_taught", "objective=dpo"]


def test_slugs_sort_as_the_iterations_happened() -> None:
    places = [
        Position(step="base"),
        Position(iteration=2, step="E-step"),
        Position(iteration=10, step="M-step", rounds=2),
        Position(iteration=10, step="E-step"),
        Position(),
    ]
    found = list(slugs((str(place), "sample", place) for place in places).values())
    assert found == [
        "base/sample",
        "iteration-02-e-step/sample",
        "round-01-iteration-10-m-step/sample",
        "iteration-10-e-step/sample",
        "sample",
    ]
    assert sorted(found)[2:4] == ["iteration-10-e-step/sample", "round-01-iteration-10-m-step/sample"]


def test_stages_of_one_name_and_label_are_told_apart() -> None:
    found = slugs([(key, "sample", Position(step="base")) for key in ("abcdef12", "123456ff")])
    assert found == {"abcdef12": "base/sample", "123456ff": "base/sample-123456"}


def test_no_name_has_a_dot() -> None:
    row = Metric("gold", "win_rate_vs_0.5", 0.5, 0.4, 0.6)
    assert sorted(metric_values("policy", [row])) == [
        "policy/gold/win_rate_vs_0_5",
        "policy/gold/win_rate_vs_0_5_high",
        "policy/gold/win_rate_vs_0_5_low",
    ]
    assert not [name for name in curve_values(STAGE, {"a.b": 1.0}) if "." in name]


def test_an_absent_interval_is_not_logged() -> None:
    row = Metric("gold", "length", 5.0)
    assert metric_values("policy", [row]) == {"policy/gold/length": 5.0}


def test_secrets_are_blanked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "abcdefgh-12345")
    given = {
        "judge": {
            "api_key": "plain",
            "model": "gpt",
            "url": "https://me:word@host/v1",
            "api_key_env": "OPENAI_API_KEY",
        },
        "note": "key abcdefgh-12345 and sk-aaaaaaaaaaaaaaaaaaaaaaaa and hf_aaaaaaaaaaaaaaaaaaaaaaaa",
        "pad_token": "<pad>",
        "max_new_tokens": 12,
        "list": ["abcdefgh-12345"],
        "none": None,
    }
    assert redact(given) == {
        "judge": {"api_key": "***", "model": "gpt", "url": "https://***@host/v1", "api_key_env": "OPENAI_API_KEY"},
        "note": "key *** and *** and ***",
        "pad_token": "<pad>",
        "max_new_tokens": 12,
        "list": ["***"],
        "none": None,
    }


def test_paths_and_short_values_are_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_KEY", "/etc/ssl/key.pem")
    monkeypatch.setenv("PIN_SECRET", "1234")
    assert redact(["/etc/ssl/key.pem", "1234"]) == ["/etc/ssl/key.pem", "1234"]
