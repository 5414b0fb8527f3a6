"""Runs an audit of a model version and stores the result as a record. Audits are about robustness, membership, explanations, fairness under
shift, leakage, or forms (such as the same model in another precision or runtime, or a smaller one).
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from observability.core.errors import UsageError
from observability.core.finding import iso
from observability.enrichment import audit_curves as curves
from observability.enrichment.audit_steps import AuditRequest, AuditSteps, Progress
from observability.enrichment.explanation_audit import run_explanations
from observability.enrichment.fairness_audit import run_fairness
from observability.enrichment.leakage_audit import run_leakage
from observability.enrichment.membership_audit import run_membership
from observability.enrichment.precision_audit import run_precision
from observability.enrichment.robustness_audit import run_robustness

if TYPE_CHECKING:
    from observability.store.engine import Store
    from observability.worker.process import Worker


def run_audit(store: "Store", worker: "Worker", request: AuditRequest, progress: Progress) -> dict[str, Any]:
    """Run an audit, store its record and return it. progress: called with the share done and the current step. If it raises an exception,
    the audit stops, and the next run continues from there.

    Raises NotFoundError for an unknown model, UsageError if the version cannot be audited, and the worker's errors.
    """
    steps = prepared_steps(store, worker, request, progress)
    steps.resume()
    began = datetime.now(UTC)
    results = RUNNERS[request.kind](steps)
    finished = datetime.now(UTC)
    results |= {"seed": request.seed, "seconds": round((finished - began).total_seconds(), 1), "artifact": steps.version.artifact}
    record = {
        "kind": "audit",
        "model": request.model,
        "version": request.version,
        "at": iso(finished),
        "audit": request.kind,
        "results": results,
        "expires": iso(finished + timedelta(days=steps.model.settings.audit_days)),
    }
    store.write_records([record])
    steps.path.unlink(missing_ok=True)
    progress(1.0, "done")
    return record


def prepared_steps(store: "Store", worker: "Worker", request: AuditRequest, progress: Progress) -> AuditSteps:
    """The prepared steps of a request. Raises UsageError for an unknown kind or version, for wrong numbers, and if there is no
    model file.
    """
    if request.kind not in RUNNERS:
        raise UsageError("unknown kind of audit", got=request.kind, expected=" or ".join(RUNNERS))
    if request.rows is not None and request.rows < curves.MIN_ROWS:
        raise UsageError("an audit needs more rows", got=request.rows, expected=f"at least {curves.MIN_ROWS}")
    if request.shadows < 0 or request.shadows % 2 or request.shadows == 2:
        raise UsageError("shadow models come in pairs", got=request.shadows, expected="an even number from 4 on, or 0 for none")
    model = store.catalog().model(request.model)
    version = model.version(request.version)
    if version is None:
        known = ", ".join(each.name for each in model.versions)
        raise UsageError("unknown version", where=model.name, got=request.version, expected=known or "a registered version")
    artifact = store.artifact(version) if version.artifact else None
    if artifact is None:
        raise UsageError(
            "an audit runs the model, and no model file is stored for this version",
            where=f"{model.name} {version.name}",
            attempt="Register the version again with --artifact FILE",
        )
    return AuditSteps(store, worker, request, model, version, artifact, progress)


RUNNERS: dict[str, Callable[[AuditSteps], dict[str, Any]]] = {
    "robustness": run_robustness,
    "membership": run_membership,
    "explanations": run_explanations,
    "fairness": run_fairness,
    "leakage": run_leakage,
    "precision": run_precision,
}
