"""Mutual-Taught: a policy and a reward model teach each other (Algorithm 1; rounds: Appendix B)."""

from __future__ import annotations

from mt.methods.outcome import Iteration, Outcome
from mt.methods.steps import Steps
from mt.workflow.stage import Stage


def mutual_taught(steps: Steps) -> Outcome:
    """Return the outcome of `rounds` times `iterations` E-steps and M-steps.

    Every round restarts both models from base; the first iteration of a later round samples from, and scores with,
    the models that the previous round ended with.
    """
    config = steps.config
    *policy_parts, reward_part = steps.partition(config.iterations + 1)
    base = Iteration(0, steps.base_policy(), steps.base_reward())
    done = [base]
    for round_ in range(1, config.rounds + 1):
        policy, teacher = base.policy, done[-1]
        for t, prompts in enumerate(policy_parts, start=1):
            where = f"iteration {t}" if config.rounds == 1 else f"round {round_} · iteration {t}"
            steps.at(f"{where} · E-step")
            samples = steps.sample(teacher.policy, prompts)
            rewards = steps.score(teacher.reward, samples)
            selected = steps.select(samples, rewards)
            new_policy = steps.train_policy(policy, selected, reference=steps.reference(policy))
            steps.at(f"{where} · M-step")
            self_training, contrast = reward_data(steps, new_policy, policy, teacher.reward, reward_part)
            initial = base.reward if config.reward.initial == "base" else teacher.reward
            new_reward = retrain(steps, initial, self_training, contrast) or base.reward
            policy, index = new_policy, len(done)
            teacher = Iteration(index, new_policy, new_reward, samples, rewards, selected, self_training, contrast)
            done.append(teacher)
    return Outcome(tuple(done))


def reward_data(
    steps: Steps, new_policy: Stage, old_policy: Stage, reward: Stage, prompts: Stage
) -> tuple[Stage | None, Stage | None]:
    """Return D(PM) and D(PM_new, PM_old), each None where the run does without (§5.3)."""
    config, base_reward = steps.config, steps.base_reward()
    labeler = reward if config.reward.labeler == "current" else base_reward
    self_training = contrast = None
    if config.rm_data.self_training:
        self_training = steps.self_training_pairs(steps.sample(new_policy, prompts), labeler)
    if config.rm_data.contrast:
        new, old = steps.sample(new_policy, prompts), steps.sample(old_policy, prompts)
        contrast = steps.contrast_pairs(new, old, labeler)
    return self_training, contrast


def retrain(steps: Steps, initial: Stage, *tables: Stage | None) -> Stage | None:
    """Return the reward model retrained on the union of the tables, or None where there are none."""
    given = [table for table in tables if table is not None]
    return steps.train_reward(initial, steps.replayed(steps.union(*given))) if given else None
