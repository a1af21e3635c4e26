"""What every source of prompts and base models is (`data=`); the options lie in mt/sources/."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Container
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from mt.choice import Choice
from mt.config.evaluation import AlpacaEvalEval, ArenaHardEval

if TYPE_CHECKING:
    from mt.config.run import RunConfig
    from mt.gold import GoldLanguage
    from mt.stages.judging import Oracle
    from mt.workflow.stage import Stage

ResponseStyle = Literal["standard", "verbose", "concise"]
Judged = AlpacaEvalEval | ArenaHardEval
"""Settings of the benchmarks that compare with a baseline."""


class Source(Protocol):
    """What a method starts from."""

    def prompts(self) -> Stage:
        """All prompts D."""
        ...

    def policy(self) -> Stage:
        """The base policy π_0."""
        ...

    def reward(self) -> Stage:
        """The base reward model that the data brings."""
        ...

    def held_out(self, size: int) -> Stage:
        """Prompts that train nothing, at most `size`."""
        ...

    def oracle(self) -> Oracle:
        """The gold judge that compares two responses."""
        ...

    def gold(self) -> tuple[int, GoldLanguage]:
        """The gold judge: seed and language of the data."""
        ...

    @property
    def styles(self) -> tuple[ResponseStyle, ...]:
        """The styles beside the standard one in which the baseline of a judged benchmark says the same."""
        ...

    @property
    def rubric(self) -> str:
        """The name of the rubric by which a policy judges."""
        ...

    def size(self) -> int | None:
        """How many prompts a method may use at most; None for all that there are."""
        ...

    def demonstrations(self) -> Stage:
        """Demonstrations to imitate or to play against (SPIN)."""
        ...

    def preferences(self) -> Stage:
        """Offline preference pairs (SAIL)."""
        ...

    def held_out_preferences(self, used: Container[str], size: int) -> Stage | None:
        """Samples of the user's own preference pairs that train nothing, the chosen answer first; None without any.

        `used` holds the keys of the run's stages, and `size` bounds the pairs.
        """
        ...

    def judgments(self) -> Stage | None:
        """Demonstrations of judging (EFT, Meta-Rewarding); None where the data has none."""
        ...

    def transfer_policy(self) -> Stage:
        """Another base policy (Table 3)."""
        ...

    def baseline(self, settings: Judged, style: ResponseStyle) -> Stage:
        """The answers of a judged benchmark's baseline: of the files that its settings name, or the world's own."""
        ...

    def reward_bench(self, pairs: str | None) -> Stage:
        """Pairs per section, as samples with the better response first: of the file `pairs`, or the world's own."""
        ...

    def reward_bench_2(self, prompts: str | None) -> Stage:
        """Prompts with their answers, the right ones first: of the file `prompts`, or the source's own."""
        ...


class DataSource(Choice):
    """Where prompts come from, and the base models where the run names none (`data=`)."""

    GROUP: ClassVar[str] = "data"
    PACKAGE: ClassVar[str] = "mt.sources"

    has_gold: ClassVar[bool] = False
    """Whether a gold judge exists for its prompts."""
    has_policy: ClassVar[bool] = False
    """Whether it brings a base policy."""
    has_reward: ClassVar[bool] = False
    """Whether it brings a base reward model, or trains one."""

    @abstractmethod
    def source(self, config: RunConfig) -> Source:
        """Return what a run with this configuration starts from; planning reads local files' hashes only."""
