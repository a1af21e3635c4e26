"""Transfer (Table 3): another policy, trained once under a reward model of a Mutual-Taught run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from mt.choice import Count
from mt.config.method import Method
from mt.config.run import RunConfig
from mt.errors import ConfigError, describe
from mt.methods.mutual_taught import MutualTaught
from mt.methods.offline import train_once
from mt.methods.run_graph import Iteration, RunGraph
from mt.methods.steps import Steps
from mt.sources.references import named_model, without_file
from mt.workflow.position import BASE
from mt.workflow.stage import Stage


class Transfer(Method):
    """Another policy, trained once under a reward model of a Mutual-Taught run (Table 3)."""

    trains_once: ClassVar[bool] = True
    reward_iteration: Annotated[int, Field(ge=0, le=100)]
    """Which reward model guides: 0 is the base one."""
    policy: str | None
    """The other policy: a local folder or a hub name; null takes the world's second policy."""
    revision: str | None
    """The pinned commit of a hub model (40 hex digits); unused for a local folder."""
    source: str | None
    """The folder of a finished mutual_taught run; null takes the one with this run's own settings."""
    guide_iterations: Annotated[int, Field(ge=1, le=100)]
    """Iterations (T) of that Mutual-Taught run where `source` is null."""
    parts: Count
    """Parts in which the prompts are sampled."""

    def build(self, steps: Steps) -> RunGraph:
        """Return the graph of one training of the transfer policy under r_k, k = `method.reward_iteration`.

        The reward models are those of the run in `method.source`, or else of Mutual-Taught with this run's own
        settings: the same stages, computed here where no run has computed them yet.
        """
        steps.at("Mutual-Taught")
        taught = MutualTaught(round_data="matched").build(Steps(guide_config(steps.config, self)))
        rewards = [iteration.reward for iteration in taught.iterations]
        if self.reward_iteration >= len(rewards):
            problem = f"the Mutual-Taught run has reward models 0 to {len(rewards) - 1}"
            raise ConfigError(describe("method.reward_iteration", self.reward_iteration, problem))
        reward = steps.add(rewards[self.reward_iteration])
        steps.at(BASE)
        steps.policy_template = without_file(steps.policy_template)  # policy.chat_template is the taught policy's
        base = Iteration(0, other_policy(steps, self), rewards[0])
        if base.policy.key == taught.base.policy.key:
            problem = "the Mutual-Taught run taught this very policy: nothing is transferred"
            fix = (
                "Keep the scale of the Mutual-Taught run (scale=llama3_8b), or name a finished one by method.source=DIR"
            )
            raise ConfigError(describe("method.policy", self.policy, problem, allowed="another policy", fix=fix))
        return train_once(steps, base, reward, self.parts)


def other_policy(steps: Steps, settings: Transfer) -> Stage:
    """The policy that is trained: the one that `method.policy` names, or the world's second one."""
    if settings.policy is None:
        return steps.add(steps.source.transfer_policy(), "policy")
    return steps.add(
        named_model(steps.config, "policy", settings.policy, settings.revision, setting="method.policy"), "policy"
    )


def guide_config(config: RunConfig, settings: Transfer) -> RunConfig:
    """Return the configuration of the Mutual-Taught run; raises ConfigError where `method.source` is no such run."""
    if settings.source is None:
        method = MutualTaught(round_data="matched")
        return config.model_copy(update={"method": method, "iterations": settings.guide_iterations})
    record = Path(settings.source) / "record.json"
    fix = "Run it first: python -m mt.run"
    if not record.is_file():
        raise ConfigError(describe("method.source", settings.source, "there is no run here", fix=fix))
    try:
        facts = json.loads(record.read_text())
        found = RunConfig.model_validate(facts["config"])
    except (ValueError, KeyError, TypeError) as error:
        why = " ".join(str(error).splitlines()[:2])  # pydantic says what and where in the first two of many lines
        problem = f"its record cannot be read ({why})"
        raise ConfigError(describe("method.source", settings.source, problem, fix="Run it again")) from error
    if facts["state"] != "finished" or not isinstance(found.method, MutualTaught):
        problem = f"it is a {found.method.name} run in state '{facts['state']}'"
        allowed = "a finished mutual_taught run"
        raise ConfigError(describe("method.source", settings.source, problem, allowed=allowed, fix=fix))
    if Path(found.store).resolve() != Path(config.store).resolve():
        problem = f"its models lie in store={found.store}, and this run's store is {config.store}"
        raise ConfigError(describe("method.source", settings.source, problem, fix=f"Add store={found.store}"))
    return found
