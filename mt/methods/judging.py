"""How a run asks a judge: its model, its prompt, and how that model's chat template is rendered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mt.engines.judging import Judge, Style
from mt.engines.template import DEFAULT_DATE, RenderedConfig, TemplateConfig
from mt.methods.steps import Steps
from mt.sources.references import named_model
from mt.stages.judging import Oracle
from mt.workflow.stage import Stage


@dataclass(frozen=True)
class JudgingInputs:
    """The inputs of a judging stage beside the judge's settings."""

    model: Stage | None
    """The judge's model; the base reward model where a judge on this machine names none."""
    oracle: Oracle | None
    """The truth that the gold judge sees."""
    template: str | None
    """The digest of the prompt that it is asked by; None for judges that read no prompt."""
    chat_template: TemplateConfig | None
    """How the judge model's chat template is rendered."""


def judging_inputs(steps: Steps, judge: Judge, style: Style, base_reward: Stage | None) -> JudgingInputs:
    """Return how a judge is asked for a judgment of a style."""
    template = judge_template(judge, style)
    if judge.needs_network:
        return JudgingInputs(None, None, template, None)
    if judge.needs_gold:
        return JudgingInputs(None, steps.source.oracle(), None, None)
    model, rendered = base_reward, steps.reward_template
    path, revision = getattr(judge, "path", None), getattr(judge, "revision", None)
    if path is not None and judge.model_kind is not None:
        model = named_model(steps.config, judge.model_kind, path, revision, setting="judge.path")
        own: dict[str, Any] = judge.template_kwargs if isinstance(judge, RenderedConfig) else {}
        rendered = TemplateConfig(file=None, fingerprint=None, kwargs=own, date=DEFAULT_DATE)
    return JudgingInputs(model, None, template, rendered)


def judge_template(judge: Judge, style: Style) -> str | None:
    """Return the digest of the prompt that a judge is asked by; None for judges that read no prompt."""
    prompt = judge.prompt(style)
    return None if prompt is None else prompt.digest
