"""Rewards that are no single model, and the rewards that they give."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from mt.engines.functions import Call, Problem
from mt.engines.judging import Judge
from mt.engines.template import TemplateConfig
from mt.errors import EngineError, describe
from mt.runtime.jsonl import Journal
from mt.selection import Combine
from mt.selection.similarities import Similarity
from mt.stages.judge import JudgeScores, JudgeScoresOverNetwork
from mt.stages.judging import Oracle
from mt.stages.score import as_rewards
from mt.types import Rewards, Samples
from mt.workflow.stage import External, Stage
from mt.workflow.store import sha256, write_json
from mt.workflow.work import Work

if TYPE_CHECKING:
    from mt.engines.function_pool import FunctionPool

ModelScore = Callable[[Stage, Stage], Stage]
"""(reward model, samples) → the stage of its rewards."""


@dataclass(frozen=True, eq=False)
class ComputedReward(Stage):
    """What stands in the place of a reward model: it says by which stage samples get their rewards."""

    compares_responses: ClassVar[bool] = False
    """Whether a response's reward depends on the prompt's other responses."""

    @abstractmethod
    def rewards(self, samples: Stage, score: ModelScore) -> Stage:
        """Return the stage of the samples' rewards; `score` is how a run's reward models give theirs."""

    def run(self, work: Work) -> None:
        """Write down what it is."""
        write_json(work.folder / "reward.json", self.identity)


def compares_responses(reward: Stage) -> bool:
    """Return whether a response's reward depends on the prompt's other responses: alone it has none."""
    return isinstance(reward, ComputedReward) and reward.compares_responses


@dataclass(frozen=True, eq=False)
class ConsensusReward(ComputedReward):
    """A policy's own consensus."""

    VERSION: ClassVar[int] = 1
    compares_responses: ClassVar[bool] = True
    similarity: Similarity

    def rewards(self, samples: Stage, score: ModelScore) -> Stage:
        """Compare the responses of each prompt."""
        return ConsensusScores(samples, self.similarity)


@dataclass(frozen=True, eq=False)
class ConsensusScores(Stage):
    """The mean similarity of every response to the prompt's other responses, in [0, 1]."""

    VERSION: ClassVar[int] = 1
    samples: Stage
    similarity: Similarity

    def check(self) -> None:
        """Refuse a similarity whose package is not installed."""
        self.similarity.check()

    def run(self, work: Work) -> None:
        """Compare the responses prompt by prompt."""
        samples, rows = work.rows(Samples, self.samples), []
        for done, row in enumerate(samples, start=1):
            texts = [response.text for response in row.responses]
            rows.append(Rewards(row.prompt_id, self.similarity.to_the_others(texts)))
            work.progress(done, len(samples), "prompts")
        work.count(responses=sum(len(row.rewards) for row in rows))
        work.write(rows, Rewards)


@dataclass(frozen=True, eq=False)
class EnsembleReward(ComputedReward):
    """Several reward models as one."""

    VERSION: ClassVar[int] = 1
    models: tuple[Stage, ...]
    combine: Combine
    k: float
    """Standard deviations that "lower_bound" subtracts."""
    retrained: int | None
    """How many models an M-step retrains, from the first on; None retrains all."""
    UNKEYED: ClassVar[frozenset[str]] = frozenset({"retrained"})

    def rewards(self, samples: Stage, score: ModelScore) -> Stage:
        """Score with every model."""
        return EnsembleScores(tuple(score(model, samples) for model in self.models), self.combine, self.k)

    def after(self, train: Callable[[Stage, int], Stage]) -> EnsembleReward:
        """Return the ensemble after an M-step; `train` retrains one model, given its number from 0."""
        count = len(self.models) if self.retrained is None else self.retrained
        return replace(self, models=(*map(train, self.models[:count], range(count)), *self.models[count:]))


@dataclass(frozen=True, eq=False)
class EnsembleScores(Stage):
    """The rewards of an ensemble, from those of its models."""

    VERSION: ClassVar[int] = 1
    rewards: tuple[Stage, ...]
    combine: Combine
    k: float

    def run(self, work: Work) -> None:
        """Combine the rewards of each response."""
        from mt.selection import ensemble_rewards

        rows = ensemble_rewards([work.rows(Rewards, table) for table in self.rewards], self.combine, self.k)
        work.count(responses=sum(len(row.rewards) for row in rows))
        work.write(rows, Rewards)


@dataclass(frozen=True, eq=False)
class JudgeReward(ComputedReward):
    """A judge that scores each response by itself."""

    VERSION: ClassVar[int] = 1
    judge: Judge
    judge_model: Stage | None
    oracle: Oracle | None
    template: str | None
    """Digest of the judge's prompt."""
    chat_template: TemplateConfig | None
    """How the judge model's chat template is rendered; None without a judge model."""

    def rewards(self, samples: Stage, score: ModelScore) -> Stage:
        """Ask the judge."""
        kind = JudgeScoresOverNetwork if self.judge.needs_network else JudgeScores
        return kind(samples, self.judge, self.judge_model, self.oracle, self.template, self.chat_template)


@dataclass(frozen=True, eq=False)
class FunctionReward(ComputedReward, External):
    """A function of the user's own; its fingerprint is a hash of the module that defines it."""

    function: str
    """FILE.py:NAME or package.module:NAME; of it the name alone enters the key, and the module by its source."""
    called: str
    """The name."""
    version: str | int | None
    batched: bool
    timeout_s: float
    failed: float
    processes: int
    UNKEYED: ClassVar[frozenset[str]] = frozenset({"location", "function", "processes"})

    def rewards(self, samples: Stage, score: ModelScore) -> Stage:
        """Call the function."""
        return FunctionScores(samples, self)

    def pool(self) -> FunctionPool:
        """Return the processes that call it; raises EngineError where its module is no longer what was planned."""
        if sha256(self.location) != self.fingerprint:
            problem = f"{self.location} has changed since this run was planned"
            raise EngineError(describe("reward.function", self.function, problem, fix="Run it again"))
        from mt.engines.function_pool import FunctionPool

        how: dict[str, Any] = {"batched": self.batched, "timeout_s": self.timeout_s, "processes": self.processes}
        return FunctionPool(self.function, self.location, **how)

    def inspect(self) -> None:
        """Refuse a function that cannot be imported."""
        self.pool().check()


@dataclass(frozen=True, eq=False)
class FunctionScores(Stage):
    """A function's reward of every response; calls that fail are counted, and get the reward that is set for them."""

    VERSION: ClassVar[int] = 1
    samples: Stage
    function: FunctionReward

    def run(self, work: Work) -> None:
        """Call the function for what an interrupted attempt left open; EngineError where every call failed."""
        rows, function = work.rows(Samples, self.samples), self.function
        calls = list[Call]()
        for row in rows:
            texts = [response.text for response in row.responses]
            calls += [Call(row.messages, one) for one in ([texts] if function.batched else [[text] for text in texts])]
        with Journal(work.scratch / "rewards.jsonl") as journal:
            done = {index for index, *_ in journal.items}
            for index, result in function.pool().call(calls, skip=done):
                journal.append([index, result.rewards, result.problem, result.said])
                work.progress(len(journal.items), len(calls), "calls")
            found = {index: (rewards, problem, said) for index, rewards, problem, said in journal.items}
        failures = [(problem, said) for _, (_, problem, said) in sorted(found.items()) if problem is not None]
        kinds = {kind: sum(problem == kind for problem, _ in failures) for kind in get_args(Problem)}
        work.count(responses=sum(len(call.responses) for call in calls), calls=len(calls), **kinds)
        if failures:
            listed = ", ".join(f"{kind.replace('_', ' ')} {count}" for kind, count in kinds.items() if count)
            said = f"{len(failures)} of {len(calls)} calls of {function.function} failed ({listed}): {failures[0][1]}"
            if len(failures) == len(calls):  # such rewards would say nothing
                raise EngineError(f"reward.function: {said}. Correct the function, or raise reward.timeout_s.")
            work.note(f"{said}; their rewards are reward.failed={function.failed:g}")
        keyed = "the source of its module and reward.version; what the module imports is not keyed"
        facts = {"function": function.function, "sha256": function.fingerprint, "version": function.version}
        write_json(work.folder / "function.json", {**facts, "keyed by": keyed})
        rewards = (
            reward
            for index, call in enumerate(calls)
            for reward in found[index][0] or [function.failed] * len(call.responses)
        )
        work.write(as_rewards(rows, rewards), Rewards)


@dataclass(frozen=True, eq=False)
class MixedRewards(Stage):
    """A weighted sum of several rewards of the same responses, each scaled."""

    VERSION: ClassVar[int] = 1
    rewards: tuple[Stage, ...]
    weights: tuple[float, ...]

    def run(self, work: Work) -> None:
        """Add them up."""
        from mt.selection import mixed_rewards

        tables = [work.rows(Rewards, table) for table in self.rewards]
        rows = mixed_rewards(tables, self.weights)
        work.count(responses=sum(len(row.rewards) for row in rows))
        work.write(rows, Rewards)
