"""The small models from scratch serve as policy and reward model, and read any text."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from benchmarks.make_models import main, read_texts
from mt.engines.models import check_model
from mt.engines.text import open_chat

TEXTS = ["The quick brown fox jumps over the lazy dog.", "Ça va bien, merci ! 你好，世界 🎉", "def f(x):\n    return x"]


def test_models_from_text_pass_the_checks_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = "".join(json.dumps({"instruction": text, "id": "x"}) + "\n" for text in TEXTS)
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    small = "--vocabulary 300 --hidden-size 16 --layers 1 --context 64 --steps 2 --batch 2 --window 16".split()  # noqa: SIM905
    assert main(["--text", str(tmp_path / "t.jsonl.gz"), "--output", str(tmp_path / "models"), *small]) == 0
    check_model(tmp_path / "models" / "policy", "policy")
    check_model(tmp_path / "models" / "reward", "reward")
    models = f"policy.path={tmp_path}/models/policy reward.path={tmp_path}/models/reward"
    assert capsys.readouterr().out.splitlines()[-1] == f"python -m mt.run data=jsonl data.path=PROMPTS.jsonl {models}"
    assert main(["--text", str(tmp_path / "none.txt"), "--output", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == f"no such file: {tmp_path}/none.txt\n"

    chat = open_chat(tmp_path / "models" / "policy")
    bos = chat.tokenizer.bos_token_id
    assert chat.pad_id not in (chat.end_id, bos)
    messages = [{"role": "user", "content": "Grüße aus Zürich — ≠ latin"}]
    ids = chat.prompt_ids(messages)
    assert ids.count(bos) == 1
    assert chat.conversation_ids(messages, "yes")[: len(ids)] == ids
    assert chat.decode(ids) == messages[0]["content"]


def test_texts_are_string_fields_or_whole_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\u2028three\n", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"q": "two words\u2028here", "n": 3, "id": "x"}\n\n', encoding="utf-8")
    assert list(read_texts(tmp_path / "a.txt")) == ["one\ntwo\u2028three\n"]
    assert list(read_texts(tmp_path / "b.jsonl")) == ["two words\u2028here"]
