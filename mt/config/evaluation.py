"""Settings of what is measured after every iteration (`eval=[…]`, one entry a benchmark)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mt.choice import Config, Count
from mt.engines.settings import DecodingConfig
from mt.errors import describe


class HeldOutEval(Config):
    """Policies and reward models on prompts that trained nothing."""

    prompts: Count
    """Held-out prompts; at most so many, where the user's own data has fewer."""
    decoding: DecodingConfig
    """How the policies answer."""
    diagnostics: bool
    """Measure KL from the base policy, diversity, length bias, calibration and agreement of reward models too."""


class AlpacaEvalEval(Config):
    """AlpacaEval 2: a judge compares each policy with a baseline, with and without length control."""

    prompts: Count
    """Prompts; the original has 805. In the world so many are drawn."""
    decoding: DecodingConfig
    """How the policies answer, once per prompt."""
    outputs: str | None
    """The baseline's answers in alpaca_eval's format (instruction, output): a file, or one on the hub by
    OWNER/NAME@COMMIT:FILE. The world has its own baseline."""
    gamed: str | None
    """`df_gamed.csv`, named likewise; null goes without length control. The world makes its own."""
    resamples: Annotated[int, Field(ge=20, le=1_000_000)]
    """Bootstrap resamples behind the interval of the length-controlled win rate."""


class ArenaHardEval(Config):
    """Arena-Hard: two judged games per question against a baseline."""

    prompts: Count
    """Questions; the original has 500. In the world so many are drawn."""
    decoding: DecodingConfig
    """How the policies answer, once per question."""
    questions: str | None
    """The questions (question_id or uid, turns or prompt): a file, or one on the hub by OWNER/NAME@COMMIT:FILE; null
    reads them from `outputs`. The world has its own."""
    outputs: str | None
    """The baseline's answers (question_id or uid, choices or messages), named likewise; without `questions`, rows of a
    question (turns, messages or prompt) with its answer."""
    tokens: Literal["cl100k_base", "policy"]
    """Whose tokens an answer's length counts: those of tiktoken's encoding, as the original does, or the policy's."""
    category: str | None
    """The category of the questions that are asked (v2: hard_prompt or creative_writing, each with a baseline of its
    own); null for files of one category. The world's questions have none."""
    rule: Literal["2024", "head"]
    """How verdicts are counted: by v0.1 (2024), which drops a game without a label, or by v2 (head), which drops its
    question and knows labels that point the other way."""

    @model_validator(mode="after")
    def _category_needs_questions(self) -> ArenaHardEval:
        if self.category is not None and self.questions is None:
            fix = "Name the questions' file by eval.arena_hard.questions"
            raise ValueError(describe("eval.arena_hard.category", self.category, "no file has categories", fix=fix))
        return self


class RewardBenchEval(Config):
    """RewardBench: pairs that a reward model should order, by section."""

    convention: Literal["current", "rlhflow"]
    """How pairs are counted: as the leaderboard does (a tie is lost), or as RLHFlow's script does (a tie counts half,
    the weights of the two xstest subsets swapped, two decimals)."""

    pairs: str | None
    """The pairs (subset, prompt, chosen, rejected): a file, or one on the hub by OWNER/NAME@COMMIT:FILE. The world has
    its own."""


class RewardBench2Eval(Config):
    """RewardBench 2: the best of four answers, and several right answers to one question."""

    prompts: str | None
    """The prompts (id, subset, prompt, chosen, rejected, num_correct): a file, or one on the hub by
    OWNER/NAME@COMMIT:FILE."""


class InDistributionEval(Config):
    """Figure 3: each reward model picks from the final policy's responses, and a judge compares the picks."""

    source: Literal["reward_training", "held_out"]
    """Whose prompts: D_R, on which the reward models were trained (as the paper says), or held-out ones."""
    prompts: Count
    """Prompts of D_R, at most so many; held-out ones are those of eval.held_out."""


class PairwiseEval(Config):
    """Figure 5: iterations against each other, judged by the base reward model."""


class EvalConfig(Config):
    """The benchmarks of a run; those that are absent are not measured."""

    held_out: HeldOutEval | None = None
    alpaca_eval: AlpacaEvalEval | None = None
    arena_hard: ArenaHardEval | None = None
    reward_bench: RewardBenchEval | None = None
    reward_bench_2: RewardBench2Eval | None = None
    in_distribution: InDistributionEval | None = None
    pairwise: PairwiseEval | None = None

    @property
    def judged(self) -> list[str]:
        """The benchmarks that ask the run's judge."""
        return [name for name in ("alpaca_eval", "arena_hard", "in_distribution") if getattr(self, name) is not None]
