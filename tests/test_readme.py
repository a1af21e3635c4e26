"""The README and the pages of docs/ keep their word: commands run, choices and places are the project's."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml

from mt.config.compose import CONF, options
from mt.evaluation.gamed import gamed_csv
from tests.analysis.synthetic import write_runs
from tests.engines.tiny import tiny_policy, tiny_reward
from tests.evaluation.examples import gamed, judged
from tests.small import own_modules

ROOT = CONF.parent
README, CONTRIBUTING = ((ROOT / name).read_text("utf-8") for name in ("README.md", "CONTRIBUTING.md"))
REDUCED = [  # the user's own data and models, in seconds
    "iterations=1",
    "sampling.samples=3",
    "sampling.max_new_tokens=6",
    "policy.training.batch_size=4",
    "reward.training.batch_size=4",
    "eval.held_out.diagnostics=false",
]


WITH_FILES = [(ROOT / "docs" / name).read_text("utf-8") for name in ("extending.md", "own-data.md")]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def console_commands(page: Path) -> list[str]:
    blocks = re.findall(r"^```console\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    lines = [re.split(r"  +#", line)[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


COMMANDS = [(page.name, line) for page in PAGES for line in console_commands(page)]


def test_the_commands_are_found() -> None:
    assert len(COMMANDS) > 40
    assert {name for name, _ in COMMANDS} >= {
        "README.md",
        "own-data.md",
        "slurm.md",
        "evaluation.md",
        "store.md",
        "world.md",
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a folder with what the pages' user has: prompts, two models, finished runs, other tools' judgments."""
    folder = tmp_path_factory.mktemp("readme")
    colours, animals = ("red", "blue", "green"), ("fox", "owl", "cat", "dog")
    asked = [f"tell me the colour of {n} {c} {a}" for n in ("one", "two") for c in colours for a in animals]
    (folder / "prompts.jsonl").write_text("".join(json.dumps({"prompt": text}) + "\n" for text in asked))
    for name in ("table1", "figure4"):
        write_runs(folder / "runs", name, range(1))
    tiny_policy(folder / "POLICY")
    tiny_reward(folder / "REWARD")
    tiny_policy(folder / "BASE")
    (turns,) = re.findall(
        r"^```jinja\n(.*?)^```", (ROOT / "docs/own-data.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    (folder / "turns.jinja").write_text(turns)
    (folder / "demonstrations.jsonl").write_text('{"prompt": "why", "response": "because"}\n')
    (folder / "TEXT").write_text("one fox and two owls\n" * 50)
    for name in ("annotations.json", "A.json", "B.json"):
        (folder / name).write_text(json.dumps(judged(40, name=name)))
    (folder / "df_gamed.csv").write_text(gamed_csv(gamed(40)))
    games = {"question_id": "1", "model": "m", "judge": "j", "games": [{"score": "A>B"}, {"score": "B>A"}]}
    (folder / "judgments.jsonl").write_text(json.dumps(games))
    pairs = {"subset": ["hep-go"], "score_chosen": [1.0], "score_rejected": [0.0]}
    pd.DataFrame(pairs).to_parquet(folder / "scores.parquet")
    four = {"id": ["1"], "subset": ["Math"], "scores": [[3.0, 1.0, 2.0, 0.0]], "num_correct": [1], "results": [1]}
    (folder / "scores.json").write_text(json.dumps({**four, "model": "rm"}))
    texts = {"prompt": ["x"], "chosen": ["a"], "rejected": ["b"], "subset": ["hep-go"], "id": [1]}
    pd.DataFrame(texts).to_parquet(folder / "pairs.parquet")
    better = [{"prompt": text, "chosen": "red fox", "rejected": "one two three"} for text in asked]
    (folder / "preferences.jsonl").write_text("".join(json.dumps(row) + "\n" for row in better))
    blocks = r"^```(?:python|yaml)\n(# .*?)^```"
    for block in (one for page in WITH_FILES for one in re.findall(blocks, page, re.MULTILINE | re.DOTALL)):
        name, _, text = block.partition("\n")
        file = folder / name.removeprefix("# ")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    with own_modules("my_package"):
        yield folder


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=[f"{page}: {line}"[:70] for page, line in COMMANDS])
def test_every_command_works(
    page: str, line: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(place)
    program, *words = shlex.split(line)
    if program == "make":
        shown = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True, check=True)
        assert MADE[words[0]] in shown.stdout
        return
    assert (program, words.pop(0)) == ("python", "-m")
    status, wanted = call(words.pop(0), words)
    printed = capsys.readouterr()
    if status and {"launch.status", "SWEEP"} & set(shlex.split(line)):  # nobody submitted anything here
        assert "SWEEP" in printed.err or "no sweep" in printed.err
        return
    assert status == 0, printed.err
    assert wanted in printed.out + printed.err


MADE = {
    "run": "-m mt.run", "test": "-m pytest", "setup": "", "lint": "lint-imports", "smollm2": "make_smollm2",
}  # fmt: skip
"""What a target of the Makefile does."""
PRINTED = {
    "mt.store": {"ls": "train_reward", "verify": ", 0 damaged", "gc": "nothing to remove"},
    "analysis.tables": {"table1 --format latex": "toprule", "table1": "+28.9", "table1 figure4": "Figure 4"},
    "mt.compare": {"runs": "95% intervals"},
    "analysis.score": {"alpaca_eval": "lc win rate", "arena_hard": "score", "compare": "difference"},
}
"""What a command prints, by its words or by the first of them."""


def call(module: str, words: list[str]) -> tuple[int, str]:
    """Run a command, or plan it where it would take minutes; return its status and what it has to print."""
    wanted = PRINTED.get(module, {}).get(" ".join(words), PRINTED.get(module, {}).get(words[0] if words else "", ""))
    if module in ("benchmarks.make_models", "mt.export"):
        words = [*words, "--help"]
        with pytest.raises(SystemExit) as ended:
            importlib.import_module(module).main(words)
        return int(ended.value.code or 0), "usage:"
    if module == "mt.run" and "data=jsonl" in words and "policy.sft=true" not in words:
        words, wanted = [*words, *REDUCED], "π₁"
    elif module == "mt.run" and words[:1] not in (["--cfg"], ["--help"]):
        module, wanted = "mt.plan", "to compute"
    elif module == "mt.run":
        wanted = "objective:" if words[0] == "--cfg" else "objective=ipo"
    elif module == "mt.plan":
        wanted = "assumptions" if "--cost" in words else "to compute"
    name = f"{module}.__main__" if module == "analysis.report" else module
    return importlib.import_module(name).main(words), wanted


def test_every_module_that_is_named_exists() -> None:
    named = {module for page in PAGES for module in re.findall(r"python -m (\w[\w.]+\w)", page.read_text("utf-8"))}
    assert len(named) >= 12
    for module in sorted(named):
        assert importlib.util.find_spec(module), module


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), (page.name, target)


def test_the_citation_can_be_read() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    paper = cited["preferred-citation"]
    assert (paper["doi"], paper["start"], paper["end"]) == ("10.18653/v1/2025.acl-long.794", 16285, 16298)
    assert cited["license"] == "Apache-2.0" and "Apache License" in (ROOT / "LICENSE").read_text("utf-8")
    assert [one["family-names"] for one in paper["authors"]] == re.search(r"author += {(.*)}", README)[1].split(" and ")  # type: ignore[index]


def with_choices(text: str) -> str:
    """Return the README with its table of choices as conf/ has them, in the order of conf/config.yaml."""
    chosen = re.findall(r"^  - ([\w.]+): ", (CONF / "config.yaml").read_text(), re.MULTILINE)
    rows = [f"| `{one}=` | {' '.join(f'`{name}`' for name in options(one))} |" for one in chosen]
    table = "\n".join(["| choice | options |", "| --- | --- |", *rows, ""])
    return re.sub(r"^\| choice \| options \|\n(\|.*\n)*", table, text, flags=re.MULTILINE)


def test_every_choice_is_listed() -> None:
    assert README.count("| choice | options |") == 1 and "`apo_zero`" in with_choices(README)
    assert with_choices(README) == README, "the choices in conf/ are others: python -m tests.test_readme lists them"


def test_every_place_of_the_map_exists() -> None:
    rows = re.findall(r"^\| (`[^|]*/`|`mt/\S+\.py`[^|]*) \|", CONTRIBUTING, re.MULTILINE)
    places = [name for row in rows for name in re.findall(r"`([\w./]+)`", row)]
    assert len(places) >= 19
    assert [name for name in places if not (ROOT / name).exists()] == []


if __name__ == "__main__":
    (ROOT / "README.md").write_text(with_choices(README), "utf-8")
