"""Every prompt is rendered with the chat templates of the models that will read it, before anything heavy starts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from functools import lru_cache
from pathlib import Path

from mt.engines.template import TemplateConfig
from mt.engines.text import Chat, open_chat
from mt.errors import ConfigError, DataError, ModelError, describe
from mt.runtime.text import shortened
from mt.stages.judge_self import ComparisonPrompts, JudgmentPrompts
from mt.stages.judging import AsksJudge
from mt.stages.lineage import start_of, tables_of
from mt.stages.load import LoadPrompts
from mt.stages.load_answers import LoadAnswers
from mt.stages.models import ModelFolder
from mt.stages.refused import Asks, DropRefused, refusal
from mt.workflow.stage import External, Stage

_SHOWN = 3
"""Refused prompts that are named; the others are counted."""
_MANY = 5000
"""Prompts whose rendering takes long enough to be announced."""


def check_prompts(stages: Sequence[Stage], say: Callable[[str], None] = lambda line: None) -> None:
    """Raise DataError where a chat template refuses a prompt that one of the stages will render.

    The error names the first refused prompts by file and line, their roles, and the template's own words. Models that
    are made by the run itself and files that are not on this machine are left out. `say` is called before what may
    take seconds.
    """
    checked: set[tuple[str, str]] = set()
    for stage in stages:
        if isinstance(stage, AsksJudge):
            _check_judge(stage)
        model, template = rendering(stage)
        if template is None or not isinstance(model, ModelFolder) or not model.location.is_dir():
            continue
        for table in known_tables(stage):
            written = open_model_chat(model, template)[1]
            if (table.key, written) not in checked:
                checked.add((table.key, written))
                _check(model, template, table, say)


def rendering(stage: Stage) -> tuple[Stage | None, TemplateConfig | None]:
    """Return the model that a stage renders rows for, as it was before any training, and how; None where it is none."""
    if isinstance(stage, DropRefused) or (isinstance(stage, AsksJudge) and stage.judge.model_kind != "reward"):
        return None, None  # it drops what is refused, or asks in words of its own
    values = [getattr(stage, field.name) for field in fields(stage)]
    template = next((value for value in values if isinstance(value, TemplateConfig)), None)
    names = ("policy", "reward", "initial", "judge_model")
    model = next((found for name in names if isinstance(found := getattr(stage, name, None), Stage)), None)
    return model and start_of(model), template


def known_tables(stage: Stage) -> Iterator[Asks]:
    """Yield the tables that the rows of a stage come from, those whose prompts can be read on this machine."""
    waiting, seen = list(tables_of(stage)), set[str]()
    while waiting:
        table = waiting.pop()
        if table.key in seen or isinstance(table, JudgmentPrompts | ComparisonPrompts):  # these ask one user's turn
            continue
        seen.add(table.key)
        if not isinstance(table, Asks):
            waiting.extend(tables_of(table))
        elif all(one.location.exists() for one in _outside(table)):
            yield table


def _check_judge(stage: AsksJudge) -> None:
    """Raise ConfigError where the chat template of a judge model refuses the prompt that asks it."""
    judge, model, template = stage.judge, stage.judge_model, stage.chat_template
    if judge.model_kind != "policy" or template is None:
        return
    if not isinstance(model, ModelFolder) or not model.location.is_dir():
        return
    prompt = judge.prompt(stage.asks)
    if prompt is None:
        return
    if why := refusal(open_model_chat(model, template)[0], prompt.messages):
        roles = ", ".join(message["role"] for message in prompt.messages)
        problem = f"the chat template of the judge {model.location} refuses its turns ({roles}): {why}"
        fix = "Name a file with a single user turn, or another judge"
        asked = judge.prompt_choice(stage.asks)
        raise ConfigError(describe(f"judge.{stage.asks}_template", asked, problem, fix=fix))


def _outside(table: Stage | Asks) -> Iterator[External]:
    for one in table.inputs():
        yield from [one] if isinstance(one, External) else _outside(one)


def _check(model: ModelFolder, template: TemplateConfig, table: Asks, say: Callable[[str], None]) -> None:
    chat, asked = open_model_chat(model, template)[0], list(table.asked())
    if model.kind == "reward" and not chat.shows_answers:
        problem = "a conversation shows no answer, or may not end with one, so that no response can be scored"
        fix = "Name a template that shows the assistant's turns: reward.chat_template=FILE"
        raise ModelError(describe("chat template", model.location, problem, fix=fix))
    if len(asked) > _MANY:
        say(f"rendering {len(asked):,} prompts with the chat template of {model.location}")
    refused = [(place, messages, why) for place, messages in asked if (why := refusal(chat, messages))]
    if not refused:
        return
    shown = [f"{place} ({', '.join(one['role'] for one in messages)}): {why}" for place, messages, why in refused]
    droppable = isinstance(table, LoadPrompts | LoadAnswers)
    leave_out = "set data.refused_prompts=drop" if droppable else "take them out of the file"
    raise DataError(
        f"{model.kind}.chat_template: {len(refused):,} of {len(asked):,} prompts are refused by the template of "
        f"{model.location}: {'; '.join(shortened(shown, _SHOWN))}. Name a template that takes them "
        f"({model.kind}.chat_template=FILE), change the prompts (a system turn is the usual reason), or {leave_out}."
    )


def open_model_chat(model: ModelFolder, template: TemplateConfig) -> tuple[Chat, str]:
    """Return a model's chat, and all that decides what it refuses: policy and reward model often have one template."""
    return _chat(model.location, model.fingerprint, template.model_dump_json(), model.field)


@lru_cache(maxsize=8)
def _chat(folder: Path, fingerprint: str, template: str, setting: str) -> tuple[Chat, str]:
    config = TemplateConfig.model_validate_json(template)
    chat = open_chat(folder, config, setting)
    return chat, json.dumps([chat.tokenizer.chat_template, config.identity()], sort_keys=True)
