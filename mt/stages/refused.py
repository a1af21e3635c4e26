"""Prompts that a chat template refuses, such as a system turn where there is no such role."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, cast, runtime_checkable

from mt.engines.template import TemplateConfig
from mt.errors import DataError, describe
from mt.types import Demonstration, Messages, Pair, Prompt, Samples
from mt.workflow.stage import External, Stage
from mt.workflow.work import Work

if TYPE_CHECKING:
    from mt.engines.text import Chat

Rows = Literal["prompts", "demonstrations", "preferences", "samples"]
_TYPES: dict[str, Any] = {"prompts": Prompt, "demonstrations": Demonstration, "preferences": Pair, "samples": Samples}


@runtime_checkable
class Asks(Protocol):
    """A table whose prompts are known before any stage has run."""

    @property
    def key(self) -> str:
        """The stage's key."""
        ...

    def inputs(self) -> list[Stage]:
        """The stages that it reads."""
        ...

    def asked(self) -> Iterable[tuple[str, Messages]]:
        """Yield where each prompt stands (file and line), and the prompt."""
        ...


@dataclass(frozen=True, eq=False)
class DropRefused(Stage):
    """A table without the rows whose prompts the policy's or the reward model's chat template refuses."""

    VERSION: ClassVar[int] = 1
    table: Stage
    rows: Rows
    policy: Stage
    reward: Stage | None
    """The given model that a reward model's template is read from; None where the reward reads by no template."""
    policy_template: TemplateConfig
    reward_template: TemplateConfig | None

    def asked(self) -> Iterator[tuple[str, Messages]]:
        """Yield where each prompt stands that is left, and the prompt."""
        known = isinstance(self.policy, External) and isinstance(self.reward, External | None)
        if isinstance(self.table, Asks) and known:
            chats = self._chats(lambda model: cast(External, model).location)
            for place, messages in self.table.asked():
                if not any(refusal(chat, messages) for chat in chats):
                    yield place, messages

    def run(self, work: Work) -> None:
        """Render every prompt with both templates; DataError where no row is left."""
        chats = self._chats(work.path)
        found = work.rows(_TYPES[self.rows], self.table)
        kept = [row for row in found if not any(refusal(chat, row.messages) for chat in chats)]
        work.count(rows=len(found), refused=len(found) - len(kept), kept=len(kept))
        if len(kept) < len(found):
            work.note(f"{self.rows} dropped: {len(found) - len(kept)} of {len(found)} are refused by a chat template")
        if found and not kept:
            fix = "Set policy.chat_template=FILE or reward.chat_template=FILE"
            raise DataError(describe(self.rows, len(found), "a chat template refuses all of them", fix=fix))
        work.write(kept, _TYPES[self.rows])

    def _chats(self, place: Callable[[Stage], Path]) -> list[Chat]:
        from mt.engines.text import open_chat

        chats = [open_chat(place(self.policy), self.policy_template)]
        return chats if self.reward is None else [*chats, open_chat(place(self.reward), self.reward_template)]


def refusal(chat: Chat, messages: Messages) -> str | None:
    """Return why a chat template refuses a prompt, in the template's own words; None where it takes it."""
    try:
        chat.check_prompt(messages)
    except DataError as error:
        return " ".join(str(error.__cause__ or error).split())
    return None
