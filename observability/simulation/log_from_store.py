"""What clean log does a model in a store give?

Its own past, where enough of that is labelled, else its reference. Only reading: bounded samples of rows, and how its traffic falls over the day.
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
from observability.simulation.clean_log import Base
from observability.simulation.log_rows import Array, Rows, joined
from observability.store.query import aggregates, listing

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Store

Source = Literal["auto", "past", "reference"]
MOST_ROWS = 20_000
ENOUGH = 1000
"""Labelled predictions from which a model's own past is a base."""
SHARE_OF_OTHERS = 2**-0.5
"""Of days that are drawn from one half of a reference and held against the other half (see `halves`)."""
SERVICE = ("replica", "device", "subject", "latency_ms", "energy_j", "cost")


def base_of(store: "Store", name: str, *, source: Source = "auto", seed: int = 0) -> Base:
    """The base that a model gives. source: draw clean days from its past predictions, or from its reference.

    Raises NotFoundError for an unknown model, UsageError where it has no reference to hold anything against, or no past.
    """
    model = store.catalog().model(name)
    served_last = serving(store, name)
    version = judged_version(model, served_last)
    end = max(served_last.values(), default=EPOCH) + timedelta(hours=1)
    everything = Window(name, EPOCH, end, version=version.name)
    features = [each for each in model.columns if each.role == "group" or each.name in version.features]
    references = tuple(each.reference for each in features) + scores_of(model) + ("label_value", "label")
    reference = rows_of(listing.sample(store, Sample("outcomes", references, MOST_ROWS), everything.reference()), model, features)
    served = listing.sample(store, Sample("outcomes", (*references, *SERVICE, "status"), MOST_ROWS), everything)
    past = rows_of(served[served["status"].isin(["ok", None]) | served["status"].isna()], model, features)
    labelled = int(np.isfinite(past["label"]).sum()) if len(past) else 0
    if source == "past" and not len(past):
        raise UsageError(f"{name} has no past predictions", expected="predictions of its version", attempt="Draw from its reference")
    use_past = source == "past" or (source == "auto" and labelled >= ENOUGH)
    if use_past:
        pool, told = past, f"Days are drawn from {len(past):,} of its past predictions, {labelled:,} of them labelled."
    else:
        reference, pool = halves(reference, seed)
        pool = with_service(pool, past, seed)
        told = f"Days are drawn from its reference ({len(pool):,} rows); what the service logs beside is drawn from its past predictions."
    return Base(
        name, model.task or "binary", model.classes, tuple(features), reference, without_empty(pool), settings=model.settings,
        hours=hours_of(store, everything), in_sample=version.in_sample, told=told,
    )  # fmt: skip


def judged_version(model: Model, served_last: dict[str, datetime]) -> Version:
    """Of the versions that have a reference the one that served last; where none served, the newest."""
    registered = [each for each in model.versions if each.registered_at and each.reference_rows]
    if not registered or model.task is None:
        raise UsageError(
            f"{model.name} has no reference", expected="a version that was registered with held-out predictions", attempt="Register it"
        )
    return max(registered, key=lambda each: (served_last.get(each.name, EPOCH), each.registered_at or EPOCH, each.name))


def serving(store: "Store", name: str) -> dict[str, datetime]:
    """By version, the start of the hour of its newest prediction."""
    found = listing.activity(store)
    found = found[(found["model"] == name) & (found["environment"] == "production")]
    return {version: aware_utc(last.to_pydatetime()) for version, last in zip(found["version"], found["last"], strict=True)}


def scores_of(model: Model) -> tuple[str, ...]:
    """References of the scores."""
    return ("score", *(f"score.{k}" for k in range(len(model.classes)))) if model.task == "multiclass" else ("score",)


def rows_of(frame: "DataFrame", model: Model, columns: list[Column]) -> Rows:
    """A sample as rows of the lab."""
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
    return Rows(found)


def halves(rows: Rows, seed: int) -> tuple[Rows, Rows]:
    """A reference in two: what days are held against, and what they are drawn from.

    Days drawn from the very rows that they are held against would look too much alike, and days drawn from the other half only would all differ in the
    same way by more than their numbers say. With 71 % of the pool from the other half and 29 % from the same, the difference has the variance that
    fresh days have: w² (1/m + 1/m) = 1/m for w = 0.71, m rows a half.
    """
    order = np.random.default_rng([seed, 5]).permutation(len(rows))
    first, second = order[: len(rows) // 2], order[len(rows) // 2 :]
    shared = first[: round(second.size * (1 - SHARE_OF_OTHERS) / SHARE_OF_OTHERS)]
    return rows.take(first), joined([rows.take(second), rows.take(shared)])


def with_service(pool: Rows, past: Rows, seed: int) -> Rows:
    """Rows of a reference with what services log, drawn from past predictions."""
    if not len(past):
        return pool
    places = np.random.default_rng([seed, 6]).integers(len(past), size=len(pool))
    return pool.put({name: past[name][places] for name in SERVICE if name in past})


def without_empty(rows: Rows) -> Rows:
    """The rows without what no row says."""
    features = {name for name in rows.columns if name.startswith(("feature.", "group.", "score", "label"))}
    return Rows(
        {
            name: values
            for name, values in rows.columns.items()
            if name in features or (np.isfinite(values).any() if values.dtype.kind == "f" else any(each is not None for each in values))
        }
    )


def hours_of(store: "Store", window: Window) -> tuple[float, ...]:
    """Share of the traffic by hour of the day; even where there is none."""
    frame = aggregates.ask(store, Aggregate("predictions", keys=(Bucket("hour"),)), replace(window, version=None))
    if frame.empty:
        return (1 / 24,) * 24
    counts = np.bincount(frame["period"].dt.hour.to_numpy(), frame["n"].to_numpy(float), 24)
    return tuple((counts / counts.sum()).tolist())
