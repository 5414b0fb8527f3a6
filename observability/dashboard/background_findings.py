"""Findings that are computed in the background: those of analyzers that read samples of raw rows, and those about records.

Findings from samples take about a second for each model and window, so one thread processes the requests of all pages. A result is kept for
some minutes; while a newer one is computed, the old one is shown. A page waits a short time for findings about records, and is then drawn
without them.
"""

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
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
"""Seconds after which findings are computed again if the store has changed."""
PATIENCE = 0.5
"""Seconds that a page waits for findings about records before it is drawn without them."""
MAX_KEPT_WINDOWS = 256
Key = tuple[str, int, Hashable]
"""The home, the number of times its store was rewritten, and the question, such as a window. A removal rewrites the store, so findings from
before a removal are no longer shown.
"""


@dataclass(frozen=True)
class SampledFindings:
    """Findings with the state to which they belong and the time at which they were computed (monotonic seconds). generation: the generation
    of the model; for findings about records, the state of the records.
    """

    findings: tuple[Finding, ...]
    generation: Hashable
    at: float


_finished: OrderedDict[Key, SampledFindings] = OrderedDict()
_under_way: dict[Key, Future[tuple[Finding, ...]]] = {}
_lock = threading.Lock()
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="deep")
_threads_of_records = ThreadPoolExecutor(max_workers=4, thread_name_prefix="records")


def sampled_findings(store: "Store", window: Window, now: datetime, *, wait: bool = False) -> tuple[Finding, ...]:
    """The known findings in a window from the analyzers that read samples. wait: if none are known, compute them now."""
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


def record_findings_within(
    store: "Store", asked: Hashable, state: Hashable, compute: Callable[[], Iterable[Finding]]
) -> tuple[tuple[Finding, ...] | None, bool]:
    """Findings about records, and whether newer findings are being computed.

    Until new findings are ready, those of an earlier state are returned; None if there are none after PATIENCE seconds. asked: the
    question; state: findings of any other state are out of date. Raises the errors of the computation.
    """
    key = _key(store, asked)
    with _lock:
        known = _finished.get(key)
        if known is not None and known.generation == state:
            return known.findings, False
        if (under_way := _under_way.get(key)) is None:
            under_way = _under_way[key] = _threads_of_records.submit(_compute_record_findings, key, state, compute)
    if under_way in wait([under_way], PATIENCE).done:
        return under_way.result(), False
    return known.findings if known else None, True


def record_findings_pending(store: "Store", asked: Hashable) -> bool:
    """Whether findings of a question about records are being computed."""
    return _key(store, asked) in _under_way


def _compute_record_findings(key: Key, state: Hashable, compute: Callable[[], Iterable[Finding]]) -> tuple[Finding, ...]:
    """Compute findings, and store them with the state that was known before the computation began."""
    try:
        findings = tuple(compute())
        _keep(key, SampledFindings(findings, state, time.monotonic()))
        return findings
    finally:
        with _lock:
            _under_way.pop(key, None)


def _keep(key: Key, found: SampledFindings) -> None:
    """Store findings, and drop the oldest if there are too many."""
    with _lock:
        _finished[key] = found
        while len(_finished) > MAX_KEPT_WINDOWS:
            _finished.popitem(last=False)


def _key(store: "Store", asked: Hashable) -> Key:
    return str(store.home), store.rewrites, asked


def compute_sampled_findings(store: "Store", window: Window, now: datetime, key: Key) -> tuple[Finding, ...]:
    """Run the analyzers and store their findings; empty if the computation fails, for example because the store was closed meanwhile."""
    findings: tuple[Finding, ...] = ()
    generation = model_generation(store.generations, window.model)
    try:
        with contextlib.suppress(Exception):
            findings = window_findings(store, window, now, "rows")
            kept_findings_of(store).keep(Asked(window, "rows", window.end), generation, findings)
    finally:
        _keep(key, SampledFindings(findings, generation, time.monotonic()))
        with _lock:
            _under_way.pop(key, None)
    return findings


def window_findings(store: "Store", window: Window, now: datetime, reads: "Reads") -> tuple[Finding, ...]:
    """Findings of one model in a window, from the analyzers that `reads` selects (`analyzer_runs.analyzer_reads`), worst first."""
    from observability.monitoring import check

    span = {name: getattr(window, name) for name in ("model", "version", "start", "end", "as_of", "slice", "environment")}
    return check.check(store, **span, now=now, with_records=False, reads=reads).findings
