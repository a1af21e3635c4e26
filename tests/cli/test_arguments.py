"""Hydra's flags do what Hydra documents, or are refused with what to use instead; none is ignored."""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra import main as hydra_main
from hydra._internal.utils import get_args_parser

from mt import plan, run
from mt.cli.arguments import hydra_parser, parse
from mt.config.choices import CONF
from mt.config.compose import register_resolvers

MINE = """\
# An objective of my own.
name: ipo
tau: 0.3
per_token: false
nll_weight: 0.0
"""
SWEEP = """\
# @package _global_
# python -m mt.run -m experiment=mine
# My table.
experiment:
  name: mine
  runs:
    - objective=mine,dpo
    - objective=kto
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with an objective and an experiment."""
    folder = tmp_path / "my choices"
    for name, text in (("objective/mine", MINE), ("experiment/mine", SWEEP)):
        file = folder / f"{name}.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    return folder


def test_flags_stand_anywhere() -> None:
    for words in itertools.permutations(["-m", "seed=0,1", "objective=ipo"]):
        found = parse(words, "python -m mt.run")
        assert found is not None
        assert found.multirun
        assert set(found.overrides) == {"seed=0,1", "objective=ipo"}


def test_every_flag_of_hydra_is_known() -> None:
    """Fails where a new Hydra adds, renames or drops a flag: it then needs an answer here."""

    def flags(parser: argparse.ArgumentParser) -> set[tuple[str, ...]]:
        return {tuple(sorted(action.option_strings)) for action in parser._actions}

    assert flags(hydra_parser("run")) == flags(get_args_parser())


@pytest.mark.parametrize("words", [["seed=7", "--cfg", "job", "objective=ipo"], ["--cfg", "job", "seed=7"]])
def test_the_configuration_is_printed_wherever_the_flags_stand(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(words) == 0
    printed = capsys.readouterr().out
    assert "\nseed: 7\n" in printed
    assert ("tau:" in printed) == ("objective=ipo" in words)


@pytest.mark.parametrize(
    "words",
    [
        ["--cfg", "job"],
        ["--cfg", "job", "objective=ipo", "seed=7", "+extra=1"],
        ["--cfg", "job", "--resolve", "scale=small_gpu"],
        ["--cfg", "job", "--package", "objective"],
        ["--cfg", "job", "-p", "policy.training", "--resolve"],
        ["--cfg", "job", "-p", "seed"],
        ["--cfg", "job", "-p", "policy.template_kwargs", "++policy.template_kwargs.enable_thinking=false"],
        ["--cfg", "job", "-p", "_global_"],
        ["--cfg", "hydra", "-p", "hydra.runtime.choices", "objective=ipo"],
    ],
)
def test_the_configuration_is_printed_as_hydra_prints_it(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(config: Any) -> None:
        raise AssertionError

    register_resolvers()
    monkeypatch.setattr(sys, "argv", ["run", *words])
    hydra_main(version_base="1.3", config_path=str(CONF), config_name="config")(never)()
    right = capsys.readouterr().out
    assert run.main(words) == 0
    assert capsys.readouterr().out == right != ""


@pytest.mark.parametrize(("kind", "has"), [("hydra", {"hydra"}), ("all", {"hydra", "seed", "objective"})])
def test_hydras_own_settings_are_printed_on_demand(
    kind: str, has: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["--cfg", kind, "seed=7"]) == 0
    printed = {line.partition(":")[0] for line in capsys.readouterr().out.splitlines() if line[:1].isalpha()}
    assert has <= printed and ("seed" in printed) == (kind == "all")


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (
            "mt.compare",
            "the following arguments are required: run. python -m mt.compare --help shows what can be given",
        ),
        ("mt.export", "the following arguments are required: run, --to. python -m mt.export --help"),
        ("mt.store", "the following arguments are required: COMMAND. python -m mt.store --help"),
        ("analysis.tables", "the following arguments are required: NAME. python -m analysis.tables --help"),
        ("analysis.report.__main__", "are required: RUN, -o/--output. python -m analysis.report --help"),
        ("analysis.score", "the following arguments are required: BENCHMARK. python -m analysis.score --help"),
    ],
)
def test_a_command_without_its_arguments_says_so_in_one_line(
    module: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert importlib.import_module(module).main([]) == 2
    printed = capsys.readouterr()
    assert said in printed.err and printed.err.count("\n") == 1 and not printed.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--config-name", "mine"], "--config-name=mine: there is one configuration"),
        (["--config-path", "here"], "--config-path=here: the configuration lies in conf/"),
        (["--experimental-rerun", "x.pickle"], "--experimental-rerun=x.pickle: a run is not pickled"),
        (["--config-dir", "/no/such"], "--config-dir=/no/such: no such folder"),
        (["--config-dir", str(CONF / "config.yaml")], "not a folder"),
        (
            ["--config-dir", str(CONF / "objective")],
            "it holds no choice: no file GROUP/NAME.yaml. Allowed: GROUP of",
        ),
        (["--config-dir"], "argument --config-dir/-cd: expected one argument"),
        (["--foo"], "--foo: no such flag"),
        (["--mulitrun"], "Did you mean '--multirun'?"),
        (
            ["--iterations", "3"],
            "no such flag. python -m mt.plan --help shows what can be given. Did you mean 'iterations=3'?",
        ),
        (["--objective=ipo"], "Did you mean 'objective=ipo'?"),
        (["--lr", "1e-4", "seed=1"], "Did you mean 'policy.training.learning_rate=1e-4'?"),
        (["--cfg", "nope"], "--cfg=nope: unknown. Allowed: job, hydra, all"),
        (["--info", "nope"], "--info=nope: unknown. Allowed: all, config, defaults"),
        (["--resolve"], "Add --cfg job"),
        (["--package", "objective"], "Add --cfg job"),
        (["--cfg", "job", "--package", "nope"], "--package=nope: no such part. Allowed: name, sweep"),
        (["--cfg", "job", "seed=1,2"], "seed=1,2: several values make a sweep. Give one value"),
        (["--cfg", "job", "objective=nope"], "objective=nope: no such choice"),
        (["--cfg", "job", "--resolve", "judge.nope=1"], "judge.nope=1: no such setting"),
        (["--cfg", "job", "--resolve", "seed=${seed}"], "seed=${seed}: "),
        (["-m", "--cfg", "job"], "--multirun --cfg: only one of these"),
        (["--run", "-m"], "--run --multirun: only one of these"),
        (["--info", "defaults", "objective=nope"], "objective=nope: no such choice"),
        (["--help", "objective=nope"], "objective=nope: no such choice"),
        (["--help", "objective=dpo,ipo"], "objective=dpo,ipo: several values make a sweep. Give one value"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan.main(words) == 2
    printed = capsys.readouterr()
    assert said in printed.err and printed.err.count("\n") == 1
    assert printed.out == ""


def test_settings_of_any_name_are_printed_as_they_are_run(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--cfg", "job", "-p", "policy.template_kwargs", "policy.template_kwargs.enable_thinking=false"]
    assert run.main(words) == 0
    assert "enable_thinking: false" in capsys.readouterr().out


def test_the_only_configuration_may_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--config-name", "config", "--cfg", "job", "-p", "seed"]) == 0
    assert capsys.readouterr().out == "0\n"


def output_of(words: list[str]) -> str:
    """Return what a command prints in a process of its own: Hydra's answers set up the logging of the process."""
    command = [sys.executable, "-m", "mt.run", *words]
    environment = {**os.environ, "PYTHONPATH": str(CONF.parent)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--version"], "Hydra 1.3"),
        (["--hydra-help"], "hydra.cc"),
        (["--info", "searchpath"], "conf"),
        (["--info", "defaults", "objective=ipo"], "objective/ipo"),
    ],
)
def test_hydra_answers_about_itself(words: list[str], said: str) -> None:
    assert said in output_of(words)


def test_choices_of_ones_own_are_composed_explained_and_shown(own: Path, capfd: pytest.CaptureFixture[str]) -> None:
    flag = ["--config-dir", str(own)]
    assert run.main([*flag, "--cfg", "job", "-p", "objective.tau", "objective=mine"]) == 0
    assert capfd.readouterr().out == "0.3\n"
    assert run.main([*flag, "--help", "objective"]) == 0
    assert "An objective of my own" in capfd.readouterr().out
    assert run.main([*flag, "--help", "objective=mine"]) == 0
    assert "0.3" in capfd.readouterr().out
    assert str(own) in output_of([*flag, "--info", "searchpath"])
    assert run.main([*flag, "--cfg", "job", "objective=minne"]) == 2
    assert "Did you mean 'mine'?" in capfd.readouterr().err


def test_choices_of_ones_own_are_planned_and_swept(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = f"store={own}/store"
    assert plan.main(["--config-dir", str(own), "objective=mine", "name=x", store, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert (
        plan.main(
            [
                "objective=ipo",
                "objective.tau=0.3",
                "objective.per_token=false",
                "objective.nll_weight=0",
                "name=x",
                store,
                "--json",
            ]
        )
        == 0
    )
    assert json.loads(capsys.readouterr().out) == first
    assert plan.main(["-m", f"--config-dir={own}", "objective=glob(m*)", store, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 1
    assert plan.main(["-m", f"--config-dir={own}", "experiment=mine", store, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 3


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("objective/dpo", MINE, "objective=dpo exists already, so that objective/dpo.yaml would never be read"),
        ("objective/bad", "a: [", "bad.yaml: no readable YAML"),
        ("objective/bad", "tau: 0.3\n", "objective.name=nothing: no name of a choice. Allowed: apo_zero, "),
        ("objective/bad", "name: nope\n", "objective.name=nope: no such name. Allowed: apo_zero, "),
        ("objective/bad", MINE + "taus: 1\n", "objective.taus=1: no such setting. Allowed: objective."),
        ("objective/bad", "name: ipo\n", "=nothing: it has no value. Allowed: a number"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, name: str, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / f"{name}.yaml"
    file.parent.mkdir()
    file.write_text(text)
    assert plan.main([f"--config-dir={tmp_path}", f"objective={file.stem}"]) == 2
    printed = capsys.readouterr().err
    assert said in printed and printed.count("\n") == 1


@pytest.mark.parametrize("command", ["plan --json", "plan", "run --cfg job", "run --help", "store --store . ls --json"])
def test_a_reader_that_has_read_enough_ends_a_command_quietly(command: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", *f"mt.{command}".split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": str(CONF.parent), "PATH": ""},
        cwd=tmp_path,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() in (0, 1)
