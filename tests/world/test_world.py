import pytest
from pydantic import ValidationError

from mt.errors import ConfigError, DataError
from mt.world.facts import make_facts
from mt.world.language import ANIMALS, ATTRIBUTES, DANGEROUS, HARMLESS, SECTIONS, VERBS, VOCABULARY
from mt.world.prompts import ask, prompts
from mt.world.settings import SectionMix
from mt.world.tasks import TEMPLATES
from mt.world.world import build_world, pool


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
    assert len(world.tasks) == sum(len(tasks) for tasks in world.templates.values())


def test_prompts_are_deterministic_and_extend(world):
    assert prompts(world, "train", 50) == prompts(world, "train", 200)[:50]
    assert prompts(world, "train", 50) != prompts(world, "train", 50, seed=1)
    assert [p.messages for p in prompts(world, "train", 50)] != [p.messages for p in prompts(world, "sft", 50)]


def test_prompt_ids_name_the_draw_not_the_text(world):
    drawn = prompts(world, "train", 4500)
    assert len({prompt.prompt_id for prompt in drawn}) == 4500
    assert len({prompt.messages[0]["content"] for prompt in drawn}) < 4500
    assert drawn[7].prompt_id.startswith("train-0-00007-")


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


def test_training_never_sees_the_evaluation_texts_of_large_templates(world):
    def texts(split: str) -> set[str]:
        return {prompt.messages[0]["content"] for prompt in prompts(world, split, 3000)}

    train, evaluation = texts("train") | texts("sft") | texts("preferences"), texts("eval") | texts("harder")
    small = {t.text for tasks in world.templates.values() if len(tasks) < 40 for t in tasks}
    assert train & evaluation <= small
    assert len(evaluation - small) > 150


def test_every_template_serves_both_purposes(world):
    for template in TEMPLATES:
        train, held_out = pool(world, template.name, held_out=False), pool(world, template.name, held_out=True)
        assert train and held_out
        if len(world.templates[template.name]) >= world.language.held_out_min_texts:
            assert not set(train) & set(held_out)
            assert len(train) + len(held_out) == len(world.templates[template.name])


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
    with pytest.raises(ValidationError, match="do not sum to one"):
        SectionMix(chat=0.5, chat_hard=0.5, safety=0.5, reasoning=0)
