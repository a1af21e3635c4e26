"""The page that says what a soak found."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence

from tests.soak.damage import KINDS
from tests.soak.found import Found
from tests.soak.kills import FRESH, SIGNALS
from tests.soak.parts import unfinished

TEXT = """\
# Faults

`make soak` breaks the program on purpose. This is what became of it by seed {seed} on {machine}, {date}, at commit
{commits}. The default suite runs a sample of each part (`tests/soak/test_soak.py`).

**{total} faults.**

- **Kills**: {kills[kills]:,} of {kills[runs]} runs at random moments ({signals}); {fresh:.0%} hit a new interpreter,
  the others a fork of one that has imported everything. Each run ends with the artifacts and numbers of one that nobody
  killed, no stage is published twice, and a signal that can be caught leaves one line, status 130 and a record that
  says `interrupted`: {faults[kills]} faults.
- **Races**: {races[races]}, of 8 commands at once in one store (each stage is computed once, all measure the same) and
  of 8 of one name (one runs, the others are refused in one line): {faults[races]} faults.
- **Damage**: {damage[files]} files ({files}), one at a time. The same command then gives the same results, or one line
  whose advice works as it stands ({damage[said]} times): {faults[damage]} faults.
- **Judge**: {judge[requests]:,} requests to an endpoint of which every third reply is a fault, by 3 processes of which
  one is killed again and again ({judge[kills]} times). Under limits of ${judge[limit_usd]:.2f} in all they paid
  ${judge[paid_usd]:.2f}; after these were raised every comparison was judged, and no judgment was lost:
  {faults[judge]} faults.
- **Bad inputs**: {inputs[inputs]:,} words and values of the command line, data files and model folders, given to the
  whole command up to its first stage. {inputs[refused]:,} were refused in one line, the others taken, none with a
  traceback, or for more than 30 seconds of a CPU: {faults[inputs]} faults.
"""


def page(seed: int, commits: Sequence[str], found: Mapping[str, Found]) -> str:
    """Return the page, as Markdown."""
    counts = {name: one.counts for name, one in found.items()}
    text = TEXT.format(
        **counts,
        seed=seed,
        machine=f"{os.cpu_count()} CPU cores ({platform.system()})",
        date=time.strftime("%Y-%m-%d"),
        commits=", ".join(commits),
        total=sum(len(one.faults) for one in found.values()),
        faults={name: len(one.faults) for name, one in found.items()},
        signals=", ".join(f"{name} {counts['kills'][name]}" for name in SIGNALS),
        files=", ".join(f"{name} {counts['damage'][name]}" for name in KINDS),
        fresh=FRESH,
    )
    if parts := unfinished(found):
        text += f"\nNot finished: {', '.join(parts)}. `make soak` goes on where it was.\n"
    faults = [f"- {name}: {fault}\n" for name, one in found.items() for fault in one.faults]
    return text + ("\n" + "".join(faults) if faults else "")
