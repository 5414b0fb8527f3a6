"""Compare two versions on the same rows: on rows that both scored (one of them in shadow), or by replaying the older version on stored
inputs.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from observability.compare import paired_rows
from observability.compare.difference import Difference
from observability.core.catalog import Model, Version
from observability.core.errors import ObservabilityError
from observability.core.questions import Aggregate, By, Sample
from observability.core.weeks import Week
from observability.core.window import Environment, Slice, Window

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.engine import Store

ROWS = 5000
"""Maximum number of rows in a replay. Those with the smallest sample hash are used."""
SECONDS = 60.0


@dataclass(frozen=True)
class PairedVersions:
    """Two versions on the same rows. difference: the difference in one metric, new minus then; labelled: number of rows with a label; how:
    where the older version's scores come from.
    """

    difference: Difference
    labelled: int
    new: str
    then: str
    how: str


def compare_paired(store: "Store", model: Model, metric: str, since: Week, now: Week, part: Slice | None = None) -> PairedVersions | None:
    """Compare a newer version with the version that served in the week `since`, on rows of the week `now` (or of a slice in it). Only what
    was known at the end of the week `now` counts.

    None if no other version is active, or the older one has no matching rows and cannot be replayed.
    """
    served = predictions_by_version(store, model, since, "production")
    then = version_with_most(served)
    new, where = new_version(store, model, now, served)
    if then is None or new is None:
        return None
    a = Window(model.name, now.start, now.end, version=new, slice=part, as_of=now.end, environment=where)
    return in_shadow(store, model, metric, a, then) or replayed_comparison(store, model, metric, a, then)


def predictions_by_version(store: "Store", model: Model, week: Week, environment: Environment) -> dict[str, int]:
    """Number of predictions of each version in a week."""
    window = Window(model.name, week.start, week.end, as_of=week.end, environment=environment)
    counts = store.ask(Aggregate("predictions", keys=(By("version"),)), window)
    return dict(zip(counts["version"].astype(str), counts["n"].astype(int), strict=True))


def version_with_most(answered: dict[str, int]) -> str | None:
    """The version with the most predictions."""
    return max(answered, key=lambda name: answered[name], default=None)


def new_version(store: "Store", model: Model, week: Week, served: dict[str, int]) -> tuple[str | None, Environment]:
    """The version with the most predictions among those that did not serve before: in production, or if there is none, in shadow."""
    found: Environment
    for found in ("production", "shadow"):
        others = {name: n for name, n in predictions_by_version(store, model, week, found).items() if name not in served}
        if others:
            return version_with_most(others), found
    return None, "production"


def in_shadow(store: "Store", model: Model, metric: str, a: Window, then: str) -> PairedVersions | None:
    """The comparison on rows that both versions scored; None if there are none."""
    other: Environment
    for other in ("production", "shadow"):
        b = replace(a, version=then, environment=other)
        sides = [[version for version in model.versions if version.name == window.version] for window in (a, b)]
        try:
            pairs, differences = paired_rows.paired_row_differences(store.ask, model, a, b, *sides)
        except ObservabilityError:
            continue
        paired = next((found for found in differences if found.metric == metric and found.change.value is not None), None)
        if pairs is not None and paired is not None:
            return PairedVersions(paired, pairs.labelled, str(a.version), then, "both scored them")
    return None


def replayed_comparison(store: "Store", model: Model, metric: str, a: Window, then: str) -> PairedVersions | None:
    """The logged scores of the newer version, compared with the scores that the older version's model file gives to the same inputs. None
    if there is no model file, or if it fails.
    """
    from observability.investigation.sampled_rows import artifact_of, probability_columns, task_and_classes
    from observability.worker.process import warm_worker
    from observability.worker.requests import predict_scores

    version = model.version(then) or Version(then)
    names = [name for name in version.features if model.column(f"feature.{name}")]
    chances = probability_columns(model)
    columns = ("id", "score", "decision", "label", "label_value", *chances, *(f"feature.{name}" for name in names))
    rows = store.ask(Sample("outcomes", columns, ROWS), a)
    label, known = paired_rows.pair_labels(model, rows, rows)
    rows, label = rows[~np.isnan(label) & known].reset_index(drop=True), label[~np.isnan(label) & known]
    if rows.empty:
        return None
    inputs = rows[[f"feature.{name}" for name in names]].rename(columns=lambda name: name.removeprefix("feature."))
    try:
        scores = predict_scores(warm_worker(), artifact_of(store, version), inputs, **task_and_classes(model), seconds=SECONDS)
    except ObservabilityError:
        return None
    differences = paired_rows.paired_differences(model, rows, with_scores(model, rows, scores), label)
    paired = next((found for found in differences if found.metric == metric and found.change.value is not None), None)
    return (
        None
        if paired is None
        else PairedVersions(paired, len(rows), str(a.version), then, f"replayed on {len(rows):,} stored inputs, simulated")
    )


def with_scores(model: Model, rows: "DataFrame", scores: "np.ndarray") -> "DataFrame":
    """The rows, with the scores and decisions replaced by those of the other version."""
    answered = rows.copy()
    if model.task == "multiclass":
        for place in range(len(model.classes)):
            answered[f"score.{place}"] = scores[:, place]
        answered["score"], answered["decision"] = scores.max(axis=1), scores.argmax(axis=1)
        return answered
    answered["score"] = scores
    if model.task == "binary":
        answered["decision"] = (scores >= model.settings.threshold).astype(int)
    return answered
