"""From responses and rewards to demonstrations: what every selection of them has in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

from mt.selection.base import Candidates, Selected, Selection, candidates
from mt.types import Demonstration, Rewards, Samples


class DemonstrationSelection(Selection):
    """A selection of responses to imitate."""

    makes: ClassVar[Literal["pairs", "demonstrations"]] = "demonstrations"

    @abstractmethod
    def weigh(self, prompt: Candidates) -> list[tuple[int, float]]:
        """Return indices of the prompt's responses to imitate, and their weights."""

    def select(self, samples: Sequence[Samples], rewards: Sequence[Rewards]) -> Selected[Demonstration]:
        """Return weighted demonstrations; DataError for rewards that are not finite."""
        rows, duplicates = list[Demonstration](), 0
        for prompt in candidates(samples, rewards):
            duplicates += prompt.duplicates
            for index, weight in self.weigh(prompt):
                response = prompt.responses[index]
                rows.append(Demonstration(prompt.prompt_id, prompt.messages, prompt.section, response, weight))
        return Selected(rows, {"prompts": len(samples), "kept": len(rows), "duplicate_responses": duplicates})
