"""The slot for the audit that runs in this dashboard. The audit stores its result as a record, so the slot holds no result."""

from typing import TYPE_CHECKING

from observability.dashboard.background_job import JobSlot, Note

if TYPE_CHECKING:
    from observability.enrichment.audit_steps import AuditRequest
    from observability.store.engine import Store

AUDIT = JobSlot("audit", cancelled="Cancelled. Finished steps are kept: the next start goes on from there.", failed="The audit failed")


def start_audit(store: "Store", request: "AuditRequest") -> bool:
    """Start an audit in its own worker process, so that pages need not wait for it. Returns False if another audit is running."""
    from observability.enrichment.audits import run_audit
    from observability.worker.process import Worker

    def work(note: Note) -> None:
        worker = Worker()
        try:
            run_audit(store, worker, request, note)
        finally:
            worker.close()

    return AUDIT.start(request, f"{request.kind} of {request.model} {request.version}", work, model=request.model)
