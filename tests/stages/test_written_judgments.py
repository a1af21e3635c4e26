"""Judgments that an endpoint writes of OpenAssistant's ranked replies (EFT)."""

from __future__ import annotations

from pathlib import Path

import pytest

from mt.data.rubric import RUBRICS
from mt.errors import DataError, JudgeError
from mt.stages.judge_self import JudgmentPrompts
from mt.stages.written_judgments import LoadRankedReplies, SelectAgreeingJudgments, WriteJudgmentsOverNetwork
from mt.types import Demonstration, Messages
from mt.workflow.stage import External
from tests.data import open_assistant
from tests.engines.judging.conftest import endpoint, environment  # noqa: F401
from tests.engines.judging.server import Endpoint
from tests.engines.judging.settings import openai_config
from tests.stages.bench import Bench

SCORES = {"Earth has one": 5, "One moon": 3, "No idea": 0, "2 + 2 = 4": 4, "5": 1}


def scored(scores: dict[str, int]):  # type: ignore[no-untyped-def]
    """Judge an answer by its beginning; one without a score is judged without a last line."""

    def reply(messages: Messages) -> tuple[str, None]:
        answer = messages[0]["content"].rpartition("# Answer\n\n")[2]
        score = next((score for begin, score in scores.items() if answer.startswith(begin)), None)
        return ("It is fine." if score is None else f"<think>hm</think>Points for this.\nScore: {score}"), None

    return reply


def chain(folder: Path, per_score: int | None = None, **judge: object) -> SelectAgreeingJudgments:
    path = open_assistant.write(folder, "trees")
    replies = LoadRankedReplies(External("x", path), "en", 100)
    prompts = JudgmentPrompts(replies, "english")
    judgments = WriteJudgmentsOverNetwork(prompts, openai_config(**judge), None, None)
    return SelectAgreeingJudgments(replies, judgments, "english", per_score, 0)


@pytest.fixture
def served(endpoint: Endpoint) -> Endpoint:  # noqa: F811
    endpoint.reply = scored(SCORES)
    return endpoint


def test_judgments_that_agree_with_people_become_demonstrations(served: Endpoint, bench: Bench, tmp_path: Path) -> None:
    stage = chain(tmp_path)
    rows = bench.rows(stage, Demonstration)
    assert [(row.prompt_id, row.response.text) for row in rows] == [
        (name, f"Points for this.\nScore: {score}")
        for name, score in [("s#0", 5), ("s#1", 3), ("s#2", 0), ("a#0", 4), ("a#1", 1)]
    ], "what the judge thought is no part of its judgment"
    asked = [{"role": "user", "content": "What is 2 + 2?"}]
    assert rows[4].messages == RUBRICS["english"].judge_prompt(asked, "5")
    sent = [request["messages"] for request in served.requests]
    assert len(sent) == 5 and all(row.messages in sent for row in rows), "the judge reads what the policy will read"
    assert any("5 judgments to ask for" in text and "at most about $" in text for text in bench.notes.texts)


def test_judgments_that_contradict_people_or_cannot_be_read_are_left_out(
    served: Endpoint, bench: Bench, tmp_path: Path
) -> None:
    served.reply = scored({"Earth has one": 2, "No idea": 1, "2 + 2 = 4": 1, "5": 4})
    stage = chain(tmp_path)
    assert [row.prompt_id for row in bench.rows(stage, Demonstration)] == ["s#0", "s#2"]
    counts = bench.counts(stage)
    assert counts == {"judgments": 5, "unreadable": 1, "agreeing_prompts": 1, "agreeing": 2, "kept": 2}
    served.reply = scored({"Earth has one": 0, "No idea": 1, "2 + 2 = 4": 1, "5": 4})
    with pytest.raises(DataError, match=r"none of 5 judgments agrees with people's ranks\. Choose a stronger judge"):
        bench.run(chain(tmp_path, model="another"))


def test_no_judgment_is_paid_for_twice(served: Endpoint, bench: Bench, tmp_path: Path) -> None:
    bench.run(chain(tmp_path))
    bench.run(chain(tmp_path, per_score=1))
    assert len(served.requests) == 5, "another choice among the judgments asks for none"
    again = chain(tmp_path, preference_by="text")
    assert again.judgments.key != chain(tmp_path).judgments.key
    bench.run(again)
    assert len(served.requests) == 5, "another stage finds the answers by their content"


def test_the_limit_holds_and_a_judge_without_answers_is_an_error(
    served: Endpoint, bench: Bench, tmp_path: Path
) -> None:
    with pytest.raises(JudgeError, match=r"judge\.limit_usd"):
        bench.run(chain(tmp_path, limit_usd=1e-6))
    served.reply = lambda messages: ("", None)
    with pytest.raises(JudgeError, match=r"no text"):
        bench.run(chain(tmp_path, prove_within=100))


def test_a_file_without_ranked_replies_is_refused_before_anything_starts(tmp_path: Path) -> None:
    path = open_assistant.write(tmp_path, "trees")
    with pytest.raises(DataError, match=r"eft_data\.replies=.*no prompt of language fr has two ranked replies"):
        LoadRankedReplies(External("x", path), "fr", 100).check()
