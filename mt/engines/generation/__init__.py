"""Generation: K responses per prompt from a policy, by the engine that the configuration names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from mt.config.engines import DecodingConfig, GeneratorConfig, TransformersGenerator
from mt.config.template import TemplateConfig
from mt.types import Prompt, Samples


class Generator(Protocol):
    """A policy that is ready to answer; `counts` says what happened so far, for the artifact's record."""

    counts: dict[str, int]

    def sample(
        self, prompts: Sequence[Prompt], decoding: DecodingConfig, seed: int, skip: Collection[str] = ()
    ) -> Iterator[Samples]:
        """Yield the K responses of each prompt as soon as they are finished, in no particular order.

        Responses keep their token ids as sampled, and their log-probability where the engine has it. They depend on
        the policy, the prompt, the decoding settings and the seed only. `skip` names prompts
        (by id) whose responses are there already: given the same prompts, a resumed run forms the same batches and
        so repeats the interrupted one to the bit. Prompts that leave no room for a response are dropped and counted
        or cut, as configured. Raises `EngineError` where the policy's logits are not finite.
        """
        ...


def open_generator(
    config: GeneratorConfig, model: Path, template: TemplateConfig | None = None
) -> AbstractContextManager[Generator]:
    """Open the policy in folder `model` with the engine `config.name`; memory is given back at the block's end.

    `template` says how prompts are rendered; None takes the folder's own template with its default settings.
    Raises `ModelError` for a folder that cannot serve, before any weight is loaded.
    """
    if isinstance(config, TransformersGenerator):
        from mt.engines.generation.transformers import open_transformers

        return open_transformers(config, Path(model), template)
    from mt.engines.generation.vllm import open_vllm

    return open_vllm(config, Path(model), template)
