"""Lengths and batches by which no row would be left: refused before anything is computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mt.config.fields import path_of
from mt.config.run import RunConfig
from mt.engines.contexts import context_length
from mt.engines.generation.prompts import longest_prompt
from mt.engines.template import TemplateConfig
from mt.errors import ConfigError, describe
from mt.running.rendered_prompts import known_tables, open_model_chat, rendering
from mt.running.warnings import prompts_behind
from mt.stages.judging import AsksJudge
from mt.stages.lineage import start_of, tables_behind
from mt.stages.models import ModelFolder
from mt.stages.sample import Sample
from mt.stages.score import Score
from mt.stages.select import MixPairs, SelectDemonstrations, SelectPairs
from mt.stages.train import Training, TrainPolicy, TrainReward
from mt.stages.world import WorldPolicy
from mt.workflow.stage import Stage
from mt.world.models import prompt_length


def check_contexts(stages: Sequence[Stage], config: RunConfig) -> None:
    """Raise ConfigError for a length that exceeds the context of the model that reads so much."""
    for stage in stages:
        for field, length, model in _lengths(stage, config):
            start = start_of(model)
            limit: int | None
            if isinstance(start, WorldPolicy):
                limit, named = start.model.context, "the world's models (data.policy.context)"
            elif isinstance(start, ModelFolder):
                limit, named = context_length(start.location, start.field), str(start.location)
            else:
                continue
            if limit is not None and length > limit:
                problem = f"longer than the context of {named}"
                raise ConfigError(describe(field, length, problem, allowed=f"at most {limit}", fix="Lower it"))


def check_lengths(stages: Sequence[Stage], config: RunConfig) -> None:
    """Raise ConfigError where every row of a stage would be dropped, as no prompt leaves room for a response.

    Prompts are rendered until one fits, which the first one does in a run that makes sense. Models that are made by
    the run itself and files that are not on this machine are left out; the world's prompts have one word at least.
    """
    for stage in stages:
        model, template = rendering(stage)
        if model is None or template is None:
            continue
        for field, length, longest in _limits(stage, config):
            shortest = None
            for tokens in _prompt_lengths(stage, model, template):
                if tokens <= longest:
                    break
                shortest = min(tokens, shortest or tokens)
            else:
                if shortest is not None:
                    problem = f"the shortest prompt has {shortest} tokens, and leaves no room for a response"
                    allowed = f"at least {length + shortest - longest}"
                    raise ConfigError(describe(field, length, problem, allowed=allowed, fix="Raise it"))


def check_batches(stages: Sequence[Stage], config: RunConfig) -> None:
    """Raise ConfigError where the rows of a policy's training fill no batch, and such rows are left out."""
    for stage in stages:
        if not isinstance(stage, TrainPolicy) or not stage.training.drop_last:
            continue
        tables, prompts = list(tables_behind(stage.selected)), prompts_behind(stage.selected)
        rows = [
            one.selection.most_rows(config.sampling.samples)
            for one in tables
            if isinstance(one, SelectPairs | SelectDemonstrations)
        ]
        if prompts is None or not rows or any(isinstance(one, MixPairs) for one in tables):
            continue  # nobody knows yet
        most, batch = prompts * max(rows), stage.training.batch_size
        if most < batch:
            problem = f"an iteration has {most} rows at most, and {stage.setting}.drop_last=true leaves them out"
            raise ConfigError(describe(f"{stage.setting}.batch_size", batch, problem, allowed=f"at most {most}"))


def _lengths(stage: Stage, config: RunConfig) -> Iterator[tuple[str, int, Stage]]:
    """Yield the settings of a stage that say how long a model's sequences may be: name, tokens, model."""
    if isinstance(stage, Training):
        model = stage.initial if isinstance(stage, TrainReward) else stage.policy
        yield f"{stage.setting}.max_length", stage.training.max_length, model
    elif isinstance(stage, Sample):
        yield _decoding(stage, config), stage.decoding.max_length, stage.policy
    elif isinstance(stage, Score):
        length, followed = stage.scorer.max_length, config.reward.training.max_length
        yield "reward.training.max_length" if length == followed else "scorer.max_length", length, stage.reward
    elif isinstance(stage, AsksJudge):
        engine = stage.judge.engine(stage.asks)
        if engine is not None and stage.judge_model is not None:
            name, _, length = engine
            field = "judge.max_length" if stage.judge.model_kind == "policy" else f"judge.{name}.max_length"
            yield field, length, stage.judge_model


def _limits(stage: Stage, config: RunConfig) -> Iterator[tuple[str, int, int]]:
    """Yield the settings of a stage by which a whole row is dropped: name, tokens, and the longest prompt's tokens."""
    if isinstance(stage, Training) and stage.training.truncation == "drop":
        yield f"{stage.setting}.max_length", stage.training.max_length, stage.training.max_length - 1
    elif isinstance(stage, Sample) and stage.generator.long_prompts == "drop":
        longest = longest_prompt(stage.generator.min_response_tokens, stage.decoding)
        yield _decoding(stage, config), stage.decoding.max_length, longest


def _decoding(stage: Sample, config: RunConfig) -> str:
    """Return the setting that bounds what is sampled: the one that others follow where they were left to it."""
    if stage.decoding.max_length == config.sampling.max_length:
        return "sampling.max_length"
    path = path_of(config, stage.decoding)
    return f"{path}.max_length" if path else "method.judgment_length"  # no other method decodes by settings of its own


def _prompt_lengths(stage: Stage, model: Stage, template: TemplateConfig) -> Iterator[int]:
    for table in known_tables(stage):
        if isinstance(model, ModelFolder) and model.location.is_dir():
            chat = open_model_chat(model, template)[0]
            yield from (len(chat.prompt_ids(messages)) for _, messages in table.asked())
        elif isinstance(model, WorldPolicy) and template.file is None:
            yield from (prompt_length(messages) for _, messages in table.asked())
