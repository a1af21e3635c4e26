"""The benchmark of training runs, and its columns are there."""

from __future__ import annotations

import pytest

from benchmarks.training_throughput import main


def test_the_table_has_a_line_per_kind(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--rows", "64", "--repeats", "1", "--hidden", "16", "--layers", "1", "--kinds", "policy", "reward"])
    title, header, *lines = capsys.readouterr().out.splitlines()
    assert title.startswith("64 pairs on")
    assert header.split() == ["ideal", "bare", "ours", "ours/ideal", "ours/bare", "of", "ceiling", "GPU", "MiB"]
    assert [line.split()[0] for line in lines] == ["policy", "reward"]
    assert all(float(line.split()[3].replace(",", "")) > 0 for line in lines)


def test_losses_equal_those_of_trl(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--hidden", "16", "--layers", "1", "--rows", "100", "--batch-size", "16"]
    main([*sizes, "--repeats", "1", "--kinds", "policy", "--trl", "--trl-batch", "8"])
    _, _, _, header, *steps, last = capsys.readouterr().out.splitlines()
    assert header.split() == ["step", "our", "loss", "TRL", "loss", "difference"]
    assert len(steps) == 6
    assert float(last.removeprefix("largest difference ")) < 1e-5
