"""The audit that runs in this dashboard: one at a time, in its own thread; anyone can see and cancel it.

What it found is a record; a cancelled one goes on where it stopped when it is started again.
"""

import threading
from typing import TYPE_CHECKING

from observability.core.errors import ObservabilityError
from observability.dashboard.lab.job import JobCancelled, LabJob

if TYPE_CHECKING:
    from observability.enrichment.audits import AuditRequest
    from observability.store.engine import Store

_lock = threading.Lock()
_running: LabJob | None = None


def running_audit() -> LabJob | None:
    """The running audit, or the last one where it failed; else None."""
    return _running if _running is not None and (not _running.done or _running.failure) else None


def start_audit(store: "Store", request: "AuditRequest") -> bool:
    """Start an audit; False where another is running."""
    global _running
    with _lock:
        if _running is not None and not _running.done:
            return False
        _running = LabJob(request, f"{request.kind} of {request.model} {request.version}")
        threading.Thread(target=_run, args=(_running, store, request), name="audit", daemon=True).start()
        return True


def cancel_audit() -> None:
    """Cancel the running audit at its next sign of progress."""
    if _running is not None:
        _running.stop.set()


def _run(job: LabJob, store: "Store", request: "AuditRequest") -> None:
    """Run the audit in a worker of its own, so that pages need not wait for it."""
    from observability.enrichment.audits import run_audit
    from observability.worker.process import Worker

    worker = Worker()
    try:
        run_audit(store, worker, request, job.note)
    except JobCancelled:
        job.failure = "Cancelled. Finished steps are kept: the next start goes on from there."
    except ObservabilityError as error:
        job.failure = str(error)
    except Exception as error:
        job.failure = f"The audit failed: {type(error).__name__}: {error}"
    finally:
        worker.close()
        job.done = True
