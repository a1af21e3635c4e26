"""Functions of the user's own: whatever one does, it costs its own call and no other."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from mt.engines.function_pool import FunctionPool
from mt.engines.functions import Call, source_of
from mt.errors import ConfigError, EngineError

SOURCE = """
import helper, os, sys, time

def reward(messages, response):
    print("said on standard output")
    if response == "raise":
        raise RuntimeError("two\\nlines")
    if response == "leave":
        sys.exit(3)
    if response == "crash":
        os._exit(7)
    if response == "hang":
        time.sleep(600)
    if response == "nan":
        return float("nan")
    if response == "text":
        return "7.5"
    return len(response.split()) + helper.BONUS + len(messages)

def together(messages, responses):
    assert len(messages) == len(responses)
    return [1.0] if responses == ["short"] * 2 else [float(len(one)) for one in responses]

alias = reward

class Scorer:
    pass
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text("BONUS = 0.5\n")
    (tmp_path / "rules.py").write_text(SOURCE)
    return tmp_path / "rules.py"


def calls(*responses: str) -> list[Call]:
    return [Call([{"role": "user", "content": "why?"}], [response]) for response in responses]


def pool(rules: Path, name: str = "reward", *, batched: bool = False, timeout_s: float = 60.0) -> FunctionPool:
    return FunctionPool(f"{rules}:{name}", rules, batched=batched, timeout_s=timeout_s, processes=2)


def test_every_response_gets_the_functions_reward(rules: Path) -> None:
    found = dict(pool(rules).call(calls("one", "one two", "")))
    assert [found[i].rewards for i in range(3)] == [[2.5], [3.5], [1.5]]
    assert dict(pool(rules, "alias").call(calls("one"), skip=[0])) == {}


def test_failures_cost_their_own_call_and_leave_no_process(rules: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    asked = calls("raise", "one", "crash", "nan", "text", "leave", "hang", "one two")
    found = dict(pool(rules, timeout_s=3.0).call(asked))
    assert [found[i].problem for i in range(8)] == [
        "raised", None, "ended", "invalid", "invalid", "raised", "timed_out", None,
    ]  # fmt: skip
    assert found[0].said == "RuntimeError: two lines" and "code 7" in found[2].said
    assert (found[1].rewards, found[7].rewards) == ([2.5], [3.5])
    assert set(psutil.Process().children(recursive=True)) <= before


def test_a_batched_function_takes_the_responses_to_a_prompt_together(rules: Path) -> None:
    asked = [Call([], ["a", "bb", "ccc"]), Call([], ["short", "short"])]
    found = dict(pool(rules, "together", batched=True).call(asked))
    assert found[0].rewards == [1.0, 2.0, 3.0]
    assert (found[1].problem, found[1].said) == ("invalid", "ValueError: it returned 1 rewards")


def test_modules_are_found_from_the_current_folder(rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(rules.parent)
    assert source_of("rules:reward", "reward.function") == rules
    found = FunctionPool("rules:reward", rules, batched=False, timeout_s=60, processes=1).call(calls("one"))
    assert dict(found)[0].rewards == [2.5]


def test_a_module_that_cannot_be_imported_stops_the_run(rules: Path) -> None:
    rules.write_text(SOURCE.replace("import helper", "import no_such_helper"))
    with pytest.raises(EngineError, match=r"^reward\.function=.*:reward: it cannot be imported: ModuleNotFoundError: "):
        pool(rules).check()


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("rules.py", r"reward\.function=rules\.py: not the name of a function\. Allowed: FILE\.py:NAME"),
        ("other.py:reward", r"other\.py:reward: there is no other\.py"),
        ("no.such.module:reward", r"there is no no\.such\.module"),
        ("rules.py:nothing", r"defines no nothing\. Allowed: reward, together\."),
        ("rules.py:Scorer", r"Scorer is a class\. Allowed: reward, together\."),
        ("broken.py:reward", r"broken\.py is no Python"),
    ],
)
def test_what_is_no_function_is_refused_before_it_is_run(
    rules: Path, function: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(rules.parent)
    (rules.parent / "broken.py").write_text("def reward(:")
    with pytest.raises(ConfigError, match=said) as raised:
        source_of(function, "reward.function")
    assert "\n" not in str(raised.value)
