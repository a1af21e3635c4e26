"""Import all that a run imports; the process that commands are forked from imports this module."""

import importlib
import pkgutil

from mt.running.execution import quiet_libraries

quiet_libraries()  # libraries read these settings when they are imported

import analysis.report  # noqa: E402
import mt  # noqa: E402

LIBRARIES = ["transformers.models.auto.modeling_auto", "transformers.models.llama.modeling_llama", "openai"]
ABSENT = ("_worker", "vllm_engine", "vllm_loop", "zero")
"""Ends of the names of modules that import packages of a cluster."""

found = [
    one.name
    for package in (mt, analysis.report)
    for one in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]
for name in LIBRARIES + [name for name in found if not name.endswith(ABSENT)]:
    importlib.import_module(name)
