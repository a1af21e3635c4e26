"""The user's own data and models: planned without torch or network, checked before anything heavy, run to the end."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mt.config.compose import CONF, compose_runs
from mt.errors import ConfigError, DataError, ModelError, MutualTaughtError
from mt.methods.compile import CompiledRun, compile_run
from mt.running.checks import check, lacking
from mt.running.execution import run
from mt.stages.load import LoadPrompts
from mt.stages.load_answers import HeldOutPreferences, LoadAnswers
from mt.stages.models import HubModel
from mt.stages.train import SupervisedFinetune, TrainReward
from mt.types import Pair, Prompt
from mt.workflow import tables
from mt.workflow.execute import execute
from mt.workflow.plan import plan
from mt.workflow.store import Store
from mt.workflow.work import TABLE, NullObserver
from tests.data.hub_cache import COMMIT, add_snapshot
from tests.engines.tiny import tiny_policy, tiny_reward

WORDS = "red blue green fox owl cat dog".split()  # noqa: SIM905


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_policy(folder / "policy")
    tiny_reward(folder / "reward", max_position_embeddings=96)
    return folder


@pytest.fixture
def own(models: Path, tmp_path: Path) -> list[str]:
    prompts = [f"tell me the colour of {a} and {b}" for a in WORDS for b in WORDS if a != b]
    lines = [json.dumps({"prompt": text}) for text in prompts[:40]]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines))
    return [
        "data=jsonl",
        f"data.path={tmp_path}/prompts.jsonl",
        f"policy.path={models}/policy",
        f"reward.path={models}/reward",
        f"store={tmp_path}/store",
        f"runs={tmp_path}/runs",
    ]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    yield tmp_path / "hub"


def compiled(overrides: list[str]) -> CompiledRun:
    return compile_run(compose_runs(overrides)[0].config)


def test_lengths_follow_the_models_contexts_unless_they_are_given(own: list[str]) -> None:
    config = compose_runs(own)[0].config
    lengths = config.sampling.max_length, config.policy.training.max_length, config.eval.held_out.decoding.max_length
    assert lengths == (128, 128, 128)
    assert (config.reward.training.max_length, config.scorer.max_length) == (96, 96)
    check(compile_run(config))
    given = compose_runs([*own, "sampling.max_length=64"])[0].config
    assert (given.policy.training.max_length, given.scorer.max_length) == (64, 64)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ("sampling.max_length=129", ConfigError, r"sampling\.max_length=129: longer than the context.*at most 128"),
        ("scorer.max_length=97", ConfigError, r"scorer\.max_length=97: longer.*at most 96"),
        ("data.path=none.jsonl", DataError, r"data\.path=none\.jsonl: no such file"),
        ("data.decontamination.files=none.csv", DataError, r"data\.decontamination\.files=none\.csv: no such file"),
        ("data.fields.prompt=question", DataError, r"prompts\.jsonl, line 1: has no field .*only 'prompt'"),
        ("data.limit=3", DataError, r"prompts=2: fewer than the 3 parts"),
        ("data.held_out=40", ConfigError, r"data\.held_out=40: leaves none of the 40 prompts"),
        ("data.held_out=1.5", ConfigError, r"data\.held_out=1\.5: no share and no count"),
        ("data.format=xml", ConfigError, r"data\.format=xml: .*jsonl"),
        ("policy.path=missing", ConfigError, r"policy\.path=missing: no such file or folder"),
        ("policy.path=owner/model", ConfigError, r"policy\.revision=null: .*40 hex digits"),
        ("rm_data=gold", ConfigError, r"rm_data=gold: data=jsonl has no gold judge"),
    ],
)
def test_bad_input_is_refused_before_anything_heavy(
    own: list[str], change: str, error: type[MutualTaughtError], said: str
) -> None:
    with pytest.raises(error) as raised:
        check(compiled([*own, change]))
    assert re.search(said, str(raised.value)), str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_plan_knows_of_a_file_that_a_run_would_refuse(own: list[str], tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "a"}\n{"prompt": \n')
    (line,) = lacking(compiled(own).plan, Store(tmp_path / "store"))
    assert "prompts.jsonl, line 2: not valid JSON" in line


def test_a_policy_in_the_reward_models_place_is_refused(own: list[str], models: Path) -> None:
    with pytest.raises(ModelError, match=r"reward\.path=.*is a LlamaForCausalLM, not a sequence-classification"):
        check(compiled([*own, f"reward.path={models}/policy"]))


@pytest.mark.parametrize(
    ("method", "option"),
    [
        ("method=spin", "data.demonstrations"),
        ("method=sail", "data.preferences"),
        ("rm_data=replay", "data.preferences"),
    ],
)
def test_what_needs_more_than_prompts_can_be_planned_and_says_which_file_it_needs(
    own: list[str], method: str, option: str
) -> None:
    one = compiled([*own, method])
    with pytest.raises(ConfigError, match=rf"{option}=null: .*comes with prompts only\. Add {option}=FILE"):
        check(one)


def test_a_malformed_answer_is_named_before_anything_heavy(own: list[str], tmp_path: Path) -> None:
    (tmp_path / "shown.jsonl").write_text('{"prompt": "why", "response": "because"}\n{"prompt": "why"}\n')
    with pytest.raises(DataError, match=r"shown\.jsonl, line 2, response=null: there is none"):
        check(compiled([*own, "method=spin", f"data.demonstrations={tmp_path}/shown.jsonl"]))


def test_answers_to_held_out_prompts_train_nothing(own: list[str], tmp_path: Path) -> None:
    asked = [json.loads(line)["prompt"] for line in (tmp_path / "prompts.jsonl").read_text().splitlines()]
    lines = [json.dumps({"prompt": text, "chosen": "yes", "rejected": "no"}) for text in asked]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines))
    one = compiled([*own, "method=sail", f"data.preferences={tmp_path}/pairs.jsonl"])
    check(one)
    store = one.store
    stages = [stage for stage in one.plan.order if isinstance(stage, LoadAnswers)]
    assert len(stages) == 1
    execute(plan([*stages, stages[0].held_out]), store, NullObserver())
    held_out = tables.read(store.path(stages[0].held_out) / TABLE, Prompt)
    pairs = tables.read(store.path(stages[0]) / TABLE, Pair)
    assert (len(held_out), len(pairs)) == (4, 36)
    assert not {row.messages[0]["content"] for row in held_out} & {pair.messages[0]["content"] for pair in pairs}


def test_a_base_model_becomes_the_policy_by_demonstrations_the_same_for_every_seed(
    own: list[str], tmp_path: Path
) -> None:
    (tmp_path / "shown.jsonl").write_text('{"prompt": "why", "response": "because"}\n')
    (tmp_path / "pairs.jsonl").write_text('{"prompt": "how", "chosen": "so", "rejected": "no"}\n')
    files = [f"data.demonstrations={tmp_path}/shown.jsonl", f"data.preferences={tmp_path}/pairs.jsonl"]
    one, other = (compiled([*own, *files, "policy.sft=true", "reward=train", f"seed={seed}"]) for seed in (0, 1))
    check(one)
    base = one.graph.base
    assert isinstance(base.policy, SupervisedFinetune) and isinstance(base.reward, TrainReward)
    assert base.policy.training.learning_rate == 2e-3, "the world's, as the policy is as small"
    assert base.reward.initial.key == base.policy.key, "r_0 starts from π_0's weights"
    assert base.policy.key == other.graph.base.policy.key
    assert one.graph.final.policy.key != other.graph.final.policy.key


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (["data=world"], r"policy\.sft=true: .*has learnt from its demonstrations already\..* Add policy\.path=DIR"),
        (["data=instructions", "policy.path={models}/policy"], r"data=instructions: it comes without demonstrations\."),
    ],
)
def test_sft_without_a_base_model_or_demonstrations_is_refused(models: Path, where: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        compiled([*(word.replace("{models}", str(models)) for word in where), "policy.sft=true"])


@pytest.mark.parametrize(
    ("how", "trained"),
    [([], False), (["rm_data=replay"], True), (["data.held_out_preferences=2", "data.refused_prompts=drop"], True)],
)
def test_pairs_of_the_users_own_measure_the_reward_model_where_they_train_nothing(
    own: list[str], tmp_path: Path, how: list[str], trained: bool
) -> None:
    rows = [{"prompt": f"which of {a}", "chosen": "yes", "rejected": "no"} for a in WORDS]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    one = compiled([*own, *how, f"data.preferences={tmp_path}/pairs.jsonl"])
    check(one)
    stages = [stage for stage in one.plan.order if isinstance(stage, HeldOutPreferences)]
    measured = [
        evaluation.iteration for evaluation in one.evaluations if evaluation.stage.name == "preference_accuracy"
    ]
    assert measured == [0, 1, 2]
    assert [stage.trained is not None for stage in stages] == [trained]


def test_held_out_prompts_train_nothing_through_the_whole_run(own: list[str]) -> None:
    small = ["iterations=1", "sampling.max_new_tokens=4", "sampling.samples=3", "trainer.threads=1"]
    fast = [f"{name}.dtype=float32" for name in ("generator", "scorer", "logprobs")]
    one = compiled([*own, *small, *fast])
    check(one)
    record = run(one, Path(one.config.runs) / "own", [])
    store, loads = one.store, [s for s in one.plan.order if isinstance(s, LoadPrompts)]
    parts = {s.part: tables.read(store.path(s) / TABLE, Prompt) for s in loads}
    assert {name: len(rows) for name, rows in parts.items()} == {"train": 36, "held_out": 4}
    assert not {p.prompt_id for p in parts["train"]} & {p.prompt_id for p in parts["held_out"]}
    kinds = {(row["iteration"], row["benchmark"]) for row in record.facts["metrics"]}
    assert (1, "proxy") in kinds
    assert not any(benchmark == "gold" for _, benchmark in kinds)
    assert (store.path(one.graph.iterations[-1].reward) / "model.safetensors").is_file()
    Path(one.config.data.path[0]).write_text("{ malformed")  # type: ignore[union-attr]
    check(one)  # nothing is left to compute: nothing is asked of what lies outside


def test_hub_models_are_planned_offline_and_checked_in_the_cache(own: list[str], models: Path, hub: Path) -> None:
    named = [line for line in own if not line.startswith("policy.path")]
    one = compiled([*named, "policy.path=owner/tiny", f"policy.revision={COMMIT}"])
    model = next(stage for stage in one.plan.order if isinstance(stage, HubModel))
    assert model.fingerprint == f"owner/tiny@{COMMIT}"
    assert one.config.sampling.max_length == 2048  # never what a cache happens to hold
    with pytest.raises(ModelError, match=r"policy\.path=owner/tiny@.*not wholly in the local cache"):
        check(one)
    files = {path.name: path.read_bytes() for path in (models / "policy").iterdir()}
    add_snapshot(hub, "model", "owner/tiny", {name: data for name, data in files.items() if "safetensors" not in name})
    with pytest.raises(ModelError, match=r"policy\.path=.*has no weights"):
        check(one)
    add_snapshot(hub, "model", "owner/tiny", files)
    with pytest.raises(ConfigError, match=r"sampling\.max_length=2048: longer than the context.*at most 128"):
        check(one)
    check(compiled([*named, "policy.path=owner/tiny", f"policy.revision={COMMIT}", "sampling.max_length=96"]))


def test_every_scale_is_planned_with_neither_network_nor_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from mt.config.compose import compose_runs, options; from mt.methods.compile import compile_run\n"
        f"hub = ['policy.path=owner/tiny', 'policy.revision={COMMIT}']\n"
        "for name in options('scale'):\n"
        "    own = hub if name == 'smollm2' else []  # its policy is built by `make smollm2`\n"
        f"    b = compile_run(compose_runs([f'scale={{name}}', 'store={tmp_path}', *own])[0].config)\n"
        "    assert len(b.plan.order) > 20, name\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    environment = {"HF_HUB_CACHE": str(tmp_path / "hub"), "PATH": "/usr/bin:/bin", "HTTPS_PROXY": "http://127.0.0.1:9"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=CONF.parent, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_local_copy_of_a_data_set_needs_no_revision(own: list[str], tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {"prompt": f"q{i}", "prompt_id": f"{i}", "messages": [{"role": "assistant", "content": "a"}]} for i in range(9)
    ]
    for name in ("train_prefs", "test_prefs"):
        (tmp_path / "uf" / "data").mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"uf/data/{name}-00000-of-00001.parquet")
    settings = ["data=ultrafeedback", f"data.path={tmp_path}/uf", "data.revision=null", "data.held_out=2"]
    one = compiled([*own[2:], *settings])
    check(one)
    load = next(stage for stage in one.plan.order if isinstance(stage, LoadPrompts) and stage.part == "train")
    assert [source.location.name for source in load.sources] == ["train_prefs-00000-of-00001.parquet"]
    assert len(load.prompts()[0]) == 7
    with pytest.raises(DataError, match=r"no file of this split \(found: data/test_prefs.*Set data\.split"):
        compiled([*own[2:], *settings, "data.split=train"])


def test_the_papers_scale_holds_the_papers_values() -> None:
    config = compose_runs(["scale=llama3_8b"])[0].config
    assert config.policy.path == "meta-llama/Meta-Llama-3-8B-Instruct"
    assert config.reward.path == "sfairXC/FsfairX-LLaMA3-RM-v0.1"
    assert (config.data.name, config.iterations, config.sampling.samples) == ("ultrafeedback", 2, 5)
    assert (config.policy.training.learning_rate, config.policy.training.batch_size) == (7e-7, 128)
    assert (config.reward.training.learning_rate, config.reward.training.batch_size) == (2e-6, 512)
    assert (config.sampling.max_length, config.scorer.max_length) == (2048, 2048)
    assert config.scorer.strip_bos
    for revision in (config.policy.revision, config.reward.revision, config.data.revision):
        assert re.fullmatch("[0-9a-f]{40}", str(revision))


def test_objectives_keep_their_own_settings_at_every_scale() -> None:
    rates = {
        scale: compose_runs([f"scale={scale}", "objective=simpo"])[0].config.policy.training.learning_rate
        for scale in ("llama3_8b", "mistral_7b")
    }
    assert rates == {"llama3_8b": 7e-7, "mistral_7b": 7e-7}  # Mutual-Taught's own, Appendix A
    assert compose_runs(["scale=small_gpu", "objective=sppo"])[0].config.policy.training.learning_rate == 5e-7
