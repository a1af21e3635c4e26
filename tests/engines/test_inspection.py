"""What costs seconds is refused before anything is computed: weights that do not fit, outputs read wrongly."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from mt.engines.inspection import check_outputs, inspect_model
from mt.engines.models import load_model
from mt.engines.shrink import shrink
from mt.errors import ModelError
from tests.engines.families import MAKERS, family_folder
from tests.engines.tiny import tiny_config, tiny_policy, tiny_reward, tiny_tokenizer

FILE = "model.safetensors"


def stored(folder: Path, without: Sequence[str] = (), extra: dict[str, torch.Tensor] | None = None) -> None:
    """Change a folder's weights."""
    weights = {name: tensor for name, tensor in load_file(folder / FILE).items() if name not in without}
    save_file({**weights, **(extra or {})}, folder / FILE, {"format": "pt"})


def reading(folder: Path, kind: Any = "policy") -> str:
    """Return the refusal of a folder."""
    with pytest.raises(ModelError) as refusal:
        inspect_model(folder, kind)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


@pytest.mark.parametrize("name", MAKERS)
def test_every_family_is_read_as_transformers_reads_it(tmp_path: Path, name: str) -> None:
    inspect_model(family_folder(name, tmp_path), "policy")


def test_missing_weights_are_refused_by_name(tmp_path: Path) -> None:
    folder = tiny_policy(tmp_path)
    names = ["model.layers.1.mlp.up_proj.weight", "model.norm.weight"]
    stored(folder, without=names)
    said = reading(folder)
    assert said.startswith(f"policy.path={folder}: its files lack 2 of the model's weights ({', '.join(names)})")
    with pytest.raises(ModelError, match="lack 2 of the model's weights"):
        load_model(folder, "policy", torch.float32, torch.device("cpu"))


def test_an_embedding_that_is_missing_is_not_excused_by_the_head_tied_to_it(tmp_path: Path) -> None:
    folder = tiny_policy(tmp_path)
    stored(folder, without=["model.embed_tokens.weight"])
    assert "its files lack" in reading(folder) and "model.embed_tokens.weight" in reading(folder)


def test_one_missing_expert_is_refused(tmp_path: Path) -> None:
    folder = family_folder("mixtral", tmp_path)
    lost = next(name for name in load_file(folder / FILE) if "experts.3" in name)
    stored(folder, without=[lost])
    assert "experts" in reading(folder)


def test_weights_of_another_shape_are_refused_with_both_shapes(tmp_path: Path) -> None:
    folder = tiny_policy(tmp_path)
    stored(folder, extra={"model.norm.weight": torch.ones(15)})
    assert "1 weights have another shape than config.json says (model.norm.weight [15] instead of [16])" in reading(
        folder
    )


def test_extra_weights_are_refused_unless_they_are_allowed(tmp_path: Path) -> None:
    folder = tiny_policy(tmp_path)
    stored(folder, extra={"value_head.weight": torch.ones(3)})
    said = reading(folder)
    assert "1 weights that the model does not have (value_head.weight)" in said
    assert "policy.allow_extra_weights=true" in said
    inspect_model(folder, "policy", allow_extra_weights=True)


def test_what_the_model_ignores_by_itself_is_no_extra_weight(tmp_path: Path) -> None:
    folder = tiny_policy(tmp_path)
    stored(folder, extra={"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)})
    inspect_model(folder, "policy")


def test_sharded_folders_and_old_names_pass(tmp_path: Path) -> None:
    model = transformers.LlamaForCausalLM(tiny_config(tie_word_embeddings=False))
    model.save_pretrained(tmp_path / "sharded", max_shard_size="5KB")
    tiny_tokenizer().save_pretrained(tmp_path / "sharded")
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 1
    inspect_model(tmp_path / "sharded", "policy")
    folder = tiny_policy(tmp_path / "old")
    weights = load_file(folder / FILE)
    save_file(
        {name.removeprefix("model."): tensor for name, tensor in weights.items()}, folder / FILE, {"format": "pt"}
    )
    inspect_model(folder, "policy")


def test_reward_models_are_inspected_too(tmp_path: Path) -> None:
    inspect_model(tiny_reward(tmp_path), "reward")
    stored(tmp_path, without=["model.layers.0.mlp.down_proj.weight"])
    assert reading(tmp_path, "reward").startswith(f"reward.path={tmp_path}: its files lack 1 of")


class Bidirectional(transformers.LlamaForSequenceClassification):
    """A reward model whose layers read both ways, as models made of decoders for embedding and ranking do."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        for layer in self.model.layers:
            layer.self_attn.is_causal = False
        self.model.config._attn_implementation = "both_ways"


def both_ways(module: Any, query: Any, key: Any, value: Any, mask: Any, **kwargs: Any) -> tuple[Any, None]:
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    return torch.nn.functional.scaled_dot_product_attention(query, key, value).transpose(1, 2), None


def test_a_model_that_reads_both_ways_is_refused(tmp_path: Path) -> None:
    transformers.AttentionInterface.register("both_ways", both_ways)
    model = Bidirectional(tiny_config(num_labels=1, tie_word_embeddings=False)).eval()
    with pytest.raises(ModelError, match="later tokens change what is computed of earlier ones"):
        check_outputs(model, "reward", tmp_path)


def test_encoder_reward_models_are_refused_by_name(tmp_path: Path) -> None:
    sizes = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    config = transformers.BertConfig(**sizes, num_attention_heads=2, num_labels=1)
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    said = reading(tmp_path, "reward")
    assert "BertForSequenceClassification" in said and "encoders" in said


def test_an_output_head_inside_another_layer_is_refused(tmp_path: Path) -> None:
    config = transformers.BertConfig(vocab_size=64, hidden_size=16, num_attention_heads=2, is_decoder=True)
    with pytest.raises(ModelError, match=r"BertLMHeadModel: .*no output layer beside its body"):
        check_outputs(transformers.BertLMHeadModel(config).eval(), "policy", tmp_path)


class Sharpened(transformers.LlamaForSequenceClassification):
    """A reward model that does more than its head."""

    def forward(self, *arguments: Any, **named: Any) -> Any:
        out = super().forward(*arguments, **named)
        out.logits = out.logits.sigmoid()
        return out


def test_rewards_that_would_not_be_the_models_own_are_refused(tmp_path: Path) -> None:
    model = Sharpened(tiny_config(num_labels=1, tie_word_embeddings=False)).eval()
    with pytest.raises(ModelError, match="is a Sharpened, whose rewards would not be those of its own outputs"):
        check_outputs(model, "reward", tmp_path)


def test_a_generation_config_that_cannot_be_loaded_is_refused(tmp_path: Path) -> None:
    folder = tiny_policy(tmp_path)
    (folder / "generation_config.json").write_text(json.dumps({"max_new_tokens": 0}))
    assert "max_new_tokens" in reading(folder)


SIZES = {
    "smollm2": (
        "Llama",
        {"hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9},
    ),
    "qwen3_moe": ("Qwen3Moe", {"hidden_size": 2048, "num_experts": 128, "num_hidden_layers": 48}),
    "gemma2": ("Gemma2", {"hidden_size": 3584, "head_dim": 256, "num_hidden_layers": 42}),
    "granite_hybrid": (
        "GraniteMoeHybrid",
        {
            "hidden_size": 1536,
            "layer_types": ["mamba", "mamba", "attention"] * 2,
            "num_hidden_layers": 6,
            "mamba_n_heads": 48,
            "mamba_d_head": 64,
        },
    ),
}


@pytest.mark.parametrize("name", SIZES)
def test_a_narrow_copy_keeps_scalings_and_kinds_of_layers(name: str) -> None:
    prefix, settings = SIZES[name]
    config = getattr(transformers, f"{prefix}Config")(**settings)
    model = shrink(getattr(transformers, f"{prefix}ForCausalLM"), config)
    assert model is not None and sum(parameter.numel() for parameter in model.parameters()) < 32e6
    assert model.config.num_hidden_layers >= 2
    kinds = getattr(config, "layer_types", None) or []
    assert set(getattr(model.config, "layer_types", None) or []) == set(kinds)
    scalings = [
        key for key in config.to_dict() if any(word in key for word in ("scal", "multiplier", "softcap", "eps"))
    ]
    assert scalings and all(getattr(model.config, key) == getattr(config, key) for key in scalings)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_attention_heads": 3}, "not a multiple of the number of attention heads"),
        ({"num_attention_heads": 0}, "cannot be loaded"),
        ({"num_hidden_layers": "2"}, "expected int, got str"),
        ({"rope_parameters": {"rope_type": "unheard_of"}}, "cannot be loaded"),
    ],
)
def test_a_configuration_that_no_model_has_is_one_line(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = tiny_policy(tmp_path) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    assert said in reading(tmp_path)


@pytest.mark.parametrize("shape", [(), (16,), (2, 16)])
def test_a_reward_head_of_another_shape_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    stored(tiny_reward(tmp_path), extra={"score.weight": torch.ones(shape)})
    assert f"'score.weight' has the shape {list(shape)}" in reading(tmp_path, "reward")


def test_weights_that_are_not_finite_are_called_so(tmp_path: Path) -> None:
    stored(tiny_policy(tmp_path), extra={"model.norm.weight": torch.full((16,), float("nan"))})
    with pytest.raises(ModelError, match="its outputs are not finite numbers"):
        load_model(tmp_path, "policy", torch.float32, torch.device("cpu"))
