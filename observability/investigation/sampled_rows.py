"""Which real rows stand beside a prediction: a bounded sample of the reference and of what the same version answered, and the row itself as a table?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Column, Model, Version
from observability.core.questions import Sample
from observability.core.window import EPOCH, Window
from observability.investigation.evidence_types import NotGivenError
from observability.store.query import listing
from observability.store.registry.artifacts import intact, stored

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.investigation.logged_prediction import Row
    from observability.store.db.database import Store
    from observability.worker.process import Worker

REFERENCE_ROWS, PRODUCTION_ROWS = 2000, 2000
BEFORE = timedelta(days=90)
"""How long before the prediction rows of the same version are looked for."""
FACTS = ("id", "score", "decision", "label", "label_value")


@dataclass(frozen=True)
class RealRows:
    """Rows of one version. inputs: its features by name (numbers float64, others objects, None missing); facts: id, score, decision, label (class index, -1
    unknown; regression 0 where labelled), label_value, environment, of the same rows. Read-only.
    """

    model: Model
    inputs: "DataFrame"
    facts: "DataFrame"

    def __len__(self) -> int:
        return len(self.facts)

    def only(self, chosen: "NDArray[Any]") -> "RealRows":
        """Some of the rows, by a mask or by places in the order wanted."""
        places = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen
        return RealRows(
            self.model, self.inputs.iloc[places].reset_index(drop=True), self.facts.iloc[places].reset_index(drop=True)
        )  # fmt: skip

    @cached_property
    def absolute_error(self) -> NDArray[np.float64]:
        """Of a regression, |score - label|, NaN where there is no label."""
        return np.abs(self.facts["score"].to_numpy(np.float64) - self.facts["label_value"].to_numpy(np.float64))

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Rows that the model got right: the decision is the label; of a regression, an error no larger than half of the rows have."""
        if self.model.task == "regression":
            known = np.isfinite(self.absolute_error)
            limit = float(np.median(self.absolute_error[known])) if known.any() else -1.0
            return np.asarray(known & (self.absolute_error <= limit), np.bool_)
        decision, label = self.facts["decision"].to_numpy(np.int64), self.facts["label"].to_numpy(np.int64)
        return np.asarray((decision >= 0) & (decision == label), np.bool_)

    @property
    def scale(self) -> "DataFrame":
        """Inputs of the rows by which differences are measured: the reference's where there are any."""
        return self.inputs[self.of_reference] if self.of_reference.any() else self.inputs

    @property
    def of_reference(self) -> NDArray[np.bool_]:
        """Rows of the reference."""
        return np.asarray(self.facts["environment"] == "reference", np.bool_)


def columns_of(model: Model, version: Version) -> tuple[Column, ...]:
    """The features of a version: those it was registered with, else all of the model's."""
    known = {each.name: each for each in model.features()}
    return tuple(known[name] for name in version.features if name in known) or model.features()


def typed(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> "DataFrame":
    """Feature values as a model takes them: numbers float64, others objects with None for what is missing."""
    import pandas as pd

    found: dict[str, Any] = {}
    for each in columns:
        values = [row.get(each.name) for row in rows]
        if each.kind == "number":
            found[each.name] = np.array([np.nan if value is None else float(value) for value in values], np.float64)
        else:
            found[each.name] = pd.Series(values, dtype=object)
    return pd.DataFrame(found)


def inputs_of(row: "Row", version: Version | None = None) -> "DataFrame":
    """The stored input of a prediction as a table of one row, with the features of a version (its own)."""
    return typed(columns_of(row.model, version or row.version), [row.features])


def real_rows(store: "Store", row: "Row", *, production: bool = True) -> RealRows:
    """A bounded sample of the reference and, with `production`, of what the same version answered in the 90 days before, the row itself left out.

    The smallest hashes of the ids: the same rows at every look. Raises NotGivenError where there are none.
    """
    import pandas as pd

    model, columns = row.model, columns_of(row.model, row.version)
    parts = []
    if row.version.reference_rows:
        parts.append(asked(store, Window(model.name, EPOCH, EPOCH, row.version.name, environment="reference"), columns, REFERENCE_ROWS))
    if production and row.environment != "reference":
        environment = as_environment(row.environment)
        end = row.at + timedelta(microseconds=1)
        window = Window(model.name, row.at - BEFORE, end, row.version.name, as_of=row.as_of, environment=environment)
        parts.append(asked(store, window, columns, PRODUCTION_ROWS))
    frames = [each[(each["id"] != row.id).to_numpy(bool)] for each in parts if len(each)]
    if not frames:
        raise NotGivenError(
            "there are no other rows to hold this one against", where=f"{model.name} {row.version.name}",
            attempt="Register the version with a reference",
        )  # fmt: skip
    whole = pd.concat(frames, ignore_index=True)
    inputs = whole[[each.reference for each in columns]].set_axis([each.name for each in columns], axis=1)
    facts = whole[[*FACTS, "environment"]]
    return RealRows(model, inputs, facts)


def as_environment(name: str) -> Literal["production", "shadow", "validation"]:
    """An environment that a window may name."""
    return "shadow" if name == "shadow" else "validation" if name == "validation" else "production"


def asked(store: "Store", window: Window, columns: Sequence[Column], rows: int) -> "DataFrame":
    """A sample of one stream with its features and facts."""
    names = ("id", "at", "subject", "score", "decision", "label", "label_value", *(each.reference for each in columns))
    return listing.sample(store, Sample("outcomes", names, rows), window).assign(environment=window.environment)


def artifact_of(store: "Store", version: Version) -> Path:
    """The model file of a version. Raises NotGivenError where there is none, or it is not what was registered."""
    if version.artifact is None:
        raise NotGivenError(
            f"no model file is stored for version {version.name}, so nothing can be computed with it", where="artifact",
            attempt="Register the version again with --artifact FILE; logged attributions are shown without one",
        )  # fmt: skip
    artifact = stored(version.artifact)
    if artifact is None or not intact(store.home, artifact):
        raise NotGivenError(
            f"the stored model file of version {version.name} is gone or was changed", where="artifact",
            attempt="Register the version again with --artifact FILE",
        )  # fmt: skip
    return artifact.file(store.home)


def asker(worker: "Worker | None") -> "Worker":
    """The worker. Raises NotGivenError where nobody gave one."""
    if worker is None:
        raise NotGivenError("the model was not asked yet", attempt="Ask it on the case's page, or with `case ID` on the command line")
    return worker


def class_names(model: Model, places: "NDArray[np.int64]") -> dict[str, int]:
    """How many rows were decided as which class, most frequent first; rows without a decision are left out."""
    counts = {name: int((places == place).sum()) for place, name in enumerate(model.classes)}
    return {name: count for name, count in sorted(counts.items(), key=lambda each: -each[1]) if count}
