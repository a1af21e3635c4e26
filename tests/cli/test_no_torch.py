"""Help, composition and planning hold neither torch nor transformers: they answer at once, also where none is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mt.config.compose import groups, options

WITHOUT = """
import sys
for name in ("torch", "transformers", "vllm", "deepspeed", "trl", "datasets"):
    sys.modules[name] = None  # importing it raises
from {module} import main
sys.exit(main(sys.argv[1:]))
"""
EXPERIMENTS = f"experiment={','.join(options('experiment'))}"
NOT_CLASSES = {"eval", "experiment", "hardware", "launch", "scale"}


@pytest.mark.parametrize(
    ("module", "words", "shown"),
    [
        ("mt.run", ["--help"], "objective=ipo"),
        ("mt.run", ["--help", "eval=alpaca_eval", "trainer=torchrun", "generator=vllm"], "trainer.zero_stage"),
        ("mt.run", ["--cfg", "job"], "objective:"),
        ("mt.plan", ["-m", EXPERIMENTS, "seed=0", "--json"], '"missing"'),
        ("mt.plan", ["--cost", "judge=openai", "eval=alpaca_eval"], "calls"),
    ],
)
def test_answered_without_torch(module: str, words: list[str], shown: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT.format(module=module), *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert shown in done.stdout


def test_every_class_of_a_choice_is_read_without_torch() -> None:
    """As combinations that are refused are listed, and as errors list what is allowed."""
    program = """
import sys
sys.modules["torch"] = sys.modules["transformers"] = None
from mt.choice import Choice, names
import mt.config.run, mt.selection.label_filters
waiting = [Choice]
while waiting:
    kind = waiting.pop()
    waiting += kind.__subclasses__()
    if "GROUP" in vars(kind):
        print(kind.GROUP, *names(kind))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    found = {group: listed for group, *listed in (line.split() for line in done.stdout.splitlines())}
    named = {group for group in groups() if group not in NOT_CLASSES}
    assert found.keys() == named | {"rm_data.label_filter"}
    assert all(found.values())
