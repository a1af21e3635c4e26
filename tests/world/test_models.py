from pathlib import Path

import pytest

from mt.world.benchmark import baseline_answers, benchmark_pairs
from mt.world.demonstrators import demonstrations
from mt.world.judging import judgment_demonstrations
from mt.world.language import VOCABULARY
from mt.world.models import SPECIAL, write_policy, write_tokenizer
from mt.world.preferences import preferences
from mt.world.prompts import ask, prompts
from mt.world.world import SPLITS


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder)
    return AutoTokenizer.from_pretrained(folder)


def test_special_tokens_are_distinct(tokenizer):
    ids = [tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id]
    assert len(set(ids)) == 4
    assert len(tokenizer) == len(SPECIAL) + len(VOCABULARY)


def test_the_chat_template_puts_one_bos_and_closes_each_turn(tokenizer):
    conversation = [*ask("next 5"), {"role": "assistant", "content": "6 ."}]
    ids = tokenizer.apply_chat_template(conversation, tokenize=True, return_dict=False)
    words = ["<bos>", "<user>", "next", "5", "<end>", "<assistant>", "6", ".", "<end>"]
    assert tokenizer.convert_ids_to_tokens(ids) == words


def test_prompt_and_response_ids_join_to_the_whole_conversation(tokenizer):
    prompt = tokenizer.apply_chat_template(ask("next 5"), add_generation_prompt=True, tokenize=True, return_dict=False)
    response = tokenizer("6 .", add_special_tokens=False).input_ids
    whole = tokenizer.apply_chat_template(
        [*ask("next 5"), {"role": "assistant", "content": "6 ."}], tokenize=True, return_dict=False
    )
    assert prompt + response + [tokenizer.eos_token_id] == whole
    assert tokenizer.decode(whole[len(prompt) :], skip_special_tokens=True) == "6 ."


def test_plain_text_gets_a_bos_so_that_tokenising_a_rendered_chat_would_double_it(tokenizer):
    assert tokenizer("next 5").input_ids[0] == tokenizer.bos_token_id
    rendered = tokenizer.apply_chat_template(ask("next 5"), tokenize=False)
    assert tokenizer(rendered).input_ids[:2] == [tokenizer.bos_token_id] * 2


def test_other_roles_are_refused(tokenizer):
    with pytest.raises(Exception, match="user and assistant turns only"):
        tokenizer.apply_chat_template([{"role": "system", "content": "tell"}], tokenize=True)


def test_the_tokenizer_knows_every_text_that_the_world_makes(tokenizer, world, config):
    texts = set(world.tasks)
    texts |= {p.messages[0]["content"] for s in SPLITS for p in prompts(world, s, 200)}
    rows = demonstrations(world, config.demonstrators, 2000, 0)
    rows += judgment_demonstrations(world, config.judgments, config.demonstrators, 2000, 0)
    texts |= {row.messages[0]["content"] for row in rows} | {row.response.text for row in rows}
    pairs = preferences(world, config.preferences, config.demonstrators, 1000, 0) + benchmark_pairs(world, 20)
    texts |= {pair.chosen.text for pair in pairs} | {pair.rejected.text for pair in pairs}
    answers = baseline_answers(world, config.baseline, 0.9, prompts(world, "eval", 200))
    texts |= {answer.verbose.text for answer in answers} | {answer.standard.text for answer in answers}
    ids = tokenizer(sorted(texts), add_special_tokens=False).input_ids
    assert all(tokenizer.unk_token_id not in row for row in ids)
    assert all(len(row) == len(text.split()) for row, text in zip(ids, sorted(texts), strict=True))
    assert set(VOCABULARY) == {word for text in texts for word in text.split()}


@pytest.mark.parametrize(("name", "kind"), [("policy", "llama"), ("transfer_policy", "mistral")])
def test_policies_are_ordinary_folders_and_deterministic(tmp_path: Path, config, name: str, kind: str):
    import torch
    from transformers import AutoModelForCausalLM

    sizes = getattr(config, name)
    parameters = write_policy(tmp_path / "a", sizes, seed=1)
    assert parameters == {"llama": 113_728, "mistral": 113_728 - 2 * 2 * 64 * 32}[kind]
    write_policy(tmp_path / "b", sizes, seed=1)
    write_policy(tmp_path / "c", sizes, seed=2)
    a, b, c = (AutoModelForCausalLM.from_pretrained(tmp_path / name).state_dict() for name in "abc")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "a").config.model_type == kind
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not torch.equal(a["model.embed_tokens.weight"], c["model.embed_tokens.weight"])
    assert {"model.safetensors", "tokenizer.json", "chat_template.jinja"} <= {
        p.name for p in (tmp_path / "a").iterdir()
    }


def test_the_readme_names_the_number_of_weights(tmp_path: Path, config):
    readme = Path(__file__).parents[2] / "README.md"
    assert f"models of {write_policy(tmp_path, config.policy, seed=1):,} weights" in readme.read_text("utf-8")


def test_writing_a_policy_leaves_the_callers_randomness_alone(tmp_path: Path, config):
    import torch

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    write_policy(tmp_path, config.policy, seed=1)
    assert torch.equal(torch.rand(3), expected)
