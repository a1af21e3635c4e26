"""How much passes through each stage of a plan: rows, responses a row, tokens, and the model that reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mt.config.hardware import AssumptionsConfig
from mt.costing.shapes import KNOWN, Shape, shape_of_folder
from mt.errors import ConfigError, describe
from mt.stages.models import HubModel, ModelFolder
from mt.workflow.stage import Stage


@dataclass(frozen=True, slots=True)
class Volume:
    """What a stage puts out: tables have rows of responses, models a shape."""

    rows: float = 0.0
    responses: float = 1.0
    prompt_tokens: float = 0.0
    response_tokens: float = 0.0
    shape: Shape | None = None

    @property
    def tokens(self) -> float:
        """Tokens of all responses, each with its prompt."""
        return self.rows * self.responses * (self.prompt_tokens + self.response_tokens)

    @property
    def stored_tokens(self) -> float:
        """Tokens of all prompts and of all responses, each once: what is stored, and what sampling reads."""
        return self.rows * (self.prompt_tokens + self.responses * self.response_tokens)


Volumes = Mapping[str, Volume]
Rule = Callable[[Any, Volumes, AssumptionsConfig], Volume]
"""From a stage and the volumes of its inputs (by key) to its own."""


def volumes(order: list[Stage], assumed: AssumptionsConfig) -> dict[str, Volume]:
    """Return the volume of every stage of a plan, by key."""
    found: dict[str, Volume] = {}
    for stage in order:
        found[stage.key] = _RULES.get(stage.name, _like_first_input)(stage, found, assumed)
    return found


def _like_first_input(stage: Stage, found: Volumes, assumed: AssumptionsConfig) -> Volume:
    inputs = stage.inputs()
    return found[inputs[0].key] if inputs else Volume()


def _prompts(rows: float, assumed: AssumptionsConfig) -> Volume:
    return Volume(rows, 0, assumed.prompt_tokens, assumed.response_tokens)


def _load_prompts(stage: Any, found: Volumes, assumed: AssumptionsConfig) -> Volume:
    total = min(assumed.prompts, stage.limit or assumed.prompts)
    held_out = stage.held_out if stage.held_out >= 1 else stage.held_out * total
    rows = total - held_out if stage.part == "train" else held_out
    return _prompts(min(rows, stage.size or rows), assumed)


def _sized(responses: float) -> Rule:
    return lambda stage, found, assumed: replace(_prompts(stage.size, assumed), responses=responses)


def _part(stage: Any, found: Volumes, assumed: AssumptionsConfig) -> Volume:
    prompts = found[stage.prompts.key]
    return replace(prompts, rows=prompts.rows / stage.parts)


def _sample(stage: Any, found: Volumes, assumed: AssumptionsConfig) -> Volume:
    prompts = found[stage.prompts.key]
    length = min(prompts.response_tokens, stage.decoding.max_new_tokens)
    return replace(prompts, responses=stage.decoding.samples, response_tokens=length)


def _pairs(stage: Any, found: Volumes, assumed: AssumptionsConfig) -> Volume:
    return replace(_like_first_input(stage, found, assumed), responses=2)


def _mixed(stage: Any, found: Volumes, assumed: AssumptionsConfig) -> Volume:
    pairs = found[stage.pairs.key]
    return replace(pairs, rows=pairs.rows / (1 - stage.share), responses=2)


def _union(stage: Any, found: Volumes, assumed: AssumptionsConfig) -> Volume:
    tables = [found[table.key] for table in stage.tables]
    return replace(tables[0], rows=sum(table.rows for table in tables))


def _each_response(stage: Any, found: Volumes, assumed: AssumptionsConfig) -> Volume:
    samples = found[stage.samples.key]
    asked = assumed.judge_prompt_tokens + samples.prompt_tokens + samples.response_tokens
    return Volume(samples.rows * samples.responses, 0, asked, assumed.judge_answer_tokens)


def _scored(stage: Any, found: Volumes, assumed: AssumptionsConfig) -> Volume:
    return replace(_each_response(stage, found, assumed), responses=1)


def _each_order(stage: Any, found: Volumes, assumed: AssumptionsConfig) -> Volume:
    judgments = found[stage.varied.key]
    count = min(judgments.responses, 6)  # scores from 0 to 5: at most so many judgments differ in a short rubric
    asked = judgments.prompt_tokens + 2 * judgments.response_tokens
    return Volume(judgments.rows * count * (count - 1), 0, asked, assumed.judge_answer_tokens)


def _one_of(stage: Any, found: Volumes, assumed: AssumptionsConfig) -> Volume:
    judgments = found[stage.judgments.key]
    return replace(judgments, rows=judgments.rows / 5)


def _outputs(stage: Any, found: Volumes, assumed: AssumptionsConfig) -> Volume:
    return replace(_prompts(stage.limit, assumed), responses=1)


def _eft(stage: Any, found: Volumes, assumed: AssumptionsConfig) -> Volume:
    asked = assumed.judge_prompt_tokens + assumed.prompt_tokens + assumed.response_tokens
    return Volume(1630, 1, asked, assumed.judge_answer_tokens)  # Yuan et al. 2024, §3.1


def _judged(stage: Any, found: Volumes, assumed: AssumptionsConfig) -> Volume:
    model = found[stage.model.key]
    texts = model.prompt_tokens + 2 * model.response_tokens + assumed.judge_prompt_tokens
    answer = 1.0 if stage.style == "preference" else assumed.judge_answer_tokens
    return Volume(model.rows * (2 if stage.orders == "both" else 1), 1, texts, answer)


def _model_folder(stage: ModelFolder, found: Volumes, assumed: AssumptionsConfig) -> Volume:
    if isinstance(stage, HubModel) and not stage.location.is_dir():
        name = stage.fingerprint.split("@")[0]
        if name not in KNOWN:
            mend = "Download it once (huggingface-cli download), or give a local folder"
            raise ConfigError(describe("model", name, "its sizes are not known here", mend=mend))
        return Volume(shape=KNOWN[name])
    return Volume(shape=shape_of_folder(stage.location))


def _world_policy(stage: Any, found: Volumes, assumed: AssumptionsConfig) -> Volume:
    model = stage.model
    sizes = (model.hidden_size, model.layers, model.feed_forward, model.heads, model.key_value_heads)
    width = model.hidden_size // model.heads
    return Volume(shape=Shape(*sizes, width, vocabulary=130, tied=True))


_RULES: dict[str, Rule] = {
    "load_prompts": _load_prompts,
    "world_prompts": lambda stage, found, assumed: _prompts(stage.size, assumed),
    "world_demonstrations": _sized(1),
    "world_judgments": _sized(1),
    "world_preferences": _sized(2),
    "world_benchmark": lambda stage, found, assumed: replace(_prompts(16 * stage.size, assumed), responses=2),
    "world_baseline": lambda stage, found, assumed: replace(found[stage.prompts.key], responses=1),
    "load_outputs": _outputs,
    "load_answered_questions": _outputs,
    "load_judgments": _eft,
    "load_answers": lambda stage, found, assumed: replace(_prompts(assumed.prompts, assumed), responses=2),
    "load_reward_pairs": lambda stage, found, assumed: replace(_prompts(2985, assumed), responses=2),
    "partition_prompts": _part,
    "prompt_block": lambda stage, found, assumed: replace(found[stage.prompts.key], rows=stage.size),
    "sample": _sample,
    "select_pairs": _pairs,
    "contrast_pairs": _pairs,
    "spin_pairs": _pairs,
    "mix_pairs": _mixed,
    "concatenate_rows": _union,
    "judgment_prompts": _each_response,
    "judge_scores": _scored,
    "judge_scores_over_network": _scored,
    "select_most_varied": _one_of,
    "comparison_prompts": _each_order,
    "judge_pairs": lambda stage, found, assumed: replace(found[stage.varied.key], responses=2),
    "select_best_response": lambda stage, found, assumed: replace(found[stage.samples.key], responses=1),
    "judge": _judged,
    "judge_over_network": _judged,
    "model_folder": _model_folder,
    "hub_model": _model_folder,
    "world_policy": _world_policy,
}
