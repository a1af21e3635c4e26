"""Tab completion, as bash itself would ask for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mt.cli.completion import candidates
from mt.config.compose import CONF, options
from mt.run import main

RUN = "python -m mt.run "


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (RUN + "objective=", {f"objective={name}" for name in options("objective")}),
        (
            RUN + "-m objective=dpo,ipo rm_data=c",
            {
                "rm_data=contrast",
                "rm_data=confidence_weight",
                *(f"rm_data=consensus{end}" for end in ("", "_contrast", "_mixed")),
            },
        ),
        ("python -m mt.plan sampling.top", {"sampling.top_p="}),
        (RUN + "objective=ipo objective.", {"objective.tau=", "objective.per_token=", "objective.nll_weight="}),
        (RUN + "nonsense", set()),
    ],
)
def test_the_last_word_is_completed(line: str, found: set[str]) -> None:
    assert {word for word in candidates(line) if not word.startswith("objective.name")} == found


def test_the_values_of_a_setting_the_flags_and_the_items_of_a_list_are_completed() -> None:
    assert candidates(RUN + "policy.reference=") == ["policy.reference=previous", "policy.reference=base"]
    assert candidates(RUN + "eval=[held_out,pair") == ["eval=[held_out,pairwise"]
    assert candidates(RUN + "-m objective=dpo,ip") == ["objective=dpo,ipo"]
    assert candidates(RUN + "objective=nope sampling.top") == ["sampling.top_p="]


def test_other_commands_complete_their_flags_and_what_they_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("alone", "swept/first"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "record.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert candidates("python -m launch.status sw") == ["swept", "swept/first"]
    assert candidates("python -m mt.compare alone swept/") == ["swept/first"]
    assert candidates("python -m launch.logs --f") == ["--follow"]
    assert candidates("python -m launch.status --j") == ["--json"], "what all commands of launch share"
    assert candidates("python -m analysis.tables table") == [f"table{n}" for n in (1, 2, 3, 4, 5)]
    assert candidates("python -m analysis.tables rel") == [], "an experiment without a table"
    assert candidates("python -m analysis.report --o") == ["--output"]
    assert candidates("python -m nothing.here x") == []


def test_choices_of_ones_own_are_completed(tmp_path: Path) -> None:
    (tmp_path / "objective").mkdir()
    mine = "# Mine.\nname: ipo\ntau: 0.3\nper_token: false\nnll_weight: 0\n"
    (tmp_path / "objective" / "zealous.yaml").write_text(mine)
    for flag in (f"--config-dir {tmp_path}", f"--config-dir={tmp_path}", f"-cd {tmp_path}"):
        assert candidates(f"{RUN}{flag} objective=z") == ["objective=zealous"]
        assert "objective.tau=" in candidates(f"{RUN}{flag} objective=zealous objective.")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(("breaks", "prefix"), [("=", ""), ("", "rm_data=")])
def test_bash_is_given_what_it_replaces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], breaks: str, prefix: str
) -> None:
    assert main(["-sc", "install=bash"]) == 0
    line = RUN + "rm_data=c"
    ask = f"COMP_LINE='{line}' COMP_POINT={len(line)} COMP_WORDBREAKS='{breaks}'; _mutual_taught {sys.executable}"
    script = f'{capsys.readouterr().out}\n{ask}\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
    environment = {**os.environ, "PYTHONPATH": str(CONF.parent)}
    asked = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    expected = sorted(f"{prefix}{name}" for name in options("rm_data") if name.startswith("c"))
    assert sorted(asked.stdout.split()) == expected, asked.stderr


def test_another_shell_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-sc", "install=fish"]) == 2
    assert "--shell-completion=install=fish: unknown. Allowed: install=bash" in capsys.readouterr().err
