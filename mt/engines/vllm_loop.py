"""Inside a vLLM worker: what it was asked for, and the engine's loop."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from mt.engines.scoring.sequences import ahead
from mt.engines.settings import VllmEngine
from mt.engines.template import TemplateConfig
from mt.engines.text import Chat, open_chat
from mt.engines.workers import RESULTS
from mt.runtime.jsonl import JsonLines

Config = TypeVar("Config", bound=VllmEngine)
_QUEUE = 1024
"""Requests that wait inside the engine; the others stay in their file."""
_AHEAD = 256
"""Requests that are tokenised together, while the engine computes."""


class TokenizedItem(NamedTuple):
    """One item of a worker's share, tokenised."""

    number: int
    ids: list[int] | None
    """None where there is nothing to compute."""
    parameters: Any
    facts: list[Any]
    """What its result says beside the engine's answer."""


def open_request(request: Mapping[str, Any], kind: type[Config]) -> tuple[Config, Chat]:
    """Return the settings that a worker was started with, and its model's tokenizer and chat template."""
    template = TemplateConfig.model_validate(request["template"]) if request["template"] else None
    return kind.model_validate(request["config"]), open_chat(request["folder"], template)


def serve(engine: Any, asked: Iterator[TokenizedItem], folder: Path, row: Callable[[Any], Any]) -> None:
    """Feed the engine; append [number, row(output) or None, *facts] as each one finishes."""
    from vllm.inputs import TokensPrompt

    coming = itertools.chain.from_iterable(ahead(iter(lambda: list(itertools.islice(asked, _AHEAD)), [])))
    facts: dict[str, list[Any]] = {}
    with JsonLines[Any](folder / RESULTS) as results:
        while True:
            one = None
            for one in itertools.islice(coming, max(0, _QUEUE - engine.get_num_unfinished_requests())):
                if one.ids is None:
                    results.append([one.number, None, *one.facts])
                    continue
                facts[str(one.number)] = one.facts
                engine.add_request(str(one.number), TokensPrompt(prompt_token_ids=one.ids), one.parameters)
            if engine.has_unfinished_requests():
                for output in engine.step():
                    if output.finished:
                        results.append([int(output.request_id), row(output), *facts.pop(output.request_id)])
            elif one is None:
                return
