"""Benchmarks from files: the formats that are read, the rows that are refused, and files by their hub name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from mt.errors import DataError
from mt.evaluation.gamed import GAMED_FIELDS
from mt.stages.evaluate_judged import AlpacaEval
from mt.stages.files import HubFile
from mt.stages.load_benchmarks import LoadAnsweredQuestions, LoadOutputs, LoadRankedPrompts, LoadRewardPairs
from mt.types import Samples
from mt.workflow.stage import External
from tests.data.hub_cache import COMMIT, add_snapshot
from tests.stages.bench import Bench, given, samples

QUESTION = {"uid": "q1", "category": "v0.1", "prompt": "Why?"}
ANSWER = {"uid": "q1", "model": "m", "messages": [{"role": "user", "content": "Why?"}]}
ANSWERED = {**ANSWER, "messages": [*ANSWER["messages"], {"role": "assistant", "content": {"answer": "So."}}]}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def written(path: Path, *rows: Any) -> External:
    """A file of the user's, as JSON lines or Parquet."""
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return External(path.name, path)


def plain(rows: Sequence[Samples]) -> list[tuple[str, list[str], list[str]]]:
    return [
        (row.prompt_id, [turn["content"] for turn in row.messages], [one.text for one in row.responses]) for row in rows
    ]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"instruction": "a", "output": "b", "generator": "g"}, ("0", ["a"], ["b"])),
        ({"prompt_id": "x", "prompt": "a", "answer": ""}, ("x", ["a"], [""])),
        ({"question_id": 7, "turns": [{"content": "a"}], "answer": "b"}, ("7", ["a"], ["b"])),
        ({"uid": "u", "messages": [{"role": "user", "content": "a"}], "output": "b"}, ("u", ["a"], ["b"])),
    ],
)
def test_outputs_of_every_format(bench: Bench, tmp_path: Path, row: Any, expected: Any) -> None:
    stage = LoadOutputs(written(tmp_path / "outputs.jsonl", row, row), 1)
    stage.check()
    assert plain(bench.rows(stage, Samples)) == [expected]
    assert bench.counts(stage) == {"prompts": 1}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"instruction": "a"}, r"outputs\.jsonl row 1 \(from 0\): field 'output' is missing\. Allowed: output, answer"),
        ({"output": "b"}, r"row 1 \(from 0\): field 'messages' is missing\. Allowed: messages, instruction, prompt"),
        ({"turns": 3, "output": "b"}, r"row 1 \(from 0\): the prompt is a int\. Allowed: a text, or a list"),
        (["a"], r"row 1 \(from 0\): a list where an object belongs"),
    ],
)
def test_a_row_that_lacks_a_field_is_reported_before_the_run(tmp_path: Path, row: Any, said: str) -> None:
    stage = LoadOutputs(written(tmp_path / "outputs.jsonl", {"instruction": "a", "output": "b"}, row), 805)
    with pytest.raises(DataError, match=said):
        stage.check()


def test_two_prompts_of_one_id_are_refused_before_the_run(tmp_path: Path) -> None:
    """Both would get the answer and the judgment of the second one."""
    rows = [{"question_id": 1, "instruction": text, "output": "b"} for text in ("a", "a", "other")]
    said = r"row 2 \(from 0\): question_id=1: another row has this id already\. Make the ids unique"
    with pytest.raises(DataError, match=said):
        LoadOutputs(written(tmp_path / "outputs.jsonl", *rows), 805).check()
    questions = written(tmp_path / "question.jsonl", QUESTION, QUESTION, {**QUESTION, "prompt": "How?"})
    with pytest.raises(DataError, match=said.replace("=1", "=q1")):
        LoadAnsweredQuestions(questions, written(tmp_path / "gpt.jsonl", ANSWERED), 500, None).check()


@pytest.mark.parametrize("question", [QUESTION, {"question_id": "q1", "turns": [{"content": "Why?"}]}])
@pytest.mark.parametrize(
    "answer",
    [
        ANSWERED,
        {"uid": "q1", "messages": [{"role": "assistant", "content": "So."}]},
        {"question_id": "q1", "choices": [{"index": 0, "turns": [{"content": "So.", "token_len": 2}]}]},
        {"question_id": "q1", "choices": [{"turns": [{"content": {"answer": "So."}}]}]},
    ],
)
def test_questions_are_joined_with_answers_of_both_generations(
    bench: Bench, tmp_path: Path, question: dict[str, Any], answer: dict[str, Any]
) -> None:
    id_field = next(iter(answer))
    other, second = {**answer, id_field: "q0"}, {**question, next(iter(question)): "q0"}
    questions = written(tmp_path / "question.jsonl", question, second)
    stage = LoadAnsweredQuestions(questions, written(tmp_path / "gpt.jsonl", other, answer), 500, None)
    stage.check()
    assert plain(bench.rows(stage, Samples)) == [("q1", ["Why?"], ["So."]), ("q0", ["Why?"], ["So."])]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([{**ANSWERED, "uid": "q2"}], r"question\.jsonl row 0 \(from 0\): question 'q1' has no answer in .*gpt\.jsonl"),
        (
            [{"messages": []}],
            r"gpt\.jsonl row 0 \(from 0\): field 'question_id' is missing\. Allowed: question_id, uid",
        ),
        ([{"uid": "q1"}], r"gpt\.jsonl row 0 \(from 0\): no answer is found \(KeyError.*Allowed: choices\[0\]\.turns"),
        ([{"uid": "q1", "choices": []}], r"row 0 \(from 0\): no answer is found \(IndexError"),
        ([{"uid": "q1", "choices": [{"turns": ["So."]}]}], r"row 0 \(from 0\): no answer is found \(AttributeError"),
        ([ANSWER], r"row 0 \(from 0\): no answer is found \(ValueError: the last message is the user's"),
        (
            [ANSWERED, {"uid": "q1", "choices": [{"turns": [{"content": "No."}]}]}],
            r"row 1 \(from 0\): question 'q1' has two different answers",
        ),
    ],
)
def test_a_question_without_its_answer_is_reported_before_the_run(
    tmp_path: Path, answers: list[Any], said: str
) -> None:
    questions = written(tmp_path / "question.jsonl", QUESTION)
    with pytest.raises(DataError, match=said):
        LoadAnsweredQuestions(questions, written(tmp_path / "gpt.jsonl", *answers), 500, None).check()


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.parquet"])
def test_reward_pairs(bench: Bench, tmp_path: Path, name: str) -> None:
    pair = {"prompt": "a", "chosen": "good", "rejected": "bad", "subset": "hep-go", "id": 3}
    stage = LoadRewardPairs(written(tmp_path / name, pair))
    stage.check()
    assert plain(bench.rows(stage, Samples)) == [("hep-go/3", ["a"], ["good", "bad"])]
    lacking = LoadRewardPairs(written(tmp_path / "lacking.jsonl", pair, {**pair, "rejected": None}))
    with pytest.raises(DataError, match=r"lacking\.jsonl row 1 \(from 0\): field 'rejected' is missing"):
        lacking.check()


def test_questions_of_one_category_are_asked(bench: Bench, tmp_path: Path) -> None:
    names = {"q1": "hard_prompt", "q2": "creative_writing", "q3": "hard_prompt", "q4": "hard_prompt"}
    asked = written(tmp_path / "q.jsonl", *({"uid": q, "category": c, "prompt": q} for q, c in names.items()))
    answers = written(tmp_path / "a.jsonl", *({**ANSWERED, "uid": q} for q, c in names.items() if c == "hard_prompt"))
    stage = LoadAnsweredQuestions(asked, answers, 2, "hard_prompt")
    assert [row.prompt_id for row in bench.rows(stage, Samples)] == ["q1", "q3"]
    assert [messages[0]["content"] for _, messages in stage.asked()] == ["q1", "q3"]
    said = r"category=null: .*several \(hard_prompt 3, creative_writing 1\), which are never mixed"
    with pytest.raises(DataError, match=said):
        LoadAnsweredQuestions(asked, answers, 2, None).check()
    with pytest.raises(DataError, match=r"eval\.arena_hard\.category=math: no question of .* is of it"):
        LoadAnsweredQuestions(asked, answers, 2, "math").check()


def test_ranked_prompts(bench: Bench, tmp_path: Path) -> None:
    tied = {"id": "tied:3", "subset": "Ties", "prompt": "a", "chosen": ["1", "2"], "rejected": ["x"], "num_correct": 2}
    ref = {**tied, "id": "ref:3", "chosen": ["1"], "num_correct": 1}
    stage = LoadRankedPrompts(written(tmp_path / "p.parquet", tied, ref))
    stage.check()
    assert plain(bench.rows(stage, Samples)) == [
        ("Ties/2/tied:3", ["a"], ["1", "2", "x"]),
        ("Ties/1/ref:3", ["a"], ["1", "x"]),
    ]


@pytest.mark.parametrize(
    ("changes", "said"), [({"num_correct": 3}, "num_correct=3: 2 chosen answers"), ({"rejected": []}, "'rejected' is")]
)
def test_bad_ranked_prompts_are_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    row = {"id": 1, "subset": "Math", "prompt": "a", "chosen": ["1", "2"], "rejected": ["x"], "num_correct": 2}
    with pytest.raises(DataError, match=rf"bad\.jsonl row 1 \(from 0\).*{said}"):
        LoadRankedPrompts(written(tmp_path / "bad.jsonl", row, {**row, **changes})).check()


def test_what_could_not_be_scored_is_refused_before_the_run(tmp_path: Path) -> None:
    pair = {"prompt": "a", "chosen": "good", "rejected": "bad", "subset": "hep-phyton"}
    with pytest.raises(DataError, match=r"p\.jsonl: subset=hep-phyton: .* Did you mean 'hep-python'\?"):
        LoadRewardPairs(written(tmp_path / "p.jsonl", pair)).check()
    ranked = {"id": "7", "subset": "Ties", "prompt": "a", "chosen": ["1"], "rejected": ["x"]}
    for changes, said in (
        ({"subset": "Maths"}, "subset=Maths: not one of the 6 subsets"),
        ({}, "id=7: no prompt of the subset Ties"),
        ({"id": "ref:7"}, "id: no question of the subset Ties has both"),
    ):
        with pytest.raises(DataError, match=rf"r\.jsonl: {said}"):
            LoadRankedPrompts(written(tmp_path / "r.jsonl", {**ranked, **changes})).check()


def gamed(path: Path, instructions: int) -> External:
    rows = [("concise", 0.5, index, 0.1, 0.0, False) for index in range(instructions)]
    path.write_text("\n".join(",".join(map(str, row)) for row in [GAMED_FIELDS, *rows]))
    return External(path.name, path)


def test_the_length_controls_anchors_have_to_be_the_benchmarks_own(tmp_path: Path) -> None:
    outputs = LoadOutputs(written(tmp_path / "o.jsonl", *[{"instruction": "a", "output": "b"}] * 3), 2)
    others = given(samples("0", "x")), given(samples("0", "y"))
    AlpacaEval(outputs, *others, gamed(tmp_path / "own.csv", 3), 20).check()
    said = r"eval\.alpaca_eval\.gamed=.*of 5 instructions, and the baseline answers 3.*gamed=null"
    with pytest.raises(DataError, match=said):
        AlpacaEval(outputs, *others, gamed(tmp_path / "other.csv", 5), 20).check()


def on_hub(cache: Path, file: str) -> HubFile:
    folder = cache / "datasets--owner--bench" / "snapshots" / COMMIT
    return HubFile(f"owner/bench@{COMMIT}:{file}", folder / file, "eval.alpaca_eval.outputs")


def test_a_hub_file_is_read_from_the_local_cache_without_a_network(cache: Path, bench: Bench) -> None:
    add_snapshot(cache, "dataset", "owner/bench", {"data/o.jsonl": b'{"instruction": "a", "output": "b"}\n'})
    source = on_hub(cache, "data/o.jsonl")
    source.check()
    assert plain(bench.rows(LoadOutputs(source, 5), Samples)) == [("0", ["a"], ["b"])]


def test_a_hub_file_out_of_reach_names_itself_its_hub_name_and_the_setting(cache: Path) -> None:
    said = (
        r"eval\.alpaca_eval\.outputs=owner/bench@0123456789ab:data/o\.jsonl: .*the hub cannot be reached"
        r".*or download it elsewhere and set eval\.alpaca_eval\.outputs=FILE"
    )
    with pytest.raises(DataError, match=said) as error:
        on_hub(cache, "data/o.jsonl").check()
    assert "\n" not in str(error.value)


def test_a_hub_files_key_is_its_revision_not_its_place(cache: Path, tmp_path: Path) -> None:
    one, two = on_hub(cache, "o.jsonl"), on_hub(tmp_path / "elsewhere", "o.jsonl")
    assert one.key == two.key != on_hub(cache, "p.jsonl").key
