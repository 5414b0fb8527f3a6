"""Notes which lines of the product each test runs, and its processor time: `pytest -p tests.support.lines_run`, with a folder in $LINES_RUN.

`tests/support/short_form.py` reads these notes. Lines that run in other processes are not noticed.
"""

import os
import pickle
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PLACES = 100_000
"""Line n of file i is noted as the number i × PLACES + n."""
TOOL = 3
FILES = {
    str(path): place for place, path in enumerate(sorted([*ROOT.glob("observability/**/*.py"), *ROOT.glob("pages/*.py"), ROOT / "app.py"]))
}
watch: Any = getattr(sys, "monitoring", None)
seen: set[int] = set()
watched: set[CodeType] = set()
times: dict[str, float] = {}


def started(code: CodeType, _offset: int) -> object:
    """Watch the lines of a function of the product once it starts for the first time."""
    if code.co_filename in FILES and code not in watched:
        watched.add(code)
        watch.set_local_events(TOOL, code, watch.events.LINE)
    return watch.DISABLE


def ran(code: CodeType, line: int) -> object:
    """Note a line of the product, once per test."""
    if (place := FILES.get(code.co_filename)) is not None:
        seen.add(place * PLACES + line)
    return watch.DISABLE


def processor_seconds() -> tuple[float, float]:
    """Processor seconds of this process, and of its children that have ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime


def pytest_configure() -> None:
    """Begin to watch. Needs Python 3.12 or newer."""
    watch.use_tool_id(TOOL, "lines_run")
    watch.register_callback(TOOL, watch.events.PY_START, started)
    watch.register_callback(TOOL, watch.events.LINE, ran)
    watch.set_events(TOOL, watch.events.PY_START)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Write a note about the test: its name, processor seconds of the setup, of the whole test and of its children, and the lines that its
    call ran.
    """
    times.clear()
    own, children = processor_seconds()
    yield
    now = processor_seconds()
    note = (item.nodeid, times.get("setup", 0.0), now[0] - own, now[1] - children, np.array(sorted(seen), np.int32))
    with (Path(os.environ["LINES_RUN"]) / str(os.getpid())).open("ab") as file:
        pickle.dump(note, file)
    seen.clear()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    """Time the setup. Its lines do not count, because the first test that uses a shared fixture would get all of them."""
    begin = processor_seconds()[0]
    yield
    times["setup"] = processor_seconds()[0] - begin
    seen.clear()
    watch.restart_events()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """Stop noting lines once the call has ended."""
    kept = set(seen)
    yield
    seen.clear()
    seen.update(kept)
