"""What is the evidence about one prediction: what happened, which inputs were odd, is it the label, is it just this one, where does it come from?

    found = case(store, "a1")        # every part; `found.to_json()` is the contract's object (section 5)
    look = open_case(store, "a1")    # the same, part by part: look.part("inputs"), look.why

Nothing here knows a page. Parts that need the model itself are asked of a worker (investigation/score_explanation.py, edge.py, replay.py); without one they give what is
stored, or say why they cannot.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from observability.investigation import part_registry
from observability.investigation.case_parts import Look, Progress
from observability.investigation.evidence_types import (
    Case,
)
from observability.investigation.find_prediction import opened
from observability.store.query.source import snapshot

if TYPE_CHECKING:
    from observability.store.db.database import Store
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
    """The whole evidence about one prediction. Raises NotFoundError where it is not there; a part that fails is None, and `why` says why.

    model: needed only where several hold the id. as_of: what was known then. worker: runs the model for parts that need it and are not stored.
    """
    look = open_case(store, prediction_id, model=model, now=now, as_of=as_of, worker=worker, progress=progress)
    with snapshot(store):
        parts = {name: look.part(name) for name in look.parts}
    why = dict(look.why)
    if look.row.also_in:
        why["prediction"] = f"Other models hold a prediction of this id too: {', '.join(look.row.also_in)}. Name the model to see theirs."
    return Case(look.row, **parts, why=why, also_in=look.row.also_in)


def open_case(
    store: "Store",
    prediction_id: str,
    *,
    model: str | None = None,
    now: datetime | None = None,
    as_of: datetime | None = None,
    worker: "Worker | None" = None,
    progress: Progress | None = None,
) -> Look:
    """The prediction, found, with its parts yet to be asked for. Raises NotFoundError where it is not there."""
    row = opened(store, prediction_id, model=model, as_of=as_of)
    return Look(store, row, (now or datetime.now(UTC)).astimezone(UTC), as_of, worker, progress, parts=part_registry.PARTS)
