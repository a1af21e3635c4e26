"""The benchmark of training runs, and its columns are there."""

from __future__ import annotations

import pytest

from benchmarks.training_throughput import main


def test_the_table_has_a_line_per_kind(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--rows", "64", "--repeats", "1", "--hidden", "16", "--layers", "1", "--kinds", "policy", "reward"])
    title, header, *lines = capsys.readouterr().out.splitlines()
    assert title.startswith("64 pairs")
    assert header.split() == ["ideal", "bare", "ours", "ours/ideal", "ours/bare", "of", "ceiling", "GPU", "MiB"]
    assert [line.split()[0] for line in lines] == ["policy", "reward"]
    assert all(float(line.split()[3].replace(",", "")) > 0 for line in lines)
