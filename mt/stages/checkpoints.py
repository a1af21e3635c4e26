"""Model selection: the checkpoints of a training against the policy that it started from (arXiv 2506.06292)."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from typing import ClassVar

from mt.engines.generation import Generator
from mt.engines.settings import DecodingConfig
from mt.engines.template import TemplateConfig
from mt.engines.training.task import step_folders
from mt.errors import DataError, describe
from mt.runtime.jsonl import Journal
from mt.stages.metrics import mean, rewards_by_prompt, win_rate, write_means
from mt.stages.room import inspect_engine
from mt.stages.train import TrainPolicyCheckpoints
from mt.types import Metric, Prompt, Response, Rewards, Samples
from mt.workflow.keys import derive_seed
from mt.workflow.stage import Stage
from mt.workflow.store import DECISION, write_json
from mt.workflow.volume import AssumptionsConfig, Use, Volume, Volumes
from mt.workflow.work import BESIDE_MODEL, Work


@dataclass(frozen=True, eq=False)
class SampleCheckpoints(Stage):
    """One response of every checkpoint of a training to each prompt, in the order of the checkpoints' steps."""

    VERSION: ClassVar[int] = 1
    NEEDS: ClassVar[str] = "gpu"
    checkpoints: TrainPolicyCheckpoints
    prompts: Stage
    decoding: DecodingConfig
    generator: Generator
    seed: int
    template: TemplateConfig
    """How the policy's chat template is rendered."""

    def check(self) -> None:
        """Refuse an engine that is not installed, and lengths that leave no prompt."""
        from mt.engines.generation.prompts import longest_prompt

        self.generator.check()
        longest_prompt(self.generator.min_response_tokens, self.decoding)

    def inspect(self) -> None:
        """Refuse a policy that the engine's GPUs have no room for."""
        inspect_engine(self.checkpoints.policy, self.generator, "generator")

    def run(self, work: Work) -> None:
        """Sample what an interrupted attempt left open, one checkpoint after the other."""
        prompts = work.rows(Prompt, self.prompts)
        folders = step_folders(work.path(self.checkpoints))
        found: dict[str, list[Response]] = {prompt.prompt_id: [] for prompt in prompts}
        for number, (step, folder) in enumerate(folders.items()):
            with Journal(work.scratch / f"{folder.name}.jsonl") as journal:
                done = {item["prompt_id"] for item in journal.items}
                if len(done) < len(prompts):
                    seed = derive_seed(self.seed, self.checkpoints.key, step)
                    with self.generator.open(folder, self.template) as policy:
                        for row in policy.sample(prompts, self.decoding, seed, skip=done):
                            journal.append(asdict(row))
                            work.progress(number * len(prompts) + len(journal.items), len(folders) * len(prompts))
                for item in journal.items:
                    found[item["prompt_id"]].append(Response(**item["responses"][0]))
        rows = [
            Samples(prompt.prompt_id, prompt.messages, prompt.section, found[prompt.prompt_id])
            for prompt in prompts
            if len(found[prompt.prompt_id]) == len(folders)
        ]
        if prompts and not rows:
            problem = "no prompt leaves room for a response"
            fix = "Raise policy.checkpoint.decoding.max_length"
            raise DataError(describe("prompts", len(prompts), problem, fix=fix))
        tokens = sum(response.n_tokens for row in rows for response in row.responses)
        work.count(prompts=len(rows), responses=len(rows) * len(folders), response_tokens=tokens)
        work.write(rows, Samples)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return a response of every checkpoint to each prompt."""
        prompts, pairs = inputs[self.prompts.key], inputs[self.checkpoints.selected.key]
        length = min(prompts.response_tokens, self.decoding.max_new_tokens)
        return replace(prompts, responses=self.checkpoints.models(pairs.rows), response_tokens=length)

    def use(self) -> Use | None:
        """Return how it uses the checkpoints."""
        return Use("generate", self.checkpoints, self.generator, "generator", sequence=self.decoding.max_length)


@dataclass(frozen=True, eq=False)
class SelectPolicy(Stage):
    """The checkpoint that wins most comparisons with the policy before; or that policy, where none wins enough.

    A win is a higher reward for the response to the same prompt, a tie half of one; of equal checkpoints the earliest
    is kept. `decision.json` says which step was chosen, the win rates by step, and whether the run stops here.
    """

    VERSION: ClassVar[int] = 1
    DECIDES: ClassVar[bool] = True
    checkpoints: TrainPolicyCheckpoints
    policy: Stage
    """π_{t-1}, with which they are compared, and which is kept where the run stops."""
    rewards: Stage
    """Rewards of the checkpoints' responses."""
    rewards_before: Stage
    """Rewards of π_{t-1}'s responses to the same prompts."""
    threshold: float
    """τ: the run stops where the best win rate is lower."""

    def run(self, work: Work) -> None:
        """Compare, decide, and copy one model folder."""
        folders = step_folders(work.path(self.checkpoints))
        wins = self._wins(work)
        rates = {step: mean([row[number] for row in wins.values()]) for number, step in enumerate(folders)}
        step = max(rates, key=rates.__getitem__)
        stopped = rates[step] < self.threshold
        chosen = work.path(self.policy) if stopped else folders[step]
        for path in sorted(chosen.iterdir()):  # the model, without what an artifact keeps beside it
            if path.is_file() and path.name not in BESIDE_MODEL and not path.name.startswith("."):
                shutil.copyfile(path, work.folder / path.name)
        by_step = {str(one): rate for one, rate in rates.items()}
        decision = {"step": step, "win_rate": rates[step], "stopped": stopped, "threshold": self.threshold}
        write_json(work.folder / DECISION, {**decision, "win_rates": by_step, "prompts": len(wins)})
        best = {prompt_id: row[list(folders).index(step)] for prompt_id, row in wins.items()}
        write_means(work, "model_selection", {"win_rate": best}, Metric("model_selection", "step", float(step)))
        work.count(step=step, win_rate=rates[step], stopped=int(stopped), checkpoints=len(folders), prompts=len(wins))
        if stopped:
            work.note(
                f"the run stops: of {len(folders)} checkpoints the best (step {step}) wins {rates[step]:.1%} of its "
                f"comparisons with the policy before, less than policy.checkpoint.threshold={self.threshold:g}"
            )

    def _wins(self, work: Work) -> dict[str, list[float]]:
        """Return by prompt which checkpoints win: 1, 0, or ½ for a tie; raises DataError for no common prompt."""
        before = rewards_by_prompt(work, self.rewards_before)
        rows = [row for row in work.rows(Rewards, self.rewards) if row.prompt_id in before]
        if not rows:
            raise DataError(describe("prompts", 0, "the checkpoints and the policy before answered none in common"))
        return {row.prompt_id: [win_rate([one], before[row.prompt_id]) for one in row.rewards] for row in rows}

    def use(self) -> Use | None:
        """Return that it copies a model."""
        return Use("copy", self.checkpoints, self.checkpoints.trainer, "policy.checkpoint")
