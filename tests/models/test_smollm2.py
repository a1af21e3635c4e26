"""SmolLM2-135M-Instruct, a real model, through the product: right values, its pad token, a training that resumes."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.models import checks
from tests.models.driven import Run, run
from tests.models.real import GENTLE, shallow_reward, smollm2

pytestmark = pytest.mark.models

STEPS = [*GENTLE, "rm_data=frozen", "policy.training.batch_size=3"]
SAVING = [*STEPS, "trainer.checkpoint_minutes=0"]
PATIENCE = 300


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    place = tmp_path_factory.mktemp("smollm2")
    policy = smollm2()
    return run(Run(policy, shallow_reward(policy, place / "reward"), place), *GENTLE)


def test_its_pad_token_is_its_end_of_turn(finished: Run) -> None:
    tokenizer = finished.policy_at(finished.policy).tokenizer
    assert tokenizer.pad_token == tokenizer.eos_token == "<|im_end|>"


def test_samples_come_from_the_models_own_distribution(finished: Run) -> None:
    checks.check_samples(finished)


def test_reference_log_probabilities_are_of_the_sampled_ids(finished: Run) -> None:
    checks.check_reference(finished)


def test_rewards_equal_those_of_one_row_at_a_time(finished: Run) -> None:
    checks.check_rewards(finished)


def test_the_policy_takes_the_step_of_the_sampled_ids(finished: Run) -> None:
    checks.check_policy_step(finished)


def test_the_reward_model_takes_the_step_of_its_pairs(finished: Run) -> None:
    checks.check_reward_step(finished)


def test_a_killed_training_ends_as_an_uninterrupted_one(finished: Run, tmp_path: Path) -> None:
    whole = Run(finished.policy, finished.reward, tmp_path / "whole")
    killed = Run(finished.policy, finished.reward, tmp_path / "killed")
    for one in (whole, killed):
        one.place.mkdir()
        shutil.copytree(finished.store, one.store, ignore=shutil.ignore_patterns("train_*", ".*"))
    run(whole, *STEPS)
    kill_at_the_first_checkpoint(killed)
    run(killed, *SAVING)
    first, second = (load_file(one.only("train_policy").folder / "model.safetensors") for one in (whole, killed))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def kill_at_the_first_checkpoint(one: Run) -> None:
    command = [sys.executable, "-m", "mt.run", *one.arguments(*SAVING)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    until = time.monotonic() + PATIENCE
    while not list(one.store.glob(".work/*/scratch/checkpoints/checkpoint-*/whole")):
        assert process.poll() is None, "the training ended before it could be killed"
        assert time.monotonic() < until, f"no checkpoint within {PATIENCE} s"
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not one.artifacts("train_policy")


def test_verifiable_english_is_learnt_from_and_judged_by_gold(tmp_path: Path) -> None:
    few = ["data.sizes.prompts=10", "data.sizes.preferences=5", "eval.held_out.prompts=4", "eval=[held_out]"]
    short = ["iterations=1", "sampling.samples=3", "sampling.max_new_tokens=16", "eval.held_out.decoding.samples=2"]
    steps = ["policy.training.batch_size=4", "reward.training.batch_size=4", "eval.held_out.diagnostics=false"]
    where = [f"policy.path={smollm2()}", f"store={tmp_path}/store", f"runs={tmp_path}/runs", "name=small"]
    command = [sys.executable, "-m", "mt.run", "scale=smollm2", *few, *short, *steps, *where]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with (tmp_path / "runs" / "small" / "metrics.csv").open(newline="") as file:
        gold = [row for row in csv.DictReader(file) if (row["benchmark"], row["metric"]) == ("gold", "mean_reward")]
    assert [row["iteration"] for row in gold] == ["0", "1"]
    assert all(0.0 <= float(row["value"]) <= 1.0 for row in gold)
