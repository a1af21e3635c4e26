"""The paper's benchmarks at the paper's scale: a judge that exists, files by hub name, and no network to plan them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mt.config.compose import compose_runs, options
from mt.costing.report import estimate, print_estimate
from mt.errors import ConfigError, DataError, JudgeError
from mt.methods.compile import CompiledRun, compile_run
from mt.plan import main
from mt.running.checks import lacking
from mt.stages.files import HubFile
from mt.stages.load_benchmarks import LoadAnsweredQuestions, LoadOutputs, LoadRankedPrompts
from mt.stages.world import WorldRankedPrompts
from mt.workflow.plan import merge
from mt.workflow.store import Store
from tests.engines.tiny import tiny_policy

PAPER = ["scale=llama3_8b", "eval=[held_out,alpaca_eval,arena_hard,reward_bench]", "judge=openai"]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan with an empty hub cache; reaching for the hub would raise."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def compiled(*overrides: str) -> CompiledRun:
    return compile_run(compose_runs([*PAPER, *overrides])[0].config)


def test_the_gold_judge_is_refused_outside_the_world() -> None:
    said = (
        r"judge=gold: data=ultrafeedback has no gold judge, and needs a judge for alpaca_eval, arena_hard, "
        r"in_distribution\. Allowed: openai, reward_model, transformers, vllm\. Add judge=NAME"
    )
    with pytest.raises(ConfigError, match=said) as error:
        compose_runs(["experiment=table1", "scale=llama3_8b"], multirun=True)
    assert "\n" not in str(error.value)


def test_a_judge_without_a_name_is_planned_and_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_MODEL", raising=False)
    asked = [stage for stage in compiled().plan.order if stage.name == "judge_over_network"]
    with pytest.raises(ConfigError, match=r"judge\.model=null: .*Export OPENAI_MODEL"):
        asked[0].check()
    monkeypatch.setenv("OPENAI_MODEL", "a-judge")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    asked = [stage for stage in compiled().plan.order if stage.name == "judge_over_network"]
    with pytest.raises(JudgeError, match=r"OPENAI_API_KEY=: not set"):
        asked[0].check()
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    asked[0].check()


def test_what_needs_no_judge_needs_no_other_judge() -> None:
    config = compose_runs(["scale=llama3_8b", "eval=[held_out,reward_bench]"])[0].config
    assert config.judge.name == "gold"
    assert config.eval.judged == []


@pytest.mark.parametrize(
    ("scale", "without", "overrides"),
    [
        ("llama3_8b", (), ("judge=openai",)),
        ("llama3_8b_lora", (), ("judge=openai", "data.limit=6000")),
        ("mistral_7b", ("table3",), ("judge=openai",)),  # Mistral is the other policy, and needs another guide
        ("small_gpu", (), ("judge=openai", "data.limit=6000", "method.policy=OTHER")),
        ("smollm2", (), ("policy.path=POLICY", "method.policy=OTHER", "method.eft=eft.jsonl")),
    ],
)
def test_every_experiment_of_the_paper_is_planned_and_priced_offline_at_every_scale(
    scale: str, without: tuple[str, ...], overrides: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the overrides that the scales' files and the README name; the world's are run in tests/cli."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_MODEL", "a-judge")
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    for seed, name in enumerate(("POLICY", "OTHER")):
        tiny_policy(tmp_path / name, seed=seed)
    Path("eft.jsonl").write_text('{"prompt": "a", "response": "b", "judgment": "Score: 4"}')
    asked_of_the_world = ("related", "study", "study_iterations", "study_transfer")
    names = [name for name in options("experiment") if name not in (*without, *asked_of_the_world)]
    prices = ["judge.usd_per_million_input=10", "judge.usd_per_million_output=30"] * ("judge=openai" in overrides)
    lines = [f"experiment={','.join(names)}", f"scale={scale}", *overrides, *prices]
    runs = [compile_run(one.config) for one in compose_runs(lines, multirun=True)]
    assert lacking(merge(one.plan for one in runs), Store(Path("store"))) == []
    total = estimate(runs)["total"]
    assert total["fits"]
    if prices:
        assert total["calls"] > 805
        assert total["usd"] > 10 * total["calls"] * 1000 / 1e6  # a call reads two answers


def test_what_a_sweep_lacks_is_reported_before_anything_is_priced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENAI_MODEL", raising=False)
    sweep = ["-m", "method=spin,self_rewarding", "scale=llama3_8b", "judge=openai"]
    assert main([*sweep, "--cost"]) == 0
    said = capsys.readouterr()
    assert [line.partition("=")[0] for line in said.err.splitlines()] == [
        "before it can start: data.demonstrations",
        "before it can start: judge.model",
    ]
    assert "Estimated cost" in said.out
    assert main([*sweep, "data.demonstrations=gone.jsonl", "--cost"]) == 2
    assert "data.demonstrations=gone.jsonl: no such file" in capsys.readouterr().err


def test_prices_that_are_not_known_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    unpriced = estimate([compile_run(compose_runs(PAPER)[0].config)])
    print_estimate(unpriced, Console(width=200))
    text = capsys.readouterr().out
    assert f"{unpriced['total']['calls']:,.0f} judge calls" in text
    assert "set judge.usd_per_million_input=" in text


def test_benchmarks_come_by_their_pinned_hub_names() -> None:
    found = {stage.option: stage.fingerprint for stage in compiled().plan.order if isinstance(stage, HubFile)}
    assert sorted(found) == [
        "eval.alpaca_eval.gamed",
        "eval.alpaca_eval.outputs",
        "eval.arena_hard.outputs",
        "eval.arena_hard.questions",
        "eval.reward_bench.pairs",
    ]
    assert found["eval.alpaca_eval.gamed"].startswith("tatsu-lab/alpaca_eval@")


def test_the_world_has_its_own_benchmarks() -> None:
    lines = ["eval=[held_out,alpaca_eval,arena_hard,reward_bench]"]
    order = compile_run(compose_runs(lines)[0].config).plan.order
    assert not any(isinstance(stage, HubFile | LoadOutputs | LoadAnsweredQuestions) for stage in order)


def test_local_files_replace_hub_names(tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    path.write_text('{"question_id": "a", "prompt": "b", "answer": "c"}\n')
    local = compiled(f"eval.arena_hard.outputs={path}", "eval.arena_hard.questions=null")
    loads = [stage for stage in local.plan.order if isinstance(stage, LoadOutputs) and stage.limit == 500]
    assert [load.source.location for load in loads] == [path]


@pytest.mark.parametrize(
    ("override", "error", "said"),
    [
        (
            "eval.reward_bench.pairs=allenai/reward-bench:data/x.parquet",
            ConfigError,
            r"eval\.reward_bench\.pairs=allenai/reward-bench:data/x\.parquet: .*has to be pinned\. Allowed: 40 hex "
            r"digits.*Set eval\.reward_bench\.pairs=allenai/reward-bench@COMMIT:data/x\.parquet .*or .*pairs=FILE",
        ),
        ("eval.alpaca_eval.gamed=a/b@main:c.csv", ConfigError, r"gamed=a/b@main:c\.csv: .*has to be pinned"),
        ("eval.arena_hard.questions=gone.jsonl", DataError, r"arena_hard\.questions=gone\.jsonl: no such file"),
        ("eval.arena_hard.outputs=null", ConfigError, r"eval\.arena_hard\.outputs=null: .*Add eval\.arena_hard"),
    ],
)
def test_what_names_no_file_is_refused(override: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        compiled(override)


def test_a_hub_file_can_be_named_on_the_command_line() -> None:
    given = compiled(f"eval.reward_bench.pairs=a/b@{COMMIT}:data/filtered-00000-of-00001.parquet").plan.order
    names = [stage.fingerprint for stage in given if isinstance(stage, HubFile)]
    assert f"a/b@{COMMIT}:data/filtered-00000-of-00001.parquet" in names


def test_reward_bench_2_is_planned_from_its_pinned_file_or_from_the_world() -> None:
    stages = compiled("eval=[held_out,reward_bench_2]").plan.order
    loaded = [stage.source for stage in stages if isinstance(stage, LoadRankedPrompts)]
    assert [type(source) for source in loaded] == [HubFile]
    order = compile_run(compose_runs(["eval=[held_out,reward_bench_2]"])[0].config).plan.order
    assert [stage.size for stage in order if isinstance(stage, WorldRankedPrompts)] == [50]


def test_a_category_needs_a_file_of_questions() -> None:
    with pytest.raises(ConfigError, match=r"eval\.arena_hard\.category=math: no file has categories\. Name the quest"):
        compiled("eval.arena_hard.questions=null", "eval.arena_hard.category=math")
    asked = [stage for stage in compiled("eval.arena_hard.category=math").plan.order if hasattr(stage, "category")]
    assert [stage.category for stage in asked] == ["math"]
