"""An exported run serves other tools: transformers, TRL's trainers without a map, datasets, the hub."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from datasets import load_dataset, load_from_disk
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer

from mt.config.compose import compose_runs
from mt.export import main as export
from mt.export import models_of, push
from mt.methods.compile import compile_run
from mt.run import main as run
from mt.running.model_card import model_card
from tests.engines.tiny import tiny_policy, tiny_reward
from tests.methods.test_instruction_source import SMALL


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("exported")
    where = [f"policy.path={tiny_policy(place / 'tiny')}", f"store={place}/store", f"runs={place}/runs", "name=one"]
    assert run([*SMALL, *where, "iterations=1", "eval=[held_out]", "eval.held_out.diagnostics=false"]) == 0
    return place / "runs" / "one"


@pytest.fixture(scope="module")
def exported(finished: Path) -> Path:
    folder = finished.parents[1] / "out"
    assert export([finished.name, "--runs", str(finished.parent), "--to", str(folder)]) == 0
    return folder


def test_models_are_ordinary_folders_with_cards(exported: Path) -> None:
    assert AutoModelForCausalLM.from_pretrained(exported / "policy").num_parameters() > 0
    assert AutoModelForSequenceClassification.from_pretrained(exported / "reward").config.num_labels == 1
    card = (exported / "policy" / "README.md").read_text("utf-8")
    assert "# one: the policy π of iteration 1" in card
    assert "name: mutual_taught" in card and "learning_rate:" in card
    assert "| Average gold reward | 0." in card
    assert "The policy " in card and "Updating the reward model" not in card, "what is said of this model alone"
    assert not [*exported.rglob("artifact.json"), *exported.rglob("curves.jsonl")]


@pytest.mark.parametrize(
    ("reward", "folders"),
    [
        (["reward=consensus"], []),
        (
            ["reward=ensemble", "reward.trained=0", "reward.models=[{models}/one,{models}/two]"],
            ["reward-1", "reward-2"],
        ),
    ],
)
def test_a_reward_is_exported_as_the_models_that_it_is(tmp_path: Path, reward: list[str], folders: list[str]) -> None:
    for name in ("one", "two"):
        tiny_reward(tmp_path / name)
    own = [f"policy.path={tiny_policy(tmp_path / 'policy')}", "data=instructions", "rm_data=frozen"]
    given = [word.replace("{models}", str(tmp_path)) for word in reward]
    config = compose_runs([*own, *given, f"store={tmp_path}/store"])[0].config
    assert [name for name, *_ in models_of(compile_run(config).graph.final)] == ["policy", *folders]


def test_a_card_counts_what_is_missing_where_something_is(tmp_path: Path) -> None:
    config = compose_runs([f"store={tmp_path}"])[0].config
    row = {"iteration": 1, "model": "policy", "benchmark": "pairwise", "metric": "missing", "low": None, "high": None}
    record = {"name": "one", "config": config.model_dump(mode="json"), "command": "python -m mt.run", "answers": {}}

    def card(missing: float) -> str:
        metrics = [{**row, "value": missing, "n": 10}, {**row, "metric": "win_rate_vs_0", "value": 60.0, "n": 10}]
        return model_card({**record, "metrics": metrics}, compile_run(config), 1, "policy")

    assert "issing" not in card(0.0) and "60.0%" in card(0.0)
    assert "issing" in card(2.0)


def test_rows_are_the_pairs_and_samples_of_the_run(exported: Path) -> None:
    rows = [json.loads(line) for line in (exported / "data" / "pairs.jsonl").read_text("utf-8").splitlines()]
    assert rows and {"prompt", "chosen", "rejected"} <= set(rows[0])
    assert all(row["score_chosen"] >= row["score_rejected"] for row in rows)
    samples = [json.loads(line) for line in (exported / "data" / "samples.jsonl").read_text("utf-8").splitlines()]
    answers = {(row["prompt"][-1]["content"], row["completion"][0]["content"]) for row in samples}
    assert all((row["prompt"][-1]["content"], row["chosen"][0]["content"]) in answers for row in rows)
    assert load_from_disk(exported / "data" / "samples").num_rows == len(samples)
    assert load_dataset("json", data_files=str(exported / "data" / "pairs.jsonl"), split="train").num_rows == len(rows)


def test_trls_trainers_take_the_pairs_without_a_map(exported: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(exported / "policy")
    settings: dict[str, Any] = {"max_steps": 1, "per_device_train_batch_size": 2, "report_to": "none", "use_cpu": True}
    settings |= {"output_dir": str(tmp_path), "save_strategy": "no", "bf16": False, "gradient_checkpointing": False}
    policy = AutoModelForCausalLM.from_pretrained(exported / "policy")
    pairs = load_from_disk(exported / "data" / "pairs")
    dpo = DPOTrainer(policy, args=DPOConfig(**settings), train_dataset=pairs, processing_class=tokenizer)
    assert dpo.train().training_loss > 0
    reward = AutoModelForSequenceClassification.from_pretrained(exported / "reward")
    pairs = load_from_disk(exported / "data" / "reward_pairs")
    trainer = RewardTrainer(reward, args=RewardConfig(**settings), train_dataset=pairs, processing_class=tokenizer)
    assert trainer.train().training_loss > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "{run}"], "exists already"),
        (["--to", "{run}/new", "--iteration", "7"], "--iteration=7: no such iteration. Allowed: 0 to 1"),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    finished: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert export([str(finished), *(word.format(run=finished) for word in arguments)]) != 0
    assert message in capsys.readouterr().err


class Hub(BaseHTTPRequestHandler):
    """Takes repositories and commits as the hub does, all files inline."""

    repositories: ClassVar[dict[str, dict[str, Any]]] = {}
    refuses: ClassVar[str] = "/nobody/"

    def do_POST(self) -> None:  # the name is http.server's
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.refuses in self.path:
            self._answer({"error": "no room is left"}, 403)
        elif self.path == "/api/repos/create":
            asked = json.loads(body)
            name = "/".join(filter(None, [asked.get("organization"), asked["name"]]))
            hidden = asked.get("private", asked.get("visibility") == "private")
            self.repositories[name] = {"private": hidden, "type": asked.get("type", "model"), "files": {}}
            self._answer({"url": f"https://huggingface.co/{name}"})
        elif "/preupload/" in self.path:
            files = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                for one in json.loads(body)["files"]
            ]
            self._answer({"files": files})
        elif "/commit/" in self.path:
            name = self.path.split("/commit/")[0].split("/", 3)[3]
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.repositories[name]["files"][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self._answer(
                {
                    "success": True,
                    "commitOid": "a" * 40,
                    "commitUrl": f"https://huggingface.co/{name}/commit/{'a' * 40}",
                }
            )
        else:
            self._answer({})

    def do_GET(self) -> None:  # the name is http.server's
        self._answer({"name": "me", "type": "user", "orgs": []})

    def _answer(self, found: dict[str, Any], status: int = 200) -> None:
        text = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, dict[str, Any]]]:
    server = HTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", address)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    Hub.repositories.clear()
    yield Hub.repositories
    server.shutdown()
    server.server_close()


def test_an_export_is_pushed_as_three_private_repositories(exported: Path, hub: dict[str, dict[str, Any]]) -> None:
    assert len(list(push(exported, "me/one"))) == 3
    assert {name: (one["type"], one["private"]) for name, one in hub.items()} == {
        "me/one-policy": ("model", True),
        "me/one-reward": ("model", True),
        "me/one-data": ("dataset", True),
    }
    sent = hub["me/one-policy"]["files"]
    assert sent["model.safetensors"] == (exported / "policy" / "model.safetensors").read_bytes()
    assert "README.md" in sent and "pairs.jsonl" in hub["me/one-data"]["files"]


def test_a_push_that_is_refused_leaves_the_export_and_says_how_to_go_on(
    finished: Path, hub: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finished.parents[1] / "pushed"
    monkeypatch.setattr(Hub, "refuses", "/me/two-policy/commit/")
    assert export([str(finished), "--to", str(folder), "--push", "me/two"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("--push=me/two-policy: ") and told.count("\n") == 1
    assert f"hf upload me/two-policy {folder}/policy --repo-type model --private" in told
    assert (folder / "policy" / "model.safetensors").is_file()
    assert "me/two-data" in hub


def test_nothing_is_written_where_nobody_could_push(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    for name in ("me/one", "no owner"):
        assert export([str(finished), "--to", str(finished.parents[1] / "never"), "--push", name]) == 2
        assert capsys.readouterr().err.startswith(f"--push={name}: ")
    assert not list(finished.parents[1].glob("never*"))
