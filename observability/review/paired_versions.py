"""How do two versions differ on the same rows: one serves and the other answers in its shadow, or the worker replays it on the stored inputs?"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from observability.compare import paired_rows
from observability.compare.comparison import asker
from observability.compare.difference import Difference
from observability.core.catalog import Model, Version
from observability.core.errors import ObservabilityError
from observability.core.questions import Aggregate, By, Sample
from observability.core.weeks import Week
from observability.core.window import Environment, Slice, Window
from observability.monitoring.check import put
from observability.store.query import aggregates

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Store

ROWS = 5000
"""Rows that a version is replayed on, those with the smallest sample hash."""
SECONDS = 60.0


@dataclass(frozen=True)
class Both:
    """Two versions on the same rows. difference: of one metric, new less then; labelled: rows with a label; how: in words where the old answers are from."""

    difference: Difference
    labelled: int
    new: str
    then: str
    how: str


def compared(store: "Store", model: Model, metric: str, since: Week, now: Week, part: Slice | None = None) -> Both | None:
    """The version that came since against the one that served in the week `since`, on rows of the week `now` (of a part of them), known at its end.

    None where no other version answers in that week, or neither its rows match those of the old one nor the old one can be replayed.
    """
    served = answers(store, model, since, "production")
    then = most(served)
    new, where = newcomer(store, model, now, served)
    if then is None or new is None:
        return None
    a = Window(model.name, now.start, now.end, version=new, slice=part, as_of=now.end, environment=where)
    return in_shadow(store, model, metric, a, then) or replayed(store, model, metric, a, then)


def answers(store: "Store", model: Model, week: Week, environment: Environment) -> dict[str, int]:
    """Predictions of a week by version."""
    window = Window(model.name, week.start, week.end, as_of=week.end, environment=environment)
    counts = aggregates.ask(store, Aggregate("predictions", keys=(By("version"),)), window)
    return dict(zip(counts["version"].astype(str), counts["n"].astype(int), strict=True))


def most(answered: dict[str, int]) -> str | None:
    """The version with the most predictions."""
    return max(answered, key=lambda name: answered[name], default=None)


def newcomer(store: "Store", model: Model, week: Week, served: dict[str, int]) -> tuple[str | None, Environment]:
    """The version that answers most in a week of those that did not serve before: one that serves, else one in the shadow."""
    found: Environment
    for found in ("production", "shadow"):
        others = {name: n for name, n in answers(store, model, week, found).items() if name not in served}
        if others:
            return most(others), found
    return None, "production"


def in_shadow(store: "Store", model: Model, metric: str, a: Window, then: str) -> Both | None:
    """The two on rows that both answered."""
    other: Environment
    for other in ("production", "shadow"):
        b = replace(a, version=then, environment=other)
        sides = [[each for each in model.versions if each.name == window.version] for window in (a, b)]
        try:
            found, differences = paired_rows.compared(asker(store), model, a, b, *sides)
        except ObservabilityError:
            continue
        one = next((each for each in differences if each.metric == metric and each.change.value is not None), None)
        if found is not None and one is not None:
            return Both(one, found.labelled, str(a.version), then, "both answered them")
    return None


def replayed(store: "Store", model: Model, metric: str, a: Window, then: str) -> Both | None:
    """The new version's logged answers against what the old one's artifact says of the same inputs; None where it has none, or it fails."""
    from observability.investigation.sampled_rows import artifact_of
    from observability.worker.process import shared
    from observability.worker.requests import predict

    version = next((each for each in model.versions if each.name == then), Version(then))
    names = [each for each in version.features if model.column(f"feature.{each}")]
    chances = tuple(f"score.{place}" for place in range(len(model.classes))) if model.task == "multiclass" else ()
    columns = ("id", "score", "decision", "label", "label_value", *chances, *(f"feature.{each}" for each in names))
    rows = put(store, Sample("outcomes", columns, ROWS), a)
    label, known = paired_rows.labels_of(model, rows, rows)
    rows, label = rows[~np.isnan(label) & known].reset_index(drop=True), label[~np.isnan(label) & known]
    if rows.empty:
        return None
    inputs = rows[[f"feature.{each}" for each in names]].rename(columns=lambda name: name.removeprefix("feature."))
    try:
        scores = predict(
            shared(), artifact_of(store, version), inputs, classes=model.classes, task=model.task or "regression", seconds=SECONDS
        )
    except ObservabilityError:
        return None
    differences = paired_rows.paired_differences(model, rows, with_scores(model, rows, scores), label)
    one = next((each for each in differences if each.metric == metric and each.change.value is not None), None)
    return None if one is None else Both(one, len(rows), str(a.version), then, f"replayed on {len(rows):,} stored inputs, simulated")


def with_scores(model: Model, rows: "DataFrame", scores: "np.ndarray") -> "DataFrame":
    """The rows as the other version would have answered them."""
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
