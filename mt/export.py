"""A finished run for other tools: models with cards, pairs and samples in TRL's conversational format.

python -m mt.export runs/NAME --to DIR                      models and data of the last iteration
python -m mt.export runs/NAME --to DIR --iteration 1        of another one
python -m mt.export runs/NAME --to DIR --push OWNER/NAME    uploads OWNER/NAME-policy, -reward and -data, too

DIR/policy and DIR/reward are Hugging Face folders (DIR/reward-1, … of an ensemble; none where the reward is no model).
DIR/data holds pairs, reward_pairs and samples: each as a JSONL file and as a folder for `datasets.load_from_disk`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from mt.config.run import RunConfig
from mt.errors import StoreError, describe, first_line
from mt.methods.compile import CompiledRun, compile_run
from mt.methods.run_graph import Iteration
from mt.running.exit_codes import Parser, exit_status_of
from mt.running.model_card import data_card, model_card
from mt.stages.rewards import ComputedReward, EnsembleReward
from mt.stages.select import SelectDemonstrations
from mt.types import Demonstration, Pair, Response, Rewards, Samples
from mt.workflow.run_record import folder_of, read_record
from mt.workflow.stage import Stage
from mt.workflow.store import Store
from mt.workflow.work import BESIDE_MODEL, stored_rows

Rows = list[dict[str, Any]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Export a run; returns the exit status."""
    parser = Parser("python -m mt.export", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("run", help="a finished run: its folder, or its name in the folder of runs")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="the folder of runs (default: runs)")
    parser.add_argument("--to", type=Path, required=True, help="the folder to write, which must not exist")
    parser.add_argument("--iteration", type=int, help="whose models and data (default: the last one's)")
    parser.add_argument("--push", metavar="OWNER/NAME", help="upload them to the hub (log in first: hf auth login)")
    return exit_status_of(lambda: _export(parser.parse_args(arguments)))


def _export(args: argparse.Namespace) -> int:
    if args.to.exists():
        raise StoreError(describe("--to", args.to, "exists already", fix="Name a folder that does not"))
    record = read_record(folder_of(args.run, args.runs))
    if record["state"] != "finished":
        raise StoreError(describe("run", args.run, f"is {record['state']}", fix="Let it finish: run its command again"))
    compiled = compile_run(RunConfig.model_validate(record["config"]))
    iterations = compiled.graph.iterations
    last = compiled.final(compiled.store).index
    index = last if args.iteration is None else args.iteration
    if not 0 <= index <= last:
        raise StoreError(describe("--iteration", index, "no such iteration", allowed=f"0 to {last}"))
    if args.push:
        _log_in(args.push)
    draft = args.to.with_name(args.to.name + ".part")
    shutil.rmtree(draft, ignore_errors=True)
    _write(draft, record, compiled, iterations[index])
    draft.rename(args.to)
    print(args.to)
    if args.push:
        for place in push(args.to, args.push):
            print(place)
    return 0


def _write(folder: Path, record: dict[str, Any], compiled: CompiledRun, iteration: Iteration) -> None:
    store = compiled.store
    for name, kind, stage in models_of(iteration):
        source = getattr(stage, "location", None) or store.path(stage)
        shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns(*BESIDE_MODEL, "README.md"))
        (folder / name / "README.md").write_text(model_card(record, compiled, iteration.index, kind), "utf-8")
    tables = {name: rows for name, rows in _tables(store, iteration) if rows}
    for name, rows in tables.items():
        _write_rows(folder / "data" / name, rows)
    if tables:
        (folder / "data" / "README.md").write_text(data_card(record, compiled, iteration.index, list(tables)), "utf-8")


def models_of(iteration: Iteration) -> Iterator[tuple[str, Literal["policy", "reward"], Stage]]:
    """Yield the folder, the kind and the stage of each model; a reward that is computed otherwise has none."""
    yield "policy", "policy", iteration.policy
    if isinstance(iteration.reward, EnsembleReward):
        yield from ((f"reward-{number}", "reward", one) for number, one in enumerate(iteration.reward.models, start=1))
    elif not isinstance(iteration.reward, ComputedReward):
        yield "reward", "reward", iteration.reward


def _tables(store: Store, iteration: Iteration) -> Iterator[tuple[str, Rows]]:
    """Yield what the iteration's models were trained on, and what was sampled for it."""
    if isinstance(iteration.selected, SelectDemonstrations):
        demonstrations = stored_rows(store, iteration.selected, Demonstration)
        yield "demonstrations", [demonstration_row(row) for row in demonstrations]
    else:
        yield "pairs", [pair_row(row) for row in stored_rows(store, iteration.selected, Pair)]
    reward_tables = (iteration.self_training, iteration.contrast)
    yield "reward_pairs", [pair_row(row) for table in reward_tables for row in stored_rows(store, table, Pair)]
    rewards = {row.prompt_id: row.rewards for row in stored_rows(store, iteration.rewards, Rewards)}
    yield "samples", list(sample_rows(stored_rows(store, iteration.samples, Samples), rewards))


def pair_row(pair: Pair) -> dict[str, Any]:
    """Return a pair in TRL's conversational preference format with an explicit prompt."""
    return {
        "prompt": pair.messages,
        "chosen": _turn(pair.chosen),
        "rejected": _turn(pair.rejected),
        "score_chosen": pair.chosen_reward,
        "score_rejected": pair.rejected_reward,
        "prompt_id": pair.prompt_id,
    }


def demonstration_row(row: Demonstration) -> dict[str, Any]:
    """Return a demonstration in TRL's conversational prompt-completion format."""
    return {"prompt": row.messages, "completion": _turn(row.response), "prompt_id": row.prompt_id}


def sample_rows(samples: Iterable[Samples], rewards: dict[str, list[float]]) -> Iterator[dict[str, Any]]:
    """Yield every response in TRL's conversational prompt-completion format, with its reward where it has one."""
    for row in samples:
        scores: Sequence[float | None] = rewards.get(row.prompt_id) or [None] * len(row.responses)
        for response, score in zip(row.responses, scores, strict=True):
            finished = {"finished": response.finished, "prompt_id": row.prompt_id}
            yield {"prompt": row.messages, "completion": _turn(response), "score": score, **finished}


def _turn(response: Response) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": response.text}]


def _write_rows(path: Path, rows: Rows) -> None:
    """Write rows as `<path>.jsonl` and as a folder of the library `datasets`."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.with_suffix(".jsonl").write_text("".join(lines), "utf-8")
    Dataset.from_list(rows).save_to_disk(path)


def _log_in(name: str) -> None:
    """Raise StoreError where the hub cannot be reached, or does not know the user: before anything is written."""
    from huggingface_hub import HfApi
    from huggingface_hub.utils import validate_repo_id

    with _in_one_line(name, "Give OWNER/NAME, run 'hf auth login' or set HF_TOKEN, or leave --push out"):
        validate_repo_id(f"{name}-policy")
        HfApi().whoami()


def push(folder: Path, name: str) -> Iterator[str]:
    """Upload an export to the hub, private at first; yields the address of each repository.

    Raises StoreError where the hub refuses one: the folder is whole, and can be uploaded by hand.
    """
    from huggingface_hub import HfApi

    hub = HfApi()
    for part in sorted(path.name for path in folder.iterdir() if path.is_dir()):
        kind, repository = "dataset" if part == "data" else "model", f"{name}-{part}"
        by_hand = f"Upload the folder later: hf upload {repository} {folder / part} --repo-type {kind} --private"
        with _in_one_line(repository, by_hand):
            hub.create_repo(repository, repo_type=kind, private=True, exist_ok=True)
            found = hub.upload_folder(
                repo_id=repository, repo_type=kind, folder_path=folder / part, commit_message="Upload from mt.export"
            )
        yield str(found.commit_url)


@contextmanager
def _in_one_line(name: str, fix: str) -> Iterator[None]:
    """Put whatever the hub's client raises in one line."""
    from huggingface_hub.errors import HTTPError

    try:
        yield
    except (OSError, ValueError, RuntimeError, HTTPError) as error:
        raise StoreError(describe("--push", name, first_line(error), fix=fix)) from error


if __name__ == "__main__":
    sys.exit(main())
