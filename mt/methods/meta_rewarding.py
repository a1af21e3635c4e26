"""Meta-Rewarding (Wu et al. 2024a): one model acts, judges, and judges its judgments; Self-Rewarding omits the last."""

from __future__ import annotations

from mt.config.engines import DecodingConfig
from mt.config.method import MetaRewarding
from mt.config.selection import Tiers
from mt.methods.given import named_file
from mt.methods.outcome import Iteration, Outcome
from mt.methods.steps import Steps
from mt.stages.judge_self import ComparisonPrompts, JudgePairs, JudgmentPrompts, ParseJudgments, SelectMostVaried
from mt.stages.load_judgments import LoadJudgments
from mt.stages.select import MixPairs, SelectPairs
from mt.stages.train import SupervisedFinetune
from mt.workflow.stage import Stage


def meta_rewarding(steps: Steps) -> Outcome:
    """Return the outcome of EFT and of one training per part on actor pairs and, at first, judge pairs."""
    config, settings = steps.config, steps.settings(MetaRewarding)
    base = Iteration(0, steps.base_policy(), steps.base_reward())
    steps.at("EFT")
    how = (settings.eft_training, config.trainer, steps.seed("eft"), steps.policy_template)
    policy: Stage = steps.add(SupervisedFinetune(base.policy, eft_data(steps, settings), *how))
    done = [base]
    for t, prompts in enumerate(steps.partition(config.iterations), start=1):
        steps.at(f"iteration {t} · actor")
        samples = steps.sample(policy, prompts)
        judgments = judge(steps, policy, samples, settings)
        judged = steps.add(ParseJudgments(samples, judgments, steps.source.rubric, "samples"))
        scores = steps.add(ParseJudgments(samples, judgments, steps.source.rubric, "rewards"))
        tiers = Tiers(name="tiers", rho=settings.rho[min(t, len(settings.rho)) - 1], score_scale=settings.score_scale)
        selected: Stage = steps.add(SelectPairs(judged, scores, tiers, "actor", steps.seed("select")))
        if t <= settings.judge_iterations:
            steps.at(f"iteration {t} · judge")
            pairs = judge_pairs(steps, policy, judgments, settings)
            selected = steps.add(MixPairs(selected, pairs, settings.judge_share, steps.seed("mix")))
        steps.at(f"iteration {t} · training")
        policy = steps.train_policy(policy, selected, reference=steps.reference(policy))
        done.append(Iteration(t, policy, base.reward, judged, scores, selected))
    return Outcome(tuple(done))


def eft_data(steps: Steps, settings: MetaRewarding) -> Stage:
    """Demonstrations of judging: of the user's file, or of the world."""
    if settings.eft is None:
        return steps.source.judgments()
    return steps.add(LoadJudgments(named_file(steps.config, settings.eft, "method.eft"), steps.source.rubric))


def judge(steps: Steps, policy: Stage, samples: Stage, settings: MetaRewarding) -> Stage:
    """N judgments of every response by the policy itself, as generated text (§2.1)."""
    prompts = steps.add(JudgmentPrompts(samples, steps.source.rubric))
    return steps.sample(policy, prompts, decoding(steps, settings, settings.judgments))


def judge_pairs(steps: Steps, policy: Stage, judgments: Stage, settings: MetaRewarding) -> Stage:
    """The best over the worst judgment of the most disputed response, by the policy as meta-judge (§2.2)."""
    varied = steps.add(SelectMostVaried(judgments, steps.source.rubric))
    comparisons = steps.add(ComparisonPrompts(varied, steps.source.rubric))
    verdicts = steps.sample(policy, comparisons, decoding(steps, settings, 1))
    longest = settings.chosen_judgment_tokens or settings.judgment_tokens
    return steps.add(JudgePairs(varied, comparisons, verdicts, steps.source.rubric, longest))


def decoding(steps: Steps, settings: MetaRewarding, samples: int) -> DecodingConfig:
    """How judgments are sampled: as responses are, but as many and as long as judging needs."""
    own = {"max_new_tokens": settings.judgment_tokens, "max_length": settings.judgment_length}
    return DecodingConfig(**steps.config.sampling.model_dump() | own | {"samples": samples})
