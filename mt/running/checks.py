"""What can be refused before anything heavy starts."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from mt.config.fields import devices, keyed_paths, setting
from mt.config.run import RunConfig
from mt.engines.devices import choose_device
from mt.errors import ConfigError, MissingPackageError, MutualTaughtError, NotHereError, StoreError, describe
from mt.methods.compile import CompiledRun
from mt.running.lengths import check_batches, check_contexts, check_lengths
from mt.running.rendered_prompts import check_prompts
from mt.running.warnings import before
from mt.runtime.redact import redact
from mt.stages.files import NotGiven
from mt.stages.judging import OverNetwork
from mt.stages.load import PromptFile
from mt.stages.models import HubModel, ModelFolder
from mt.stages.prompts import PartitionPrompts, PromptBlock
from mt.stages.train import Training
from mt.workflow.plan import Plan
from mt.workflow.run_record import RECORD, read_record
from mt.workflow.stage import External, Stage
from mt.workflow.store import Store


def check(
    compiled: CompiledRun,
    absent: Callable[[NotHereError], None] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Raise one error for a run that cannot succeed.

    Where other machines will compute it, `absent` is called with what this one lacks, and decides. `say` is called
    before what may take seconds.
    """
    if compiled.config.scale.weights is not None:
        family, millions = compiled.config.scale.family, compiled.config.scale.weights / 1e6
        say(f"hyper-parameters of the family {family}, as policy.path has {millions:,.1f} million weights")
    _check_writable("store", Path(compiled.config.store))
    _check_writable("runs", Path(compiled.config.runs))
    missing = compiled.plan.missing(compiled.store)
    _check_here(compiled, missing, absent)
    check_contexts(compiled.plan.order, compiled.config)
    check_batches(missing, compiled.config)
    if missing and any(isinstance(stage, ModelFolder) for stage in compiled.plan.order):
        from mt.running.execution import quiet_libraries  # late: a run that has everything needs no tokenizer

        quiet_libraries()
        check_prompts(missing, say)
    check_lengths(missing, compiled.config)
    if missing:  # else nothing outside the store is read
        for line in before(compiled):
            say(f"warning  {line}")


def lacking(plan: Plan, store: Store) -> list[str]:
    """Return a line for each reason why a run cannot start that is quickly found.

    These are files that no setting names yet, endpoints of a judge that cannot be asked, what a trainer cannot train,
    too few prompts, and local files that cannot be read. Such a plan can be drawn, and priced where its files can be
    read. Nothing is downloaded.
    """
    missing = plan.missing(store)
    asked = [one for stage in missing for one in stage.inputs() if isinstance(one, NotGiven)]
    lines = []
    for stage in [*asked, *filter(_is_quickly_checked, missing)]:
        try:
            stage.check()
        except MissingPackageError:  # the machine that computes may have it
            continue
        except MutualTaughtError as error:
            lines.append(str(error))
    return list(dict.fromkeys(lines))


def _is_quickly_checked(stage: Stage) -> bool:
    if isinstance(stage, PartitionPrompts | PromptBlock):
        return all(map(_is_local, stage.prompts.inputs()))
    return isinstance(stage, OverNetwork | Training) or (not isinstance(stage, External) and _is_local(stage))


def _is_local(stage: Stage) -> bool:
    """Say whether a stage is a file here, or made of such files alone."""
    inputs = stage.inputs()
    return type(stage) in (External, PromptFile) or (bool(inputs) and all(map(_is_local, inputs)))


def check_folders(runs: Sequence[tuple[RunConfig, Path]]) -> None:
    """Refuse a folder that holds, or is to hold, the record of another run, which would be lost."""
    seen: set[Path] = set()
    for config, folder in runs:
        if folder in seen:
            fix = "Leave the name to each run, and name the sweep: sweep=NAME"
            raise ConfigError(describe("name", folder.name, "several runs of the sweep have it", fix=fix))
        seen.add(folder)
        if config.name and (folder / RECORD).is_file() and (other := _differences(config, folder)):
            problem = f"{folder} is a run with other settings ({', '.join(other[:3])})"
            raise ConfigError(describe("name", folder.name, problem, fix="Choose another name, or remove that run"))


def _differences(config: RunConfig, folder: Path) -> list[str]:
    """Return the settings of a recorded run that differ from these, of those that identify a result."""
    try:
        recorded = read_record(folder)["config"]
    except StoreError:  # a record that cannot be read is written anew
        return []
    mine = redact(config.model_dump(mode="json"))
    return [path for path in keyed_paths(config) if setting(mine, path) != setting(recorded, path)]


def _check_writable(field: str, folder: Path) -> None:
    fix = f"Set {field}=DIR"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(describe(field, folder, f"cannot be made ({error.strerror})", fix=fix)) from error
    if not os.access(folder, os.W_OK):
        raise StoreError(describe(field, folder, "not writable", fix=fix))


def _check_here(compiled: CompiledRun, missing: Sequence[Stage], absent: Callable[[NotHereError], None] | None) -> None:
    """Ask devices, the tracker, what is to be computed, and what exists outside and is read for it, whether it can be.

    Torch is asked only about devices that a setting names. Files that are not given and trainers come first, which are
    reported before anything is downloaded, and models, the largest downloads, last.
    """
    plan, store = compiled.plan, compiled.store
    named = [(field, device) for field, device in devices(compiled.config) if device not in ("auto", "cpu")]
    asked = {stage.key for stage in missing} | {one.key for stage in missing for one in stage.inputs()}
    order = sorted(plan.order, key=lambda one: 2 * isinstance(one, HubModel) - isinstance(one, NotGiven | Training))
    needed = [one for one in order if one.key in asked and (isinstance(one, External) or not store.has(one))]
    checks: list[Callable[[], object]] = [
        *(partial(choose_device, device, field) for field, device in named if missing),
        compiled.config.tracking.check,
        *(stage.check for stage in needed),
    ]
    for one in checks:
        try:
            one()
        except NotHereError as error:
            if absent is None:
                raise
            absent(error)
