"""How near was this prediction to another answer: its margin, the score along single features, the nearest real row that was answered otherwise?

What would flip it is in investigation/counterfactuals.py. All that is scored here on inputs that never were is simulated.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Column
from observability.core.errors import UsageError
from observability.investigation.cached_answers import scores
from observability.investigation.desired_outcome import decided, goal_of, margin_of, reached
from observability.investigation.evidence_types import NotGivenError
from observability.investigation.known_attributions import class_of, known
from observability.investigation.model_answers import Curve, Goal, Margin, Opposite, WhatIf
from observability.investigation.nearest_rows import distances
from observability.investigation.sampled_rows import RealRows, columns_of, inputs_of, real_rows, typed

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.investigation.logged_prediction import Row
    from observability.store.db.database import Store
    from observability.worker.process import Worker

Progress = Callable[[float, str], None]
CURVES, POINTS, LEVELS = 6, 25, 30
"""Features that are drawn, points on a number, levels of a category (the most frequent)."""
SECONDS = 30.0
LONGEST = 5000


def margin(store: "Store", row: "Row") -> Margin:
    """How far the score is from another answer, and how many rows of the reference stand as near. No model is needed."""
    rows = None
    if row.version.reference_rows:
        rows = real_rows(store, row, production=False)
    return margin_of(row, rows)


def top_features(store: "Store", row: "Row", number: int = CURVES) -> tuple[str, ...]:
    """The features with the largest attributions where they are known, else those that the owner or the version names first."""
    found = known(store, row)
    names = [each.name for each in columns_of(row.model, row.version)]
    if found is not None:
        ranked = [bar.feature for bar in found.bars if bar.feature in names]
    else:
        shares = row.model.settings.importance
        ranked = sorted(names, key=lambda name: -shares.get(name, 0.0))
    return tuple(ranked[:number])


def curves(
    store: "Store",
    row: "Row",
    *,
    worker: "Worker | None" = None,
    progress: Progress | None = None,
    features: Sequence[str] | None = None,
) -> tuple[Curve, ...]:
    """The score along each of a few features while all else stays (ICE), over the reference's range or its levels. One call of the worker."""
    import pandas as pd

    rows = real_rows(store, row)
    wanted = [each for each in columns_of(row.model, row.version) if each.name in (features or top_features(store, row))]
    own = inputs_of(row)
    grids = {each.name: grid(each, rows, own[each.name].iloc[0]) for each in wanted}
    parts = [own]
    for each in wanted:
        changed = own.iloc[np.zeros(len(grids[each.name]), np.int64)].reset_index(drop=True)
        changed[each.name] = pd.Series(grids[each.name], dtype=own[each.name].dtype)
        parts.append(changed)
    scores = ask(store, row, worker, pd.concat(parts, ignore_index=True), progress)
    goal, place, start = goal_of(row, rows, scores[:1]), class_of(row), 1
    found = []
    for each in wanted:
        some = scores[start : start + len(grids[each.name])]
        start += len(some)
        values = tuple(None if value is None or value != value else value for value in grids[each.name])
        shown = some[:, place] if some.ndim == 2 else some
        before = scores[0, place] if scores.ndim == 2 else scores[0]
        stored, flips = row.features.get(each.name), tuple(reached(goal, some).tolist())
        locked = each.name in row.model.settings.immutable
        found.append(Curve(each.name, each.kind, values, tuple(shown.tolist()), stored, float(before), flips, locked))
    order = {name: number for number, name in enumerate(features or top_features(store, row))}
    return tuple(sorted(found, key=lambda curve: order[curve.feature]))


def grid(column: Column, rows: RealRows, own: Any) -> list[Any]:
    """At most POINTS values of a number from the reference's smallest to its largest, by its quantiles, with the row's own; or its most frequent levels."""
    given = rows.inputs[column.name][rows.of_reference] if rows.of_reference.any() else rows.inputs[column.name]
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


def ask(
    store: "Store", row: "Row", worker: "Worker | None", table: "DataFrame", progress: Progress | None = None
) -> NDArray[np.float64]:  # fmt: skip
    """The scores that the version's model file gives to a table."""
    return scores(store, row, row.version, table, worker, progress, SECONDS)


def opposite(store: "Store", row: "Row") -> Opposite:
    """The nearest real row that was answered otherwise, among a bounded sample of the reference and of the 90 days before. No model is needed.

    Raises NotGivenError where every one of them was answered alike.
    """
    if row.score is None and decided(row) < 0:
        raise NotGivenError("no answer was logged, so none is its opposite", where=row.id[:80], got=f"status {row.status}")
    rows = real_rows(store, row)
    goal = goal_of(row, rows)
    if row.model.task == "regression":
        other = reached(goal, rows.facts["score"].to_numpy(np.float64))
    else:
        decision = rows.facts["decision"].to_numpy(np.int64)
        other = (decision >= 0) & (decision != decided(row))
    if not other.any():
        raise NotGivenError(f"none of {len(rows):,} rows was answered otherwise", expected=goal.text)
    own, some = inputs_of(row), rows.only(other)
    columns = columns_of(row.model, row.version)
    far = distances(own, some.inputs, columns, rows.scale)
    nearest_one = int(np.argmin(far))
    fact = some.facts.iloc[nearest_one]
    its = some.inputs.iloc[[nearest_one]]
    parts = {each.name: float(distances(own, its, [each], rows.scale)[0]) for each in columns}
    differing = sorted((name for name in parts if parts[name] > 0), key=lambda name: -parts[name])
    changes = {name: (plain(own[name].iloc[0]), plain(some.inputs[name].iloc[nearest_one])) for name in differing}
    answer, label, number = int(fact["decision"]), int(fact["label"]), float(fact["label_value"])
    classes = row.model.classes
    said = classes[answer] if 0 <= answer < len(classes) else None
    truth = (f"{number:.12g}" if number == number else None) if not classes else classes[label] if 0 <= label < len(classes) else None
    score = float(fact["score"])
    return Opposite(
        str(fact["id"]), str(fact["environment"]), float(far[nearest_one]), score if score == score else None,
        said if classes else f"{score:.12g}", truth, changes, len(rows),
    )  # fmt: skip


def plain(value: Any) -> Any:
    """A table's value as a person or JSON has it."""
    if value is None or value != value:
        return None
    return value.item() if hasattr(value, "item") else value


def what_if(
    store: "Store", row: "Row", changes: Mapping[str, Any], *, worker: "Worker | None" = None, progress: Progress | None = None
) -> WhatIf:  # fmt: skip
    """The model's answer to the stored input with some values changed: simulated. One call of the worker.

    Raises UsageError for a feature that the version does not take, or a value of another type.
    """
    from time import perf_counter

    columns = {each.name: each for each in columns_of(row.model, row.version)}
    checked = {name: fitting(columns, name, value) for name, value in changes.items()}
    begun = perf_counter()
    scores = ask(store, row, worker, typed(list(columns.values()), [row.features, {**row.features, **checked}]), progress)
    goal: Goal = goal_of(row, None, scores[:1])
    place = class_of(row)
    after, before = (float(each[place] if scores.ndim == 2 else each) for each in (scores[1], scores[0]))
    classes = row.model.classes
    chances = dict(zip(classes, scores[1].tolist())) if scores.ndim == 2 else None
    number = decided(row, scores[1:])
    if classes:
        answer = classes[number]
        flips = number != decided(row, scores[:1])
    else:
        answer, flips = f"{after:.12g}", bool(reached(goal, scores[1:])[0])
    return WhatIf(
        {name: (row.features.get(name), value) for name, value in checked.items()}, after, before, answer, flips, chances,
        perf_counter() - begun,
    )  # fmt: skip


def fitting(columns: Mapping[str, Column], name: str, value: Any) -> Any:
    """A value that a person typed, as the feature has it."""
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
