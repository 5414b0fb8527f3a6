"""How far a prediction is from another decision: margin, ICE curves, nearest real row with another decision, what-if scores.

Counterfactuals are in counterfactuals.py. Scores of inputs that never occurred are marked as simulated.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.catalog import Column
from observability.core.errors import UsageError
from observability.investigation.cached_answers import cached_scores
from observability.investigation.desired_outcome import decided_class, goal_of, margin_of, meets_goal
from observability.investigation.evidence_types import NotGivenError
from observability.investigation.known_attributions import class_of, logged_or_stored_contrast
from observability.investigation.label_types import outcome_text
from observability.investigation.logged_prediction import Row
from observability.investigation.model_answers import Curve, Goal, Margin, Opposite, WhatIf
from observability.investigation.nearest_rows import row_distances
from observability.investigation.sampled_rows import RealRows, model_ready_values, real_rows, stored_input, version_features
from observability.stats.arrays import Floats
from observability.store.engine import Store
from observability.worker.process import Progress, Worker

if TYPE_CHECKING:
    from pandas import DataFrame

CURVES, POINTS, LEVELS = 6, 25, 30
"""Maximum numbers: features that are drawn, points on the curve of a number, and levels of a category (most frequent first)."""
SECONDS = 30.0
LONGEST = 5000


def margin(store: Store, row: Row) -> Margin:
    """The margin between the score and another decision, and the share of reference rows whose margin is at most as large. No model is
    needed.
    """
    return margin_of(row, real_rows(store, row, production=False, features=()) if row.version.reference_rows else None)


def top_features(store: Store, row: Row, number: int = CURVES) -> tuple[str, ...]:
    """The features with the largest attributions if these are known; else the most important ones according to the settings; else the
    version's order.
    """
    found = logged_or_stored_contrast(store, row)
    names = [column.name for column in version_features(row.model, row.version)]
    if found is not None:
        ranked = [bar.feature for bar in found.bars if bar.feature in names]
    else:
        shares = row.model.settings.importance
        ranked = sorted(names, key=lambda name: -shares.get(name, 0.0))
    return tuple(ranked[:number])


def ice_curves(
    store: Store, row: Row, *, worker: Worker | None = None, progress: Progress | None = None, features: Sequence[str] | None = None
) -> tuple[Curve, ...]:
    """Individual conditional expectation (ICE): the score as one feature at a time varies over the reference's range or levels. It needs
    one call of the worker.
    """
    import pandas as pd

    rows = real_rows(store, row)
    wanted = [column for column in version_features(row.model, row.version) if column.name in (features or top_features(store, row))]
    own = stored_input(row)
    grids = {column.name: feature_grid(column, rows, own[column.name].iloc[0]) for column in wanted}
    parts = [own]
    for column in wanted:
        changed = own.iloc[np.zeros(len(grids[column.name]), np.int64)].reset_index(drop=True)
        changed[column.name] = pd.Series(grids[column.name], dtype=own[column.name].dtype)
        parts.append(changed)
    scores = scores_from_model(store, row, worker, pd.concat(parts, ignore_index=True), progress)
    goal, place, start = goal_of(row, rows, scores[:1]), class_of(row), 1
    found = []
    for column in wanted:
        some = scores[start : start + len(grids[column.name])]
        start += len(some)
        values = tuple(None if value is None or value != value else value for value in grids[column.name])
        shown = some[:, place] if some.ndim == 2 else some
        before = scores[0, place] if scores.ndim == 2 else scores[0]
        stored, flips = row.features.get(column.name), tuple(meets_goal(goal, some).tolist())
        locked = column.name in row.model.settings.immutable
        found.append(Curve(column.name, column.kind, values, tuple(shown.tolist()), stored, float(before), flips, locked, goal.short))
    order = {name: number for number, name in enumerate(features or top_features(store, row))}
    return tuple(sorted(found, key=lambda curve: order[curve.feature]))


def feature_grid(column: Column, rows: RealRows, own: Any) -> list[Any]:
    """Values at which a feature is varied: at most POINTS quantiles of the reference plus the row's own value, or the most frequent
    levels.
    """
    given = rows.scale[column.name]
    if column.kind == "number":
        values = given.to_numpy(np.float64)
        values = values[np.isfinite(values)]
        spread = np.quantile(values, np.linspace(0, 1, POINTS), method="nearest") if len(values) else np.zeros(0)
        mine = [float(own)] if own is not None and np.isfinite(float(own)) else []
        return [float(each) for each in np.unique(np.concatenate([spread, mine]))]
    if column.kind == "boolean":
        return [False, True]
    levels = [str(each) for each in given.dropna().value_counts().index[:LEVELS]]
    return levels if own is None or own in levels else [*levels, own]


def scores_from_model(store: Store, row: Row, worker: Worker | None, table: "DataFrame", progress: Progress | None = None) -> Floats:
    """Scores that the version's model file gives to the rows of a table."""
    return cached_scores(store, row, row.version, table, worker, progress, SECONDS)


def nearest_opposite_row(store: Store, row: Row) -> Opposite:
    """The nearest real row with another decision (regression: with a score that reaches the goal), from a sample of limited size of the
    reference and the 90 days before. No model is needed.

    Raises NotGivenError if there is no such row.
    """
    if row.score is None and decided_class(row) < 0:
        raise NotGivenError(f"no answer was logged (status {row.status}), so there is no opposite", where=row.id[:80])
    rows = real_rows(store, row)
    goal = goal_of(row, rows)
    if row.model.task == "regression":
        other = meets_goal(goal, rows.facts["score"].to_numpy(np.float64))
    else:
        decision = rows.facts["decision"].to_numpy(np.int64)
        other = (decision >= 0) & (decision != decided_class(row))
    if not other.any():
        raise NotGivenError(f"None of {len(rows):,} sampled rows has {goal.short or 'another decision'}")
    own, some = stored_input(row), rows.only(other)
    columns = version_features(row.model, row.version)
    far = row_distances(own, some.inputs, columns, rows.scale)
    nearest_one = int(np.argmin(far))
    fact = some.facts.iloc[nearest_one]
    its = some.inputs.iloc[[nearest_one]]
    parts = {each.name: float(row_distances(own, its, [each], rows.scale)[0]) for each in columns}
    differing = sorted((name for name in parts if parts[name] > 0), key=lambda name: -parts[name])
    changes = {name: (table_value(own[name].iloc[0]), table_value(some.inputs[name].iloc[nearest_one])) for name in differing}
    score, classes = float(fact["score"]), row.model.classes
    return Opposite(
        str(fact["id"]),
        str(fact["environment"]),
        float(far[nearest_one]),
        score if score == score else None,
        outcome_text(classes, int(fact["decision"]), score),
        outcome_text(classes, int(fact["label"]), float(fact["label_value"])),
        changes,
        len(rows),
        others=len(some),
        goal=goal.short,
    )


def table_value(value: Any) -> Any:
    """A cell of a table as a plain value; None if missing."""
    if value is None or value != value:
        return None
    return value.item() if hasattr(value, "item") else value


def what_if(
    store: Store, row: Row, changes: Mapping[str, Any], *, worker: Worker | None = None, progress: Progress | None = None
) -> WhatIf:
    """The model's simulated score of the stored input after some values are changed. It needs one call of the worker.

    Raises UsageError if the version does not take a feature, or if a value has another type.
    """
    from time import perf_counter

    columns = {each.name: each for each in version_features(row.model, row.version)}
    checked = {name: typed_value(columns, name, value) for name, value in changes.items()}
    begun = perf_counter()
    scores = scores_from_model(
        store, row, worker, model_ready_values(list(columns.values()), [row.features, {**row.features, **checked}]), progress
    )
    goal: Goal = goal_of(row, None, scores[:1])
    place = class_of(row)
    after, before = (float(each[place] if scores.ndim == 2 else each) for each in (scores[1], scores[0]))
    classes = row.model.classes
    chances = dict(zip(classes, scores[1].tolist())) if scores.ndim == 2 else None
    number = decided_class(row, scores[1:])
    if classes:
        answer = classes[number]
        flips = number != decided_class(row, scores[:1])
    else:
        answer, flips = f"{after:.12g}", bool(meets_goal(goal, scores[1:])[0])
    return WhatIf(
        {name: (row.features.get(name), value) for name, value in checked.items()},
        after,
        before,
        answer,
        flips,
        chances,
        perf_counter() - begun,
    )


def typed_value(columns: Mapping[str, Column], name: str, value: Any) -> Any:
    """The value, converted to the feature's type. Raises UsageError if it has another type."""
    if name not in columns:
        raise UsageError("the version does not take this feature", got=name[:80], expected=", ".join(list(columns)[:12]))
    if value is None:
        return None
    kind = columns[name].kind
    wanted = {"number": "a finite number", "boolean": "true or false", "category": f"a text of at most {LONGEST} characters"}[kind]
    fits = {
        "number": isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value)),
        "boolean": isinstance(value, bool),
        "category": isinstance(value, str) and len(value) <= LONGEST,
    }[kind]
    if not fits:
        raise UsageError("the feature takes another kind of value", where=name, got=repr(value)[:80], expected=wanted)
    return float(value) if kind == "number" else value
