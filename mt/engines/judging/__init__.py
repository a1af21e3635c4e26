"""Judging: which of two responses is better, by the judge that the configuration names."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mt.config.judge import GoldJudge, JudgeConfig, OpenAIJudge, RewardModelJudge
from mt.config.template import TemplateConfig
from mt.engines.judging.gold_judge import GoldAsker, Prefer
from mt.engines.judging.protocol import Asker, Judge
from mt.engines.judging.template import Style
from mt.errors import JudgeError
from mt.types import Comparison, Messages

Announce = Callable[[str], None]

__all__ = ["Judge", "Prefer", "Style", "both_orders", "coin_order", "open_judge"]


@contextmanager
def open_judge(
    config: JudgeConfig,
    style: Style,
    *,
    cache: Path | None,
    model: Path | None = None,
    version: str = "",
    chat_template: TemplateConfig | None = None,
    prefer: Prefer | None = None,
    announce: Announce = lambda line: None,
) -> Iterator[Judge]:
    """Open the judge that `config.name` names, asking for a preference (m or M) or for a verdict label.

    Args:
        config: The judge's settings.
        style: "preference" (AlpacaEval, pairwise) or "verdict" (Arena-Hard).
        cache: Folder of judgments by content, shared by runs; None keeps nothing.
        model: The folder of the judge's model (reward_model, transformers, vllm).
        version: What tells this judge from others of its name: a model's fingerprint, a world's settings.
        chat_template: How that model's conversations are rendered; None takes its folder's own template.
        prefer: The oracle (gold): messages, first text, second text → preference in [1, 2].
        announce: Called with the expected cost before the first paid call.

    Raises:
        JudgeError: the judge lacks what it needs.
        ConfigError: a template cannot be used.
    """
    judge = Judge(_asker(config, style, model, version, chat_template, prefer, announce), style, cache)
    try:
        yield judge
    finally:
        judge.close()


def coin_order(prompt: str, seed: int) -> str:
    """Return the order in which a prompt's responses are shown: a seeded coin per instruction (AlpacaEval)."""
    return random.Random(f"{seed}/{prompt}").choice(("baseline_first", "model_first"))


def both_orders(prompt_id: str, messages: Messages, baseline: str, model: str) -> Sequence[Comparison]:
    """Return Arena-Hard's two games: the baseline first, then the model first."""
    orders = ("baseline_first", "model_first")
    return [Comparison(prompt_id, messages, baseline, model, order) for order in orders]


def _asker(
    config: JudgeConfig,
    style: Style,
    model: Path | None,
    version: str,
    chat_template: TemplateConfig | None,
    prefer: Prefer | None,
    announce: Announce,
) -> Asker:
    if isinstance(config, GoldJudge):
        if prefer is None:
            raise JudgeError("judge=gold: no oracle here. It exists in the synthetic world only (data=world).")
        return GoldAsker(prefer, version, style)
    if isinstance(config, OpenAIJudge):
        from mt.engines.judging.openai_judge import OpenAIAsker

        return OpenAIAsker(config, style, announce)
    if model is None:
        raise JudgeError(f"judge={config.name}: no model folder. Set judge.path=DIR.")
    if isinstance(config, RewardModelJudge):
        from mt.engines.judging.reward_model_judge import RewardModelAsker

        return RewardModelAsker(config, model, version, style, chat_template)
    from mt.engines.judging.local_judge import LocalAsker

    return LocalAsker(config, model, version, style, chat_template)
