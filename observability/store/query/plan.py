"""Which part of a question do the rollups answer, and which part the raw rows?

The rollups keep some questions by hour, others by day. Of a window they answer the whole periods; the ragged ends, and what the rollups
do not keep, are asked of the raw rows. Answers add up, so the parts are simply added.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from observability.core.catalog import Model
from observability.core.questions import Aggregate, Bucket, By
from observability.core.window import EPOCH, Window
from observability.store.db.schema import DAY_OUTCOMES, ERROR, FIRST_CLASS, LATENCY, OUTCOMES, SCORE, SLICED_FIELDS, SUM_MEASURES
from observability.store.query.references import banded_column, class_index
from observability.store.query.source import HOUR

HOURS_A_DAY = 24
BY_LATENCY = frozenset({"version", "status"})
"""What the counts by bin of latency are kept by. Every row is in one of these bins, and they are far fewer than those by score and label."""


@dataclass(frozen=True)
class Kept:
    """Where the rollups keep something: the table, its measure, the grain in hours, and the references it can be grouped by. by_day: the measure under which
    they keep the same by day as well.
    """

    table: Literal["counts", "sums"]
    measure: int
    grain: int
    groups: frozenset[str] = frozenset({"version"})
    by_day: int | None = None


@dataclass(frozen=True)
class Spans:
    """A window cut in two: the whole periods (None: there are none), and the ragged ends."""

    whole: tuple[datetime, datetime] | None
    ends: tuple[tuple[datetime, datetime], ...]


def kept(model: Model, aggregate: Aggregate, item: str | None, *, sliced: str | None, level: str | None) -> Kept | None:
    """Where the rollups keep one item of an aggregate (a reference of its histogram or sums; None: plain counts), None where they do not.

    sliced: the reference of which the rows are one level, where they are one slice of the rollups. level: the reference among the keys whose
    levels are slices of the rollups, if there is one.
    """
    found = kept_sum(model, item) if item and aggregate.sums else kept_histogram(model, item) if item else kept_counts()
    if found is None:
        return None
    if not (item or sliced or level) and all(isinstance(key, Bucket) or key.column in BY_LATENCY for key in aggregate.keys):
        return Kept("counts", LATENCY, 1, BY_LATENCY)
    if sliced or level:
        if found.measure > 0 or (
            found.table == "counts" and item and not (found.measure == LATENCY and (sliced or level) in SLICED_FIELDS)
        ):
            return None
        found = Kept(found.table, found.measure, HOURS_A_DAY, found.groups - {"score_bin"} | ({level} if level else set()))
    if any(key.column not in found.groups for key in aggregate.keys if isinstance(key, By)):
        return None
    return found


def kept_counts() -> Kept:
    """Plain counts, with labels and without."""
    return Kept("counts", OUTCOMES, 1, frozenset({"version", "decision", "label", "status", "score_bin"}), DAY_OUTCOMES)


def kept_histogram(model: Model, reference: str) -> Kept | None:
    """The histogram of a reference."""
    column = model.column(reference)
    if column is not None:
        return Kept("counts", column.id, HOURS_A_DAY)
    if index := class_index(model, reference):
        return Kept("counts", FIRST_CLASS - (index - 1), HOURS_A_DAY, frozenset({"version", "label"}))
    if reference == "latency_ms":
        return Kept("counts", LATENCY, 1, frozenset({"version", "status"}))
    if reference == "score" and model.classes:
        return kept_counts()
    if model.task == "regression" and reference in ("score", "error"):
        return Kept("counts", SCORE if reference == "score" else ERROR, HOURS_A_DAY)
    return None


def kept_sum(model: Model, reference: str) -> Kept | None:
    """The sums of a reference."""
    column = model.column(reference)
    if column is not None:
        return Kept("sums", column.id, HOURS_A_DAY) if column.kind == "number" else None
    if reference not in SUM_MEASURES or (reference == "label_value" and model.task != "regression"):
        return None
    return Kept("sums", SUM_MEASURES[reference], 1)


def level_key(model: Model, aggregate: Aggregate) -> str | None:
    """The reference among the keys whose levels may be slices of the rollups; None where there is none, or more than one."""
    found = [key.column for key in aggregate.keys if isinstance(key, By) and has_levels(model, key.column)]
    return found[0] if len(found) == 1 else None


def has_levels(model: Model, reference: str) -> bool:
    """Whether a reference is one whose levels may be slices: replica, device, a sensitive column, the bands of a sensitive number."""
    column = model.column(reference)
    return reference in SLICED_FIELDS or (column is not None and column.sensitive) or banded_column(model, reference) is not None


def spans(window: Window, grain: int, bucket: Bucket | None) -> Spans:
    """The whole periods of a window on a grain of hours, and what is left at its ends; all is left where hours are asked of days."""
    everything = ((window.start, window.end),) if window.start < window.end else ()
    step = grain * HOUR
    first = window.start + (EPOCH - window.start) % step
    last = window.end - (window.end - EPOCH) % step
    if first >= last or (bucket is not None and bucket.period == "hour" and grain > 1):
        return Spans(None, everything)
    return Spans((first, last), tuple((a, b) for a, b in ((window.start, first), (last, window.end)) if a < b))


def arrival_limit(as_of: datetime | None, compacted_before: int) -> int | Literal["raw"] | None:
    """Up to which arrival hour the rollups are read: None for all, "raw" where they do not know that instant exactly."""
    if as_of is None:
        return None
    hours, rest = divmod(as_of - EPOCH, HOUR)
    if rest != timedelta(0) or (hours < compacted_before and hours % HOURS_A_DAY):
        return "raw"
    return hours
