"""Draws and reads canary rows. They are planted in training data, so that an audit can measure how far a model has memorised them.

A canary and its candidates are drawn from one distribution: each feature and the label are drawn independently from the rows of the
reference. An event logs a canary as `{"name", "row", "label"}`. Canaries that were logged before a version was registered may be in its
training data.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.catalog import Model, Version
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.window import Window
from observability.enrichment.audit_rows import AuditRows
from observability.records.values import AFTER_LAST, FIRST
from observability.stats.arrays import Floats
from observability.stats.exposure import canary_exposure

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.engine import Store

CANDIDATES, MAX_CANARIES = 2000, 200
"""Number of candidates that an audit draws, and maximum number of canaries that it asks about (the newest)."""
PLANTED = Records("event", ("at", "model", "canaries"), ever=True, only=(("what", "export"),))


@dataclass(frozen=True)
class CanaryRows:
    """Canary rows with their names. labels: class index, or the value of a regression."""

    names: tuple[str, ...]
    inputs: "DataFrame"
    labels: Floats


def drawn_canary_rows(reference: AuditRows, number: int, seed: int) -> CanaryRows:
    """`number` rows whose features and label are each drawn separately from rows of the reference. seed: 0 for candidates."""
    import pandas as pd

    rng, inputs = np.random.default_rng([seed, 53]), reference.inputs
    drawn = {name: inputs[name].to_numpy()[rng.integers(len(inputs), size=number)] for name in inputs}
    frame = pd.DataFrame(drawn).astype(dict(inputs.dtypes))
    labels = reference.labels[rng.integers(len(inputs), size=number)]
    return CanaryRows(tuple(f"canary {seed:x}-{place}" for place in range(1, number + 1)), frame, labels)


def canary_records(rows: CanaryRows, model: Model) -> list[dict[str, Any]]:
    """Canaries in the format of an event."""
    plain = rows.inputs.astype(object).where(rows.inputs.notna(), None).to_dict("records")
    truths = [label if model.task == "regression" else model.classes[int(label)] for label in rows.labels.tolist()]
    return [{"name": name, "row": row, "label": truth} for name, row, truth in zip(rows.names, plain, truths, strict=True)]


def planted_canary_rows(store: "Store", model: Model, version: Version, inputs: "DataFrame") -> CanaryRows | None:
    """The complete canaries that were logged for a model before the version was registered. None if there are none. A canary is complete
    with all features and a label.

    inputs: rows of the reference. The canaries get their columns and types.
    """
    import pandas as pd

    events = store.ask(PLANTED, Window(model.name, FIRST, AFTER_LAST)).sort_values("at", kind="stable")
    until = version.registered_at
    logged = [
        canary
        for row in events.to_dict("records")
        if row["model"] == model.name and (until is None or aware_utc(row["at"]) <= aware_utc(until))
        for canary in _complete_canaries(row["canaries"], model, list(map(str, inputs.columns)))
    ][-MAX_CANARIES:]
    if not logged:
        return None
    frame = pd.DataFrame([row for _, row, _ in logged], columns=list(inputs.columns), dtype=object)
    typed = {
        name: pd.to_numeric(frame[name], errors="coerce").astype(float) if inputs[name].dtype.kind in "iuf" else frame[name]
        for name in inputs
    }
    return CanaryRows(tuple(name for name, _, _ in logged), pd.DataFrame(typed), np.array([label for _, _, label in logged], float))


def _complete_canaries(canaries: Any, model: Model, columns: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any], float]]:
    """Name, row and label of an event's complete canaries: those with every feature and a label that the model knows."""
    for each in canaries if isinstance(canaries, list) else ():
        row, label = (each.get("row"), each.get("label")) if isinstance(each, Mapping) else (None, None)
        if not isinstance(row, Mapping) or label is None or not set(columns) <= set(row):
            continue
        if model.task == "regression":
            if isinstance(label, int | float) and not isinstance(label, bool) and np.isfinite(label):
                yield str(each.get("name") or "canary"), row, float(label)
        elif str(label) in model.classes:
            yield str(each.get("name") or "canary"), row, float(model.classes.index(str(label)))


def canary_results(names: Sequence[str], canaries: Floats, candidates: Floats) -> dict[str, Any]:
    """The exposure of canaries as JSON, largest first. canaries, candidates: the model's confidence in each row."""
    found = canary_exposure(canaries, candidates)
    order = np.argsort(-found.bits, kind="stable")
    by_name = [{"name": names[place], "rank": int(found.ranks[place]), "bits": round(float(found.bits[place]), 3)} for place in order]
    return {
        "candidates": len(candidates),
        "most_bits": round(float(np.log2(len(candidates) + 1)), 3),
        "mean_bits": round(float(found.bits.mean()), 3),
        "p_value": float(found.p_value),
        "by_canary": by_name,
    }
