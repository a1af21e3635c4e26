"""Execution of a plan: what is missing is computed once, what is there is reused."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import nullcontext
from datetime import datetime

from mt.errors import StoreError
from mt.runtime.child import logging_into
from mt.runtime.lock import Lock
from mt.workflow import provenance
from mt.workflow.engine import OpenEngine, in_order_of_engines
from mt.workflow.leftovers import clean_store, needing
from mt.workflow.plan import Plan
from mt.workflow.stage import SHORT, External, Stage
from mt.workflow.store import Artifact, Store
from mt.workflow.work import Observer, Work


def execute(plan: Plan, store: Store, observer: Observer, command: str = "") -> None:
    """Make every target of the plan available in the store; `command` is the folder of the run or sweep that pays.

    Raises whatever a stage raises, after telling the observer; everything published until then stays.
    """
    clean_store(store)
    with needing(store, command, plan.order) if command else nullcontext():
        missing, unneeded = plan.missing(store), plan.unneeded(store)
        observer.planned([one for one in plan.order if one.key not in unneeded], missing, plan.positions)
        _verify_reused(plan, missing, store, observer)
        _inspect(plan, missing, observer)
        engines = OpenEngine()
        try:
            for stage in in_order_of_engines(missing):
                if stage.key in unneeded:
                    continue
                compute(stage, store, observer, engines, command)
                if stage.DECIDES and store.stopped(stage):
                    needed = {one.key for one in plan.missing(store)}
                    unneeded = {one.key for one in missing if one.key not in needed and not store.has(one)}
                    observer.unneeded([one for one in missing if one.key in unneeded])
        finally:
            engines.close()


def compute(stage: Stage, store: Store, observer: Observer, engines: OpenEngine, command: str = "") -> None:
    """Compute one stage, or wait for the process that is computing it; a GPU stage finds no other engine open."""
    waiting = lambda owner: observer.waiting(stage, str(owner))  # noqa: E731
    with lock_of(store, stage.key).hold(done=lambda: store.has(stage), waiting=waiting) as mine:
        if not mine:
            observer.finished(stage, None)
            return
        observer.started(stage)
        try:
            if stage.NEEDS == "gpu" and stage.opens != engines.key:
                engines.close()
            artifact = _run(stage, store, observer, command, engines)
        except BaseException as error:
            observer.failed(stage, error)
            raise
        observer.finished(stage, artifact.facts)


def lock_of(store: Store, key: str) -> Lock:
    """Return the lock of the process that computes a stage, named by (the beginning of) its key."""
    return Lock(store.root / ".locks" / key[:SHORT])


def _run(stage: Stage, store: Store, observer: Observer, command: str, engines: OpenEngine) -> Artifact:
    output, scratch = store.workspace(stage)
    work = Work(stage, store, output, scratch, observer, command, engines)
    started, clock, cpu = datetime.now().astimezone(), time.perf_counter(), _cpu_seconds()
    with logging_into(scratch):
        stage.run(work)
    seconds, cpu = time.perf_counter() - clock, _cpu_seconds() - cpu
    work.publish_curves()
    facts = {
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu, 3),
        "counts": work.counts,
        "git": provenance.git_state(),
        "packages": provenance.packages(),
        "host": provenance.host(),
    }
    return store.publish(stage, output, facts)


def _cpu_seconds() -> float:
    """Return the CPU seconds of this process and of the children that have ended; neighbours change them little."""
    return sum(os.times()[:4])


def _verify_reused(plan: Plan, missing: list[Stage], store: Store, observer: Observer) -> None:
    """Check what will be reused before anything runs, and say where it was made with other packages."""
    absent = {stage.key for stage in missing}
    read = {upstream.key for stage in missing for upstream in stage.inputs()}
    targets = {stage.key for stage in plan.targets}
    here, other = provenance.packages(), dict[str, str]()
    for stage in plan.order:
        if stage.key in absent or isinstance(stage, External) or not store.has(stage):
            continue
        if stage.key in read | targets:
            store.verified(stage)
        made: dict[str, str] = store.artifact(stage).facts.get("packages", {})
        other |= {name: version for name, version in made.items() if here.get(name, version) != version}
        observer.finished(stage, None)
    if other:
        listed = ", ".join(f"{name} {version}" for name, version in sorted(other.items()))
        observer.note(None, f"some reused artifacts were made with other versions: {listed}")


def _inspect(plan: Plan, missing: list[Stage], observer: Observer) -> None:
    """Ask what is to be computed, and what exists outside and is read for it, whether it can be; inputs first."""
    read = {one.key for stage in missing for one in stage.inputs() if isinstance(one, External)}
    asked = read | {stage.key for stage in missing}
    for stage in plan.order:
        if stage.key in asked and type(stage).inspect is not Stage.inspect:
            observer.inspecting(stage)
            stage.inspect()


def require(stages: Iterable[Stage], store: Store) -> None:
    """Raise StoreError unless every stage's artifact is there (a scheduler's word is not trusted)."""
    for stage in stages:
        if not store.has(stage):
            raise StoreError(f"{stage.address}: an input of this job is not in the store {store.root}")
