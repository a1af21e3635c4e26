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

from mt.export import main as export
from mt.export import push
from mt.run import main as run
from tests.engines.tiny import tiny_policy
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
    assert export([str(finished), "--to", str(folder)]) == 0
    return folder


def test_models_are_ordinary_folders_with_cards(exported: Path) -> None:
    assert AutoModelForCausalLM.from_pretrained(exported / "policy").num_parameters() > 0
    assert AutoModelForSequenceClassification.from_pretrained(exported / "reward").config.num_labels == 1
    card = (exported / "policy" / "README.md").read_text("utf-8")
    assert "# one: the policy π of iteration 1" in card
    assert "name: mutual_taught" in card and "learning_rate:" in card
    assert "| Average gold reward | 0." in card
    assert not list(exported.rglob("artifact.json"))


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

    def do_POST(self) -> None:  # the name is http.server's
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/api/repos/create":
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

    def _answer(self, found: dict[str, Any]) -> None:
        text = json.dumps(found).encode()
        self.send_response(200)
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
