"""Which groups does a model have, and how does it treat each of them, from counts and sums?

A group is a level of a sensitive attribute (`SEX=female`), of numbers a band (`AGEP=20 to below 35`), of several attributes their levels together.
The rates equal fairlearn's `MetricFrame.by_group` on the same rows. Selection rate is over every decided row, the others over labelled ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Column, Model, Version
from observability.core.questions import Aggregate, Bucket, By
from observability.stats import group
from observability.stats.group import Spread
from observability.stats.interval import normal_quantile

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
MINIMUM_OF_CLASS = 30
"""Positives for a true positive rate, negatives for a false positive rate, rows of anything (terms.md)."""
MINIMUM_WIDTH = 0.1
"""Half the widest 95 % interval with which another rate is judged; of a mean relative to the mean of all."""
MOST_CLASSES = 20
"""Classes whose rates are measured, the first ones."""
MISSING = "null"
"""The level of rows whose attribute is missing: shown, and no group to compare."""


@dataclass(frozen=True)
class Attribute:
    """A sensitive attribute as it can be grouped by. levels: in the order in which a person expects them; others come behind."""

    name: str
    reference: str
    levels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """One metric of several groups, one a place. n: effective rows. successes: effective, of a rate; variance: of one row.

    value, low and high are NaN for a group without rows.
    """

    metric: str
    n: Floats
    value: Floats
    low: Floats
    high: Floats
    variance: Floats
    successes: Floats | None = None

    def at(self, mask: NDArray[np.generic]) -> "Measured":
        """The same of some groups: a mask, or places."""
        picked = {name: getattr(self, name)[mask] for name in ("n", "value", "low", "high", "variance")}
        return replace(self, **picked, successes=None if self.successes is None else self.successes[mask])

    def spread(self, least: float = 0.0) -> Spread:
        """The largest difference between these groups; its surest pair is one that differs by `least` where there is one."""
        if self.successes is not None:
            return group.rate_spread(self.successes, self.n, least=least)
        return group.mean_spread(self.value, np.sqrt(self.variance / self.n), self.n, least=least)


@dataclass(frozen=True)
class Groups:
    """All that was measured of the groups. rows: predictions of each, counted; labelled: those whose label is known; metrics by name."""

    levels: tuple[tuple[str, ...], ...]
    rows: NDArray[np.int64]
    labelled: NDArray[np.int64]
    metrics: dict[str, Measured]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the groups; levels of several attributes joined by `, `."""
        return tuple(", ".join(each) for each in self.levels)

    def aligned(self, levels: Sequence[tuple[str, ...]]) -> "Groups":
        """The same at the places of other levels; groups that are not there have no rows."""
        take = places_of(self.levels, levels)

        def padded(values: Floats, empty: float = np.nan) -> Floats:
            return np.append(values, empty)[take]

        metrics = {
            name: Measured(
                name,
                padded(each.n, 0.0),
                padded(each.value),
                padded(each.low),
                padded(each.high),
                padded(each.variance),
                None if each.successes is None else padded(each.successes, 0.0),
            )
            for name, each in self.metrics.items()
        }
        rows, labelled = (np.append(each, 0)[take] for each in (self.rows, self.labelled))
        return Groups(tuple(levels), rows, labelled, metrics)


@dataclass(frozen=True)
class Sums:
    """What one metric is measured from, days × groups: Σw of the rows that count and Σw² of them, the sum of their values (of a rate Σw of its hits), and of a
    mean the sum of their squares.
    """

    w: Floats
    w2: Floats
    total: Floats
    squares: Floats | None = None

    def each(self, of: Callable[[Floats], Floats]) -> "Sums":
        """The same after one step with each."""
        return Sums(of(self.w), of(self.w2), of(self.total), None if self.squares is None else of(self.squares))


@dataclass(frozen=True)
class Totals:
    """What groups are measured from, by day; of counts that are not by day, of one. days: numbers since 1970, rising; rows, labelled: days × groups."""

    levels: tuple[tuple[str, ...], ...]
    days: NDArray[np.int64]
    rows: NDArray[np.int64]
    labelled: NDArray[np.int64]
    sums: dict[str, Sums]

    def groups(self) -> Groups:
        """The groups over all days together."""
        metrics = measured({name: each.each(lambda values: values.sum(axis=0)) for name, each in self.sums.items()})
        return Groups(self.levels, self.rows.sum(axis=0), self.labelled.sum(axis=0), metrics)

    def on(self, kept: Bools | slice) -> "Totals":
        """The same on some of the days."""
        sums = {name: each.each(lambda values: values[kept]) for name, each in self.sums.items()}
        return Totals(self.levels, self.days[kept], self.rows[kept], self.labelled[kept], sums)

    def aligned(self, levels: Sequence[tuple[str, ...]]) -> "Totals":
        """The same at the places of other levels; groups that are not there have no rows."""
        take = places_of(self.levels, levels)
        rows, labelled = (np.pad(each, ((0, 0), (0, 1)))[:, take] for each in (self.rows, self.labelled))
        sums = {name: each.each(lambda values: np.pad(values, ((0, 0), (0, 1)))[:, take]) for name, each in self.sums.items()}
        return Totals(tuple(levels), self.days, rows, labelled, sums)

    def table(self, metric: str) -> tuple[Floats, Floats]:
        """Values (NaN without rows) and effective n of one metric, days × groups."""
        of = self.sums[metric]
        held = of.w > 0
        n = np.where(held, of.w**2 / np.where(held, of.w2, 1.0), 0.0)
        return np.where(held, of.total, np.nan) / np.where(held, of.w, 1.0), n

    def course(self, metric: str, place: int) -> Measured:
        """One metric of one group, a day a place."""
        return measured({metric: self.sums[metric].each(lambda values: values[:, place])})[metric]


def places_of(levels: Sequence[tuple[str, ...]], wanted: Sequence[tuple[str, ...]]) -> NDArray[np.int64]:
    """Where some levels stand among others; behind the last where they do not."""
    places = {each: place for place, each in enumerate(levels)}
    return np.array([places.get(each, len(levels)) for each in wanted], np.int64)


def attributes(model: Model, version: Version | None) -> list[Attribute]:
    """The sensitive attributes of a model that can be grouped by: levels, or numbers that the version puts into bands."""
    found = (attribute_of(each, version) for each in model.columns if each.sensitive)
    return [each for each in found if each is not None]


def attribute_of(column: Column, version: Version | None) -> Attribute | None:
    """One column as an attribute; None for numbers without bands."""
    edges = version.edges if version else {}
    if column.kind != "number":
        known = edges.get(column.reference)
        return Attribute(column.name, column.reference, known.levels if known else ())
    bands = edges.get(f"band.{column.name}")
    return Attribute(column.name, f"band.{column.name}", bands.band_names) if bands else None


def question(model: Model, chosen: Sequence[Attribute], *, by_day: bool = False) -> Aggregate:
    """The counts (of a regression the sums) that `measure` reads, by the levels of some attributes."""
    keys = (*((Bucket("day"),) if by_day else ()), *(By(each.reference) for each in chosen))
    if model.task == "regression":
        return Aggregate("outcomes", keys=keys, sums=("absolute_error",))
    return Aggregate("outcomes", keys=(*keys, By("decision"), By("label")))


def measure(model: Model, frame: "DataFrame", chosen: Sequence[Attribute]) -> Groups:
    """What a frame says of each group, in order of the attributes' levels."""
    return totals(model, frame, chosen).groups()


def totals(model: Model, frame: "DataFrame", chosen: Sequence[Attribute], *, by_day: bool = False) -> Totals:
    """What a frame adds up to for each group, in order of the attributes' levels. by_day: the frame has the key `period`, by day."""
    keys = [levels_of(frame, each) for each in chosen]
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
    add = adder(day * len(found) + code, (days.size, len(found)))
    rows, known = frame["n"].to_numpy(np.float64), np.ones(len(frame), np.bool_)
    if model.task != "regression" and len(frame):
        known = frame["label"].to_numpy(np.int64) >= 0
    sums = regression(frame, add) if model.task == "regression" else classification(model, frame, add)
    counted, labelled = (add(rows, kept).astype(np.int64) for kept in (np.ones(len(frame), np.bool_), known))
    return Totals(tuple(found), days, counted, labelled, sums)


Adder = Callable[[Floats, Bools], Floats]


def adder(cell: NDArray[np.int64], shape: tuple[int, int]) -> Adder:
    """What sums the values of some rows by day and group. cell: of each row."""
    return lambda values, kept: np.asarray(np.bincount(cell[kept], values[kept], shape[0] * shape[1]), np.float64).reshape(shape)


def of_class(rate: str, name: str) -> str:
    """The name of a rate of one class of several."""
    return f"{rate} of {name}"


def rate_of(metric: str) -> str:
    """The rate that a metric is, whatever class it is of."""
    return metric.partition(" of ")[0]


def levels_of(frame: "DataFrame", attribute: Attribute) -> list[str]:
    """The level of each row of a frame as text."""
    return [MISSING if each is None or each != each else level_name(each) for each in frame[attribute.reference]]


def level_name(level: object) -> str:
    """A level's text."""
    return ("true" if level else "false") if isinstance(level, bool | np.bool_) else str(level)


def classification(model: Model, frame: "DataFrame", add: Adder) -> dict[str, Sums]:
    """The sums of rates by group: selection, TPR, FPR and precision of a binary model; of one with several classes how often each is decided, and how many of its
    labels are found; accuracy of every classifier.
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
        for place, name in enumerate(model.classes[:MOST_CLASSES]):
            wanted |= {
                of_class("selection_rate", name): (decided, decision == place),
                of_class("true_positive_rate", name): (decided & (label == place), decision == place),
            }
    w, w2 = (frame[name].to_numpy(np.float64) for name in ("w", "w2"))
    return {name: Sums(add(w, among), add(w2, among), add(w, among & hit)) for name, (among, hit) in wanted.items()}


def regression(frame: "DataFrame", add: Adder) -> dict[str, Sums]:
    """The sums of absolute errors by group."""
    everything = np.ones(len(frame), np.bool_)
    return {"mae": Sums(*(add(frame[name].to_numpy(np.float64), everything) for name in ("w", "w2", "total", "squares")))}


def measured(sums: Mapping[str, Sums]) -> dict[str, Measured]:
    """Metrics from their sums over some days, one group a place: means with Student's interval, rates with `rate_intervals`, all rates at once."""
    found = {name: mean_of(name, each, each.squares) for name, each in sums.items() if each.squares is not None}
    rates = {name: each for name, each in sums.items() if each.squares is None}
    if not rates:
        return found
    hits, n = group.effective_counts(*(np.stack([getattr(each, part) for each in rates.values()]) for part in ("total", "w", "w2")))
    parts = zip(rates, n, *group.rate_intervals(hits, n), group.rate_variances(hits, n), hits, strict=True)
    return found | {name: Measured(name, *of) for name, *of in parts}


def mean_of(name: str, sums: Sums, squares: Floats) -> Measured:
    """A mean with Student's interval."""
    from scipy.special import stdtrit

    with np.errstate(invalid="ignore", divide="ignore"):
        rows = np.where(sums.w > 0, sums.w**2 / sums.w2, 0.0)
        value = sums.total / sums.w
        spread = np.maximum(squares / sums.w - value**2, 0.0) * rows / (rows - 1)
        variance = np.where(rows > 1 + 1e-9, spread, np.nan)
        half = stdtrit(np.maximum(rows - 1, 1e-9), 0.975) * np.sqrt(variance / rows)
    return Measured(name, rows, value, value - half, value + half, variance)


def enough(groups: Groups, metric: str) -> Bools:
    """Which groups have rows enough for a metric: 30 positives or negatives, else an interval that is narrow enough. Missing is never a group."""
    measured = groups.metrics[metric]
    full = (measured.n >= MINIMUM_OF_CLASS) & np.array([MISSING not in each for each in groups.levels], np.bool_)
    if rate_of(metric) in ("true_positive_rate", "false_positive_rate"):
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


def rows_needed(groups: Groups, metric: str, place: int) -> int:
    """About how many more rows (positives, negatives) a group needs to be judged; at least 1."""
    measured = groups.metrics[metric]
    wanted = float(MINIMUM_OF_CLASS)
    if rate_of(metric) not in ("true_positive_rate", "false_positive_rate") and measured.successes is not None:
        rate = (measured.successes[place] + 1) / (measured.n[place] + 2)
        wanted = max(wanted, normal_quantile(0.95) ** 2 * rate * (1 - rate) / MINIMUM_WIDTH**2)
    return max(int(np.ceil(wanted - measured.n[place])), 1)
