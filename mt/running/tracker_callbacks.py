"""The observers that report a run to its tracker: stages and curves live, metrics and samples when they exist."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mt.errors import StoreError
from mt.methods.run_graph import Iteration
from mt.running.naming import distinguishing_groups
from mt.running.record import COLUMNS, Record
from mt.runtime.jsonl import JsonLines
from mt.stages.select import SelectDemonstrations
from mt.tracking.base import RunInfo, TableValue
from mt.tracking.guard import Guarded, failed, goes_on
from mt.tracking.naming import curve_axis, curve_values, metric_values, slugs
from mt.types import Pair, Rewards, Samples
from mt.workflow.run_record import RECORD, read_record
from mt.workflow.stage import External, Stage
from mt.workflow.work import CURVES, NullObserver, Observer, read_metrics, stored_rows

SAMPLE_COLUMNS = ("prompt_id", "section", "prompt", "response", "reward", "role")
"""A response beside its reward; its role is chosen, rejected, or empty."""


@contextmanager
def tracked(record: Record, say: Callable[[str], None]) -> Iterator[list[Observer]]:
    """Track a run inside the block, and yield the observers of its stages.

    At the end the stages that other jobs computed are sent to the tracker, too. The first failure of the tracker is
    reported; none changes the run.
    """
    facts, config, plan = record.facts, record.compiled.config, record.compiled.plan
    computed = [stage for stage in plan.order if not isinstance(stage, External)]
    names = slugs((stage.key, stage.name, plan.position(stage)) for stage in computed)
    stages = {slug: key for key, slug in names.items()}
    who = (facts["name"], record.folder, facts["config"], facts["sweep"], config.method.name)
    run = RunInfo(*who, stages, distinguishing_groups(config))
    tracker = None
    try:
        tracker = config.tracking.open(run, say)
    except Exception as error:  # of any kind: the class may be the user's own
        say(goes_on(failed(error)))
    if tracker is None:
        yield []
        return
    callback = _FailSafe(_TrackerCallback(tracker, record, names), tracker)
    try:
        yield [callback]
    finally:
        callback.catch_up()
        ended = _on_disk(record)
        tracker.table("tables/metrics", COLUMNS, [[one[name] for name in COLUMNS] for one in ended["metrics"]], None)
        callback.show_stages()
        tracker.finish(ended["state"], record.folder / RECORD)


class _FailSafe:
    """An observer whose failures never stop the run; the first one is reported."""

    def __init__(self, observer: _TrackerCallback, tracker: Guarded) -> None:
        self.observer, self.tracker = observer, tracker

    def __getattr__(self, name: str) -> Any:
        def notify(*arguments: Any) -> None:
            try:
                getattr(self.observer, name)(*arguments)
            except Exception as error:  # of any kind: the run goes on
                self.tracker.trouble(failed(error))

        return notify


class _TrackerCallback(NullObserver):
    """Reports stages and curves live, and metrics and samples as soon as they exist.

    A run shows the curves of all its stages: live where it computes them, from the artifact where it reuses them. A
    file beside the tracker's lists those already shown, so that a resumed run shows none twice.
    """

    def __init__(self, tracker: Guarded, record: Record, names: dict[str, str]) -> None:
        self.tracker, self.store, self.plan, self.names = tracker, record.store, record.compiled.plan, names
        self.prompts = tracker.settings.sample_prompts
        self.shown = record.folder / tracker.settings.name / "curves.txt"
        self.evaluations: dict[str, list[tuple[int, str]]] = {}
        for one in record.compiled.evaluations:
            self.evaluations.setdefault(one.stage.key, []).append((one.iteration, one.model))
        iterations = record.compiled.graph.iterations
        self.selected = {one.selected.key: one for one in iterations if one.selected is not None and _is_shown(one)}
        self.became: dict[str, list[Any]] = {}

    def curve(self, stage: Stage, step: int, metrics: dict[str, float]) -> None:
        """Show a step of a training."""
        name = self.names[stage.key]
        self.tracker.log(curve_values(name, metrics), curve_axis(name), step)

    def finished(self, stage: Stage, facts: dict[str, Any] | None) -> None:
        """Note how a stage ended, and show its curves and its result if it has any."""
        if isinstance(stage, External):
            return
        self._note(stage, "reused" if facts is None else "computed", facts["seconds"] if facts else None)
        self._show_curves(stage, live=facts is not None)
        for iteration, model in self.evaluations.get(stage.key, []):
            self.tracker.log(metric_values(model, read_metrics(self.store.path(stage))), "iteration", iteration)
        if self.prompts and stage.key in self.selected:
            self._show_samples(self.selected[stage.key])

    def failed(self, stage: Stage, error: BaseException) -> None:
        """Note that a stage failed."""
        self._note(stage, "failed", None)

    def catch_up(self) -> None:
        """Report every published stage that this process has not seen."""
        for stage in self.plan.order:
            if stage.key in self.names and self.names[stage.key] not in self.became and self.store.has(stage):
                self.finished(stage, None)

    def show_stages(self) -> None:
        """Show how the stages ended."""
        columns = ("stage", "key", "state", "seconds")
        self.tracker.table("tables/stages", columns, [self.became[name] for name in sorted(self.became)], None)

    def _note(self, stage: Stage, state: str, seconds: float | None) -> None:
        name = self.names[stage.key]
        self.became[name] = [name, stage.key, state, seconds]

    def _show_curves(self, stage: Stage, *, live: bool) -> None:
        curves = self.store.path(stage) / CURVES
        shown = self.shown.read_text(errors="replace").split() if self.shown.is_file() else []
        if not curves.is_file() or stage.key in shown:
            return
        points = [] if live else JsonLines[dict[str, float]](curves, dict[str, int | float]).read()
        for point in points:
            if "step" in point:  # a curve may be damaged, and only shows what the artifact holds
                self.curve(stage, int(point.pop("step")), point)
        self.shown.parent.mkdir(exist_ok=True)
        with self.shown.open("a") as file:
            file.write(f"{stage.key}\n")

    def _show_samples(self, one: Iteration) -> None:
        samples = stored_rows(self.store, one.samples, Samples)
        rewards, pairs = stored_rows(self.store, one.rewards, Rewards), stored_rows(self.store, one.selected, Pair)
        rows = sample_rows(samples, rewards, pairs, self.prompts)
        self.tracker.table("samples/responses", SAMPLE_COLUMNS, rows, one.index)


def _is_shown(one: Iteration) -> bool:
    """Say whether an iteration selected pairs from responses and rewards that it holds."""
    return None not in (one.samples, one.rewards) and not isinstance(one.selected, SelectDemonstrations)


def sample_rows(
    samples: Sequence[Samples], rewards: Sequence[Rewards], pairs: Sequence[Pair], prompts: int
) -> list[list[TableValue]]:
    """Return one row per response of the first `prompts` prompts that gave a pair, then of the others."""
    rewards_of = {row.prompt_id: row.rewards for row in rewards}
    pair_of = {pair.prompt_id: pair for pair in pairs}
    ordered = sorted(samples, key=lambda row: row.prompt_id not in pair_of)
    rows: list[list[TableValue]] = []
    for one in ordered[:prompts]:
        prompt = one.messages[0]["content"]
        if len(one.messages) > 1:
            prompt = "\n".join(f"{message['role']}: {message['content']}" for message in one.messages)
        pair = pair_of.get(one.prompt_id)
        roles = {pair.rejected.text: "rejected", pair.chosen.text: "chosen"} if pair else {}
        given: Sequence[float | None] = rewards_of.get(one.prompt_id) or [None] * len(one.responses)
        for response, reward in zip(one.responses, given, strict=True):
            role = roles.get(response.text, "")
            rows.append([one.prompt_id, one.section or "", prompt, response.text, reward, role])
    return rows


def _on_disk(record: Record) -> dict[str, Any]:
    """Return the facts as they were last written, by whichever process wrote them."""
    try:
        return read_record(record.folder)
    except StoreError:
        return record.facts
