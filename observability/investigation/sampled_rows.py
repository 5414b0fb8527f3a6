"""Samples of limited size of real rows for a prediction (from the reference and from earlier predictions of the version), and the
prediction as a table.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from observability.core.catalog import Column, Model, Version
from observability.core.questions import Sample
from observability.core.window import EPOCH, Window
from observability.investigation.evidence_types import NotGivenError
from observability.stats.arrays import Array, Bools, Floats, Integers

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.investigation.logged_prediction import Row
    from observability.store.engine import Store
    from observability.worker.process import Worker

REFERENCE_ROWS, PRODUCTION_ROWS = 2000, 2000
SAMPLE_CELLS, LEAST_ROWS = 2_000_000, 200
"""Largest number of feature values in a sample, and the number of rows that a sample may always have. A model with thousands of features
gets fewer rows.
"""
BEFORE = timedelta(days=90)
"""Earlier predictions are sampled from this long before the case."""
FACTS = ("id", "score", "decision", "label", "label_value")


@dataclass(frozen=True)
class RealRows:
    """Rows of one version. inputs: features by name (numbers float64, others objects, None if missing). facts: of the same rows, id,
    score, decision, label (class index, −1 unknown; regression 0 if labelled), label_value, environment. Read-only.
    """

    model: Model
    inputs: "DataFrame"
    facts: "DataFrame"

    def __len__(self) -> int:
        return len(self.facts)

    def only(self, chosen: "Array") -> "RealRows":
        """Some of the rows, by a mask or by positions in the given order."""
        places = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen
        return RealRows(self.model, self.inputs.iloc[places].reset_index(drop=True), self.facts.iloc[places].reset_index(drop=True))

    @cached_property
    def absolute_error(self) -> Floats:
        """For a regression, |score − label|; NaN without a label."""
        return np.abs(self.facts["score"].to_numpy(np.float64) - self.facts["label_value"].to_numpy(np.float64))

    @cached_property
    def right(self) -> Bools:
        """A mask of the right rows: the decision equals the label; for a regression, the absolute error is at most the median."""
        if self.model.task == "regression":
            known = np.isfinite(self.absolute_error)
            limit = float(np.median(self.absolute_error[known])) if known.any() else -1.0
            return np.asarray(known & (self.absolute_error <= limit), np.bool_)
        decision, label = self.facts["decision"].to_numpy(np.int64), self.facts["label"].to_numpy(np.int64)
        return np.asarray((decision >= 0) & (decision == label), np.bool_)

    @property
    def scale(self) -> "DataFrame":
        """The inputs whose spread scales distances: those of the reference if there is one, else all inputs."""
        return self.inputs[self.of_reference] if self.of_reference.any() else self.inputs

    @property
    def of_reference(self) -> Bools:
        """A mask that is true for rows of the reference."""
        return np.asarray(self.facts["environment"] == "reference", np.bool_)


def version_features(model: Model, version: Version) -> tuple[Column, ...]:
    """The features of a version: those it was registered with, else all features of the model."""
    known = {each.name: each for each in model.features()}
    return tuple(known[name] for name in version.features if name in known) or model.features()


def model_ready_values(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> "DataFrame":
    """Feature values in the model's types: numbers float64, others objects, None for missing."""
    import pandas as pd

    names = {number: [column.name for column in columns if (column.kind == "number") is number] for number in (True, False)}
    given = [[math.nan if (value := row.get(name)) is None else float(value) for name in names[True]] for row in rows]
    others = [[row.get(name) for name in names[False]] for row in rows]
    numbers = pd.DataFrame(np.array(given, np.float64).reshape(len(rows), len(names[True])), columns=names[True])
    return numbers.join(pd.DataFrame(others, columns=names[False], dtype=object))[[column.name for column in columns]]


def task_and_classes(model: Model) -> dict[str, Any]:
    """The model's task and classes, in the form that the worker's jobs expect."""
    return {"task": model.task or "regression", "classes": model.classes}


def probability_columns(model: Model) -> tuple[str, ...]:
    """Columns of the class probabilities of a multiclass model; empty for other tasks."""
    return tuple(f"score.{place}" for place in range(len(model.classes))) if model.task == "multiclass" else ()


def class_probabilities(frame: "DataFrame", model: Model) -> Floats:
    """The class probabilities, (n, classes), in a frame of outcomes."""
    if columns := probability_columns(model):
        return frame[list(columns)].to_numpy(np.float64)
    positive = frame["score"].to_numpy(np.float64)
    return np.stack([1 - positive, positive], axis=1)


def stored_input(row: "Row", version: Version | None = None) -> "DataFrame":
    """The stored input of a prediction as a table of one row, with the features of a version (default: the prediction's own version)."""
    return model_ready_values(version_features(row.model, version or row.version), [row.features])


def real_rows(store: "Store", row: "Row", *, production: bool = True, features: Sequence[Column] | None = None) -> RealRows:
    """A sample of limited size from the reference and, if `production` is set, from the version's predictions in the 90 days before;
    without the row itself.

    The sample has the rows with the smallest id hashes, so it is always the same. features: the features to read; by default all features
    of the version. Raises NotGivenError if there are no rows.
    """
    import pandas as pd

    model, columns = row.model, version_features(row.model, row.version) if features is None else features
    parts = []
    if row.version.reference_rows:
        parts.append(
            stream_sample(store, Window(model.name, EPOCH, EPOCH, row.version.name, environment="reference"), columns, REFERENCE_ROWS)
        )
    if production and row.environment != "reference":
        environment = as_environment(row.environment)
        end = row.at + timedelta(microseconds=1)
        window = Window(model.name, row.at - BEFORE, end, row.version.name, as_of=row.as_of, environment=environment)
        parts.append(stream_sample(store, window, columns, PRODUCTION_ROWS))
    frames = [each[(each["id"] != row.id).to_numpy(bool)] for each in parts if len(each)]
    if not frames:
        raise NotGivenError(
            "there are no other rows for comparison",
            where=f"{model.name} {row.version.name}",
            attempt="Register the version with a reference",
        )
    whole = pd.concat(frames, ignore_index=True)
    inputs = whole[[each.reference for each in columns]].set_axis([each.name for each in columns], axis=1)
    facts = whole[[*FACTS, "environment"]]
    return RealRows(model, inputs, facts)


def as_environment(name: str) -> Literal["production", "shadow", "validation", "probe", "controller"]:
    """The name of an environment as a window expects it; `production` for a reference."""
    for known in ("shadow", "validation", "probe", "controller"):
        if name == known:
            return known
    return "production"


def sample_rows(columns: Sequence[Column], rows: int) -> int:
    """The maximum number of rows in a sample that has these columns, if `rows` rows are wanted."""
    return max(LEAST_ROWS, min(rows, SAMPLE_CELLS // max(len(columns), 1)))


def stream_sample(store: "Store", window: Window, columns: Sequence[Column], rows: int) -> "DataFrame":
    """A sample of one environment with features and facts."""
    names = ("id", "at", "subject", "score", "decision", "label", "label_value", *(each.reference for each in columns))
    return store.ask(Sample("outcomes", names, sample_rows(columns, rows)), window).assign(environment=window.environment)


def artifact_of(store: "Store", version: Version) -> Path:
    """The model file of a version. Raises NotGivenError if it is missing, or differs from the file that was registered."""
    attempt = "Register the version again with --artifact FILE"
    if version.artifact is None:
        problem = f"no model file is stored for version {version.name}, so nothing can be computed with it"
        raise NotGivenError(problem, where="artifact", attempt=f"{attempt}; logged attributions are shown without one")
    artifact = store.artifact(version)
    if artifact is None:
        raise NotGivenError(f"the stored model file of version {version.name} is gone or was changed", where="artifact", attempt=attempt)
    return artifact


def required_worker(worker: "Worker | None") -> "Worker":
    """The worker. Raises NotGivenError if there is none."""
    if worker is None:
        raise NotGivenError(
            "this was not computed yet", attempt="Compute it on the page of the case, or with `case ID` on the command line"
        )
    return worker


def class_names(model: Model, places: "Integers") -> dict[str, int]:
    """Number of rows by decided class, most frequent first; rows without a decision are omitted."""
    counts = {name: int((places == place).sum()) for place, name in enumerate(model.classes)}
    return {name: count for name, count in sorted(counts.items(), key=lambda each: -each[1]) if count}
