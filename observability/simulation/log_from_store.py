"""Make the clean log of a model in a store from its past predictions if enough of them are labelled, otherwise from its reference.

Only samples of limited size and the distribution of the traffic over the day are read.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np

from observability.core.catalog import Column, Model, Version
from observability.core.errors import UsageError
from observability.core.questions import Aggregate, Bucket, Sample
from observability.core.time import aware_utc
from observability.core.window import EPOCH, Window
from observability.simulation.clean_log import SimulationBase
from observability.simulation.log_rows import LogRows, joined_rows
from observability.stats.arrays import Array

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.engine import Store

BaseSource = Literal["auto", "past", "reference"]
MAX_ROWS = 20_000
MINIMUM_PAST_ROWS = 1000
"""Minimum number of labelled predictions for using a model's own past."""
SHARE_OF_OTHERS = 2**-0.5
"""Share of the pool that is drawn from the other half of the reference (see `reference_halves`)."""
SERVICE = ("replica", "device", "subject", "latency_ms", "energy_j", "cost")


def simulation_base(store: "Store", name: str, *, source: BaseSource = "auto", seed: int = 0) -> SimulationBase:
    """The base from which clean days of a model are drawn. source: its past predictions, its reference, or `auto` (its past if enough of it
    is labelled).

    Raises NotFoundError for an unknown model, and UsageError if the model has no reference, or no past predictions where `source` is
    `past`.
    """
    model = store.catalog().model(name)
    served_last = _last_served(store, name)
    version = _base_version(model, served_last)
    end = max(served_last.values(), default=EPOCH) + timedelta(hours=1)
    everything = Window(name, EPOCH, end, version=version.name)
    features = [each for each in model.columns if each.role == "group" or each.name in version.features]
    references = tuple(each.reference for each in features) + _score_references(model) + ("label_value", "label")
    reference = _log_rows(store.ask(Sample("outcomes", references, MAX_ROWS), everything.reference()), model, features)
    served = store.ask(Sample("outcomes", (*references, *SERVICE, "status"), MAX_ROWS), everything)
    past = _log_rows(served[served["status"].isin(["ok", None]) | served["status"].isna()], model, features)
    labelled = int(np.isfinite(past["label"]).sum()) if len(past) else 0
    if source == "past" and not len(past):
        raise UsageError(
            f"the model {name} has no past predictions", expected="predictions of its version", attempt="Draw from its reference"
        )
    use_past = source == "past" or (source == "auto" and labelled >= MINIMUM_PAST_ROWS)
    if use_past:
        pool, source_note = past, f"Days are drawn from {len(past):,} of its past predictions, {labelled:,} of them labelled."
    else:
        reference, pool = reference_halves(reference, seed)
        pool = _with_service_fields(pool, past, seed)
        source_note = (
            f"Days are drawn from its reference ({len(pool):,} rows); what the service logs beside is drawn from its past predictions."
        )
    return SimulationBase(
        name, model.task or "binary", model.classes, tuple(features), reference, _without_empty_columns(pool), settings=model.settings,
        hours=_hour_shares(store, everything), in_sample=version.in_sample, source_note=source_note,
    )  # fmt: skip


def _base_version(model: Model, served_last: dict[str, datetime]) -> Version:
    """Among the versions with a reference, the one that served last; if none of them served, the newest."""
    registered = [each for each in model.versions if each.registered_at and each.reference_rows]
    if not registered or model.task is None:
        raise UsageError(
            f"the model {model.name} has no reference",
            expected="a version that was registered with held-out predictions",
            attempt="Register it",
        )
    return max(registered, key=lambda each: (served_last.get(each.name, EPOCH), each.registered_at or EPOCH, each.name))


def _last_served(store: "Store", name: str) -> dict[str, datetime]:
    """By version, the start of the hour of its newest prediction."""
    found = store.activity()
    found = found[(found["model"] == name) & (found["environment"] == "production")]
    return {version: aware_utc(last.to_pydatetime()) for version, last in zip(found["version"], found["last"], strict=True)}


def _score_references(model: Model) -> tuple[str, ...]:
    """The references of the score columns: one per class of a multiclass model, else `score`."""
    return ("score", *(f"score.{k}" for k in range(len(model.classes)))) if model.task == "multiclass" else ("score",)


def _log_rows(frame: "DataFrame", model: Model, columns: list[Column]) -> LogRows:
    """A sample of rows as `LogRows`."""
    found: dict[str, Array] = {}
    kinds = {each.reference: each.kind for each in columns}
    for name in frame.columns:
        if name in ("label", "label_value", "status"):
            continue
        values = frame[name].to_numpy()
        if kinds.get(name) == "boolean":
            values = np.array([None if each is None else "true" if each else "false" for each in values.tolist()], object)
        found[name] = values.astype(object) if kinds.get(name) == "category" or values.dtype == object else values.astype(float)
    code = frame["label"].to_numpy(float)
    found["label"] = frame["label_value"].to_numpy(float) if model.task == "regression" else np.where(code < 0, np.nan, code)
    return LogRows(found)


def reference_halves(rows: LogRows, seed: int) -> tuple[LogRows, LogRows]:
    """A reference split in two halves: the reference to compare with, and the pool from which days are drawn.

    Days drawn from the same rows as the reference would be too similar to it. Days drawn only from the other half would all differ from it
    in the same way, by more than their size explains. With 71 % of the pool from the other half and 29 % from the reference's own half, the
    difference has the variance of fresh days: w² (1/m + 1/m) = 1/m for w = 0.71 and m rows per half.
    """
    order = np.random.default_rng([seed, 5]).permutation(len(rows))
    first, second = order[: len(rows) // 2], order[len(rows) // 2 :]
    shared = first[: round(second.size * (1 - SHARE_OF_OTHERS) / SHARE_OF_OTHERS)]
    return rows.take(first), joined_rows([rows.take(second), rows.take(shared)])


def _with_service_fields(pool: LogRows, past: LogRows, seed: int) -> LogRows:
    """Rows of a reference, with the fields that a service logs (device, latency, cost, …) drawn from past predictions."""
    if not len(past):
        return pool
    places = np.random.default_rng([seed, 6]).integers(len(past), size=len(pool))
    return pool.put({name: past[name][places] for name in SERVICE if name in past})


def _without_empty_columns(rows: LogRows) -> LogRows:
    """The rows without the columns that are empty in every row; features, groups, scores and labels stay."""
    features = {name for name in rows.columns if name.startswith(("feature.", "group.", "score", "label"))}
    return LogRows(
        {
            name: values
            for name, values in rows.columns.items()
            if name in features or (np.isfinite(values).any() if values.dtype.kind == "f" else any(each is not None for each in values))
        }
    )


def _hour_shares(store: "Store", window: Window) -> tuple[float, ...]:
    """Share of the traffic by hour of the day; equal shares if there is no traffic."""
    frame = store.ask(Aggregate("predictions", keys=(Bucket("hour"),)), replace(window, version=None))
    if frame.empty:
        return (1 / 24,) * 24
    counts = np.bincount(frame["period"].dt.hour.to_numpy(), frame["n"].to_numpy(float), 24)
    return tuple((counts / counts.sum()).tolist())
