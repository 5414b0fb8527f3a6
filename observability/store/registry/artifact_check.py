"""Compare the scores of a model file with those of the reference that it is registered with.

Attributions, what-ifs and replays of a version are computed with its model file. If the scores differ, these results describe another
model.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from observability.core.catalog import ARTIFACT_DIFFERS
from observability.core.errors import UsageError
from observability.store.registry.column_profile import arrow_kind
from observability.store.registry.reference_rows import reference_inputs
from observability.store.registry.targets import ReferenceOutcomes
from observability.store.types.registration import Inference, NotScoredError, ReferenceScorer, RegistrationRequest, ScoredReference

if TYPE_CHECKING:
    from observability.stats.arrays import Floats, Integers

MAX_ROWS = 500
"""Rows of the reference that are scored, evenly spread."""
EQUAL, ROUNDED = 1e-3, 0.01
"""Largest difference at which probabilities count as equal (logged ones are rounded); for other scores, in standard deviations of the
scores."""
REFUSED = 0.1
"""Mean difference, in standard deviations of the logged scores, from which the artifact counts as another model."""
MIN_SCALE = 0.01
"""Smallest standard deviation of probabilities that is used as the unit for differences."""


@dataclass(frozen=True)
class ArtifactCheck:
    """The result of the comparison as a sentence, and the columns of the reference that the model file takes (None if it was not run)."""

    sentence: str
    takes: frozenset[str] | None = None
    codes: tuple[str, ...] = ()


def check_artifact(
    table: pa.Table, inference: Inference, target: ReferenceOutcomes, request: RegistrationRequest, score: ReferenceScorer
) -> ArtifactCheck:
    """Score some rows of the reference with the request's artifact and compare.

    Sensitive groups of a flat file are offered as inputs too, since the model may take them. Raises UsageError if the artifact does not
    take the features (a feature is missing, or has words although the file takes numbers), or if its scores clearly differ.
    """
    assert request.artifact is not None
    places = _sampled_rows(target)
    offered = inference.features if inference.records or request.features else inference.columns
    try:
        scored = _scored_rows(table, inference, request, score, places, [column.name for column in offered])
    except NotScoredError as error:
        return ArtifactCheck(f"The scores of the model file were not compared with the reference: {error.what}.")
    codes = _codes_of_categories(table, inference, request, scored)
    return ArtifactCheck(_difference_sentence(scored, target, places, request.artifact.name), frozenset(scored.columns), codes)


def _codes_of_categories(table: pa.Table, inference: Inference, request: RegistrationRequest, scored: ScoredReference) -> tuple[str, ...]:
    """Columns of numbers that the model file takes as categories. Raises UsageError if a column's type is not what the model takes: text
    where it takes a number, only values that the model does not know, or a category that the request declares a number.
    """
    codes = []
    for column in inference.columns:
        values, taken = table[column.source], scored.kinds.get(column.name)
        shown = ", ".join(sorted({repr(value) for value in values.drop_null().slice(0, 20).to_pylist()})[:3])
        held = {"number": "numbers", "boolean": "true or false"}.get(arrow_kind(values.type)[0] or "", "text")
        where = f"{column.source!r} of the reference"
        if taken == "number" and held == "text":
            raise UsageError(
                "the model file takes a number for this feature",
                where=where,
                got=f"text: {shown}",
                expected="numbers",
                attempt="Write the column as numbers, here and in the predictions",
            )
        if known := scored.unknown.get(column.name):
            raise UsageError(
                "the model file takes a category for this feature, and knows none of its values",
                where=where,
                got=f"{held}: {shown}",
                expected=f"categories such as {', '.join(map(repr, known))}",
                attempt="Write the values on which the model was trained, here and in the predictions",
            )
        if taken == "category" and column.kind == "number":
            if request.kinds.get(column.name) == "number":
                raise UsageError(
                    "the model file takes a category for this feature",
                    where=where,
                    got="declared a number",
                    expected="a category",
                    attempt="Declare it a category, or leave its kind out",
                )
            codes.append(column.name)
    return tuple(codes)


def _sampled_rows(target: ReferenceOutcomes) -> "Integers":
    """Rows with a score, evenly spread, at most MAX_ROWS."""
    known = np.flatnonzero(target.scored if target.scored.any() else target.usable)
    return known[np.unique(np.linspace(0, known.size - 1, min(known.size, MAX_ROWS)).astype(np.int64))]


def _scored_rows(
    table: pa.Table, inference: Inference, request: RegistrationRequest, score: ReferenceScorer, places: "Integers", names: list[str]
) -> ScoredReference:
    """The scores of the artifact. The groups are left out if the artifact takes exactly the features and does not name them."""
    assert request.artifact is not None
    rows = reference_inputs(table, inference, places)
    try:
        return score(request.artifact, rows[names], inference.task, inference.classes)
    except UsageError:
        features = [feature.name for feature in inference.features]
        if names == features:
            raise
        return score(request.artifact, rows[features], inference.task, inference.classes)


def _difference_sentence(scored: ScoredReference, target: ReferenceOutcomes, places: "Integers", name: str) -> str:
    """A sentence on the distance between the scores. Raises UsageError if the scores are those of another model."""
    logged, found = _paired_scores(scored, target, places)
    if not logged.size:
        return "The reference holds no scores to compare with those of the model file."
    apart = np.abs(found - logged).max(axis=1)
    deviation = float(logged.std(axis=0).max())
    scale = max(deviation, MIN_SCALE) if target.classes else deviation or float(np.abs(logged).max()) or 1.0
    equal, rows = EQUAL if target.classes else ROUNDED * scale, f"{len(apart):,} rows of the reference"
    mean, most = float(apart.mean()), float(apart.max())
    if not mean <= REFUSED * scale:
        worst = int(np.argmax(np.where(np.isfinite(apart), apart, np.inf)))
        column = int(np.argmax(np.abs(found[worst] - logged[worst])))
        pair = f"{found[worst, column]:.4g} where {logged[worst, column]:.4g} was logged"
        raise UsageError(
            "the artifact gives other scores than the reference holds",
            where=name,
            got=f"{mean:.3g} apart on average over {rows}, for example {pair}",
            expected=f"the logged scores, within {REFUSED * scale:.2g} on average",
            attempt="Register the model file that made these scores, with its calibration, or leave --artifact out",
        )
    if most <= equal:
        return f"The model file gives the logged scores in {rows} (largest difference {most:.2g})."
    return f"{ARTIFACT_DIFFERS} by {mean:.2g} on average and {most:.2g} at most, over {rows}."


def _paired_scores(scored: ScoredReference, target: ReferenceOutcomes, places: "Integers") -> "tuple[Floats, Floats]":
    """Logged and computed scores, rows by classes (one column for binary and regression), for the rows that have logged scores."""
    logged, found = target.matrix[places], np.asarray(scored.scores, np.float64)
    if target.task == "multiclass":
        found = found[:, [target.classes.index(str(name)) for name, _ in target.scores]]
    else:
        logged, found = logged[:, :1], found.reshape(len(places), -1)[:, :1]
    held = np.isfinite(logged).all(axis=1) & (logged.shape[1] > 0)
    return logged[held], found[held]
