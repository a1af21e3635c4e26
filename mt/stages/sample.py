"""Sampling: K responses of a policy per prompt."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import ClassVar

from mt.engines.generation import Generator
from mt.engines.settings import DecodingConfig
from mt.engines.template import TemplateConfig
from mt.errors import DataError, describe
from mt.runtime.jsonl import Journal
from mt.types import Prompt, Response, Samples
from mt.workflow.keys import derive_seed
from mt.workflow.stage import Stage
from mt.workflow.volume import AssumptionsConfig, Use, Volume, Volumes
from mt.workflow.work import Work, engine_key


@dataclass(frozen=True, eq=False)
class Sample(Stage):
    """K responses per prompt from the policy (§5.1); a prompt's responses depend on no other prompt."""

    VERSION: ClassVar[int] = 2
    NEEDS: ClassVar[str] = "gpu"
    policy: Stage
    prompts: Stage
    decoding: DecodingConfig
    generator: Generator
    seed: int
    template: TemplateConfig
    """How the policy's chat template is rendered."""

    @property
    def opens(self) -> str:
        """The policy, opened by the generator."""
        return engine_key(self.generator, self.policy, self.template)

    def check(self) -> None:
        """Refuse an engine that is not installed, and lengths that leave no prompt."""
        from mt.engines.generation.prompts import longest_prompt

        self.generator.check()
        longest_prompt(self.generator.min_response_tokens, self.decoding)

    def inspect(self) -> None:
        """Refuse a policy that the engine's GPUs have no room for."""
        from mt.stages.room import inspect_engine

        inspect_engine(self.policy, self.generator, "generator")

    def run(self, work: Work) -> None:
        """Sample what an interrupted attempt left open; responses are written down as they come."""
        prompts = work.rows(Prompt, self.prompts)
        # Draws are tied to prompt and seed: two policies would answer with the same noise, and contrast pairs of
        # theirs would repeat each other's texts more often than independent samples do.
        seed = derive_seed(self.seed, self.policy.key)
        with Journal(work.scratch / "samples.jsonl") as journal:
            done = {item["prompt_id"] for item in journal.items}
            policy = work.engine(self.generator, self.policy, self.template)
            for row in policy.sample(prompts, self.decoding, seed, skip=done):
                journal.append(asdict(row))
                work.progress(len(journal.items), len(prompts), "prompts")
            found = {item["prompt_id"]: item for item in journal.items}
        # In the prompts' order, whatever order the responses came in.
        rows = [
            Samples(one.prompt_id, one.messages, one.section, [Response(**response) for response in item["responses"]])
            for one in prompts
            if (item := found.get(one.prompt_id))
        ]
        if prompts and not rows:
            problem, fix = "no prompt leaves room for a response", "Raise sampling.max_length"
            raise DataError(describe("prompts", len(prompts), problem, fix=fix))
        responses = [response for row in rows for response in row.responses]
        tokens = sum(response.n_tokens for response in responses)
        unfinished = sum(not response.finished for response in responses)
        work.count(**policy.counts)
        work.count(prompts=len(rows), responses=len(responses), response_tokens=tokens, unfinished=unfinished)
        work.write(rows, Samples)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return K responses to each prompt."""
        prompts = inputs[self.prompts.key]
        length = min(prompts.response_tokens, self.decoding.max_new_tokens)
        return replace(prompts, responses=self.decoding.samples, response_tokens=length)

    def use(self) -> Use | None:
        """Return how it uses the policy."""
        return Use(
            "generate",
            self.policy,
            self.generator,
            "generator",
            sequence=self.decoding.max_length * self.generator.responses_at_once(self.decoding.samples),
        )
