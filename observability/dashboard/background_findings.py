"""What do the analyzers say that read samples of raw rows, without letting a page wait for them?

They take a second or so a model and window, so one thread of its own works through what pages asked for. An answer is kept for some minutes; while
a newer one is made, the old one is shown.
"""

import contextlib
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from observability.core.finding import Finding
from observability.core.window import Window

if TYPE_CHECKING:
    from observability.store.db.database import Store

KEEP = 600.0
"""Seconds after which an answer is made anew where the store has grown."""
MOST = 256
Key = tuple[str, Window]


@dataclass(frozen=True)
class Said:
    """What was said, at which generation of the store, and when (monotonic seconds)."""

    findings: tuple[Finding, ...]
    generation: int
    at: float


_said: OrderedDict[Key, Said] = OrderedDict()
_under_way: dict[Key, Future[tuple[Finding, ...]]] = {}
_lock = threading.Lock()
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="deep")


def findings(store: "Store", asked: Window, now: datetime, *, wait: bool = False) -> tuple[Finding, ...]:
    """Findings of those analyzers in a window: what is known by now, or, with `wait`, what there is to say."""
    key = str(store.home), asked
    with _lock:
        known, under_way = _said.get(key), _under_way.get(key)
        fresh = known is not None and (known.generation == store.generation or time.monotonic() - known.at < KEEP)
        if not fresh and under_way is None:
            under_way = _under_way[key] = _thread.submit(judge, store, asked, now, key)
    if wait and known is None and under_way is not None:
        return under_way.result()
    return known.findings if known else ()


def looking(store: "Store", asked: Window) -> bool:
    """Whether a first answer about a window is being made."""
    key = str(store.home), asked
    with _lock:
        return key in _under_way and key not in _said


def judge(store: "Store", asked: Window, now: datetime, key: Key) -> tuple[Finding, ...]:
    """Ask them, and keep what they say. Nothing where the store was closed meanwhile."""
    from observability.monitoring import check

    said: tuple[Finding, ...] = ()
    generation = store.generation
    try:
        with contextlib.suppress(Exception):
            report = check.check(
                store, model=asked.model, version=asked.version, start=asked.start, end=asked.end, as_of=asked.as_of, slice=asked.slice, now=now,
                with_records=False, reads="rows",
            )  # fmt: skip
            said = report.findings
    finally:
        with _lock:
            _said[key] = Said(said, generation, time.monotonic())
            _under_way.pop(key, None)
            while len(_said) > MOST:
                _said.popitem(last=False)
    return said
