"""The limit on money holds over stages, processes, kills and reruns of one command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mt.engines.judging import JudgeContext, open_judge
from mt.engines.judging.ledger import Ledger
from mt.errors import JudgeError
from tests.engines.judging.settings import comparisons, openai_config

EACH = (500 * 10 + 64 * 30) / 1e6
"""What a call costs whose usage is 500 and 64 tokens."""

SCRIPT = """
import sys
from pathlib import Path
from mt.engines.judging import JudgeContext, open_judge
from mt.errors import JudgeError
from tests.engines.judging.settings import comparisons, openai_config
cache, prefix, limit = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
items = [type(one)(f"{prefix}{one.prompt_id}", [{"role": "user", "content": prefix + one.prompt_id}], "b", "m",
                   one.order) for one in comparisons(60)]
config = openai_config(concurrency=4, limit_usd=limit)
try:
    with open_judge(config, JudgeContext("verdict", command="sweep"), cache=cache) as judge:
        for row in judge.judge(items):
            print(row.prompt_id, flush=True)
except JudgeError as error:
    print(f"refused {error}", flush=True)
"""


def start(cache: Path, prefix: str, limit: float) -> subprocess.Popen[str]:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", SCRIPT, str(cache), prefix, str(limit)]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)


def ask(cache: Path, number: int, command: str = "run", **changes: object) -> dict[str, float]:
    changes = {"concurrency": 4, **changes}
    with open_judge(openai_config(**changes), JudgeContext("verdict", command=command), cache=cache) as judge:
        list(judge.judge(comparisons(number)))
        return judge.counts


@pytest.fixture
def dear(endpoint):
    endpoint.reply, endpoint.usage = (lambda messages: ("[[A>B]]", None)), (500, 64)
    return endpoint


def paid(endpoint) -> float:
    return sum(endpoint.delivered.values()) * EACH


def test_stages_of_a_command_share_the_limit_and_another_command_has_its_own(dear, tmp_path):
    ask(tmp_path, 10, limit_usd=0.1)
    with pytest.raises(JudgeError, match=r"limit_usd=0\.1: \$0\.\d+ are spent and the next call"):
        ask(tmp_path, 8, limit_usd=0.1, temperature=0.5)  # another judge: nothing is cached
    assert 0.085 < paid(dear) <= 0.1
    before = len(dear.requests)
    assert ask(tmp_path, 10, limit_usd=0.0001)["cached"] == 10, "what is cached costs nothing"
    assert len(dear.requests) == before
    ask(tmp_path, 10, "another run", limit_usd=0.1, temperature=0.7)
    assert len(dear.requests) == before + 10


def test_a_raised_limit_goes_on(dear, tmp_path):
    with pytest.raises(JudgeError, match="Raise it and run again to go on"):
        ask(tmp_path, 25, limit_usd=0.1)
    answered = sum(dear.delivered.values())
    assert ask(tmp_path, 25, limit_usd=1.0) == {
        "judgments": 25,
        "cached": answered,
        "missing": 0,
        "calls": 25 - answered,
        "input_tokens": 500 * (25 - answered),
        "output_tokens": 64 * (25 - answered),
        "usd": pytest.approx(EACH * (25 - answered)),
    }


def test_calls_that_cost_more_than_estimated_pass_the_limit_by_those_under_way_only(dear, tmp_path):
    dear.usage, dear.delay_s = (100_000, 64), 0.02
    each = (100_000 * 10 + 64 * 30) / 1e6
    for temperature in (0.0, 0.5, 0.7):
        with pytest.raises(JudgeError, match=r"judge\.limit_usd=2\.5"):
            ask(tmp_path, 40, limit_usd=2.5, temperature=temperature)
    assert 2 <= sum(dear.delivered.values()) <= 2.5 / each + 4


def test_what_calls_cost_lets_later_ones_use_the_limit_up(dear, tmp_path):
    # The most that a question can cost here is ten times what it does cost: $0.05 would be left each time.
    dear.usage = (300, 20)
    with pytest.raises(JudgeError, match="the next call could pass the limit"):
        ask(tmp_path, 60, limit_usd=0.2, max_tokens=600)
    assert 0.19 < sum(dear.delivered.values()) * (300 * 10 + 20 * 30) / 1e6 <= 0.2


def test_processes_share_the_limit(dear, tmp_path):
    dear.delay_s = 0.01
    limit = 0.3
    children = [start(tmp_path, prefix, limit) for prefix in "abc"]
    said = [child.communicate(timeout=120)[0] for child in children]
    assert all("refused judge.limit_usd=0.3" in one for one in said)
    assert limit - 2 * EACH - 0.01 < paid(dear) <= limit


def test_a_killed_process_forgets_no_money(dear, tmp_path):
    dear.delay_s, limit = 0.02, 0.3
    child = start(tmp_path, "a", limit)
    for _ in range(12):
        child.stdout.readline()
    os.kill(child.pid, signal.SIGKILL)
    child.wait(timeout=30)
    child.stdout.close()
    while dear.at_once:
        time.sleep(0.01)
    known = Ledger(tmp_path / "ledger", "sweep", limit).spent
    assert known >= paid(dear) - 1e-9, "what was under way may have been paid, and counts"
    assert known <= paid(dear) + 4 * EACH
    assert "refused" in start(tmp_path, "b", limit).communicate(timeout=120)[0]
    assert paid(dear) <= limit


def test_replies_that_are_lost_count_at_most_until_one_arrives(tmp_path):
    """A judge that thinks longer than timeout_s is paid for every attempt, and answers none."""
    ledger = Ledger(tmp_path, "run", 1.0)
    (question,) = ledger.reserve([0.2], wait=False)
    ledger.settle(question, 0.0, 0, 3)
    assert Ledger(tmp_path, "run", 1.0).spent == pytest.approx(3 * 0.1), "a question's most is for two calls"
    assert ledger.reserve([0.8], wait=False) == []
    (question,) = ledger.reserve([0.2], wait=False)
    ledger.settle(question, 0.05, 1, 0)
    assert Ledger(tmp_path, "run", 1.0).spent == pytest.approx(4 * 0.05)


def test_replies_that_are_lost_count_as_average_calls(dear, tmp_path):
    dear.faults = lambda number: "cut" if number % 4 == 1 else "500" if number % 4 == 3 else None
    ask(tmp_path, 12)
    spent = Ledger(tmp_path / "ledger", "run", None).spent
    assert spent == pytest.approx(EACH * (12 + dear.seen["cut"]))
    assert dear.seen["cut"] > 2 and dear.seen["500"] > 2


def test_a_damaged_line_is_named(dear, tmp_path):
    ask(tmp_path, 2)
    (file,) = tmp_path.glob("ledger/*/*.jsonl")
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines[:2], "{broken\n", *lines[3:]]))
    with pytest.raises(JudgeError, match=r"\.jsonl: cannot be read .* Delete the line"):
        ask(tmp_path, 4)


def test_a_usage_beyond_all_sense_is_estimated_instead(dear, tmp_path):
    dear.usage = (10**400, -3)
    assert ask(tmp_path, 1)["usd"] < 0.1
