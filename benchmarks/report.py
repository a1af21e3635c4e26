"""How long the report takes: to make, to show, to search; with 10,000 responses by default.

    python -m benchmarks.report [--prompts 250] [--words 40] [--repeats 5]
    python -m benchmarks.report --run runs/NAME

The made-up run has 40 responses a prompt of its parts (8 sets of 5); a real run can be named instead. Times in the
browser are the browser's own (navigation start to paint, performance.now around a search), each in a new profile.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.report import write
from tests.analysis.report import fixture
from tests.analysis.report.chromium import chromium, missing

SCREENS = {"desk": (1280, 900), "phone": (390, 844)}
SEARCH = """
const done = arguments[arguments.length - 1];
const [query, count] = [document.getElementById("query"), document.getElementById("count")];
const start = performance.now();
new MutationObserver((_, self) => { self.disconnect(); requestAnimationFrame(() => done(performance.now() - start)); })
  .observe(count, { childList: true, characterData: true, subtree: true });
query.value = arguments[0];
query.dispatchEvent(new Event("input"));
"""
CHART = """
const done = arguments[arguments.length - 1];
const start = performance.now();
const figure = document.querySelector("[data-chart]");
figure.scrollIntoView({ behavior: "instant" });
const wait = () => (figure.querySelector(".main-svg") ? done(performance.now() - start) : requestAnimationFrame(wait));
wait();
"""


def main() -> int:
    """Measure and print a table; returns the exit status."""
    options = _options()
    if reason := missing():
        print(reason, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        run = options.run or fixture.make_run(root, fixture.mutual_taught(options.prompts, words=options.words))
        page = root / "report.html"
        makings = [_making(run, page) for _ in range(options.repeats)]
        print(f"{run.name}: {page.stat().st_size / 1e6:.2f} MB, made in {_line(makings, 's')}")
        for screen, (width, height) in SCREENS.items():
            rows = [_visit(page, root / f"{screen}{i}", width, height) for i in range(options.repeats)]
            for name in rows[0]:
                print(f"{screen:6} {name:34} {_line([row[name] for row in rows], 'ms')}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=250, help="prompts a part of the made-up run")
    parser.add_argument("--words", type=int, default=40, help="filler words a response")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--run", type=Path, help="a real run folder")
    return parser.parse_args()


def _making(run: Path, page: Path) -> float:
    start = time.perf_counter()
    write([run], page)
    return time.perf_counter() - start


def _visit(page: Path, profile: Path, width: int, height: int) -> dict[str, float]:
    """Open the page as a reader does the first time, search, and go to the first chart; milliseconds."""
    with chromium(profile, width, height) as driver:
        driver.get(page.as_uri())
        while "prompts" not in driver.execute_script("return document.getElementById('count').textContent"):
            time.sleep(0.02)
        return {
            "first view (contentful paint)": _mark(driver, "first-contentful-paint"),
            "samples unpacked and listed": _mark(driver, "samples-ready"),
            "first search (90 ms of it a pause)": driver.execute_async_script(SEARCH, "answer 3 to"),
            "second search": driver.execute_async_script(SEARCH, "p2 answer"),
            "first chart (unpacks the library)": driver.execute_async_script(CHART),
        }


def _mark(driver: Any, name: str) -> float:
    return float(driver.execute_script("return performance.getEntriesByName(arguments[0])[0].startTime", name))


def _line(values: Sequence[float], unit: str) -> str:
    digits = 2 if unit == "s" else 0
    middle, worst = statistics.median(values), max(values)
    return f"{middle:.{digits}f} {unit} (median of {len(values)}; worst {worst:.{digits}f})"


if __name__ == "__main__":
    sys.exit(main())
