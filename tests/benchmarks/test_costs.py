"""The page of estimated costs shows what its commands print now."""

from __future__ import annotations

import re

from benchmarks.costs import DOCUMENT, blocks, output

README = DOCUMENT.parents[1] / "README.md"


def test_the_page_and_the_readme_say_what_the_estimate_says() -> None:
    """Stale: `python -m benchmarks.costs`; then the table at its end, and README's hours."""
    text = DOCUMENT.read_text()
    whole, table1, run = blocks(text).items()
    assert whole[0].startswith("mt.plan -m experiment=table1,table2,")
    for name, (command, shown) in (("Table 1", table1), ("one run", run)):
        assert output(command) == shown
        loads, hours, gpu_hours = (
            float(found[1])
            for word in ("loads of a model", "h of wall time", "GPU-hours")
            if (found := re.search(rf"([\d.]+)\s{word}", shown))
        )
        assert f"| {name}, now | {loads:.0f} | {hours:.1f} | {gpu_hours:.0f} |" in text
        if name == "Table 1":
            assert f"about {hours:.0f} hours" in README.read_text()
