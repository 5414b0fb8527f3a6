"""Attributions of a prediction that are already known: logged with it, or computed in advance. This module computes none itself and needs
no model.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from observability.core.json_values import stored_json
from observability.investigation.evidence_types import Explained
from observability.investigation.explanation_sentences import explanation_sentences
from observability.investigation.latent_inputs import TOGETHER, latent_features
from observability.investigation.logged_prediction import Row
from observability.investigation.model_answers import AGAINST, Against, AttributionContrast, Bar
from observability.stats.arrays import Floats
from observability.stats.attribution import (
    MOST_EXPLAINED,
    SCORE_TOLERANCE,
    additive_rows,
    apply_inverse_link,
    apply_link,
    attributions_in_order,
    is_other_inputs,
    kept_attributions,
)
from observability.store.engine import Store


def base_words(against: Against, rows: int | None) -> str:
    """Words for the rows whose mean is the base value, with their number if it is known."""
    return f"{AGAINST[against]} of {rows:,} rows" if rows and against == "average" else AGAINST[against]


def logged_or_stored_contrast(store: Store, row: Row) -> AttributionContrast | None:
    """The logged attributions, else those stored in advance; None if there are neither."""
    return logged_attributions(row) or precomputed_attributions(store, row)


def logged_attributions(row: Row) -> AttributionContrast | None:
    """The attributions logged with the prediction. The check that they add up to its score is made in their own link space."""
    body, base = row.stored.get("attributions"), row.stored.get("base_value")
    body, base = (stored_json(each) if isinstance(each, str) else each for each in (body, base))
    if not isinstance(body, dict) or not body:
        return None
    link = row.stored.get("attributions_link") or "identity"
    score, name = explained_score(row)
    if name is not None:
        body = body.get(name) if isinstance(body.get(name), dict) else None
        base = base.get(name) if isinstance(base, dict) else base
        if not body:
            return None
    values = {feature: float(value) for feature, value in body.items() if is_number(value)}
    if not values or not is_number(base):
        return None
    output = float(apply_link(np.array([score]), link)[0]) if score is not None else float("nan")
    start = float(base) if base is not None else 0.0
    return contrast_from_numbers(
        row, "average", values, start, output, link, "logged", "logged", "logged by the service", None, class_name=name
    )


def without_base(row: Row) -> Explained | None:
    """Attributions that were logged without a base value. They cannot be checked and are not drawn."""
    body = row.stored.get("attributions")
    body = stored_json(body) if isinstance(body, str) else body
    _, name = explained_score(row)
    body = body.get(name) if name is not None and isinstance(body, dict) else body
    values = {feature: float(value) for feature, value in body.items() if is_number(value)} if isinstance(body, dict) else {}
    if not values:
        return None
    note = "Logged without a base value: additivity cannot be checked, so they are not drawn."
    return Explained(values, None, row.stored.get("attributions_link") or "identity", None, "logged", note)


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def explained_score(row: Row) -> tuple[float | None, str | None]:
    """The explained score. For a multiclass model: the score of the decided class, and the name of that class."""
    place = class_of(row)
    if place < 0:
        return row.score, None
    name = row.model.classes[place]
    return (row.probabilities or {}).get(name), name


def class_of(row: Row) -> int:
    """For a multiclass model, the decided class, else the most probable one; −1 for other tasks."""
    if row.model.task != "multiclass" or not row.model.classes:
        return -1
    if 0 <= row.decision < len(row.model.classes):
        return row.decision
    chances = row.probabilities or {}
    return int(np.argmax([chances.get(name, 0.0) for name in row.model.classes]))


def precomputed_attributions(store: Store, row: Row) -> AttributionContrast | None:
    """The attributions that were computed in advance in the background (enrichment); None if there are none."""
    held = store.attributions_of_prediction(row.model, row.version, row.id, row.environment)
    if held is None or held["base"] is None or held["output"] is None:
        return None
    place = int(held["class"])
    name = row.model.classes[place] if 0 <= place < len(row.model.classes) and row.model.task == "multiclass" else None
    mismatch = row.version.artifact_difference or ""
    if held["reproduces"] is False:
        mismatch = f"The model file gives another score than the logged one: it may not be the model that served. {mismatch}".strip()
    return contrast_from_numbers(
        row,
        "average",
        held["values"],
        held["base"],
        held["output"],
        held["link"] or "identity",
        held["method"] or "",
        "stored",
        held["background"] or "the average",
        held["background_rows"],
        class_name=name,
        note=held["note"] or "",
        mismatch=mismatch,
    )


def contrast_from_numbers(
    row: Row,
    against: Against,
    values: Mapping[str, float],
    base: float,
    output: float,
    link: str,
    method: str,
    source: Any,
    background: str,
    background_rows: int | None,
    *,
    errors: Mapping[str, float] | None = None,
    class_name: str | None = None,
    note: str = "",
    mismatch: str = "",
) -> AttributionContrast:
    """A contrast made from plain numbers: bars sorted by size, the check of additivity, and sentences. With many inputs, only the largest
    have their own bars.
    """
    values, errors = largest_and_others(values, errors)
    bars = tuple(
        sorted(
            (Bar(name, input_value(row, name), value, (errors or {}).get(name)) for name, value in values.items()),
            key=lambda bar: (-abs(bar.attribution), bar.feature),
        )
    )
    whole = np.array([[bar.attribution for bar in bars]])
    residual = output - base - float(whole.sum())
    return AttributionContrast(
        against,
        background,
        background_rows,
        base,
        output,
        residual,
        adds_up(row, whole, base, output, residual, link, method),
        link,
        bars,
        method,
        source,
        "estimated" if errors else "measured",
        class_name,
        words=explanation_sentences(
            bars, base, output, link, base_words(against, background_rows), class_name, row.model.settings.unit or ""
        ),
        unit=row.model.settings.unit or "",
        note=note,
        mismatch=mismatch,
    )


def largest_and_others(
    values: Mapping[str, float], errors: Mapping[str, float] | None
) -> tuple[Mapping[str, float], Mapping[str, float] | None]:
    """The largest attributions of one prediction with their standard errors, and the sum of all others as one attribution. If there are
    few attributions, they are returned unchanged.

    Latent features are not part of that sum, because bars and sentences add them up separately above and below 0.
    """
    latent = dict.fromkeys(latent_features(values))
    names = [name for name in values if name not in latent]
    if len(names) <= MOST_EXPLAINED + 1:
        return values, errors
    row = np.array([[values[name] for name in names]])
    order = kept_attributions((), names, row)
    kept = dict(zip(order, attributions_in_order(row, names, order)[0].tolist(), strict=True))
    kept |= {name: values[name] for name in latent}
    if errors is None:
        return kept, None
    squares = attributions_in_order(np.array([[errors.get(name, 0.0) ** 2 for name in names]]), names, order)[0]
    return kept, dict(zip(order, np.sqrt(squares).tolist(), strict=True)) | {name: errors.get(name, 0.0) for name in latent}


def input_value(row: Row, name: str) -> Any:
    """The value of an input of a prediction; TOGETHER for the bar that sums the inputs without a bar of their own."""
    return TOGETHER if is_other_inputs(name, row.features) and name not in row.version.features else row.features.get(name)


def adds_up(row: Row, values: Floats, base: float, output: float, residual: float, link: str, method: str) -> bool:
    """Whether the attributions add up: the residual is small, or the score that they imply equals the logged score, which is rounded."""
    if not np.isfinite([base, output, residual]).all():
        return False
    if bool(additive_rows(values, np.array([base]), np.array([residual]))[0]):
        return True
    score, _ = explained_score(row)
    implied = float(apply_inverse_link(np.array([base + values.sum()]), link)[0])
    return bool(row.model.classes) and method == "logged" and score is not None and abs(implied - score) <= SCORE_TOLERANCE
