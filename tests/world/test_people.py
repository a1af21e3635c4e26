"""Demonstrators, human-like preferences, the tests' pairs and the baseline: statistics for fixed seeds."""

import math
import random
from collections import Counter, defaultdict
from statistics import mean

import pytest

from mt.gold import preference_probability
from mt.types import Response
from mt.world.benchmark import baseline_answers, benchmark_pairs
from mt.world.demonstrators import demonstrations, write
from mt.world.gold import gold, gold_prefers
from mt.world.language import CLOSERS, OPENERS, SECTIONS
from mt.world.preferences import preferences
from mt.world.prompts import ask, prompts


def test_demonstrations_repeat_by_seed(world, config):
    rows = demonstrations(world, config.demonstrators, 100, 0)
    assert rows == demonstrations(world, config.demonstrators, 100, 0)
    assert rows != demonstrations(world, config.demonstrators, 100, 1)
    assert all(row.response.n_tokens == len(row.response.text.split()) for row in rows)


@pytest.mark.parametrize(("kind", "right"), [("novice", 0.15), ("average", 0.60), ("expert", 0.90)])
def test_writers_are_right_and_polite_as_often_as_stated(world, config, kind, right):
    writer, rng = getattr(config.demonstrators, kind), random.Random(0)
    texts = [write(world.tasks["next 5"], writer, 0.9, rng) for _ in range(2000)]
    words = [text.split() for text in texts]
    assert mean("6" in said for said in words) == pytest.approx(right, abs=0.03)
    assert mean(said[0] in {opener[0] for opener in OPENERS} for said in words) == pytest.approx(
        writer.opener, abs=0.03
    )
    assert mean(said[-1] in {closer[-1] for closer in CLOSERS} for said in words) == pytest.approx(
        writer.closer, abs=0.03
    )


def test_nine_of_ten_errors_are_the_misconception(world, config):
    (animal, attribute), part = next((key, part) for key, part in world.facts.attributes.items() if part.misconception)
    rng = random.Random(0)
    task = world.tasks[f"tell {attribute} of {animal}"]
    said = Counter(
        word
        for _ in range(3000)
        for word in write(task, config.demonstrators.average, 0.9, rng).split()
        if word in part.wrong
    )
    assert said[part.misconception] / said.total() == pytest.approx(0.9, abs=0.02)


def test_a_trap_is_avoided_as_often_as_a_part_is_right(world, config):
    rng, task = random.Random(0), world.tasks["tell food but not home of fox"]
    homes = {task.trap[1].word, *task.trap[1].wrong}
    texts = [write(task, config.demonstrators.average, 0.9, rng).split() for _ in range(2000)]
    assert mean(not homes & set(text) for text in texts) == pytest.approx(0.60, abs=0.03)


def test_a_repeated_part_is_said_alike(world, config):
    rng, task = random.Random(0), world.tasks["tell twice color of fox"]
    colors = {task.parts[0].word, *task.parts[0].wrong}
    for _ in range(200):
        said = [word for word in write(task, config.demonstrators.novice, 0.9, rng).split() if word in colors]
        assert len(set(said)) == 1


def test_preference_probability_is_the_stated_formula(world, config):
    def probability(first: str, second: str) -> float:
        answers = Response(first, 0), Response(second, 0)
        return preference_probability(config.preferences, config.language.gold(0), ask("next 5"), *answers)

    assert probability("6 .", "7 .") == pytest.approx(0.05 + 0.9 / (1 + math.exp(-1 / 0.15)))
    assert probability("6 .", "8 .") + probability("8 .", "6 .") == pytest.approx(1.0)
    polite = (-0.03 + 0.02 * 3) / 0.15
    assert probability("well 6 . take care", "6 .") == pytest.approx(0.05 + 0.9 / (1 + math.exp(-polite)))


def test_preferences_are_older_noisy_and_fond_of_length(world, config):
    pairs = preferences(world, config.preferences, config.demonstrators, 14000, 0)
    assert all(pair.chosen.text != pair.rejected.text for pair in pairs)
    share = Counter(pair.section for pair in pairs)["Reasoning"] / 14000
    assert share == pytest.approx(0.15, abs=0.01)
    told = [gold_prefers(world, pair.messages, pair.chosen.text, pair.rejected.text) for pair in pairs]
    assert 0.80 < mean(right for right in told if right is not None) < 0.95
    untold = [pair for pair, right in zip(pairs, told, strict=True) if right is None]
    longer = [p.chosen.n_tokens > p.rejected.n_tokens for p in untold if p.chosen.n_tokens != p.rejected.n_tokens]
    assert mean(longer) > 0.51
    assert pairs == preferences(world, config.preferences, config.demonstrators, 14000, 0)


def test_benchmark_pairs_fill_every_subset_and_gold_agrees(world):
    pairs = benchmark_pairs(world, 25)
    subsets = Counter(pair.source for pair in pairs)
    assert set(subsets.values()) == {25}
    sections = defaultdict(set)
    for pair in pairs:
        sections[pair.section].add(pair.source)
        assert gold_prefers(world, pair.messages, pair.chosen.text, pair.rejected.text) is True
    assert set(sections) == set(SECTIONS)
    assert all(len(names) >= 4 for names in sections.values())
    assert len({pair.prompt_id for pair in pairs}) == len({pair.messages[0]["content"] for pair in pairs}) == len(pairs)
    assert pairs == benchmark_pairs(world, 25)
    assert benchmark_pairs(world, 5) == [pair for i, pair in enumerate(pairs) if i % 25 < 5]


def test_styles_do_not_give_the_better_answer_away_but_where_they_should_mislead(world):
    for pair in benchmark_pairs(world, 25):
        if pair.source.startswith("polite"):
            assert pair.rejected.text.split()[0] in {opener[0] for opener in OPENERS}
            assert pair.chosen.text.endswith(" .")
        else:
            assert pair.chosen.text.split()[-1] == pair.rejected.text.split()[-1]


def test_the_baseline_says_one_thing_in_three_lengths(world, config):
    asked = prompts(world, "eval", 300)
    answers = baseline_answers(world, config.baseline, 0.9, asked)
    assert [answer.prompt_id for answer in answers] == [prompt.prompt_id for prompt in asked]
    for prompt, answer in zip(asked, answers, strict=True):
        assert answer.concise.n_tokens <= answer.standard.n_tokens
        assert answer.verbose.n_tokens >= answer.concise.n_tokens + 2
        bare = gold(world, prompt.messages, answer.concise.text)
        assert 0.01 < bare - gold(world, prompt.messages, answer.verbose.text) < 0.05
    quality = mean(gold(world, p.messages, a.standard.text) for p, a in zip(asked, answers, strict=True))
    assert 0.6 < quality < 0.8
