"""Keep what imports made out of garbage collections.

Streamlit collects garbage after each run of a page. Nine tenths of the objects that it scanned were functions, classes and constants of
modules, which stay until the process ends. The scan took 0.15 s, about as long as the run itself.
"""

import gc
import sys
import time
from typing import Any

GROWTH = 1.02
"""Growth factor of the number of modules from which all objects are scanned again."""
LOOK_AT_ALL = 3600.0
"""Seconds after which a collection scans all objects in any case: some were in use when they were excluded, and no longer are."""


class FrozenImports:
    """A callback of the garbage collector: a full collection after many imports excludes the objects that it found in use from later
    collections.
    """

    def __init__(self) -> None:
        self._modules, self._at, self._looks_at_all = 0, 0.0, False

    def __call__(self, phase: str, info: dict[str, Any]) -> None:
        """Called as a collection starts and stops."""
        if info["generation"] < 2:
            return
        if phase == "start":
            self._looks_at_all = len(sys.modules) > GROWTH * self._modules or time.monotonic() - self._at > LOOK_AT_ALL
            if self._looks_at_all:
                gc.unfreeze()
        elif self._looks_at_all:
            gc.freeze()
            self._modules, self._at, self._looks_at_all = len(sys.modules), time.monotonic(), False


def leave_imports_out_of_collections() -> None:
    """Keep what imports made out of the garbage collections of this process from now on."""
    gc.callbacks.append(FrozenImports())
