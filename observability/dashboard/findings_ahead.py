"""Computes findings before anybody asks for them: first those of the first page, then those of the scope Everything."""

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING

from observability.dashboard.overview import model_status
from observability.dashboard.scope import Scope
from observability.server import health, process_lock

if TYPE_CHECKING:
    from observability.core.catalog import Model

LOOK_EVERY = 10.0
"""Seconds between two checks of whether the findings of the first page are up to date."""
AHEAD = Scope(span="all")
"""The scope that is computed while nothing changes. Of all scopes it takes the longest to compute."""


def keep_findings_known(holder: process_lock.Owner) -> None:
    """Compute findings until the server ends. After each change they are computed for the first page. Between changes they are computed for
    the scope Everything, one model at a time.

    The work takes at most a tenth of the time. A failure is reported by the page that needs the findings.
    """
    from observability.dashboard import load

    import_module("scipy.stats")  # takes half a second, which the first page with a test of significance would otherwise wait for
    with contextlib.suppress(Exception):
        health.store_status(holder.store)  # counts rows now, so that the first request for the status does not wait
    seen: tuple[int, datetime] | None = None
    ahead: Iterator[str] = iter(())
    pause = 0.0
    while not holder.stopping.wait(pause):
        began, now, least = time.monotonic(), (holder.store.generation, load.page_clock()), 0.0
        if now != seen:
            seen, ahead = now, compute_findings(AHEAD)
            for _ in compute_findings(Scope()):
                pass
        elif next(ahead, None) is None:
            least = LOOK_EVERY
        pause = max(least, 9 * (time.monotonic() - began))


def compute_findings(scope: Scope) -> Iterator[str]:
    """Compute the findings that Home shows in a scope: model by model, then the findings about records. Yields the name of each model, and
    then "records". For a large fleet nothing is computed, because Home shows such a fleet page by page and the watcher checks it.
    """
    from observability.dashboard import load, load_findings
    from observability.dashboard.overview import large_fleet

    models: tuple[Model, ...] = ()
    with contextlib.suppress(Exception):
        models = load.catalog().fleet
    if large_fleet.is_large(models):
        return
    for model in models:
        with contextlib.suppress(Exception):
            load_findings.findings_in_window(model_status.load_model_status(scope, model).window, wait=True)
        yield model.name
    with contextlib.suppress(Exception):
        load_findings.scope_record_findings(scope)
    yield "records"
