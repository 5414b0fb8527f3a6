"""Reads the rows of an audit: a bounded sample of labelled rows of a version, with their groups, slices and texts. The rows were served by
the version or belong to its reference.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.catalog import Column, Model, Version
from observability.core.questions import Sample
from observability.core.time import aware_utc
from observability.core.window import Environment, Slice, Window
from observability.metrics.trade_offs import IN_SLICE
from observability.records.values import AFTER_LAST, FIRST
from observability.stats.arrays import Array, Floats
from observability.worker.features import canonical_scalar

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from observability.store.engine import Store

LEVELS, DECIMALS = 50, 6
"""Number of levels of a category that an attack tries (the most frequent), and the maximum number of decimals of a number."""
ENVIRONMENTS: tuple[Environment, ...] = ("production", "validation")
"""Environments that are searched for served rows, in this order."""


@dataclass(frozen=True)
class AuditRows:
    """Labelled rows of one version. inputs: features by name. labels: class index, or the value of a regression. groups: by name, the level
    of each sensitive attribute, and whether a row is in each watched slice; None if unknown. environment: where the rows come from.
    """

    model: Model
    ids: tuple[str, ...]
    inputs: "DataFrame"
    labels: Floats
    scores: Floats
    groups: Mapping[str, Array]
    environment: str

    def __len__(self) -> int:
        return len(self.ids)


def version_columns(model: Model, version: Version) -> tuple[Column, ...]:
    """The features that a version was registered with, or all features of the model if it was registered without."""
    known = {column.name: column for column in model.features()}
    return tuple(known[name] for name in version.features if name in known) or model.features()


def audit_reference_rows(store: "Store", model: Model, version: Version, rows: int) -> AuditRows:
    """At most `rows` labelled rows of the reference."""
    return _labelled(store, model, version, Window(model.name, FIRST, AFTER_LAST, version.name, environment="reference"), rows)


def audit_served_rows(store: "Store", model: Model, version: Version, rows: int) -> AuditRows:
    """At most `rows` labelled rows that the version served in production, else in validation."""
    for environment in ENVIRONMENTS:
        window = Window(model.name, FIRST, AFTER_LAST, version.name, environment=environment)
        found = _labelled(store, model, version, window, rows)
        if len(found):
            return found
    return found


def served_inputs(store: "Store", model: Model, version: Version, rows: int, days: int) -> "DataFrame | None":
    """At most `rows` rows that the version served in its newest `days` days, with or without a label, as features by name. They come from
    production, else from validation. None if the version served no rows.
    """
    activity = store.activity(model=model.name)
    columns = version_columns(model, version)
    for environment in ENVIRONMENTS:
        last = activity[(activity["version"] == version.name) & (activity["environment"] == environment)]["last"].max()
        if last != last:
            continue
        until = aware_utc(last) + timedelta(hours=1)
        window = Window(model.name, until - timedelta(days=days), until, version.name, environment=environment)
        frame = store.ask(Sample("predictions", tuple(column.reference for column in columns), rows), window)
        return frame.set_axis([column.name for column in columns], axis=1)
    return None


def _labelled(store: "Store", model: Model, version: Version, window: Window, rows: int) -> AuditRows:
    """The rows of a window's sample that have a label."""
    columns = version_columns(model, version)
    sensitive = [column for column in model.columns if column.sensitive]
    sliced = watched_slices_of(model)
    wanted = [model.resolve(name) for slice_ in sliced for name, _ in slice_.conditions if model.column(model.resolve(name))]
    names = dict.fromkeys(["id", "score", "label", "label_value", *(c.reference for c in (*columns, *sensitive)), *wanted])
    frame = store.ask(Sample("outcomes", tuple(names), rows), window)
    known = np.isfinite(frame["label_value"].to_numpy(np.float64)) if model.task == "regression" else frame["label"].to_numpy() >= 0
    frame = frame[np.asarray(known, np.bool_)].reset_index(drop=True)
    labels = frame["label_value" if model.task == "regression" else "label"].to_numpy(np.float64)
    inputs = frame[[c.reference for c in columns]].set_axis([c.name for c in columns], axis=1)
    groups = {column.name: column_levels(column, version, frame[column.reference]) for column in sensitive}
    for slice_ in sliced:
        groups[str(slice_)] = slice_membership(model, slice_, frame)
    scores = frame["score"].to_numpy(np.float64)
    return AuditRows(model, tuple(map(str, frame["id"])), inputs, labels, scores, groups, window.environment)


def watched_slices_of(model: Model) -> list[Slice]:
    """The slices of the settings, which the owner watches."""
    return [slice_ for text in model.settings.slices if (slice_ := Slice.parse(text)) is not None]


def column_levels(column: Column, version: Version, values: "Series[Any]") -> Array:
    """The level of each row. For a number, the level is the band by the version's edges. None if the value is missing."""
    edges = version.edges.get(f"band.{column.name}")
    if column.kind == "number":
        if edges is None or not edges.edges:
            return np.full(len(values), None, dtype=object)
        numbers = values.to_numpy(np.float64)
        names = np.array([*edges.band_names, None], dtype=object)
        return np.asarray(names[np.where(np.isfinite(numbers), np.searchsorted(edges.edges, numbers, side="right"), -1)])
    return np.asarray(values.astype(object).where(values.notna(), None))


def slice_membership(model: Model, slice_: Slice, frame: "DataFrame") -> Array:
    """IN_SLICE or `outside` for each row. None for all rows if the sample lacks a field of a condition."""
    inside = np.ones(len(frame), np.bool_)
    for name, value in slice_.conditions:
        reference = model.resolve(name)
        if reference not in frame:
            return np.full(len(frame), None, dtype=object)
        inside &= np.array(["null" if each is None or each != each else canonical_scalar(each) for each in frame[reference]]) == value
    return np.where(inside, IN_SLICE, "outside").astype(object)


def attackable_features(model: Model, version: Version, inputs: "DataFrame") -> tuple[list[dict[str, Any]], list[str]]:
    """The features that an attack may change (as AttackFeature of the worker), and the names of the locked features.

    Locked features are those that the settings call immutable. Values stay within the range of `inputs`. A feature has a direction only if
    it is a number or a boolean and the settings state one.
    """
    settings, free, locked = model.settings, [], []
    for column in version_columns(model, version):
        if column.name in settings.immutable:
            locked.append(column.name)
            continue
        found: dict[str, Any] = {"name": column.name, "kind": column.kind, "cost": settings.attack_costs.get(column.name, 1.0)}
        if column.kind != "category" and column.name in settings.attack_directions:
            found["direction"] = settings.attack_directions[column.name]
        given = inputs[column.name]
        if column.kind == "number":
            numbers = given.to_numpy(np.float64)
            numbers = numbers[np.isfinite(numbers)]
            if not numbers.size or numbers.min() == numbers.max():
                continue
            found |= {"low": float(numbers.min()), "high": float(numbers.max()), "decimals": decimals_of_numbers(numbers)}
            found["scale"] = float(numbers.std())
        else:
            levels = [value.item() if isinstance(value, np.generic) else value for value in given.dropna().value_counts().index[:LEVELS]]
            if len(levels) < 2:
                continue
            found["levels"] = levels
        free.append(found)
    return free, locked


def decimals_of_numbers(values: Floats) -> int:
    """The number of decimals with which numbers are written: 0 if all are whole, at most DECIMALS."""
    for decimals in range(DECIMALS):
        if np.allclose(values, np.round(values, decimals), rtol=1e-12, atol=10.0 ** -(decimals + 4)):
            return decimals
    return DECIMALS


def logged_text_of(store: "Store", rows: AuditRows, version: Version, names: tuple[str, ...]) -> tuple[str | None, str | None, list[str]]:
    """The feature or the further field that holds a text, as (feature, field, text of each row). If there is no text, both are None and the
    list is empty.

    names: usual names of a field with text. A feature is a text if most of its values have at least six words.
    """
    for column in version_columns(rows.model, version):
        values = rows.inputs[column.name]
        if column.kind == "category" and len(values) and values.map(lambda value: len(str(value).split()) > 5).mean() > 0.5:
            return column.name, None, list(values.astype(str))
    texts: list[str] = []
    field: str | None = None
    for prediction in rows.ids:
        extra = store.row(rows.model.name, prediction, version.name, rows.environment).get("extra")
        found = extra if isinstance(extra, Mapping) else {}
        field = field or next((name for name in found if str(name).lower() in names and isinstance(found[name], str)), None)
        if field is None:
            return None, None, []
        texts.append(str(found.get(field) or ""))
    return None, field, texts
