"""Split a question between the rollups and the raw rows.

The rollups keep some items by hour, others by day. They answer the whole periods of a window. Partial periods at the ends of the window,
and figures that the rollups lack, are read from raw rows. Answers are additive.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from observability.core.catalog import Model
from observability.core.questions import Aggregate, Bucket, By
from observability.core.window import EPOCH, Window
from observability.store.db.schema import DAY_OUTCOMES, ERROR, FIRST_CLASS, LATENCY, OUTCOMES, SCORE, SLICED_FIELDS, SUM_MEASURES
from observability.store.query.source import HOUR
from observability.store.types.column_bins import banded_column, class_index

HOURS_A_DAY = 24
BY_LATENCY = frozenset({"version", "status"})
"""Keys of the counts by latency bin. These counts cover every row, and there are far fewer of them than counts by score and label."""


@dataclass(frozen=True)
class RollupPlace:
    """Where the rollups keep an item: table, measure, grain in hours, and the references it can be grouped by.

    by_day: the measure under which the same figures are also kept by day.
    """

    table: Literal["counts", "sums"]
    measure: int
    grain: int
    groups: frozenset[str] = frozenset({"version"})
    by_day: int | None = None


@dataclass(frozen=True)
class WindowSpans:
    """A window split into whole periods (None: there are none) and the partial periods at its ends."""

    whole: tuple[datetime, datetime] | None
    ends: tuple[tuple[datetime, datetime], ...]


def rollup_place(model: Model, aggregate: Aggregate, item: str | None, *, sliced: str | None, level: str | None) -> RollupPlace | None:
    """Where the rollups keep one item of an aggregate; None if they do not keep it. The item is a reference of its histogram or sums, or
    None for plain counts.

    sliced: a reference, if the rows are limited to one of its levels and that level is a slice of the rollups. level: the reference among
    the keys whose levels are slices of the rollups, if there is one.
    """
    found = _sum_place(model, item) if item and aggregate.sums else _histogram_place(model, item) if item else _counts_place()
    if found is None:
        return None
    if not (item or sliced or level) and all(isinstance(key, Bucket) or key.column in BY_LATENCY for key in aggregate.keys):
        return RollupPlace("counts", LATENCY, 1, BY_LATENCY)
    if sliced or level:
        if found.measure > 0 or (
            found.table == "counts" and item and not (found.measure == LATENCY and (sliced or level) in SLICED_FIELDS)
        ):
            return None
        found = RollupPlace(found.table, found.measure, HOURS_A_DAY, found.groups - {"score_bin"} | ({level} if level else set()))
    if aggregate.keys and any(key.column not in found.groups for key in aggregate.keys if isinstance(key, By)):
        return None
    return found


def _counts_place() -> RollupPlace:
    """Place of plain counts, with and without labels."""
    return RollupPlace("counts", OUTCOMES, 1, frozenset({"version", "decision", "label", "status", "score_bin"}), DAY_OUTCOMES)


def _histogram_place(model: Model, reference: str) -> RollupPlace | None:
    """Place of the histogram of a reference."""
    column = model.column(reference)
    if column is not None:
        return RollupPlace("counts", column.id, HOURS_A_DAY)
    if index := class_index(model, reference):
        return RollupPlace("counts", FIRST_CLASS - (index - 1), HOURS_A_DAY, frozenset({"version", "label"}))
    if reference == "latency_ms":
        return RollupPlace("counts", LATENCY, 1, frozenset({"version", "status"}))
    if reference == "score" and model.classes:
        return _counts_place()
    if model.task == "regression" and reference in ("score", "error"):
        return RollupPlace("counts", SCORE if reference == "score" else ERROR, HOURS_A_DAY)
    return None


def _sum_place(model: Model, reference: str) -> RollupPlace | None:
    """Place of the sums of a reference."""
    column = model.column(reference)
    if column is not None:
        return RollupPlace("sums", column.id, HOURS_A_DAY) if column.kind == "number" else None
    if reference not in SUM_MEASURES or (reference == "label_value" and model.task != "regression"):
        return None
    return RollupPlace("sums", SUM_MEASURES[reference], 1)


def level_key(model: Model, aggregate: Aggregate) -> str | None:
    """The only key column whose levels may be slices of the rollups; None if there is no such key, or more than one."""
    found = [key.column for key in aggregate.keys if isinstance(key, By) and _has_levels(model, key.column)]
    return found[0] if len(found) == 1 else None


def _has_levels(model: Model, reference: str) -> bool:
    """Whether the levels of a reference may be slices: replica, device, a sensitive column, the bands of a sensitive number."""
    column = model.column(reference)
    return reference in SLICED_FIELDS or (column is not None and column.sensitive) or banded_column(model, reference) is not None


def split_window(window: Window, grain: int, bucket: Bucket | None) -> WindowSpans:
    """The whole periods of a window for a grain in hours, and the rest at its ends. Everything is rest if hours are requested but the
    counts are daily.
    """
    everything = ((window.start, window.end),) if window.start < window.end else ()
    step = grain * HOUR
    first = window.start + (EPOCH - window.start) % step
    last = window.end - (window.end - EPOCH) % step
    if first >= last or (bucket is not None and bucket.period == "hour" and grain > 1):
        return WindowSpans(None, everything)
    return WindowSpans((first, last), tuple((a, b) for a, b in ((window.start, first), (last, window.end)) if a < b))


def arrival_limit(as_of: datetime | None, compacted_before: int) -> int | Literal["raw"] | None:
    """The arrival hour up to which the rollups are read: None for all, "raw" if the rollups do not know the state at that instant
    exactly.
    """
    if as_of is None:
        return None
    hours, rest = divmod(as_of - EPOCH, HOUR)
    if rest != timedelta(0) or (hours < compacted_before and hours % HOURS_A_DAY):
        return "raw"
    return hours
