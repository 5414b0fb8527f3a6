"""Collects the evidence about one prediction: outcome, inputs, attributions, label, similar errors, versions, and ranked sources of error.

    found = case(store, "a1")               # all parts; `found.to_json()` is the contract's object (section 5)
    in_progress = open_case(store, "a1")    # the same part by part: in_progress.part("inputs"), in_progress.why

Nothing here depends on a page. A worker computes the parts that need the model (score_explanation.py, counterfactuals.py,
version_replay.py). Without a worker, these parts have stored results, or the reason why there are none.
"""

from datetime import UTC, datetime
from typing import Any

from observability.investigation import part_registry
from observability.investigation.case_parts import CaseInProgress, Progress
from observability.investigation.evidence_types import Case
from observability.investigation.find_prediction import prediction_row
from observability.investigation.logged_prediction import Row
from observability.store.engine import Store
from observability.worker.process import Worker


def case(store: Store, prediction_id: str, **options: Any) -> Case:
    """All evidence about one prediction. `options` are those of `open_case`. If a part fails, it is None and `why` has the reason. Raises
    NotFoundError if the prediction does not exist.
    """
    in_progress = open_case(store, prediction_id, **options)
    with store.snapshot():
        parts = {name: in_progress.part(name) for name in in_progress.parts}
    why = dict(in_progress.why)
    if same_id := " ".join(same_id_sentences(in_progress.row)):
        why["prediction"] = same_id
    return Case(in_progress.row, **parts, why=why, also_in=in_progress.row.also_in)


def same_id_sentences(row: Row) -> list[str]:
    """Sentences about other predictions with the same id, and how to select one of them. Empty if there are none."""
    found = []
    if row.also_in:
        found.append(f"Other models have a prediction with this id: {', '.join(row.also_in)}. Name the model to select one.")
    if row.other_answers:
        others = ", ".join(other.words for other in row.other_answers)
        found.append(
            f"This is the prediction of version {row.version.name} in {row.environment}. The id was also answered by {others}; name the "
            "version and the environment to select one."
        )
    return found


def open_case(
    store: Store,
    prediction_id: str,
    *,
    model: str | None = None,
    version: str | None = None,
    environment: str | None = None,
    now: datetime | None = None,
    as_of: datetime | None = None,
    worker: Worker | None = None,
    progress: Progress | None = None,
) -> CaseInProgress:
    """The prediction as a case whose parts are computed on request. Raises NotFoundError if it does not exist.

    model: needed only if several models have this id. version, environment: needed only for a prediction with this id outside production.
    as_of: records that arrived later are ignored. worker: computes results that are not stored.
    """
    row = prediction_row(store, prediction_id, model=model, version=version, environment=environment, as_of=as_of)
    return CaseInProgress(store, row, (now or datetime.now(UTC)).astimezone(UTC), as_of, worker, progress, parts=part_registry.PARTS)
