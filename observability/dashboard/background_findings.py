"""Findings of analyzers that read samples of raw rows, computed in the background.

They take about a second for each model and window, so one thread works through the requests of pages. A result is kept for some minutes;
the old one is shown while a newer one is computed.
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
from observability.monitoring.kept_findings import Asked, kept_findings_of, model_generation

if TYPE_CHECKING:
    from observability.monitoring.analyzer_runs import Reads
    from observability.store.engine import Store

KEEP = 600.0
"""Seconds after which findings are computed again where the store has changed."""
MAX_KEPT_WINDOWS = 256
Key = tuple[str, int, Window]
"""The home, how often its store was rewritten, and the window: findings from before something was removed are not shown after it."""


@dataclass(frozen=True)
class SampledFindings:
    """The findings, the generation of the model they belong to, and when they were computed (monotonic seconds)."""

    findings: tuple[Finding, ...]
    generation: int
    at: float


_finished: OrderedDict[Key, SampledFindings] = OrderedDict()
_under_way: dict[Key, Future[tuple[Finding, ...]]] = {}
_lock = threading.Lock()
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="deep")


def sampled_findings(store: "Store", window: Window, now: datetime, *, wait: bool = False) -> tuple[Finding, ...]:
    """Findings of these analyzers in a window that are known by now. wait: compute them now where none are known."""
    key, generation = _key(store, window), model_generation(store.generations, window.model)
    kept = kept_findings_of(store).find(Asked(window, "rows", window.end), generation)
    with _lock:
        if key not in _finished and kept is not None:
            _finished[key] = SampledFindings(kept, generation, time.monotonic())
        known, under_way = _finished.get(key), _under_way.get(key)
        fresh = known is not None and (known.generation == generation or time.monotonic() - known.at < KEEP)
        if not fresh and under_way is None:
            under_way = _under_way[key] = _thread.submit(compute_sampled_findings, store, window, now, key)
    if wait and known is None and under_way is not None:
        return under_way.result()
    return known.findings if known else ()


def sampled_findings_pending(store: "Store", window: Window) -> bool:
    """Whether findings of a window are being computed for the first time."""
    key = _key(store, window)
    with _lock:
        return key in _under_way and key not in _finished


def _key(store: "Store", window: Window) -> Key:
    return str(store.home), store.rewrites, window


def compute_sampled_findings(store: "Store", window: Window, now: datetime, key: Key) -> tuple[Finding, ...]:
    """Run the analyzers and keep their findings; none where the store was closed meanwhile."""
    findings: tuple[Finding, ...] = ()
    generation = model_generation(store.generations, window.model)
    try:
        with contextlib.suppress(Exception):
            findings = window_findings(store, window, now, "rows")
            kept_findings_of(store).keep(Asked(window, "rows", window.end), generation, findings)
    finally:
        with _lock:
            _finished[key] = SampledFindings(findings, generation, time.monotonic())
            _under_way.pop(key, None)
            while len(_finished) > MAX_KEPT_WINDOWS:
                _finished.popitem(last=False)
    return findings


def window_findings(store: "Store", window: Window, now: datetime, reads: "Reads") -> tuple[Finding, ...]:
    """Findings of one model in a window by some analyzers (`analyzer_runs.analyzer_reads`), worst first."""
    from observability.monitoring import check

    span = {name: getattr(window, name) for name in ("model", "version", "start", "end", "as_of", "slice", "environment")}
    return check.check(store, **span, now=now, with_records=False, reads=reads).findings
