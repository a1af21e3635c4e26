"""Mutual-Taught: a policy and a reward model that teach each other."""

import sys

if sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)] in ("mt.run", "mt.plan", "mt.store"):
    from mt.runtime.interruption import end_at_once

    end_at_once()  # the command's imports take half a second
