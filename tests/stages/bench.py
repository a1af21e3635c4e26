"""A bench to try single stages on: tables written by hand, a real store in a temporary folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml

from mt.engines.template import TemplateConfig
from mt.sources.world import WorldData
from mt.types import Demonstration, Messages, Pair, Prompt, Response, Samples
from mt.workflow.execute import execute
from mt.workflow.plan import plan
from mt.workflow.stage import Stage
from mt.workflow.store import Store
from mt.workflow.work import NullObserver, Work, read_metrics

Row = TypeVar("Row")
CONF = Path(__file__).parents[2] / "conf"
TEMPLATE = TemplateConfig(file=None, fingerprint=None, kwargs={}, date="2024-07-26")


@dataclass(frozen=True, eq=False)
class Given(Stage):
    """A table written by hand."""

    VERSION: ClassVar[int] = 1
    table: tuple[Any, ...]
    kind: str

    def run(self, work: Work) -> None:
        rows = list(self.table)
        work.write(rows, type(rows[0]))


def given(*rows: Any) -> Given:
    return Given(rows, type(rows[0]).__name__)


class Notes(NullObserver):
    """Remembers what was told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, stage: Stage | None, text: str) -> None:
        self.texts.append(text)


class Bench:
    """Runs stages, and reads what they leave behind."""

    def __init__(self, folder: Path) -> None:
        self.store, self.notes = Store(folder / "store"), Notes()

    def run(self, stage: Stage) -> Path:
        execute(plan([stage]), self.store, self.notes)
        return self.store.path(stage)

    def rows(self, stage: Stage, row_type: type[Row]) -> list[Row]:
        self.run(stage)
        return Work(stage, self.store, Path(), Path(), self.notes).rows(row_type, stage)

    def counts(self, stage: Stage) -> dict[str, float]:
        self.run(stage)
        counts: dict[str, float] = self.store.artifact(stage).facts["counts"]
        return counts

    def metrics(self, stage: Stage) -> dict[str, float]:
        return {f"{metric.benchmark}/{metric.metric}": metric.value for metric in read_metrics(self.run(stage))}


def world() -> WorldData:
    text = yaml.safe_load((CONF / "data" / "world.yaml").read_text())
    return WorldData.model_validate({**text, "seed": 0})


def ask(text: str) -> Messages:
    return [{"role": "user", "content": text}]


def prompt(name: str, text: str = "why") -> Prompt:
    return Prompt(name, ask(text))


def samples(name: str, *texts: str, asked: str = "why", section: str | None = None) -> Samples:
    """Responses whose lengths in tokens are those in words."""
    return Samples(name, ask(asked), section, [response(text) for text in texts])


def response(text: str) -> Response:
    return Response(text, len(text.split()))


def pair(name: str, chosen: str, rejected: str, asked: str = "why", source: str = "policy") -> Pair:
    return Pair(name, ask(asked), None, response(chosen), response(rejected), source=source)


def demonstration(name: str, text: str) -> Demonstration:
    return Demonstration(name, ask("why"), None, response(text))


def plain(rows: list[Any]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]
