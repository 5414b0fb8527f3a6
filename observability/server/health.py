"""The health of this process: whether its loader works, and which problems people should know about.

`/readyz`, `/api/v1/status`, the command `status` and the banner of pages say the same.
"""

import logging
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from observability.core.errors import ObservabilityError, StoreBrokenError, StoreBusyError
from observability.core.formatting import with_full_stop
from observability.core.limits import limits_in_force
from observability.server import process_lock
from observability.worker.confine import confinement_problems

if TYPE_CHECKING:
    from observability.store.engine import Store


LOG = logging.getLogger(__name__)
MAX_AGE, COUNT_EVERY = 600.0, 10.0
"""If records are being loaded or counting takes long: maximum age in seconds of the counts that are shown, and age in seconds from which
they are counted again in the background. The time for counting grows with the number of changes.
"""
_counting = threading.Lock()


def store_status(store: "Store") -> dict[str, Any]:
    """The status of the store, together with `loader`: the state of this process's loader. Problems of the loader come first."""
    body = store.status(MAX_AGE)
    counted = body["counted_at"]
    if counted is not None and time.time() - datetime.fromisoformat(counted).timestamp() > COUNT_EVERY:
        process_lock.started_thread("status", _count_again, store)
    return {
        **body,
        "loader": loader_status(),
        "collectors": collectors_status(),
        "problems": [*_process_problems(), *limits_problems(store), *body["problems"], *confinement_problems()],
    }


def _count_again(store: "Store") -> None:
    """Compute the counts of the database for the status, unless another thread is computing them."""
    if _counting.acquire(blocking=False):
        try:
            store.status(COUNT_EVERY)
        except (ObservabilityError, OSError):
            LOG.warning("the status could not be counted", exc_info=True)
        finally:
            _counting.release()


def loader_status() -> dict[str, Any]:
    """The state of this process's loader. Times are RFC 3339 in UTC, None if unknown.

    state: works, fails (the last load failed and will be tried again), dead (its thread ended) or "not running" (no dashboard runs in this
    process); busy; last_success, last_load (of at least one line), last_failure; failure and try: why the last load failed and what to do;
    failures: how many in a row; next_try; restarts of its thread.
    """
    owner = _owner()
    state = process_lock.LoaderState() if owner is None else owner.loader
    return {
        "state": _loader_word(owner),
        "busy": state.busy,
        "last_success": _instant(state.last_success),
        "last_load": _instant(state.last_load),
        "last_failure": _instant(state.last_failure),
        "failure": state.failure,
        "try": state.attempt,
        "failures": state.failures,
        "next_try": _instant(state.next_try) if state.failure else None,
        "restarts": state.restarts,
    }


def loader_problems() -> list[str]:
    """Why new records are not loaded, as sentences. Empty while records are loaded, and in a process without a loader."""
    status = loader_status()
    if status["state"] == "dead":
        return ["New records are not loaded: the loader ended. It is started again within seconds; records in landing wait."]
    if status["state"] != "fails":
        return []
    next_try = f" Tried again by itself, next at {status['next_try'][11:19]} UTC." if status["next_try"] else ""
    failure = status["failure"]
    return [f"New records are not loaded, they wait in landing. {failure[:1].upper()}{with_full_stop(failure[1:])}{next_try}"]


def all_problems(store: "Store") -> list[str]:
    """Problems of the loader and of the store, as sentences. It costs only one small query."""
    return [*_process_problems(), *limits_problems(store), *store.problems(), *confinement_problems()]


def _process_problems() -> list[str]:
    """The duties that this process does not fulfil, as sentences."""
    return [*loader_problems(), *collectors_problems(), *publishing_problems()]


def collectors_status() -> dict[str, Any]:
    """The place of the collectors (a shared folder or bucket): place (None if none is set), number of waiting segments, last_success (RFC
    3339, UTC), failure.
    """
    owner = _owner()
    state = None if owner is None else owner.collected
    if state is None:
        return {"place": None, "waiting": 0, "last_success": None, "failure": None}
    return {"place": state.address, "waiting": state.waiting, "last_success": _instant(state.last_success), "failure": state.failure}


def collectors_problems() -> list[str]:
    """Why records of collectors do not arrive, as sentences; none while they arrive."""
    failure = collectors_status()["failure"]
    return [f"Records of collectors are not loaded; they wait in the shared place: {with_full_stop(failure)}"] if failure else []


def publishing_problems() -> list[str]:
    """Why the store is not published for the processes that read it, as sentences. Empty if it is published, or if publishing was not
    requested.
    """
    owner = _owner()
    failure = None if owner is None or owner.publisher is None else owner.publisher.failure
    if owner is not None and owner.publishing is not None and not owner.publishing.is_alive():
        failure = "its thread ended; start the dashboard again"
    return [f"Other processes show an older state: {with_full_stop(failure)}"] if failure else []


def limits_problems(store: "Store") -> list[str]:
    """Why the limits of the home are not in force, as sentences. Empty if they are in force."""
    problem = limits_in_force(store.home).problem
    return [] if problem is None else [problem]


def require_readiness() -> None:
    """Raise StoreBrokenError or StoreBusyError unless the store can be read, the disk has room and the loader works."""
    owner = process_lock.current_owner()
    owner.store.require_readable()
    owner.store.require_space()
    if owner.thread is not None:
        owner.keep_loader_alive()
    if (word := _loader_word(owner)) == "works":
        return
    attempt = owner.loader.attempt or "Records in landing wait, and loading is tried again by itself; see the page Store"
    raise StoreBrokenError(
        "new records are not loaded", got=owner.loader.failure if word == "fails" else f"a loader that is {word}", attempt=attempt
    )


def _loader_word(owner: process_lock.Owner | None) -> str:
    if owner is None or owner.thread is None:
        return "not running"
    if not owner.thread.is_alive():
        return "dead"
    return "works" if owner.loader.failure is None else "fails"


def _owner() -> process_lock.Owner | None:
    try:
        return process_lock.current_owner()
    except StoreBusyError:
        return None


def _instant(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
