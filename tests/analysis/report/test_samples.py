"""The browser's data hold the right responses, rewards and marks, and no more than a page can carry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analysis.report import samples, tables
from analysis.report.record import StageRow, find_runs, load_run, union
from analysis.report.sets import benchmark_sets, sample_sets
from analysis.report.tables import StoredTable
from mt.workflow.plan import plan
from mt.workflow.position import Position
from tests.analysis.report import fixture, fixture_stages
from tests.analysis.report.fixture_stages import gold_of, reward_of

Stages = dict[str, StageRow]
Tables = dict[str, StoredTable]


@pytest.fixture(scope="module")
def browser(stages: Stages, found: Tables) -> dict[str, Any]:
    return samples.browser(stages, found, ["demo"])


def prompt_of(browser: dict[str, Any], prompt_id: str) -> dict[str, Any]:
    return next(prompt for prompt in browser["prompts"] if prompt["id"] == prompt_id)


def answers(browser: dict[str, Any], prompt_id: str) -> dict[str, tuple[dict[str, Any], list, list]]:
    """Policy → (set, responses, marks) of one prompt."""
    found = {}
    for number, given, marks in prompt_of(browser, prompt_id)["in"]:
        one = browser["sets"][number]
        found[one["policy"]] = (one, given, [mark[:3] for mark in marks])
    return found


def test_policies_carry_the_papers_names(stages: Stages, found: Tables) -> None:
    sets = sample_sets(stages, found)
    named = {(one.place.iteration, one.place.step, one.name) for one in sets}
    assert named == {
        (0, "evaluation", "π₀"), (1, "E-step", "π₀"), (1, "M-step", "π₀"), (1, "M-step", "π₁"),
        (1, "evaluation", "π₁"), (2, "E-step", "π₁"), (2, "M-step", "π₂"), (2, "evaluation", "π₂"),
    }  # fmt: skip


def test_rewards_carry_the_scorers_names_gold_last(stages: Stages, found: Tables) -> None:
    scorers = {
        (one.place.iteration, one.place.step, one.name): [scores.name for scores in one.scores]
        for one in sample_sets(stages, found)
    }
    assert scorers[1, "E-step", "π₀"] == ["r₀"]
    assert scorers[2, "E-step", "π₁"] == ["r₁"]
    assert scorers[1, "M-step", "π₀"] == []
    assert scorers[2, "evaluation", "π₂"] == ["r₀", "r₂", "gold"]


def test_held_out_pairs_are_no_policys_samples(stages: Stages, found: Tables) -> None:
    assert [one.table.stage.name for one in benchmark_sets(stages, found)] == ["world_benchmark"]
    assert all(one.policy for one in sample_sets(stages, found))


def test_responses_and_rewards_are_exact(browser: dict[str, Any]) -> None:
    one, given, _ = answers(browser, "eval-00003")["π₁"]
    assert one["scorers"] == ["r₀", "r₁", "gold"]
    texts = [f"p1 answer {k} to eval-00003 word word word word" for k in range(5)]
    assert [text for text, *_ in given] == texts
    assert [(tokens, finished) for _, tokens, finished, _ in given] == [(4 + k, int(k != 4)) for k in range(5)]
    wanted = [[reward_of(1, k), reward_of(2, k), round(gold_of(1, k), 4)] for k in range(5)]
    assert [rewards for *_, rewards in given] == wanted


def test_marks_of_self_training_and_contrast(browser: dict[str, Any]) -> None:
    by_policy = answers(browser, "DR-00002")
    # Rewards order response 3 first and 0 last; contrast prefers the new policy's 1 to the old one's 2.
    assert sorted(by_policy["π₂"][2]) == [[0, "rejected", "pm"], [1, "chosen", "contrast"], [3, "chosen", "pm"]]
    assert by_policy["π₀"][2] == [[2, "rejected", "contrast"]]
    assert sorted(by_policy["π₁"][2]) == [
        [0, "rejected", "pm"], [1, "chosen", "contrast"], [2, "rejected", "contrast"], [3, "chosen", "pm"],
    ]  # fmt: skip


def test_marks_belong_to_the_runs_that_use_the_pair(sweep_folder: Path) -> None:
    runs = [load_run(folder) for folder in find_runs([sweep_folder])]
    stages = union(runs)
    data = samples.browser(stages, tables.find(stages)[0], [run.name for run in runs])
    sources: dict[str, set[int]] = {}
    for prompt in data["prompts"]:
        for _, _, marks in prompt["in"]:
            for _, _, source, by in marks:
                sources.setdefault(source, set()).update(by)
    assert sources == {"pm": {0, 1, 2, 3}, "contrast": {0, 1}}


def test_a_text_that_both_policies_gave_is_marked_once(tmp_path: Path) -> None:
    """The same texts everywhere: self-training marks the new policy alone, contrast both."""
    base = fixture_stages.SupervisedFinetune(0)
    old, new = fixture_stages.SampleSame(base), fixture_stages.SampleSame(tuned := fixture_stages.SupervisedFinetune(1))
    pm = fixture_stages.SelectPairs(new, fixture_stages.Score(base, new, 0))
    both = fixture_stages.UnionPairs((pm, fixture_stages.ContrastPairs(new, old)))
    places = {base.key: Position(model="policy"), tuned.key: Position(iteration=1, model="policy")}
    run = load_run(fixture.make_run(tmp_path, plan([both], places)))
    data = samples.browser(union([run]), tables.find(union([run]))[0], ["demo"])
    found = {data["sets"][number]["policy"]: marks for number, _, marks in data["prompts"][0]["in"]}
    assert {policy: sorted(mark[:3] for mark in marks) for policy, marks in found.items()} == {
        "π₀": [[2, "rejected", "contrast"]],
        "π₁": [[0, "rejected", "pm"], [1, "chosen", "contrast"], [3, "chosen", "pm"]],
    }


def test_every_prompt_is_there_where_all_fit(browser: dict[str, Any]) -> None:
    assert len(browser["prompts"]) == browser["total_prompts"] == 32
    assert {prompt["section"] for prompt in browser["prompts"]} == {"Chat", "Chat Hard", "Safety", "Reasoning"}


def test_a_full_page_keeps_every_sort_of_prompt(stages: Stages, found: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MAX_RESPONSES", 150)
    small = samples.browser(stages, found, ["demo"])
    responses = sum(len(given) for prompt in small["prompts"] for _, given, _ in prompt["in"])
    assert 100 < responses <= 150
    assert small["total_prompts"] == 32
    assert {prompt["id"].split("-")[0] for prompt in small["prompts"]} == {"D1", "D2", "DR", "eval"}
    assert small == samples.browser(stages, found, ["demo"])


def test_long_texts_count(stages: Stages, found: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MAX_CHARACTERS", 2_000)
    assert 0 < len(samples.browser(stages, found, ["demo"])["prompts"]) < 10


def test_a_reward_that_is_no_number_or_is_missing_becomes_none(
    stages: Stages, found: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [1.5, float("nan")]  # of more responses
    monkeypatch.setattr(tables, "rewards_by_prompt", lambda table, chosen: dict.fromkeys(chosen, given))
    prompts = samples.browser(stages, found, ["demo"])["prompts"]
    rewards = [[one[3] for one in shown] for prompt in prompts for _, shown, _ in prompt["in"]]
    scored = [one for one in rewards if one[0]]
    assert max(map(len, scored)) > 2
    for first, *others in scored:
        assert set(first) == {1.5}
        assert all(set(one) == {None} for one in others)
