"""Meta-Rewarding (Wu et al. 2024a): one model acts, judges, and judges its judgments; Self-Rewarding omits the last."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from mt.choice import Count, Positive, Share
from mt.config.method import Method
from mt.engines.settings import DecodingConfig
from mt.engines.training.settings import TrainingConfig
from mt.methods.eft import EftDataConfig, eft_demonstrations
from mt.methods.run_graph import Iteration, RunGraph
from mt.methods.steps import Steps
from mt.selection.tiers import Tiers
from mt.stages.judge_self import ComparisonPrompts, JudgePairs, JudgmentPrompts, ParseJudgments, SelectMostVaried
from mt.stages.select import MixPairs, SelectPairs
from mt.stages.train import SupervisedFinetune
from mt.workflow.stage import Stage


class MetaRewarding(Method):
    """A policy that judges its own responses, and its own judgments (Wu et al. 2024a; Yuan et al. 2024)."""

    makes_pairs: ClassVar[bool] = True
    judgments: Count
    """Self-judgments per response (N)."""
    judge_iterations: Annotated[int, Field(ge=0, le=100)]
    """Iterations that also train on judge pairs; the later ones train on actor pairs only. 0 is self-rewarding."""
    judge_share: Share
    """Largest share of judge pairs, in [0, 1): with more the judge collapses to one score."""
    rho: Annotated[list[Annotated[float, Field(ge=0, lt=0.5)]], Field(min_length=1)]
    """Width of the length-control tiers in each iteration; the last value holds on."""
    score_scale: Positive
    """Scale of scores inside the pairs' win probabilities."""
    judgment_tokens: Count
    """Longest judgment, in tokens."""
    chosen_judgment_tokens: Count | None = None
    """Longest judgment that may be chosen in a judge pair, in tokens, as the meta-judge likes length; null sets no
    limit."""
    judgment_length: Annotated[int, Field(ge=2)]
    """Longest judge's prompt with its judgment, in tokens: it holds a whole conversation, or two judgments of one."""
    eft: str | None
    """A file of judgments to learn from first (JSONL: messages, response, judgment); null takes the data's own (the
    world's), or those of `eft_data`."""
    eft_data: EftDataConfig | None = None
    """How judgments are made where neither a file nor the data brings them."""
    eft_training: TrainingConfig
    """How the policy first learns to judge (EFT)."""

    @property
    def has_win_probabilities(self) -> bool:
        """Actor pairs have them, judge pairs do not."""
        return self.judge_iterations == 0

    def build(self, steps: Steps) -> RunGraph:
        """Return the graph of EFT and of one training per part on actor pairs and, at first, judge pairs."""
        config = steps.config
        base = Iteration(0, steps.base_policy(), steps.base_reward())
        steps.at("EFT")
        how = (self.eft_training, config.trainer, steps.seed("eft"), steps.policy_template)
        demonstrations = eft_demonstrations(steps, self.eft, self.eft_data)
        policy: Stage = steps.add(SupervisedFinetune(base.policy, demonstrations, *how, "method.eft_training"))
        done = [base]
        for t, prompts in enumerate(steps.partition(config.iterations), start=1):
            steps.at("actor", t)
            samples = steps.sample(policy, prompts)
            questions = steps.add(JudgmentPrompts(samples, steps.source.rubric))
            judgments = steps.sample(policy, questions, self._decoding(steps, self.judgments))  # as text (§2.1)
            judged = steps.add(ParseJudgments(samples, judgments, steps.source.rubric, "samples"))
            scores = steps.add(ParseJudgments(samples, judgments, steps.source.rubric, "rewards"))
            tiers = Tiers(rho=self.rho[min(t, len(self.rho)) - 1], score_scale=self.score_scale)
            selected: Stage = steps.add(SelectPairs(judged, scores, tiers, "actor", steps.seed("select")))
            if t <= self.judge_iterations:
                steps.at("judge", t)
                pairs = self._judge_pairs(steps, policy, judgments)
                selected = steps.add(MixPairs(selected, pairs, self.judge_share, steps.seed("mix")))
            steps.at("training", t)
            selected = steps.with_offline(selected)
            policy = steps.train_policy(policy, selected, reference=steps.reference(policy))
            done.append(Iteration(t, policy, base.reward, judged, scores, selected))
        return RunGraph(tuple(done))

    def _judge_pairs(self, steps: Steps, policy: Stage, judgments: Stage) -> Stage:
        """The best over the worst judgment of the most disputed response, by the policy as meta-judge (§2.2)."""
        varied = steps.add(SelectMostVaried(judgments, steps.source.rubric))
        comparisons = steps.add(ComparisonPrompts(varied, steps.source.rubric))
        verdicts = steps.sample(policy, comparisons, self._decoding(steps, 1))
        longest = self.chosen_judgment_tokens or self.judgment_tokens
        return steps.add(JudgePairs(varied, comparisons, verdicts, steps.source.rubric, longest))

    def _decoding(self, steps: Steps, samples: int) -> DecodingConfig:
        """How judgments are sampled: as responses are, but as many and as long as judging needs."""
        own = {"max_new_tokens": self.judgment_tokens, "max_length": self.judgment_length}
        return DecodingConfig(**steps.config.sampling.model_dump() | own | {"samples": samples})
