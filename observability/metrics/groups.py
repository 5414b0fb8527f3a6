"""Sensitive groups of a model and their metrics, from counts and sums.

A group is a level of a sensitive attribute (`SEX=female`). For a number it is a band (`AGEP=20 to below 35`), and for several attributes a
combination of their levels. The rates equal fairlearn's `MetricFrame.by_group` on the same rows. The selection rate is computed over all
decided rows, the other rates over labelled rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Column, Model, Version
from observability.core.questions import Aggregate, Bucket, By
from observability.stats import group
from observability.stats.edges import level_label
from observability.stats.group import GroupSpread
from observability.stats.interval import normal_quantile

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
MINIMUM_OF_CLASS = 30
"""Minimum number of positives for a true positive rate, of negatives for a false positive rate, and of rows for any other rate."""
MINIMUM_WIDTH = 0.1
"""A rate other than these two is evaluated if the half-width of its 95 % interval is at most this. For a mean, the half-width is relative
to the mean of all rows.
"""
MAX_CLASSES = 20
"""Maximum number of classes whose rates are measured. Only the first classes are used."""
MISSING = "null"
"""Level of the rows in which the attribute is missing. It is shown, but never compared."""


@dataclass(frozen=True)
class Attribute:
    """A sensitive attribute by which rows can be grouped. levels: known levels in their natural order; any other levels come after them."""

    name: str
    reference: str
    levels: tuple[str, ...] = ()


@dataclass(frozen=True)
class GroupMetric:
    """One metric for several groups; each position of the arrays is one group. n: effective rows. successes: effective successes of a rate;
    variance: variance of one row.

    value, low and high are NaN for a group without rows.
    """

    metric: str
    n: Floats
    value: Floats
    low: Floats
    high: Floats
    variance: Floats
    successes: Floats | None = None

    def at(self, mask: NDArray[np.generic]) -> "GroupMetric":
        """The metric for some of the groups, chosen by a mask or by positions."""
        picked = {name: getattr(self, name)[mask] for name in ("n", "value", "low", "high", "variance")}
        return replace(self, **picked, successes=None if self.successes is None else self.successes[mask])

    def spread(self, least: float = 0.0) -> GroupSpread:
        """The largest difference between these groups. If any pair differs by at least `least`, the most significant pair is chosen among
        such pairs.
        """
        if self.successes is not None:
            return group.rate_spread(self.successes, self.n, least=least)
        return group.mean_spread(self.value, np.sqrt(self.variance / self.n), self.n, least=least)


@dataclass(frozen=True)
class GroupMetrics:
    """Metrics of the groups, by name. rows: number of predictions of each group; labelled: number of those whose label is known."""

    levels: tuple[tuple[str, ...], ...]
    rows: NDArray[np.int64]
    labelled: NDArray[np.int64]
    metrics: dict[str, GroupMetric]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the groups; levels of several attributes joined by `, `."""
        return tuple(", ".join(level) for level in self.levels)

    def aligned(self, levels: Sequence[tuple[str, ...]]) -> "GroupMetrics":
        """The same metrics, with the groups in the given order; a group that has no metrics here gets no rows."""
        take = _places_of(self.levels, levels)

        def padded(values: Floats, empty: float = np.nan) -> Floats:
            return np.append(values, empty)[take]

        metrics = {}
        for name, metric in self.metrics.items():
            known = {part: padded(getattr(metric, part)) for part in ("value", "low", "high", "variance")}
            successes = None if metric.successes is None else padded(metric.successes, 0.0)
            metrics[name] = GroupMetric(name, padded(metric.n, 0.0), **known, successes=successes)
        rows, labelled = (np.append(each, 0)[take] for each in (self.rows, self.labelled))
        return GroupMetrics(tuple(levels), rows, labelled, metrics)


@dataclass(frozen=True)
class GroupSums:
    """Sums of one metric, days × groups.

    w, w2: Σw and Σw² of the rows that count; total: sum of their values (for a rate, Σw of the hits); squares: for a mean, the sum of
    squared values.
    """

    w: Floats
    w2: Floats
    total: Floats
    squares: Floats | None = None

    def each(self, of: Callable[[Floats], Floats]) -> "GroupSums":
        """The sums after the same function is applied to each array."""
        return GroupSums(of(self.w), of(self.w2), of(self.total), None if self.squares is None else of(self.squares))


@dataclass(frozen=True)
class GroupTotals:
    """Sums of groups by day; a single day if the counts are not by day. days: numbers since 1970, increasing; rows, labelled: days ×
    groups.
    """

    levels: tuple[tuple[str, ...], ...]
    days: NDArray[np.int64]
    rows: NDArray[np.int64]
    labelled: NDArray[np.int64]
    sums: dict[str, GroupSums]

    def groups(self) -> GroupMetrics:
        """Metrics of the groups over all days."""
        metrics = _metrics_of_sums({name: each.each(lambda values: values.sum(axis=0)) for name, each in self.sums.items()})
        return GroupMetrics(self.levels, self.rows.sum(axis=0), self.labelled.sum(axis=0), metrics)

    def on(self, kept: Bools | slice) -> "GroupTotals":
        """The same sums, only for some days."""
        sums = {name: each.each(lambda values: values[kept]) for name, each in self.sums.items()}
        return GroupTotals(self.levels, self.days[kept], self.rows[kept], self.labelled[kept], sums)

    def aligned(self, levels: Sequence[tuple[str, ...]]) -> "GroupTotals":
        """The same totals, with the groups in the given order; a group that has no totals here gets no rows."""
        take = _places_of(self.levels, levels)
        rows, labelled = (np.pad(each, ((0, 0), (0, 1)))[:, take] for each in (self.rows, self.labelled))
        sums = {name: each.each(lambda values: np.pad(values, ((0, 0), (0, 1)))[:, take]) for name, each in self.sums.items()}
        return GroupTotals(tuple(levels), self.days, rows, labelled, sums)

    def table(self, metric: str) -> tuple[Floats, Floats]:
        """Values (NaN without rows) and effective n of one metric, days × groups."""
        of = self.sums[metric]
        held = of.w > 0
        n = np.where(held, of.w**2 / np.where(held, of.w2, 1.0), 0.0)
        return np.where(held, of.total, np.nan) / np.where(held, of.w, 1.0), n

    def course(self, metric: str, place: int) -> GroupMetric:
        """One metric of one group by day; each position of the arrays is one day."""
        return _metrics_of_sums({metric: self.sums[metric].each(lambda values: values[:, place])})[metric]


def _places_of(levels: Sequence[tuple[str, ...]], wanted: Sequence[tuple[str, ...]]) -> NDArray[np.int64]:
    """Position of each wanted level among the given levels; the position after the last one if a level is missing."""
    places = {level: place for place, level in enumerate(levels)}
    return np.array([places.get(each, len(levels)) for each in wanted], np.int64)


def sensitive_attributes(model: Model, version: Version | None) -> list[Attribute]:
    """The sensitive attributes of a model by which rows can be grouped: columns with levels, or numbers with bands.

    Parameters
    ----------
    model : Model
        Model.
    version : Version | None
        Version with the bands; None without one.

    Returns
    -------
    list[Attribute]
    """
    found = (_attribute_of(column, version) for column in model.columns if column.sensitive)
    return [each for each in found if each is not None]


def _attribute_of(column: Column, version: Version | None) -> Attribute | None:
    """One column as an attribute; None for numbers without bands."""
    edges = version.edges if version else {}
    if column.kind != "number":
        known = edges.get(column.reference)
        return Attribute(column.name, column.reference, known.levels if known else ())
    bands = edges.get(f"band.{column.name}")
    return Attribute(column.name, f"band.{column.name}", bands.band_names) if bands else None


def group_question(model: Model, chosen: Sequence[Attribute], *, by_day: bool = False) -> Aggregate:
    """The query for the counts (for a regression, the sums) that `group_metrics` reads, by the levels of some attributes.

    Parameters
    ----------
    model : Model
        Model.
    chosen : Sequence[Attribute]
        Sensitive attributes.
    by_day : bool
        Group by day as well.

    Returns
    -------
    Aggregate
    """
    keys = (*((Bucket("day"),) if by_day else ()), *(By(each.reference) for each in chosen))
    if model.task == "regression":
        return Aggregate("outcomes", keys=keys, sums=("absolute_error",))
    return Aggregate("outcomes", keys=(*keys, By("decision"), By("label")))


def group_metrics(model: Model, frame: "DataFrame", chosen: Sequence[Attribute]) -> GroupMetrics:
    """Metrics of each group, in order of the attributes' levels.

    Parameters
    ----------
    model : Model
        Model.
    frame : DataFrame
        Answer to `group_question`.
    chosen : Sequence[Attribute]
        Sensitive attributes.

    Returns
    -------
    GroupMetrics
    """
    return group_totals(model, frame, chosen).groups()


def group_totals(model: Model, frame: "DataFrame", chosen: Sequence[Attribute], *, by_day: bool = False) -> GroupTotals:
    """Sums of each group, in order of the attributes' levels.

    Parameters
    ----------
    model : Model
        Model.
    frame : DataFrame
        Answer to `group_question`.
    chosen : Sequence[Attribute]
        Sensitive attributes.
    by_day : bool
        The frame has the key `period`, by day.

    Returns
    -------
    GroupTotals
    """
    keys = [attribute_levels(frame, each) for each in chosen]
    orders = [{name: place for place, name in enumerate(each.levels)} for each in chosen]
    found = sorted(
        set(zip(*keys, strict=True)) if len(frame) else (),
        key=lambda each: tuple(
            (order.get(level, len(order) + (level == MISSING)), level) for order, level in zip(orders, each, strict=True)
        ),
    )
    places = {each: place for place, each in enumerate(found)}
    code = np.array([places[each] for each in zip(*keys, strict=True)], np.int64)
    days, day = np.zeros(1, np.int64), np.zeros(1, np.int64)
    if by_day and len(frame):
        days, day = np.unique(np.asarray(frame["period"], "datetime64[D]").astype(np.int64), return_inverse=True)
    add = _adder(day * len(found) + code, (days.size, len(found)))
    rows, known = frame["n"].to_numpy(np.float64), np.ones(len(frame), np.bool_)
    if model.task != "regression" and len(frame):
        known = frame["label"].to_numpy(np.int64) >= 0
    sums = _error_sums(frame, add) if model.task == "regression" else _rate_sums(model, frame, add)
    counted, labelled = (add(rows, kept).astype(np.int64) for kept in (np.ones(len(frame), np.bool_), known))
    return GroupTotals(tuple(found), days, counted, labelled, sums)


Adder = Callable[[Floats, Bools], Floats]


def _adder(cell: NDArray[np.int64], shape: tuple[int, int]) -> Adder:
    """A function that sums the values of some rows by day and group. cell: for each row, the number of its cell."""
    return lambda values, kept: np.asarray(np.bincount(cell[kept], values[kept], shape[0] * shape[1]), np.float64).reshape(shape)


def class_rate_name(rate: str, name: str) -> str:
    """The name of a rate for one of several classes."""
    return f"{rate} of {name}"


def rate_name(metric: str) -> str:
    """The name of the rate that a metric measures, without the class."""
    return metric.partition(" of ")[0]


def attribute_levels(frame: "DataFrame", attribute: Attribute) -> list[str]:
    """Level of each row of a frame as text.

    Parameters
    ----------
    frame : DataFrame
        Answer grouped by the attribute.
    attribute : Attribute
        Sensitive attribute.

    Returns
    -------
    list[str]
    """
    return [MISSING if (label := level_label(level)) is None else label for level in frame[attribute.reference]]


def _rate_sums(model: Model, frame: "DataFrame", add: Adder) -> dict[str, GroupSums]:
    """Sums by group, from which rates are computed.

    For a binary model: selection rate, TPR, FPR, precision and base rate. For several classes: the share of decisions for each class, and
    its recall. For both: the accuracy.
    """
    decision, label = (frame[name].to_numpy(np.int64) if len(frame) else np.zeros(0, np.int64) for name in ("decision", "label"))
    decided, known = decision >= 0, label >= 0
    both, positive = decided & known, decision == 1
    wanted: dict[str, tuple[Bools, Bools]] = {"accuracy": (both, decision == label)}
    if model.task == "binary":
        wanted |= {
            "selection_rate": (decided, positive),
            "true_positive_rate": (decided & (label == 1), positive),
            "false_positive_rate": (decided & (label == 0), positive),
            "precision": (known & positive, label == 1),
            "base_rate": (known, label == 1),
        }
    else:
        for place, name in enumerate(model.classes[:MAX_CLASSES]):
            wanted |= {
                class_rate_name("selection_rate", name): (decided, decision == place),
                class_rate_name("true_positive_rate", name): (decided & (label == place), decision == place),
            }
    w, w2 = (frame[name].to_numpy(np.float64) for name in ("w", "w2"))
    return {name: GroupSums(add(w, among), add(w2, among), add(w, among & hit)) for name, (among, hit) in wanted.items()}


def _error_sums(frame: "DataFrame", add: Adder) -> dict[str, GroupSums]:
    """Sums of absolute errors by group."""
    everything = np.ones(len(frame), np.bool_)
    return {"mae": GroupSums(*(add(frame[name].to_numpy(np.float64), everything) for name in ("w", "w2", "total", "squares")))}


def _metrics_of_sums(sums: Mapping[str, GroupSums]) -> dict[str, GroupMetric]:
    """Metrics from their sums over some days: means with Student's interval, rates with `rate_intervals`."""
    found = {name: _mean_metric(name, each, each.squares) for name, each in sums.items() if each.squares is not None}
    rates = {name: each for name, each in sums.items() if each.squares is None}
    if not rates:
        return found
    hits, n = group.effective_counts(*(np.stack([getattr(rate, part) for rate in rates.values()]) for part in ("total", "w", "w2")))
    parts = zip(rates, n, *group.rate_intervals(hits, n), group.rate_variances(hits, n), hits, strict=True)
    return found | {name: GroupMetric(name, *of) for name, *of in parts}


def _mean_metric(name: str, sums: GroupSums, squares: Floats) -> GroupMetric:
    """A mean with Student's interval."""
    from scipy.special import stdtrit

    with np.errstate(invalid="ignore", divide="ignore"):
        rows = np.where(sums.w > 0, sums.w**2 / sums.w2, 0.0)
        value = sums.total / sums.w
        spread = np.maximum(squares / sums.w - value**2, 0.0) * rows / (rows - 1)
        variance = np.where(rows > 1 + 1e-9, spread, np.nan)
        half = stdtrit(np.maximum(rows - 1, 1e-9), 0.975) * np.sqrt(variance / rows)
    return GroupMetric(name, rows, value, value - half, value + half, variance)


def groups_with_enough_rows(groups: GroupMetrics, metric: str) -> Bools:
    """Mask of the groups with enough rows for a metric: 30 positives or negatives, or for other metrics a narrow enough interval. Rows in
    which the attribute is missing never count as a group.

    Parameters
    ----------
    groups : GroupMetrics
        Metrics of the groups.
    metric : str
        Name of the metric.

    Returns
    -------
    Bools
    """
    measured = groups.metrics[metric]
    full = (measured.n >= MINIMUM_OF_CLASS) & np.array([MISSING not in level for level in groups.levels], np.bool_)
    if rate_name(metric) in ("true_positive_rate", "false_positive_rate"):
        return full
    with np.errstate(invalid="ignore"):
        half = (measured.high - measured.low) / 2
        scale = 1.0
        if measured.successes is None:
            held = measured.n > 0
            rows = measured.n[held].sum()
            scale = float((measured.value[held] * measured.n[held]).sum() / rows) if rows > 0 else 1.0
            scale *= 2.0
        return np.asarray(full & (half <= MINIMUM_WIDTH * scale), np.bool_)


def group_rows_needed(groups: GroupMetrics, metric: str, place: int) -> int:
    """About how many more rows (positives or negatives) a group needs before it can be compared; at least 1.

    Parameters
    ----------
    groups : GroupMetrics
        Metrics of the groups.
    metric : str
        Name of the metric.
    place : int
        Place of the group.

    Returns
    -------
    int
    """
    measured = groups.metrics[metric]
    wanted = float(MINIMUM_OF_CLASS)
    if rate_name(metric) not in ("true_positive_rate", "false_positive_rate") and measured.successes is not None:
        rate = (measured.successes[place] + 1) / (measured.n[place] + 2)
        wanted = max(wanted, normal_quantile(0.95) ** 2 * rate * (1 - rate) / MINIMUM_WIDTH**2)
    return max(int(np.ceil(wanted - measured.n[place])), 1)
