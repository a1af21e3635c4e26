"""Whether a model can serve, asked in seconds before anything is computed with it.

The project reads a model's last hidden states, applies the output head to few of them, and pads rows on the right
without a mask. That is right for a model whose own forward gives the same numbers, and whose states depend on
earlier tokens only. Both are tried: on a narrow copy of the model before a run, and on the real weights at each load.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mt.engines.heads import OutputHead, read_rewards, reward_head
from mt.engines.models import ModelKind, check_model, load_weights, transformers_errors, weight_shapes
from mt.engines.shrink import shrink
from mt.engines.weights import SAVE_AGAIN, compare
from mt.errors import ModelError, describe, first_line

if TYPE_CHECKING:
    from torch import Tensor

_ROW, _SAME = 12, 8
"""Tokens of the row that is tried, and how many stay as they are where the rest is replaced."""
_TOLERANCE = {torch.float32: 1e-4}
_HALF_TOLERANCE = 0.05
"""Share of the largest number by which two ways may differ; in half precision they round differently."""
_DECODER = "Use a decoder model that predicts each token from the ones before it"


def inspect_model(
    folder: Path, kind: ModelKind, *, allow_extra_weights: bool = False, outputs: int = 1, setting: str = ""
) -> None:
    """Refuse a folder whose weights do not fit its architecture, or whose outputs are not computed rightly here.

    Reads headers and builds a narrow copy with random weights; seconds. An architecture that has no narrow copy is
    tried with its own weights. A head with several `outputs` is looked at as the one output that they will become.
    Raises `ModelError` with one line, which names the `setting` (`<kind>.path` unless another is given).
    """
    from transformers import GenerationConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder, field = Path(folder), setting or f"{kind}.path"
    # The callers that render look for the template.
    check_model(folder, kind, has_template=False, outputs=outputs, setting=field)
    model_class, config = read_architecture(folder, kind, field)
    with transformers_errors(field, folder):
        if (folder / "generation_config.json").is_file():
            GenerationConfig.from_pretrained(str(folder), local_files_only=True)
        try:
            shapes = weight_shapes(folder, field)
            if outputs > 1:
                shapes |= {name: [1, *shape[1:]] for name, shape in shapes.items() if name.startswith("score.")}
            found = compare(model_class, config, shapes)
        except RuntimeError as error:
            problem = "its weights cannot be merged into the model's: some parts (of experts?) are missing or misshapen"
            raise ModelError(describe(field, folder, problem, fix=SAVE_AGAIN)) from error
    found.refuse(field, folder, allow_extra=allow_extra_weights)
    model = shrink(model_class, config)
    check_outputs(load_weights(folder, kind, torch.float32).eval() if model is None else model, kind, folder, field)


@torch.inference_mode()
def check_outputs(model: Any, kind: ModelKind, folder: Path, setting: str = "") -> None:
    """Refuse a model whose outputs this project would not compute as the model itself does; one short row."""
    field, name = setting or f"{kind}.path", type(model).__name__
    ids_1T = _row(model.config, model.device)
    try:
        head: Any = OutputHead(model) if kind == "policy" else reward_head(model)
        own = model(input_ids=ids_1T, use_cache=False).logits[0].float()
        hidden_TD = _hidden(model, ids_1T)
        otherwise_TD = _hidden(model, torch.cat([ids_1T[:, :_SAME], ids_1T[:, : _ROW - _SAME]], dim=1))
        ours = head.logits(hidden_TD).float() if kind == "policy" else read_rewards(head, hidden_TD[-1:])
    except ModelError as error:
        raise ModelError(describe(field, folder, f"is a {name}: {str(error).rstrip('.')}")) from error
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
        problem = f"is a {name}, which this project cannot read ({first_line(error)})"
        raise ModelError(describe(field, folder, problem, fix=_DECODER)) from error
    if not bool(own.isfinite().all()):
        problem = "its outputs are not finite numbers"
        raise ModelError(describe(field, folder, problem, fix="Check its weights, or use dtype=float32"))
    if not _close(otherwise_TD[:_SAME], hidden_TD[:_SAME], model.dtype):
        problem = f"is a {name}, in which later tokens change what is computed of earlier ones"
        raise ModelError(describe(field, folder, problem, fix=_DECODER))
    if own.shape != ours.shape or not _close(ours, own, model.dtype):
        what = "log-probabilities" if kind == "policy" else "rewards"
        problem = f"is a {name}, whose {what} would not be those of its own outputs"
        raise ModelError(describe(field, folder, problem, fix=_DECODER))


def read_architecture(folder: Path, kind: ModelKind, field: str) -> tuple[Any, Any]:
    """Return the class and the configuration with which transformers loads a folder, named by the setting `field`."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

    with transformers_errors(field, folder):
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    if kind == "reward":
        config.num_labels = 1
    loader = AutoModelForCausalLM if kind == "policy" else AutoModelForSequenceClassification
    found = loader._model_mapping.get(type(config), None)
    if found is None:
        what = "causal language" if kind == "policy" else "sequence-classification"
        problem = f"transformers has no {what} model of the type {config.model_type}"
        raise ModelError(describe(field, folder, problem))
    return found[0] if isinstance(found, tuple) else found, config


def _row(config: Any, device: torch.device) -> Tensor:
    """Return a row of ordinary token ids: a reward model's own forward looks for its pad token."""
    text = config.get_text_config()
    named = [getattr(text, name, None) for name in ("pad_token_id", "bos_token_id", "eos_token_id")]
    special = {token for one in named for token in (one if isinstance(one, list) else [one])}
    ordinary = [token for token in range(min(text.vocab_size, 4 * _ROW)) if token not in special]
    return torch.tensor([(ordinary * _ROW)[-_ROW:]], device=device)


def _hidden(model: Any, ids_1T: Tensor) -> Tensor:
    hidden_TD: Tensor = model.base_model(input_ids=ids_1T, use_cache=False).last_hidden_state[0]
    return hidden_TD


def _close(found: Tensor, wanted: Tensor, dtype: torch.dtype) -> bool:
    tolerance = _TOLERANCE.get(dtype, _HALF_TOLERANCE)
    return bool(((found - wanted).abs().max() <= tolerance * wanted.abs().max()).item())
