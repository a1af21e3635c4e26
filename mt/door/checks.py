"""What can be refused before anything heavy starts."""

from __future__ import annotations

import os
from pathlib import Path

from mt.engines.models import check_context
from mt.errors import StoreError, describe
from mt.methods.blueprint import Blueprint
from mt.stages.files import NotGiven
from mt.stages.models import HubModel, ModelFolder
from mt.workflow.stage import External
from mt.workflow.store import Store


def check(blueprint: Blueprint) -> None:
    """Raise one clear error for a run that cannot succeed."""
    _check_writable(Path(blueprint.config.store))
    _check_stages(blueprint)
    _check_contexts(blueprint)


def _check_writable(store: Path) -> None:
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            describe("store", store, f"cannot be made ({error.strerror})", mend="Set store=DIR")
        ) from error
    if not os.access(store, os.W_OK):
        raise StoreError(describe("store", store, "not writable", mend="Set store=DIR"))


def _check_stages(blueprint: Blueprint) -> None:
    """Ask what is to be computed, and what exists outside and is read for it, whether it can be; inputs first.

    A file that is not given is told before anything is downloaded, and models, the largest downloads, come last.
    """
    plan, store = blueprint.plan, Store(Path(blueprint.config.store))
    missing = plan.missing(store)
    asked = {stage.key for stage in missing} | {one.key for stage in missing for one in stage.inputs()}
    for stage in sorted(plan.order, key=lambda one: 0 if isinstance(one, NotGiven) else 1 + isinstance(one, HubModel)):
        if stage.key in asked and (isinstance(stage, External) or not store.has(stage)):
            stage.check()


def _check_contexts(blueprint: Blueprint) -> None:
    """Refuse lengths that exceed a given model's context; those models are in place by now."""
    config = blueprint.config
    lengths = {
        "policy": {
            "sampling.max_length": config.sampling.max_length,
            "policy.training.max_length": config.policy.training.max_length,
        },
        "reward": {
            "scorer.max_length": config.scorer.max_length,
            "reward.training.max_length": config.reward.training.max_length,
        },
    }
    for stage in blueprint.plan.order:
        if isinstance(stage, ModelFolder):
            for field, length in lengths[stage.kind].items():
                check_context(stage.location, length, field)
