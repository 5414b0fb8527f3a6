"""Evidence about one prediction: outcome, inputs, attributions, label, similar errors, versions, and ranked sources of error.

    found = case(store, "a1")               # all parts; `found.to_json()` is the contract's object (section 5)
    in_progress = open_case(store, "a1")    # the same part by part: in_progress.part("inputs"), in_progress.why

Nothing here depends on a page. Parts that need the model are computed by a worker (score_explanation.py, counterfactuals.py,
version_replay.py); without one they give stored results, or the reason why they cannot.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from observability.investigation import part_registry
from observability.investigation.case_parts import CaseInProgress, Progress
from observability.investigation.evidence_types import Case
from observability.investigation.find_prediction import opened

if TYPE_CHECKING:
    from observability.store.engine import Store
    from observability.worker.process import Worker


def case(
    store: "Store",
    prediction_id: str,
    *,
    model: str | None = None,
    now: datetime | None = None,
    as_of: datetime | None = None,
    worker: "Worker | None" = None,
    progress: Progress | None = None,
) -> Case:
    """All evidence about one prediction. Raises NotFoundError where it does not exist; a part that fails is None, with the reason in
    `why`.

    model: needed only where several models have this id. as_of: only what had arrived by then counts. worker: computes results that are
    not stored.
    """
    in_progress = open_case(store, prediction_id, model=model, now=now, as_of=as_of, worker=worker, progress=progress)
    with store.snapshot():
        parts = {name: in_progress.part(name) for name in in_progress.parts}
    why = dict(in_progress.why)
    if in_progress.row.also_in:
        why["prediction"] = (
            f"Other models have a prediction with this id: {', '.join(in_progress.row.also_in)}. Name the model to select one."
        )
    return Case(in_progress.row, **parts, why=why, also_in=in_progress.row.also_in)


def open_case(
    store: "Store",
    prediction_id: str,
    *,
    model: str | None = None,
    now: datetime | None = None,
    as_of: datetime | None = None,
    worker: "Worker | None" = None,
    progress: Progress | None = None,
) -> CaseInProgress:
    """The prediction, with its parts computed on request. Raises NotFoundError where it does not exist."""
    row = opened(store, prediction_id, model=model, as_of=as_of)
    return CaseInProgress(store, row, (now or datetime.now(UTC)).astimezone(UTC), as_of, worker, progress, parts=part_registry.PARTS)
