"""RewardBench and RewardBench 2: how often a reward model puts right answers above wrong ones."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar, Literal

from mt.stages.metrics import known
from mt.types import Rewards, Samples
from mt.workflow.stage import Stage
from mt.workflow.work import Work


@dataclass(frozen=True, eq=False)
class RewardBench(Stage):
    """Accuracy in percent per section and on average (§5.1).

    Pairs that name their own sections have equal weights; RewardBench's own are weighted by subset, as on its
    leaderboard.
    """

    VERSION: ClassVar[int] = 2
    pairs: Stage
    """Samples with the chosen response first; `prompt_id` is "<subset>/<pair>"."""
    rewards: Stage
    convention: Literal["rlhflow"] | None = None
    """How pairs are counted; None as the leaderboard does: a tie is lost."""

    def run(self, work: Work) -> None:
        """Score every pair, then sections."""
        from mt.evaluation.metrics import reward_bench_metrics, slug
        from mt.evaluation.reward_bench import SECTIONS, ScoredPair, pair_scores, score_pairs

        samples, rewards = work.rows(Samples, self.pairs), work.rows(Rewards, self.rewards)
        names = [row.prompt_id.partition("/")[0] for row in samples]
        pairs = [ScoredPair(name, *row.rewards) for name, row in zip(names, rewards, strict=True)]
        sections = _own_sections(samples, names) or SECTIONS
        work.write_metrics(reward_bench_metrics(score_pairs(pairs, self.convention or "current", sections)))
        ids = [row.prompt_id for row in samples]
        scores = {
            slug(name): known(dict(zip(ids, found, strict=True)))
            for name, found in pair_scores(pairs, sections).items()
        }
        work.write_items({name: found for name, found in scores.items() if found})


@dataclass(frozen=True, eq=False)
class RewardBench2(Stage):
    """RewardBench 2 in percent per subset and on average: the best of four, and the score of the subset Ties."""

    VERSION: ClassVar[int] = 1
    prompts: Stage
    """Samples with the right answers first; `prompt_id` is "<subset>/<number of right answers>/<id>"."""
    rewards: Stage

    def run(self, work: Work) -> None:
        """Score every prompt, then subsets; write the scores as a table that scoring reads."""
        from mt.evaluation.metrics import reward_bench_2_metrics
        from mt.evaluation.reward_bench_2 import RankedPrompt, ranked_record, score_prompts

        prompts = []
        for sample, row in zip(work.rows(Samples, self.prompts), work.rows(Rewards, self.rewards), strict=True):
            subset, correct, name = sample.prompt_id.split("/", 2)
            prompts.append(RankedPrompt(subset, name, tuple(row.rewards), int(correct)))
        with (work.folder / "scores.jsonl").open("w", encoding="utf-8") as file:
            for one in prompts:
                file.write(json.dumps(ranked_record(one), ensure_ascii=False) + "\n")
        work.write_metrics(reward_bench_2_metrics(score_prompts(prompts)))


def _own_sections(samples: list[Samples], names: list[str]) -> dict[str, dict[str, float]]:
    """Return the subsets of each section with their sizes as weights; nothing where the pairs name no sections."""
    counts = Counter((row.section, name) for row, name in zip(samples, names, strict=True) if row.section)
    sections: dict[str, dict[str, float]] = {}
    for (section, name), count in counts.items():
        sections.setdefault(str(section), {})[name] = float(count)
    return sections
