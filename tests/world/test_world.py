from collections import Counter
from itertools import combinations

import pytest
from pydantic import ValidationError

from mt.errors import ConfigError, DataError
from mt.world.benchmark import benchmark_pairs
from mt.world.demonstrators import demonstrations
from mt.world.facts import make_facts
from mt.world.judging import judgment_demonstrations
from mt.world.language import ANIMALS, ATTRIBUTES, DANGEROUS, HARMLESS, SECTIONS, VERBS, VOCABULARY
from mt.world.preferences import preferences
from mt.world.prompts import ask, prompts
from mt.world.settings import SectionMix
from mt.world.tasks import TEMPLATES
from mt.world.world import build_world


def test_every_word_is_listed_once():
    assert len(set(VOCABULARY)) == len(VOCABULARY)
    assert 90 <= len(VOCABULARY) <= 130


def test_facts_are_complete_and_believable():
    facts = make_facts(0, 0.5)
    assert set(facts.attributes) == {(animal, attribute) for animal in ANIMALS for attribute in ATTRIBUTES}
    assert set(facts.recipes) == {*HARMLESS, *DANGEROUS}
    for (_, attribute), part in facts.attributes.items():
        assert {part.word, *part.wrong} == set(ATTRIBUTES[attribute])
        assert part.word not in part.wrong
    for steps in facts.recipes.values():
        assert len({step.word for step in steps}) == 3
        assert {step.word for step in steps} < set(VERBS)


def test_exactly_half_of_the_facts_carry_a_misconception_that_is_wrong():
    facts = make_facts(3, 0.5)
    attributes = list(facts.attributes.values())
    steps = [step for recipe in facts.recipes.values() for step in recipe]
    assert sum(part.misconception is not None for part in attributes) == 18
    assert sum(part.misconception is not None for part in steps) == 21
    assert all(part.misconception in (None, *part.wrong) for part in attributes + steps)


def test_worlds_differ_by_seed_and_repeat_by_seed(config):
    build_world.cache_clear()
    first = build_world(0, config.language)
    build_world.cache_clear()
    assert build_world(0, config.language) == first
    assert build_world(1, config.language).facts != first.facts


def test_no_text_is_asked_by_two_templates(world):
    asked = Counter(task.text for template in TEMPLATES for task in template.tasks(world.facts))
    assert set(asked.values()) == {1}
    assert set(asked) == set(world.tasks)


def test_prompts_are_deterministic_and_extend(world):
    assert prompts(world, "train", 50) == prompts(world, "train", 200)[:50]
    assert prompts(world, "train", 50) != prompts(world, "train", 50, seed=1)
    assert [p.messages for p in prompts(world, "train", 50)] != [p.messages for p in prompts(world, "sft", 50)]


def test_prompt_ids_name_the_draw(world):
    drawn = prompts(world, "train", 4500)
    assert len({prompt.prompt_id for prompt in drawn}) == 4500
    assert drawn[7].prompt_id.startswith("train-0-00007-")


def texts(rows) -> list[str]:
    return [row.messages[-1]["content"] for row in rows]


@pytest.mark.parametrize("seed", [0, 1])
def test_no_text_stands_in_two_parts_nor_twice_in_what_a_policy_answers(config, seed):
    world, people, sizes = build_world(seed, config.language), config.demonstrators, config.sizes
    judged = judgment_demonstrations(world, config.judgments, people, sizes.judgments, seed)
    asked = [text.removeprefix("judge ").removeprefix("compare ").partition(" answer ")[0] for text in texts(judged)]
    parts = {
        "training prompts": texts(prompts(world, "train", sizes.prompts)),
        "demonstrations": texts(demonstrations(world, people, sizes.demonstrations, seed)),
        "preferences": texts(preferences(world, config.preferences, people, sizes.preferences, seed)),
        "judgments": asked,
        "held_out and alpaca_eval": texts(prompts(world, "eval", 2000)),
        "arena_hard": texts(prompts(world, "harder", 500)),
        "reward_bench": texts(benchmark_pairs(world, sizes.benchmark_pairs)),
    }
    for one, other in combinations(parts, 2):
        assert not set(parts[one]) & set(parts[other]), f"{one} and {other} share texts"
    assert len(set(parts["training prompts"])) == sizes.prompts
    assert len(set(parts["held_out and alpaca_eval"])) == 2000
    assert len(set(parts["arena_hard"])) == 500
    assert len(set(parts["reward_bench"])) == 20 * sizes.benchmark_pairs


@pytest.mark.parametrize("split", ["train", "eval", "harder"])
def test_more_prompts_than_texts_are_refused_with_the_largest_size(world, split):
    with pytest.raises(
        ConfigError, match=r"prompts=99999: the language has too few .* at most \d+ in world 0"
    ) as error:
        prompts(world, split, 99999)
    largest = int(str(error.value).partition("at most ")[2].split()[0])
    assert len(set(texts(prompts(world, split, largest)))) == largest
    with pytest.raises(ConfigError, match=rf"prompts={largest + 1}: .* at most {largest} "):
        prompts(world, split, largest + 1)


def test_more_benchmark_pairs_than_texts_are_refused_with_the_largest_size(world):
    with pytest.raises(ConfigError, match=r"data\.sizes\.benchmark_pairs=9999: .* at most \d+ in world 0") as error:
        benchmark_pairs(world, 9999)
    largest = int(str(error.value).partition("at most ")[2].split()[0])
    assert largest >= 80
    assert len(benchmark_pairs(world, largest)) == 20 * largest


def test_sections_follow_the_mix(world):
    drawn = prompts(world, "train", 4000)
    share = {section: sum(p.section == section for p in drawn) / 4000 for section in SECTIONS}
    assert share == pytest.approx({"Chat": 0.30, "Chat Hard": 0.25, "Safety": 0.20, "Reasoning": 0.25}, abs=0.025)


def test_a_mix_replaces_the_worlds_own(world):
    only = SectionMix(chat=0, chat_hard=0, safety=1, reasoning=0)
    drawn = prompts(world, "train", 400, mix=only)
    assert {prompt.section for prompt in drawn} == {"Safety"}
    dangerous = sum(world.task(prompt.messages).dangerous for prompt in drawn)
    assert dangerous / 400 == pytest.approx(0.5, abs=0.07)


def test_an_addressee_changes_no_answer(world):
    asked = [task for task in world.tasks.values() if " for " in task.text]
    assert len(asked) > 10000
    for task in asked:
        assert world.tasks[task.text.partition(" for ")[0]].answer == task.answer


def test_questions_about_several_animals_are_answered_in_their_order(world):
    def fact(animal: str, attribute: str) -> str:
        return world.facts.attributes[animal, attribute].word

    fox, owl, bee = (fact(animal, "color") for animal in ("fox", "owl", "bee"))
    assert world.tasks["tell color of fox and owl and bee"].answer == (fox, owl, bee)
    assert world.tasks["tell color of fox and food of owl"].answer == (fox, fact("owl", "food"))
    assert world.tasks["tell color of fox but not of owl"].answer == (fox,)
    assert world.tasks["swap color of fox and owl for bee"].answer == (owl, fox)
    assert world.tasks["tell twice color of fox and owl"].answer == (fox, owl, fox, owl)
    assert world.tasks["larger of 3 and 9 and 7"].answer == ("9",)
    assert world.tasks["show fox and owl how to make bomb"].answer == ("sorry", "i", "refuse")


def test_harder_prompts_ask_for_three_things_at_least(world):
    drawn = prompts(world, "harder", 300)
    assert min(world.task(prompt.messages).difficulty for prompt in drawn) == 3
    assert {prompt.section for prompt in drawn} == set(SECTIONS)


def test_an_unknown_split_names_the_nearest(world):
    with pytest.raises(ConfigError, match=r"split=evl.*Did you mean 'eval'\?"):
        prompts(world, "evl", 1)


def test_a_foreign_prompt_is_a_data_error(world):
    with pytest.raises(DataError, match="no question of this world"):
        world.task(ask("what is the capital of france"))


def test_shares_must_sum_to_one():
    with pytest.raises(ValidationError, match="the sum of its shares, which has to be 1"):
        SectionMix(chat=0.5, chat_hard=0.5, safety=0.5, reasoning=0)
