"""A folder that cannot serve is refused with one line, and no weight is read for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, MptConfig, PreTrainedConfig

from mt.engines.contexts import context_length
from mt.engines.models import check_context, check_model, load_model
from mt.engines.text import open_chat
from mt.errors import ModelError
from tests.engines.tiny import tiny_policy, tiny_reward


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {"policy": tiny_policy(root / "policy"), "reward": tiny_reward(root / "reward")}


@pytest.fixture
def folders(made: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    return {kind: Path(shutil.copytree(folder, tmp_path / kind)) for kind, folder in made.items()}


def edit(path: Path, **changes: object) -> None:
    """Change a JSON file; None removes an entry."""
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: value for name, value in values.items() if value is not None}))


def no_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def adapter(folder: Path) -> None:
    (folder / "config.json").rename(folder / "adapter_config.json")


def broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def other_architecture(folder: Path) -> None:
    edit(folder / "config.json", architectures=["T5ForConditionalGeneration"])


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def missing_shard(folder: Path) -> None:
    no_weights(folder)
    left_over_index(folder)


def left_over_index(folder: Path) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def cut_short(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-100])


def not_safetensors(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"<html>404</html>")


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def no_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


def adapter_beside(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 4}')


def no_pad(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", pad_token=None, unk_token=None)
    tokens = json.loads((folder / "tokenizer.json").read_text())["added_tokens"]
    edit(folder / "tokenizer.json", added_tokens=[t for t in tokens if t["content"] != "<pad>"])


@pytest.mark.parametrize("kind", ["policy", "reward"])
@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (no_folder, "no such folder. Give a Hugging Face model folder"),
        (no_config, "has no config.json"),
        (adapter, "holds an adapter, not a model. Merge it"),
        (adapter_beside, "holds an adapter beside its model. Merge it"),
        (broken_config, "is not valid JSON"),
        (other_architecture, "is a T5ForConditionalGeneration, not a"),
        (no_weights, r"has no weights. Allowed: \*.safetensors"),
        (pickled, r"has pickled weights only \(pytorch_model.bin\)"),
        (missing_shard, "model-00001-of-00002.safetensors: is named in the index, but missing"),
        (cut_short, "is cut short"),
        (not_safetensors, "is not a safetensors file"),
        (no_tokenizer, "has no tokenizer.json"),
        (no_template, r"has no chat template. Set \w+.chat_template=FILE"),
    ],
)
def test_a_folder_that_cannot_serve_is_refused(
    folders: dict[str, Path], kind: str, damage: Callable[[Path], None], problem: str
) -> None:
    damage(folders[kind])
    with pytest.raises(ModelError, match=rf"^{kind}\.path=.*{problem}") as refusal:
        check_model(folders[kind], kind)  # type: ignore[arg-type]
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("kind", ["policy", "reward"])
def test_a_good_folder_passes_and_loads_as_asked(folders: dict[str, Path], kind: str) -> None:
    check_model(folders[kind], kind)  # type: ignore[arg-type]
    model = load_model(folders[kind], kind, torch.bfloat16, torch.device("cpu"))  # type: ignore[arg-type]
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert not model.training and not any(p.requires_grad for p in model.parameters())


def test_a_model_of_the_other_kind_is_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(ModelError, match="is a LlamaForCausalLM, not a sequence-classification reward model"):
        check_model(folders["policy"], "reward")
    edit(folders["policy"] / "config.json", architectures=None)
    with pytest.raises(ModelError, match=r"hold no 'score\.weight'"):
        check_model(folders["policy"], "reward")


def test_a_head_of_several_labels_is_refused(tmp_path: Path) -> None:
    import transformers

    from tests.engines.tiny import tiny_config, tiny_tokenizer

    transformers.LlamaForSequenceClassification(tiny_config(num_labels=3)).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"has the shape \[3, 16\]. Allowed: \[1, hidden size\], one reward"):
        check_model(tmp_path, "reward")


def test_no_folder_is_refused_for_its_pad_token(folders: dict[str, Path]) -> None:
    no_pad(folders["policy"])
    check_model(folders["policy"], "policy")
    assert open_chat(folders["policy"]).pad_id not in open_chat(folders["policy"]).stop_ids


@pytest.mark.parametrize("config", [GPT2Config(n_positions=64), MptConfig(max_seq_len=64)], ids=["gpt2", "mpt"])
def test_families_call_their_context_otherwise(tmp_path: Path, config: PreTrainedConfig) -> None:
    config.save_pretrained(tmp_path)
    assert context_length(tmp_path) == 64


def test_the_context_bounds_the_length(folders: dict[str, Path]) -> None:
    assert context_length(folders["policy"]) == 128
    check_context(folders["policy"], 128, "sampling.max_length")
    with pytest.raises(ModelError, match=r"sampling\.max_length=129: longer than the context.*at most 128"):
        check_context(folders["policy"], 129, "sampling.max_length")


def a_list(folder: Path) -> None:
    (folder / "config.json").write_text("[]")


def numbered_architecture(folder: Path) -> None:
    edit(folder / "config.json", architectures=[5])


def one_architecture(folder: Path) -> None:
    edit(folder / "config.json", architectures="LlamaForCausalLM")


def empty_index(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text('{"weight_map": null}')


def quantised(folder: Path) -> None:
    edit(folder / "config.json", quantization_config={"quant_method": "awq"})


def gguf(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-Q4_K_M.gguf")


def wrapped(folder: Path) -> None:
    edit(folder / "config.json", text_config={"hidden_size": 8})


def wrapped_by_name(folder: Path) -> None:
    edit(folder / "config.json", architectures=["Gemma3ForConditionalGeneration"], text_config={})


@pytest.mark.parametrize("kind", ["policy", "reward"])
@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (a_list, "config.json: is not a JSON object"),
        (numbered_architecture, r"has architectures=\[5\]. Allowed: names, as in"),
        (one_architecture, r'has architectures="LlamaForCausalLM". Allowed: names, as in'),
        (empty_index, "index.json: has no weight_map of names to files"),
        (left_over_index, r"model.safetensors: is not named in model.safetensors.index.json beside it\. Remove"),
        (quantised, "its weights are quantised"),
        (gguf, r"has GGUF weights only \(model-Q4_K_M.gguf\)"),
        (wrapped, "wraps a language model with others.*Load its language model by itself"),
        (wrapped_by_name, "is a Gemma3ForConditionalGeneration, not a .*Load its language model by itself"),
    ],
)
def test_a_strange_folder_is_refused_in_one_line(
    folders: dict[str, Path], kind: str, damage: Callable[[Path], None], problem: str
) -> None:
    damage(folders[kind])
    with pytest.raises(ModelError, match=rf"^{kind}\.path=.*{problem}") as refusal:
        check_model(folders[kind], kind)  # type: ignore[arg-type]
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("value", ["many", 4096.5, -1, [128]])
def test_a_context_that_is_no_number_is_refused(folders: dict[str, Path], value: object) -> None:
    edit(folders["policy"] / "config.json", max_position_embeddings=value)
    with pytest.raises(ModelError, match=r"its max_position_embeddings=.* is not a number of tokens"):
        check_context(folders["policy"], 8, "sampling.max_length")
