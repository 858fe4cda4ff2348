"""For how long a call asks for a GPU on ZeroGPU, where many Spaces share the GPUs.

A visitor's quota must have as many seconds as a call asks for, and short requests come first; a call that takes longer
than it has asked for is ended. So each technique asks for what it needs at 1024 px with room to spare. These are
estimates: no ZeroGPU machine has been measured.
"""

from __future__ import annotations

from collections.abc import Callable

# Moving the networks to the GPU included.
SECONDS = {
    "stylegan2": 20,
    "history": 15,
    "features": 15,
    "attgan": 15,
    "draggan": 20,
    "igan": 20,
    "out_of_domain": 30,
}
OTHERS = 20  # of other techniques, and of pictures that go from tab to tab
# What is optimised asks for each step, too.
STEP_S = 0.1
MOST = 120  # what a visitor without an account may ask for; see SPACE_LIMIT_S in gpu.py, too


def seconds(function: Callable, *arguments) -> int:
    """What one call of a function that ``running.in_worker`` has marked asks for, with these arguments."""
    called = getattr(arguments[0], "function", None) if arguments else None  # a PipelineCall
    technique = called.split(".")[0] if called else _technique(function.__module__)
    return min(MOST, round(SECONDS.get(technique, OTHERS) + STEP_S * _steps(arguments)))


def _technique(module: str) -> str:
    """``"demo.tabs.igan.jobs"`` -> ``"igan"``."""
    parts = module.split(".")
    return parts[parts.index("tabs") + 1] if "tabs" in parts else ""


def _steps(arguments: tuple) -> int:
    found = [getattr(one, "arguments", one) for one in arguments]
    tables = [table for table in found if isinstance(table, dict)]
    tables += [drag for table in tables for drag in table.get("drags", ()) if isinstance(drag, dict)]
    steps = [table["steps"] for table in tables if isinstance(table.get("steps"), (int, float))]
    return sum(int(count) for count in steps)
