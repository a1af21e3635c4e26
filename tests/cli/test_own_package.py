"""Choices of the user's own package: the example, one class of every group, and what is wrong with a class."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mt.config.choices import search_path
from mt.config.compose import CONF, compose_runs
from mt.engines.training.task import TrainingTask
from mt.errors import ConfigError
from mt.methods.compile import compile_run
from mt.run import main
from tests.small import own_modules, small

EXAMPLE = CONF.parent / "examples" / "my_objective"
QUICK = ["iterations=1", "eval=[]", "rm_data=frozen", "objective.nll_weight=0"]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a copy of the example as the current folder."""
    folder = tmp_path / "example"
    shutil.copytree(EXAMPLE, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with own_modules("my_package", "bad_", "everything"):
        yield folder


def command(*words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=600, check=False)


def record(folder: Path, run: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "runs" / run / "record.json").read_text())
    return facts


def quick(folder: Path) -> list[str]:
    return [*(word for word in small(folder) if not word.startswith("eval.")), *QUICK]


def test_the_example_runs_here_and_in_a_job_and_anew_after_a_change(package: Path, tmp_path: Path) -> None:
    own = ["--config-dir", "conf", "objective=exponential", *quick(tmp_path)]
    source = package / "my_package" / "losses.py"
    for words in (["name=here"], ["name=job", "launch=local", "objective.beta=0.2"]):
        done = command("mt.run", *own, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        facts = record(tmp_path, words[0].removeprefix("name="))
        assert facts["state"] == "finished"
        assert facts["config"]["objective"] == {
            "name": "exponential",
            "class": "my_package.losses.Exponential",
            "code": hashlib.sha256(source.read_bytes()).hexdigest(),
            "beta": 0.1 if words[0] == "name=here" else 0.2,
            "nll_weight": 0.0,
        }
        (trained,) = [stage for stage in facts["stages"] if stage["stage"] == "train_policy"]
        curve = (tmp_path / "store" / "train_policy" / trained["key"][:20] / "curves.jsonl").read_text().splitlines()
        assert json.loads(curve[0])["loss"] == pytest.approx(1.0, abs=1e-5)  # exp(0): the policy is its reference

    source.write_text(source.read_text() + "\n# Changed.\n")
    plan = json.loads(command("mt.plan", "--json", *own).stdout)
    assert {stage["stage"] for stage in plan["stages"] if stage["state"] == "missing"} == {"train_policy"}


CLASSES = """
from pathlib import Path

from mt.engines.generation.transformers import TransformersGenerator
from mt.engines.judging.gold import GoldJudge
from mt.engines.scoring.transformers import TransformersScorer
from mt.engines.training.inline import InlineTrainer
from mt.methods.mutual_taught import MutualTaught
from mt.methods.reward_data.pairs import Pairs
from mt.objectives.dpo import Dpo
from mt.reward_losses.centered import Centered
from mt.selection.label_filters.margin import Margin
from mt.selection.best_worst import BestWorst
from mt.sources.world import WorldData


def noted(base, method):
    def call(self, *given, **named):
        with Path("called.txt").open("a") as file:
            file.write(base.GROUP + "\\n")
        return getattr(base, method)(self, *given, **named)

    return type("Own", (base,), {method: call, "__module__": __name__, "__qualname__": f"Own{base.__name__}"})


OwnDpo = noted(Dpo, "loss")
OwnCentered = noted(Centered, "loss")
OwnBestWorst = noted(BestWorst, "pick")
OwnPairs = noted(Pairs, "rows")
OwnMargin = noted(Margin, "apply")
OwnMutualTaught = noted(MutualTaught, "build")
OwnWorldData = noted(WorldData, "source")
OwnTransformersGenerator = noted(TransformersGenerator, "open")
OwnTransformersScorer = noted(TransformersScorer, "open")
OwnGoldJudge = noted(GoldJudge, "backend")
OwnInlineTrainer = noted(InlineTrainer, "train")
"""
"""A class of every group that does as its base does, and writes down that it was asked."""
BASES = {
    ("objective", "dpo"): "Dpo",
    ("reward_loss", "centered"): "Centered",
    ("selection", "best_worst"): "BestWorst",
    ("rm_data", "margin_filter"): "Pairs",
    ("method", "mutual_taught"): "MutualTaught",
    ("data", "world"): "WorldData",
    ("generator", "transformers"): "TransformersGenerator",
    ("scorer", "transformers"): "TransformersScorer",
    ("judge", "gold"): "GoldJudge",
    ("trainer", "inline"): "InlineTrainer",
}


def test_a_class_of_ones_own_serves_in_every_group(package: Path, tmp_path: Path) -> None:
    (package / "everything.py").write_text(CLASSES)
    for (group, name), base in BASES.items():
        text = (CONF / group / f"{name}.yaml").read_text().replace("class: pairs", "")
        text = re.sub(r"(?m)^( *)name: \w+", rf"\1class: everything.Own{base}", text, count=1)
        text = text.replace("{name: margin, margin: 1}", "{class: everything.OwnMargin, margin: -100}")
        file = package / "conf" / group / "mine.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    chosen = [f"{group}=mine" for group, _ in BASES]
    measured = ["iterations=1", "eval=[alpaca_eval]", "name=mine"]
    sizes = [word for word in small(tmp_path) if not word.startswith("eval.held_out")]
    assert main(["--config-dir", "conf", *sizes, *chosen, *measured]) == 0
    called = set((package / "called.txt").read_text().split())
    assert called == {group for group, _ in BASES} | {"rm_data.label_filter"}
    assert record(tmp_path, "mine")["config"]["rm_data"]["label_filter"]["class"] == "everything.OwnMargin"


HEAD = "from mt.objectives import PairObjective\n"
WRONG = {
    "bad_import": ("from mt.objectives import Nope", r"ImportError: cannot import name 'Nope'.*Correct that first\."),
    "bad_syntax": ("def f(:", r"SyntaxError: invalid syntax \(bad_syntax\.py, line 1\)\. Correct that first\."),
    "bad_lines": ("raise RuntimeError('two\\nlines')", r"RuntimeError: two lines\. Correct that first\."),
    "bad_exit": ("raise SystemExit(3)", r"SystemExit: 3\."),
    "bad_name": ("", r"AttributeError: .* no attribute 'Mine'\. Name it as package\.module\.Class, from the folder"),
    "bad_base": ("class Mine: pass", r"it is no subclass of mt\.objectives\.base\.Objective\."),
    "bad_group": ("from mt.selection.margin import Margin as Mine", r"no subclass of mt\.objectives\.base\.Objective"),
    "bad_abstract": (HEAD + "class Mine(PairObjective): pass", r"it does not define loss\."),
    "bad_value": (
        HEAD + "class Mine(PairObjective):\n    a: int\n    def loss(self, batch): ...",
        r"^objective\.a=nothing: it has no value\. Allowed: a whole number\. Add it to the file of the choice",
    ),
}


@pytest.mark.parametrize("module", WRONG)
def test_a_class_that_does_not_fit_is_one_line(package: Path, module: str) -> None:
    source, said = WRONG[module]
    (package / f"{module}.py").write_text(source)
    (package / "conf" / "objective" / "mine.yaml").write_text(f"class: {module}.Mine\nnll_weight: 0\n")
    with pytest.raises(ConfigError, match=said) as error:
        compose_runs(["objective=mine"], path=search_path(["conf"]))
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"objective.class={module}.Mine: " if module != "bad_value" else "objective.a=")


IN_PLANNING = {
    "raises": (
        "def build(self, steps):\n        return {}['x']",
        r"KeyError: 'x' \(.*bad_plan\.py, line 4\)\. Correct that first; docs/extending\.md says what",
    ),
    "returns": (
        "def build(self, steps):\n        return 5",
        r"AttributeError: 'int' object has no attribute 'iterations'",
    ),
    "no_stage": (
        "def build(self, steps):\n        return steps.add(5)",
        r"'int' object has no attribute 'key' \(.*steps\.py",
    ),
}


@pytest.mark.parametrize("fault", IN_PLANNING)
def test_a_class_that_fails_while_planning_is_one_line(package: Path, fault: str) -> None:
    body, said = IN_PLANNING[fault]
    (package / "bad_plan.py").write_text(
        f"from mt.methods.mutual_taught import MutualTaught\nclass Mine(MutualTaught):\n    {body}\n"
    )
    (package / "conf" / "method").mkdir()
    text = (CONF / "method" / "mutual_taught.yaml").read_text()
    (package / "conf" / "method" / "mine.yaml").write_text(text.replace("name: mutual_taught", "class: bad_plan.Mine"))
    (run,) = compose_runs(["method=mine"], path=search_path(["conf"]))
    with pytest.raises(ConfigError, match=r"^method\.class=bad_plan\.Mine: planning fails with .*" + said) as error:
        compile_run(run.config)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (
            "no_such.Mine",
            r"^objective\.class=no_such\.Mine: .*ModuleNotFoundError: No module named 'no_such'\. Name it",
        ),
        ("simpoo", r"^objective\.class=simpoo: no such name\..*package\.module\.Class.*Did you mean 'simpo'\?"),
        ("3", r"^objective\.class=3: no name of a choice\. Allowed: apo_zero, dpo"),
        ("..Mine", r"^objective\.class=\.\.Mine: it cannot be imported: TypeError"),
    ],
)
def test_a_name_of_no_class_is_one_line(package: Path, named: str, said: str) -> None:
    (package / "conf" / "objective" / "mine.yaml").write_text(f"class: {named}\nnll_weight: 0\n")
    with pytest.raises(ConfigError, match=said):
        compose_runs(["objective=mine"], path=search_path(["conf"]))


def test_help_and_completion_know_the_class(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config-dir", "conf", "--help", "objective=exponential", "objective.beta"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "objective.class my_package.losses.Ex" in shown and "β > 0, from log-ratios to rewards." in shown
    assert "objective.code" not in shown and "objective.class_" not in shown
    (package / "conf" / "objective" / "mine.yaml").write_text("class: no_such.Mine\n")
    assert main(["--config-dir", "conf", "--help", "objective=mine"]) == 2
    assert capsys.readouterr().err.startswith("objective.class=no_such.Mine: it cannot be imported: ")


def test_what_a_module_prints_and_torch_are_said_once_beside_the_answer(package: Path) -> None:
    source = package / "my_package" / "losses.py"
    source.write_text(source.read_text().replace("import annotations", "import annotations\nimport torch\nprint('hi')"))
    done = command("mt.plan", "--config-dir", "conf", "--json", "-m", "objective=exponential", "seed=0,1")
    assert json.loads(done.stdout)["runs"] != []
    prints, torch = done.stderr.splitlines()
    assert prints == 'my_package.losses prints "hi" when it is imported. Print inside methods'
    assert torch.startswith("my_package.losses imports torch, which --help and planning now wait for.")


def test_a_worker_process_reads_the_class_and_refuses_one_that_changed(package: Path, tmp_path: Path) -> None:
    (run,) = compose_runs(["objective=exponential"], path=search_path(["conf"]))
    config = run.config
    common = (config.policy.training, config.trainer, 0, "output", "scratch")
    TrainingTask("model", ["table"], config.objective, *common, references=["table"]).write(tmp_path / "task.json")
    program = "from pathlib import Path; from mt.engines.training.task import TrainingTask\n"
    program += f"print(type(TrainingTask.read(Path({str(tmp_path / 'task.json')!r})).objective).__name__)"
    read = [sys.executable, "-c", program]
    assert subprocess.run(read, capture_output=True, text=True, check=True).stdout == "Exponential\n"
    source = package / "my_package" / "losses.py"
    source.write_text(source.read_text() + "\n# Changed.\n")
    refused = subprocess.run(read, capture_output=True, text=True, check=False)
    assert "losses.py has changed since this run was planned" in refused.stderr


def test_a_sweep_is_resumed_from_anywhere_with_the_class_that_it_was_planned_with(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = package / "my_package" / "losses.py"
    broken = source.read_text().replace("        chosen_B,", "        raise RuntimeError('not yet')\n        chosen_B,")
    source.write_text(broken)
    own = ["--config-dir", "conf", "objective=exponential", *quick(tmp_path), "launch=local", "name=job"]
    assert command("mt.run", *own).returncode == 1
    monkeypatch.chdir(tmp_path)
    again = command("launch.resume", "job", "--runs", "runs")
    assert again.returncode == 1 and "not yet" in again.stdout + again.stderr  # it was planned, and ran
    source.write_text(EXAMPLE.joinpath("my_package", "losses.py").read_text())
    refused = command("launch.resume", "job", "--runs", "runs")
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert re.search(
        r"^run job: objective: .*losses\.py has changed since this run was planned\. Undo the change, or", line
    )
