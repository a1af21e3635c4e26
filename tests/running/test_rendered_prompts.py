"""What a chat template refuses is named before anything heavy, or dropped and counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mt.config.compose import compose_runs
from mt.errors import ConfigError, DataError, ModelError
from mt.methods.compile import CompiledRun, compile_run
from mt.running.checks import check
from mt.stages.refused import DropRefused
from mt.stages.sample import Sample
from mt.types import Prompt
from mt.workflow import tables
from mt.workflow.execute import execute
from mt.workflow.plan import plan
from mt.workflow.store import Store
from mt.workflow.work import TABLE
from tests.engines.tiny import TEMPLATE, tiny_policy, tiny_reward, tiny_tokenizer
from tests.stages.bench import Notes

NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + TEMPLATE
)
COLOURS = "red blue green fox owl cat dog".split()  # noqa: SIM905


@pytest.fixture
def models(tmp_path: Path) -> Path:
    tiny_policy(tmp_path / "policy")
    tiny_reward(tmp_path / "reward")
    return tmp_path


@pytest.fixture
def own(models: Path) -> list[str]:
    rows = [[{"role": "user", "content": f"tell me the colour of {a} and {b}"}] for a in COLOURS for b in COLOURS]
    for number in (13, 20, 30, 40):
        rows[number].insert(0, {"role": "system", "content": "one two"})
    (models / "p.jsonl").write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows))
    paths = [f"data.path={models}/p.jsonl", f"policy.path={models}/policy", f"reward.path={models}/reward"]
    return ["data=jsonl", *paths, f"store={models}/store", f"runs={models}/runs", "eval=[]", "data.held_out=1"]


def template(folder: Path, text: str | None) -> None:
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    tiny_tokenizer(text).save_pretrained(folder)


def compiled(overrides: list[str]) -> CompiledRun:
    return compile_run(compose_runs(overrides)[0].config)


def refused(overrides: list[str]) -> str:
    with pytest.raises(DataError) as error:
        check(compiled(overrides))
    return str(error.value)


def test_prompts_that_all_templates_take_pass(own: list[str]) -> None:
    check(compiled(own))


@pytest.mark.parametrize("kind", ["policy", "reward"])
def test_refused_rows_are_named_by_file_line_roles_and_the_templates_own_words(
    own: list[str], models: Path, kind: str
) -> None:
    template(models / kind, NO_SYSTEM)
    said = refused(own)
    assert said.startswith(f"{kind}.chat_template: 4 of 48 prompts")
    for line in (14, 21, 31):
        assert f"{models}/p.jsonl, line {line} (system, user): System role not supported" in said
    assert "and 1 more" in said
    assert f"{kind}.chat_template=FILE" in said
    assert "data.refused_prompts=drop" in said
    assert "\n" not in said
    assert not (models / "store" / "sample").exists()


@pytest.mark.parametrize("last", ["", "{{ raise_exception('ends with an answer') }}"])
def test_a_reward_models_template_has_to_show_the_answer(own: list[str], models: Path, last: str) -> None:
    """One that is made for generation gives every response the same reward, or fails at the first one."""
    shown = "{% for m in messages %}{% if m.role == 'assistant' %}" + last + "{% else %}{{ m.content }}{% endif %}"
    template(models / "reward", shown + "{% endfor %}")
    with pytest.raises(ModelError, match=rf"chat template={models}/reward: .* no response can be scored.*=FILE"):
        check(compiled(own))


def test_a_template_file_serves_in_the_place_of_one_that_refuses(own: list[str], models: Path) -> None:
    template(models / "policy", NO_SYSTEM)
    (models / "mine.jinja").write_text(TEMPLATE)
    check(compiled([*own, f"policy.chat_template={models}/mine.jinja"]))


def test_a_template_file_serves_a_model_without_one(own: list[str], models: Path) -> None:
    template(models / "policy", None)
    with pytest.raises(ModelError, match=r"no chat template\. Set policy\.chat_template=FILE"):
        compiled(own)
    (models / "mine.jinja").write_text(TEMPLATE)
    check(compiled([*own, f"policy.chat_template={models}/mine.jinja"]))
    with pytest.raises(ConfigError, match=r"^policy\.chat_template=.*absent\.jinja: no such file"):
        compiled([*own, f"policy.chat_template={models}/absent.jinja"])


def test_refused_rows_are_dropped_and_counted_where_that_is_asked_for(own: list[str], models: Path) -> None:
    template(models / "policy", NO_SYSTEM)
    one = compiled([*own, "data.refused_prompts=drop"])
    check(one)
    stage = next(stage for stage in one.plan.order if isinstance(stage, DropRefused))
    store, notes = Store(models / "store"), Notes()
    execute(plan([stage]), store, notes)
    kept = tables.read(store.path(stage) / TABLE, Prompt)
    assert len(kept) == 44
    assert {row["role"] for prompt in kept for row in prompt.messages} == {"user"}
    assert store.artifact(stage).facts["counts"] == {"rows": 48, "refused": 4, "kept": 44}
    assert "4 of 48" in notes.texts[-1]
    assert not any(isinstance(stage, DropRefused) for stage in compiled(own).plan.order)


def test_only_the_models_that_read_a_table_render_it(own: list[str], models: Path) -> None:
    """A reward benchmark's pairs are read by the reward model alone."""
    template(models / "policy", NO_SYSTEM)
    rows = [json.loads(line) for line in (models / "p.jsonl").read_text().splitlines()]
    asked = [row for row in rows if len(row["messages"]) == 1]
    (models / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    chat = [{"role": "system", "content": "one"}, {"role": "user", "content": "red"}]
    pair = {"subset": "alpacaeval-easy", "id": 1, "messages": chat, "chosen": "red", "rejected": "blue"}
    (models / "pairs.jsonl").write_text(json.dumps(pair) + "\n")
    bench = [*own[:-2], "data.held_out=1", "eval=[reward_bench]", f"eval.reward_bench.pairs={models}/pairs.jsonl"]
    check(compiled(bench))
    template(models / "reward", NO_SYSTEM)
    said = refused(bench)
    assert said.startswith("reward.chat_template: 1 of 1 prompts")
    assert f"{models}/pairs.jsonl row 0 (from 0) (system, user)" in said
    assert "take them out of the file" in said


def test_every_prompt_of_reward_bench_2_is_rendered(own: list[str], models: Path) -> None:
    rows = [json.loads(line) for line in (models / "p.jsonl").read_text().splitlines()]
    (models / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows if len(row["messages"]) == 1))
    chat = [{"role": "system", "content": "one"}, {"role": "user", "content": "red"}]
    row = {"subset": "Math", "id": 1, "messages": chat, "chosen": ["red"], "rejected": ["blue"]}
    (models / "ranked.jsonl").write_text(json.dumps(row) + "\n")
    template(models / "reward", NO_SYSTEM)
    said = refused([*own, "eval=[reward_bench_2]", f"eval.reward_bench_2.prompts={models}/ranked.jsonl"])
    assert said.startswith("reward.chat_template: 1 of 1 prompts")
    assert f"{models}/ranked.jsonl row 0 (from 0) (system, user)" in said


def test_a_judge_whose_template_refuses_the_judging_prompt_is_refused(own: list[str], models: Path) -> None:
    rows = [json.loads(line) for line in (models / "p.jsonl").read_text().splitlines()]
    (models / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows if len(row["messages"]) == 1))
    (models / "outputs.jsonl").write_text(json.dumps({"instruction": "red", "output": "blue"}) + "\n")
    (models / "ask.txt").write_text("{instruction} {output_1} {output_2}")
    tiny_policy(models / "judge")
    template(models / "judge", NO_SYSTEM)
    bench = ["eval=[alpaca_eval]", f"eval.alpaca_eval.outputs={models}/outputs.jsonl", "eval.alpaca_eval.gamed=null"]
    asking = [*own, *bench, "judge=transformers", f"judge.path={models}/judge", "judge.max_length=128"]
    check(compiled([*asking, f"judge.preference_template={models}/ask.txt"]))
    said = r"^judge\.preference_template=own: .*refuses its turns \(system, user\): System role"
    with pytest.raises(ConfigError, match=said):
        check(compiled(asking))


def test_how_a_template_is_rendered_moves_the_keys_of_what_renders_with_it(own: list[str], models: Path) -> None:
    def keys(*overrides: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for stage in compiled([*own, *overrides]).plan.order:
            found.setdefault(stage.name, []).append(stage.key)
        return found

    (models / "a.jinja").write_text(TEMPLATE)
    (models / "b.jinja").write_text(TEMPLATE)
    (models / "c.jinja").write_text(NO_SYSTEM)
    before = keys()
    for change in (
        "template_kwargs.enable_thinking=false",
        "template_date=2025-01-01",
        f"chat_template={models}/a.jinja",
    ):
        policy, reward = keys(f"policy.{change}"), keys(f"reward.{change}")
        assert policy["sample"][0] != before["sample"][0]
        assert reward["sample"][0] == before["sample"][0]
        assert reward["score"][0] != before["score"][0]
        assert policy["partition_prompts"] == before["partition_prompts"]
    file = [keys(f"policy.chat_template={models}/{name}.jinja")["sample"][0] for name in "abc"]
    assert file[0] == file[1] != file[2]


def test_a_policy_renders_its_prompts_as_the_settings_say(own: list[str], models: Path) -> None:
    one = compiled([*own, "policy.template_kwargs.a=b", "policy.template_date=2025-01-01"])
    found = {stage.template.model_dump_json() for stage in one.plan.order if isinstance(stage, Sample)}
    assert found == {'{"file":null,"fingerprint":null,"kwargs":{"a":"b"},"date":"2025-01-01"}'}
