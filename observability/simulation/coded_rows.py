"""Compute the codes of simulated rows as arrays: bins, classes, levels and errors.

The codes equal those in the store's rollups (store/db/expressions.py) and in the reference engine (tests/support/reference_engine.py). They
are computed once for the rows of each day.
"""

import hashlib
import sys
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from observability.core.catalog import Model, Version
from observability.core.json_values import stored_json
from observability.core.questions import CURRENCY, NULL, UNKNOWN, UNSEEN
from observability.core.window import Slice
from observability.simulation.log_rows import LogRows, blanked_values
from observability.stats.arrays import Array, Bools
from observability.stats.scores import SCORE_EDGES
from observability.store.types.column_bins import banded_column, class_index, column_bins

SMALLEST = sys.float_info.epsilon
TEXT_FIELDS = ("status", "replica", "device", "batch", "subject")
LABEL_NUMBERS = ("label_value", "error", "absolute_error", "squared_error", "log_loss", "brier", "correct")


@dataclass(eq=False)
class CodedRows:
    """Rows of one version with their codes. `memory` caches computed values."""

    model: Model
    version: Version
    rows: LogRows
    memory: dict[Any, Any] = field(default_factory=dict)

    @property
    def weights(self) -> Array | None:
        """The weight of each row, 1 if none is given; None if no row has a weight."""
        weights = self.rows.get("weight")
        return None if weights is None or np.isnan(weights).all() else np.where(np.isnan(weights), 1.0, weights)

    @cached_property
    def hours(self) -> Array:
        """The hour of each row as whole hours since 1970."""
        return self.rows["at"].astype("datetime64[h]").astype(np.int64)

    def kept(self, key: Any, make: Any) -> Any:
        """The cached value for a key. If it is not cached yet, `make` computes it."""
        if key not in self.memory:
            self.memory[key] = make()
        return self.memory[key]

    def seen(self, as_of: Any) -> Bools:
        """A mask of the rows that had arrived by a time; all rows if no time is given."""
        return np.ones(len(self.rows), bool) if as_of is None else self.rows["arrived"] <= as_of

    def labelled(self, as_of: Any) -> Bools:
        """A mask of the rows whose label had arrived by a time."""
        arrived = self.rows["label_arrived"]
        known = ~np.isnat(arrived) & ~np.isnan(self.rows["label"])
        return known if as_of is None else known & (arrived <= as_of)

    def codes(self, name: str, as_of: Any) -> Array:
        """Codes of `decision`, `label` and `score_bin`."""
        if name == "decision":
            return self.decisions
        if name == "label":
            values = np.zeros(len(self.rows)) if self.model.task == "regression" else np.nan_to_num(self.rows["label"], nan=UNKNOWN)
            return np.where(self.labelled(as_of), values, UNKNOWN).astype(np.int64)
        if not self.model.classes:
            return np.full(len(self.rows), -1)
        return self.kept("score_bin", lambda: _left_closed_bins(self.rows["score"], SCORE_EDGES))

    @cached_property
    def decisions(self) -> Array:
        """Class index of each decision."""
        score = self.rows["score"]
        if self.model.task == "binary":
            limit = self.rows.get("threshold")
            at = self.model.settings.threshold
            limit = np.full(score.size, at) if limit is None else np.where(np.isnan(limit), at, limit)
            return np.where(np.isnan(score), UNKNOWN, score >= limit).astype(np.int64)
        if self.model.task == "multiclass":
            matrix = self.matrix()
            return np.where(np.isnan(matrix).all(axis=1), UNKNOWN, np.argmax(np.nan_to_num(matrix, nan=-1), axis=1)).astype(np.int64)
        return np.full(score.size, UNKNOWN)

    def matrix(self) -> Array:
        """Probabilities of a multiclass model, one column per class."""
        return np.column_stack([self.rows[f"score.{k}"] for k in range(len(self.model.classes))])

    def bins(self, reference: str, as_of: Any) -> tuple[Array, Bools]:
        """The bin of each row, and a mask of the rows that are counted."""
        counted = self.labelled(as_of) if reference == "error" else np.ones(len(self.rows), bool)
        return self.kept(("bins", reference), lambda: self.bin(reference)), counted

    def bin(self, reference: str) -> Array:
        """The bin of each row, computed without the cache of `bins`."""
        column = self.model.column(reference)
        edges = column_bins(self.model, self.version, reference)
        if column is None:
            return _left_closed_bins(self.number(reference), np.array(edges.edges))
        if column.kind == "number":
            found = _left_closed_bins(self.values(reference), np.array(edges.edges))
        else:
            own, names = self.levels(reference)
            places = {level: place for place, level in enumerate(edges.levels)}
            found = np.array([NULL if name is None else places.get(name, UNSEEN) for name in names], np.int64)[own]
        marks = self.rows.get(f"mark.{column.name}") if column.role == "feature" else None
        return found if marks is None else np.where(marks != 0, marks, found).astype(np.int64)

    def values(self, reference: str) -> Array:
        """The values of a column; null if the rows lack it, or if a mark says that the value did not arrive. A missing status is `ok`."""
        found = self.rows.get(reference)
        if reference == "status":
            return np.full(len(self.rows), "ok", object) if found is None else np.where(self.given(found), found, "ok").astype(object)
        if reference == CURRENCY:
            return np.array([_stated_currency(extra) for extra in self.cells("extra", None)], object)
        column = self.model.column(reference)
        if found is None:
            number = reference not in TEXT_FIELDS and (column is None or column.kind == "number")
            return np.full(len(self.rows), np.nan) if number else np.full(len(self.rows), None, object)
        marks = self.rows.get(f"mark.{column.name}") if column is not None and column.role == "feature" else None
        return found if marks is None else blanked_values(found, marks != 0)

    def number(self, reference: str) -> Array:
        """A number for each row that does not need the label; or `error`, which is NaN if there is no label."""
        if reference == "error":
            return self.rows["score"] - self.rows["label"]
        index = class_index(self.model, reference)
        return self.values(f"score.{index - 1}" if index else reference)

    def summed(self, reference: str, as_of: Any) -> tuple[Array, Bools]:
        """The number that each row adds to a sum, and a mask of the rows that have one."""
        if reference in LABEL_NUMBERS:
            values = self.kept(("sum", reference), lambda: self.of_label(reference))
            return values, np.isfinite(values) & self.labelled(as_of)
        values = self.number(reference)
        return values, np.isfinite(values)

    def of_label(self, reference: str) -> Array:
        """A number for each row that needs the label."""
        score, label = self.rows["score"], self.rows["label"]
        if reference == "label_value":
            return label if self.model.task == "regression" else _numeric_classes(self.model, label)
        if reference in ("error", "absolute_error", "squared_error"):
            error = score - label
            return {"error": error, "absolute_error": np.abs(error), "squared_error": error * error}[reference]
        if reference == "correct":
            decided = self.codes("decision", None)
            return np.where(decided >= 0, decided == label, np.nan).astype(float)
        if self.model.task == "binary":
            return _clipped_log_loss(np.where(label == 1, score, 1 - score)) if reference == "log_loss" else (score - label) ** 2
        matrix, index = self.matrix(), np.nan_to_num(label).astype(int)
        own = matrix[np.arange(label.size), index]
        if reference == "log_loss":
            return _clipped_log_loss(own)
        squares = np.nansum(matrix * matrix, axis=1) - 2 * own + 1
        return np.where(np.isnan(label), np.nan, squares)

    def levels(self, name: str) -> tuple[Array, list[str | None]]:
        """The level of each row in a grouping column: its position in a list of levels, and the text at each position (None: missing)."""
        return self.kept(("levels", name), lambda: self.factors(name))

    def factors(self, name: str) -> tuple[Array, list[str | None]]:
        """The level of each row, computed without the cache of `levels`."""
        import pandas as pd

        column = self.model.column(name)
        if (banded := banded_column(self.model, name)) is not None and column is None:
            edges = self.version.edges.get(name)
            values = self.values(banded.reference)
            if edges is None or not edges.edges:
                return np.zeros(values.size, np.int64), [None]
            bands = list(edges.band_names)
            return np.where(np.isnan(values), len(bands), np.searchsorted(edges.edges, values, "right")), [*bands, None]
        values = self.values(name)
        codes, found = pd.factorize(values, use_na_sentinel=True)
        names: list[str | None] = [_slice_number_text(each) if isinstance(each, float) else str(each) for each in found.tolist()]
        names = [None if each == "null" else each for each in names]
        return np.where(codes < 0, len(names), codes), [*names, None]

    def within(self, where: Slice, version: Version) -> Bools:
        """A mask of the rows that meet the conditions of a slice."""
        mask = np.ones(len(self.rows), bool)
        for name, value in where.conditions:
            reference = self.model.resolve(name)
            if reference == "version":
                mask &= version.name == value
                continue
            places, names = self.levels(reference)
            inside = np.array([(each or "null") == value for each in names])
            mask &= inside[places]
        return mask

    @cached_property
    def sample_hash(self) -> Array:
        """The hash by which samples are drawn: the first 8 bytes of MD5 of the id."""
        digests = b"".join(hashlib.md5(each.encode(), usedforsecurity=False).digest() for each in self.rows["id"].tolist())
        return np.frombuffer(digests, "<u8")[::2]

    @cached_property
    def by_hash(self) -> Array:
        """The positions of the rows in order of their hash."""
        return np.argsort(self.sample_hash, kind="stable")

    def cells(self, name: str, as_of: Any) -> Array:
        """The values of one column of a sample."""
        if name in ("id", "at", "subject", "arrived"):
            return self.values(name)
        if name in ("decision", "label", "score_bin"):
            return self.codes(name, as_of)
        if name == "version":
            return np.full(len(self.rows), self.version.name, object)
        if name in ("prediction", "extra") and name not in self.rows:
            return np.full(len(self.rows), None, object)
        if name in LABEL_NUMBERS:
            return np.where(self.labelled(as_of), self.of_label(name), np.nan)
        column = self.model.column(name)
        if column is not None and column.kind == "boolean":
            return np.array([None if each is None else each == "true" for each in self.values(name).tolist()], object)
        return self.values(name) if column is not None or name in self.rows else self.number(name)

    @staticmethod
    def given(values: Array) -> Bools:
        """A mask of the values that are not missing."""
        return ~np.isnan(values) if values.dtype.kind == "f" else np.array([each is not None for each in values.tolist()], bool)


def _left_closed_bins(values: Array, edges: Array) -> Array:
    """The bin of each value; bins include their lower edge. NULL if there is no number."""
    found = np.searchsorted(edges, values, "right") if edges.size else np.zeros(values.size, np.int64)
    return np.where(np.isnan(values), NULL, found).astype(np.int64)


def _clipped_log_loss(p: Array) -> Array:
    """The negative logarithm of a probability that is clipped away from 0 and 1."""
    return -np.log(np.clip(p, SMALLEST, 1 - SMALLEST))


def _numeric_classes(model: Model, label: Array) -> Array:
    """Class labels as numbers, if the class names are numbers; else NaN."""
    try:
        names = np.array([float(each) for each in model.classes])
    except ValueError:
        return np.full(label.size, np.nan)
    return np.where(np.isnan(label), np.nan, names[np.nan_to_num(label).astype(int)])


def _stated_currency(extra: object) -> str | None:
    """The currency that a record states in its additional fields, which are given as JSON text."""
    stated = stored_json(extra).get(CURRENCY) if isinstance(extra, str) else None
    return stated if isinstance(stated, str) and stated else None


def _slice_number_text(value: float) -> str:
    """A number as text, in the form that slices use."""
    return str(int(value)) if np.isfinite(value) and value == np.floor(value) else repr(value)
