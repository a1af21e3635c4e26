"""Model folders: checked without loading a weight, and loaded from safetensors only."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mt.engines.contexts import context_length, read_json
from mt.errors import ModelError, MutualTaughtError, describe
from mt.runtime.text import parse_json

if TYPE_CHECKING:
    import torch

ModelKind = Literal["policy", "reward"]

_ENDINGS = {"policy": ("ForCausalLM", "LMHeadModel"), "reward": ("ForSequenceClassification",)}
_CLASSES = {"policy": "causal language model", "reward": "sequence-classification reward model"}
_TEXT_ONLY = "Load its language model by itself (AutoModelForCausalLM) and save that"
_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"


def check_model(
    folder: Path, kind: ModelKind, *, has_template: bool = True, outputs: int = 1, setting: str = ""
) -> None:
    """Refuse a folder that cannot serve as policy or reward model, reading descriptions and headers only.

    Raises `ModelError` with one line for: no folder, no or unreadable config, another architecture, weights that
    are missing, cut short or pickled, a reward head that is missing or has not as many `outputs`, no tokenizer, no
    chat template (unless `has_template` is false: a setting names a file in its place). Errors name the `setting`,
    which is `<kind>.path` unless another is given.
    """
    field, folder = setting or f"{kind}.path", Path(folder)
    if not folder.is_dir():
        problem = "is a file" if folder.exists() else "no such folder"
        raise ModelError(describe(field, folder, problem, fix="Give a Hugging Face model folder"))
    name = _check_architecture(folder, kind, field)
    shapes = weight_shapes(folder, field)
    if kind == "reward":
        _check_reward_head(folder, name, shapes, field, outputs)
    _check_tokenizer(folder, field, has_template)


def check_context(folder: Path, max_length: int, field: str) -> None:
    """Refuse sequences longer than the model's context; `field` is the setting that bounds them."""
    limit = context_length(folder)
    if limit is not None and max_length > limit:
        problem = f"longer than the context of {folder}"
        raise ModelError(describe(field, max_length, problem, allowed=f"at most {limit}", fix="Lower it"))


def load_model(folder: Path, kind: ModelKind, dtype: torch.dtype, device: torch.device) -> Any:
    """Load a checked folder for inference: explicit dtype, safetensors only, no code from the folder.

    Raises `ModelError` where weights are missing, or where what is computed from the last hidden states would not
    be the model's own output.
    """
    from mt.engines.inspection import check_outputs

    check_model(folder, kind, has_template=False)  # the callers that render look for the template
    model = load_weights(folder, kind, dtype).to(device).eval().requires_grad_(False)
    check_outputs(model, kind, Path(folder))
    return model


def load_weights(folder: Path, kind: ModelKind, dtype: torch.dtype, *, new_head: bool = False) -> Any:
    """Load a folder's weights on the CPU; `new_head` lets a reward model start from a causal one, its head random.

    Raises `ModelError` where transformers cannot load the folder, or where weights are missing.
    """
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
    from transformers.utils import logging

    from mt.engines.heads import REWARD_HEAD
    from mt.engines.rotary import separate_rows
    from mt.engines.weights import FoundWeights

    logging.disable_progress_bar()
    loader: Any = AutoModelForCausalLM if kind == "policy" else AutoModelForSequenceClassification
    more: dict[str, Any] = {} if kind == "policy" else {"num_labels": 1}
    with transformers_errors(f"{kind}.path", folder):
        model, info = loader.from_pretrained(
            str(folder),
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported with the others
            **more,
        )
    found = FoundWeights.from_info(info, added=[REWARD_HEAD] if new_head else [])
    found.refuse(f"{kind}.path", folder, allow_extra=True)  # where a run starts extra weights have been refused
    normalise_generation(model)
    separate_rows(model)
    return model


@contextmanager
def transformers_errors(field: str, folder: Path) -> Iterator[None]:
    """Turn what transformers raises for a folder into one line."""
    try:
        yield
    except MutualTaughtError:
        raise
    except Exception as error:  # a configuration can be wrong in every way, and classes check it or fail on it
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = " ".join(lines[:2]) if lines and lines[0].endswith(":") else (lines or [type(error).__name__])[0]
        raise ModelError(describe(field, folder, f"cannot be loaded ({reason})")) from error


def _check_architecture(folder: Path, kind: ModelKind, field: str) -> str:
    """Return the name of the model's class."""
    described = (folder / "config.json").is_file()
    if (folder / "adapter_config.json").is_file():  # transformers would put it beside the weights, unmerged
        problem = "holds an adapter beside its model" if described else "holds an adapter, not a model"
        raise ModelError(describe(field, folder, problem, fix="Merge it into its base model and save that"))
    if not described:
        raise ModelError(describe(field, folder, "has no config.json", fix="Give a Hugging Face model folder"))
    config = read_json(folder / "config.json", field)
    names = config.get("architectures") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        problem, allowed = f"its config.json has architectures={json.dumps(names)}", 'names, as in ["LlamaForCausalLM"]'
        raise ModelError(describe(field, folder, problem, allowed=allowed))
    if names and not any(name.endswith(_ENDINGS[kind]) for name in names):
        problem = f"is a {names[0]}, not a {_CLASSES[kind]}"
        fix = _TEXT_ONLY if isinstance(config.get("text_config"), dict) else ""
        allowed = " or ".join("…" + ending for ending in _ENDINGS[kind])
        raise ModelError(describe(field, folder, problem, allowed=allowed, fix=fix))
    if isinstance(config.get("text_config"), dict):
        problem = "its config.json wraps a language model with others (text_config)"
        raise ModelError(describe(field, folder, problem, fix=_TEXT_ONLY))
    if config.get("quantization_config"):
        problem = "its weights are quantised (quantization_config), and such weights cannot be trained"
        fix = "Give the folder that it was quantised from, or save a dequantised copy"
        raise ModelError(describe(field, folder, problem, fix=fix))
    return names[0] if names else "model"


def weight_shapes(folder: Path, field: str) -> dict[str, list[int]]:
    """Return name → shape of every tensor, from the headers of the safetensors files."""
    if (folder / _INDEX).is_file():
        placed = read_json(folder / _INDEX, field).get("weight_map")
        if not isinstance(placed, dict) or not placed or not all(isinstance(name, str) for name in placed.values()):
            fix = "Download or save the model again"
            raise ModelError(describe(field, folder / _INDEX, "has no weight_map of names to files", fix=fix))
        files = sorted(set(placed.values()))
        if _SINGLE not in files and (folder / _SINGLE).is_file():
            # transformers would load it, other programs what the index names
            problem, fix = f"is not named in {_INDEX} beside it", "Remove what is left over of another model"
            raise ModelError(describe(field, folder / _SINGLE, problem, fix=fix))
    else:
        files = [_SINGLE] if (folder / _SINGLE).is_file() else []
    if not files:
        for problem, patterns, fix in (
            ("has pickled weights only", ("*.bin", "*.pt", "*.pth"), "Save the model with safetensors"),
            ("has GGUF weights only", ("*.gguf",), "Convert it with transformers (gguf_file=…) and save_pretrained"),
        ):
            if found := sorted(path for pattern in patterns for path in folder.glob(pattern)):
                problem = f"{problem} ({found[0].name})"
                raise ModelError(describe(field, folder, problem, allowed="*.safetensors", fix=fix))
        fix = f"Put {_SINGLE} there"
        raise ModelError(describe(field, folder, "has no weights", allowed="*.safetensors", fix=fix))
    shapes: dict[str, list[int]] = {}
    for name in files:
        shapes |= _header_shapes(folder / name, field)
    return shapes


def _header_shapes(path: Path, field: str) -> dict[str, list[int]]:
    """Read one safetensors header: 8 bytes of length, JSON, then data up to the largest offset."""
    fix = "Download or save the model again"
    if not path.is_file():
        raise ModelError(describe(field, path, "is named in the index, but missing", fix=fix))
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        header = file.read(length) if length < size else b""
    try:
        tensors = parse_json(header)
        tensors.pop("__metadata__", None)
        end = 8 + length + max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
        shapes = {name: list(entry["shape"]) for name, entry in tensors.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(describe(field, path, "is not a safetensors file", fix=fix)) from error
    if size < end:
        raise ModelError(describe(field, path, f"is cut short ({size} of {end} bytes)", fix=fix))
    return shapes


def _check_reward_head(folder: Path, name: str, shapes: dict[str, list[int]], field: str, outputs: int) -> None:
    shape = shapes.get("score.weight")
    if shape is None:
        others = sorted(one for one in shapes if one.startswith(("score.", "classifier", "classification_head")))
        instead = f" (but {others[0]})" if others else ""
        problem = f"is a {name} whose weights hold no 'score.weight'{instead}, one layer from hidden state to reward"
        fix = "Give a trained decoder reward model: encoders and heads of several layers are not supported"
        raise ModelError(describe(field, folder, problem, fix=fix))
    if len(shape) != 2 or shape[0] != outputs:
        problem, fix = f"its head 'score.weight' has the shape {shape}", ""
        if len(shape) == 2 and shape[0] > 1:
            fix = f"Set reward.head_weights to the {shape[0]} weights by which its outputs become one reward"
        allowed = f"[{outputs}, hidden size], " + ("one reward" if outputs == 1 else "an output for each weight")
        raise ModelError(describe(field, folder, problem, allowed=allowed, fix=fix))


def _check_tokenizer(folder: Path, field: str, has_template: bool) -> None:
    path = folder / "tokenizer.json"
    if not path.is_file():
        fix = "Save the model's fast tokenizer there"
        raise ModelError(describe(field, folder, "has no tokenizer.json", fix=fix))
    config = read_json(folder / "tokenizer_config.json", field)
    if has_template and not config.get("chat_template") and not (folder / "chat_template.jinja").is_file():
        fix = f"Set {field.partition('.')[0]}.chat_template=FILE, or add chat_template.jinja to the folder"
        raise ModelError(describe(field, folder, "its tokenizer has no chat template", fix=fix))


def normalise_generation(model: Any) -> None:
    """Make a loaded model's generation settings valid, in place; values that mean something are kept.

    Llama 2's chat models and Vicuna give temperature and top_p without do_sample, old folders give them in
    config.json: both can be loaded, and neither can be saved.
    """
    misplaced = model.config._get_generation_parameters()
    for name in misplaced:
        delattr(model.config, name)
    generation = getattr(model, "generation_config", None)
    if generation is None:  # a reward model generates nothing
        return
    for name, value in misplaced.items():
        if getattr(generation, name, None) is None:
            setattr(generation, name, value)
    complaints, mode = _generation_complaints(generation), generation.do_sample
    if complaints and generation.temperature != 0:  # 0 is other libraries' word for greedy decoding
        generation.do_sample = True
        if _generation_complaints(generation) == complaints:  # they are not about sampling
            generation.do_sample = mode
    for name in _generation_complaints(generation):  # values without effect in that mode
        setattr(generation, name, None)


def _generation_complaints(generation: Any) -> list[str]:
    """Return the settings for which transformers refuses to save, as its message names them."""
    try:
        generation.validate(strict=True)
    except ValueError as error:
        return re.findall(r"^- `(\w+)`:", str(error), re.MULTILINE)
    return []
