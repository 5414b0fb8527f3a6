"""Keep the objects that imports created out of garbage collections.

Streamlit collects garbage after each run of a page. Nine tenths of the objects that it scanned were functions, classes and constants of
modules, which stay until the process ends. The scan took 0.15 s, about as long as the run itself.
"""

import gc
import sys
import time
from typing import Any

GROWTH = 1.02
"""If the number of modules has grown by this factor, all objects are scanned again."""
LOOK_AT_ALL = 3600.0
"""After this many seconds, a collection scans all objects in any case, because some that were in use when they were excluded no
longer are.
"""


class FrozenImports:
    """A callback of the garbage collector. After many imports, it lets a full collection run and then excludes all objects still in use
    from later collections.
    """

    def __init__(self) -> None:
        self._modules, self._at, self._looks_at_all = 0, 0.0, False

    def __call__(self, phase: str, info: dict[str, Any]) -> None:
        """Called when a collection starts and when it stops."""
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
    """From now on, keep the objects that imports created out of the garbage collections of this process."""
    gc.callbacks.append(FrozenImports())
