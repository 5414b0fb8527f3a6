"""Defines the criteria of fairness that an owner can choose, and measures how far groups are from a criterion.

The distance is measured in the window and in the reference, and compared with sampling noise.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Model
from observability.core.settings import ModelSettings
from observability.detection.change import DifferenceError
from observability.detection.group_contrasts import GroupContrast, growth_p_value
from observability.detection.onset import OnsetEstimate, estimate_onset
from observability.metrics.groups import Bools, Floats, GroupMetrics, groups_with_enough_rows
from observability.stats import group
from observability.stats.group import GroupSpread
from observability.stats.interval import Interval

NAME = "trust/fairness"
ByDay = Callable[[str, Floats], GroupContrast]
"""A function that returns the difference of a rate between groups by day, given a weight for each group (ComparedGroups.contrast)."""
FOUR_FIFTHS = 0.8
RATIO_BAND = (0.8, 1.25)
"""Two selection rates are close if their ratio is between four fifths and the inverse of it (29 CFR 1607.4(D))."""


@dataclass(frozen=True)
class Criterion:
    """A criterion of fairness: the rates that must be equal between groups.

    rates: the rates of each group that are compared; each has its own rows. limit: the largest accepted difference; for a mean, as a
    fraction of the mean of all rows.
    """

    name: str
    title: str
    metric: str
    rates: tuple[str, ...]
    limit: float = 0.1
    relative: bool = False
    asks: str = ""


CRITERIA = {
    each.name: each
    for each in (
        Criterion(
            "demographic_parity",
            "Demographic parity",
            "demographic_parity_difference",
            ("selection_rate",),
            asks="equal selection rates across groups",
        ),
        Criterion(
            "equalized_odds",
            "Equalized odds",
            "equalized_odds_difference",
            ("true_positive_rate", "false_positive_rate"),
            asks="equal TPR and FPR across groups",
        ),
        Criterion(
            "equal_opportunity",
            "Equal opportunity",
            "equal_opportunity_difference",
            ("true_positive_rate",),
            asks="equal TPR across groups",
        ),
        Criterion(
            "predictive_parity",
            "Predictive parity",
            "predictive_parity_difference",
            ("precision",),
            asks="equal precision across groups",
        ),
    )
}
"""The criteria that an owner may choose for a binary model (settings.fairness_criterion). 0.1 is the usual limit."""
EQUAL_ACCURACY = Criterion(
    "equal_accuracy", "Equal accuracy", "group_accuracy_difference", ("accuracy",), asks="equal accuracy across groups"
)
EQUAL_ERROR = Criterion(
    "equal_error", "Equal error", "group_mae_difference", ("mae",), 0.25, relative=True, asks="equal mean absolute error across groups"
)
UNCHOSEN = ("equalized_odds", "demographic_parity")
"""The criteria that apply if the owner has chosen none: the first if there are labels, else the second."""


@dataclass(frozen=True)
class CriterionDistance:
    """How far groups are from a criterion.

    keep: the groups that are large enough. widest: the rate that differs most; lowest, highest: its groups. before: the difference in the
    reference between the groups that are large enough there, None if fewer than two are. limit: the limit in the unit of the difference.
    surest: the rate of the most significant pair (among pairs beyond the limit, if there are any); sure_low, sure_high: its groups. growth:
    p-value of the growth of that pair's difference since the reference, None if unknown. by_day: the difference of that pair by day;
    strays: p-value of the difference given the variance between days; varies: upper limit of its natural variation (0 if unknown);
    gap_before: the difference of that pair in the reference. chance: p-value of the most significant difference if groups are equal.
    p_value: the larger of chance and strays.
    """

    criterion: Criterion
    keep: Bools
    spread: GroupSpread
    widest: str
    lowest: int
    highest: int
    ratio: Interval
    before: float | None
    ratio_before: float | None
    limit: float
    surest: str
    sure_low: int
    sure_high: int
    growth: float | None
    by_day: GroupContrast | None = None
    strays: float = 0.0
    varies: float = 0.0
    gap_before: float | None = None

    @property
    def chance(self) -> float:
        """The p-value of the most significant difference if all groups are equal."""
        return self.spread.p_value

    @property
    def p_value(self) -> float:
        """The p-value of the claim that the difference exceeds the noise of rows and days, regardless of whether the reference also
        had it.
        """
        return max(self.chance, self.strays)

    def onset(self, start: datetime) -> OnsetEstimate:
        """The estimated date on which the difference of the most significant pair began."""
        if self.by_day is None:
            return estimate_onset([], [], start=start)
        return self.by_day.onset(start, self.reference, 1)

    @property
    def standing(self) -> dict[str, Any]:
        """Evidence of a finding: since when the most significant pair has differed by more than the limit. Empty if only a ratio is beyond
        its limit.
        """
        within = self.by_day is None or (self.spread.difference or 0.0) < self.limit
        return {} if within or self.by_day is None else self.by_day.standing(self.limit, 1)

    @property
    def reference(self) -> tuple[float, float]:
        """The difference of the most significant pair in the reference, and its standard error, taken from the window. If the reference
        does not have this pair, the difference is 0, as for equal groups.
        """
        error = self.spread.surest.error if self.spread.surest is not None else 0.0
        return (self.gap_before or 0.0, error)

    @property
    def breached(self) -> bool:
        """Whether the difference reaches the limit, or the ratio of selection rates is significantly below four fifths."""
        return (self.spread.difference or 0.0) >= self.limit or self.ratio_breached

    @property
    def ratio_breached(self) -> bool:
        """Whether the four-fifths rule is violated significantly (demographic parity only)."""
        return self.criterion.name == "demographic_parity" and self.ratio.high is not None and self.ratio.high < FOUR_FIFTHS

    @property
    def stood(self) -> bool:
        """Whether the difference was already beyond the same limit in the reference."""
        if (self.spread.difference or 0.0) >= self.limit:
            return self.before is not None and self.before >= self.limit
        return self.ratio_breached and self.ratio_before is not None and self.ratio_before < FOUR_FIFTHS


def criterion_of(model: Model, groups: GroupMetrics) -> Criterion | None:
    """Return the model's criterion: the chosen one, else the default; None if the task of the model has no criterion."""
    if model.task == "regression":
        return EQUAL_ERROR
    if model.task == "multiclass":
        return EQUAL_ACCURACY
    if model.task != "binary":
        return None
    chosen = model.settings.fairness_criterion
    if chosen in CRITERIA:
        return CRITERIA[chosen]
    return CRITERIA[UNCHOSEN[0] if groups.labelled.sum() > 0 else UNCHOSEN[1]]


def declared_metric(model: Model) -> str:
    """Return the metric of the model's criterion, for use if no prediction has a group."""
    if model.task != "binary":
        return (EQUAL_ERROR if model.task == "regression" else EQUAL_ACCURACY).metric
    chosen = model.settings.fairness_criterion
    return CRITERIA[chosen if chosen in CRITERIA else UNCHOSEN[1]].metric


def is_chosen(model: Model) -> bool:
    """Whether the owner chose a criterion; True for tasks that have no choice (only binary models have one)."""
    return model.task != "binary" or model.settings.fairness_criterion in CRITERIA


def enough_for(groups: GroupMetrics, criterion: Criterion) -> Bools:
    """Return a mask of the groups that are large enough for every rate of a criterion."""
    return np.asarray(np.logical_and.reduce([groups_with_enough_rows(groups, rate) for rate in criterion.rates]), np.bool_)


def overall_value(groups: GroupMetrics, metric: str) -> float:
    """Return the value over all groups; NaN without rows."""
    measured = groups.metrics[metric]
    held = measured.n > 0
    rows = float(measured.n[held].sum())
    return float((measured.value[held] * measured.n[held]).sum()) / rows if rows > 0 else float("nan")


def criterion_limit(criterion: Criterion, settings: ModelSettings, groups: GroupMetrics) -> float:
    """Return the accepted difference, in the unit of the difference; the model's settings may override it (`trust/fairness/<metric>`)."""
    limit = settings.limits.get(f"{NAME}/{criterion.metric}", criterion.limit)
    return limit * overall_value(groups, criterion.rates[0]) if criterion.relative else limit


def criterion_level(
    criterion: Criterion,
    groups: GroupMetrics,
    before: GroupMetrics | None,
    settings: ModelSettings,
    by_day: ByDay | None = None,
    days: float = 7.0,
) -> CriterionDistance | None:
    """Return how far the groups are from the criterion; None if fewer than two groups are large enough.

    before: the groups in the reference, in the same order. by_day: returns differences by day; None to ignore the variance between days;
    days: length of the window.
    """
    keep = enough_for(groups, criterion)
    if keep.sum() < 2:
        return None
    limit = criterion_limit(criterion, settings, groups)
    spread = spread_of(criterion, groups, keep, limit)
    if spread.difference is None or spread.surest is None:
        return None
    widest = max(criterion.rates, key=lambda rate: largest_gap(groups, rate, keep)[0])
    _, lowest, highest = largest_gap(groups, widest, keep)
    places = np.flatnonzero(keep)
    surest = criterion.rates[spread.surest.family]
    sure_low, sure_high = int(places[spread.surest.lowest]), int(places[spread.surest.highest])
    ratio = ratio_of(groups, keep) if criterion.name == "demographic_parity" else Interval(None, None, None, 0.0)
    earlier = keep & enough_for(before, criterion) if before is not None else np.zeros(keep.size, np.bool_)
    then, ratio_then, grew, gap_before = None, None, None, None
    pair = None
    if by_day is not None:
        weights = np.zeros(keep.size)
        weights[[sure_high, sure_low]] = 1.0, -1.0
        pair = by_day(surest, weights)
    rows_before = 0.0 if before is None else float(before.metrics[surest].n[[sure_low, sure_high]].sum())
    error = DifferenceError(spread.surest.error) if pair is None else pair.error(spread.surest.error, days, rows_before, level=True)
    if before is not None and earlier.sum() >= 2:
        then = max(largest_gap(before, rate, earlier)[0] for rate in criterion.rates)
        ratio_then = ratio_of(before, earlier).value if criterion.name == "demographic_parity" else None
        if earlier[sure_low] and earlier[sure_high]:
            grew = gap_growth_p_value(groups, before, surest, sure_low, sure_high, int(keep.sum()) * len(criterion.rates), error)
            gap_before = float(before.metrics[surest].value[sure_high] - before.metrics[surest].value[sure_low])
    strays = varies = 0.0
    if pair is not None and error.days > 0:
        p_value, varies = growth_p_value(error, spread.surest.difference), pair.varies(error)
        strays = min(1.0, p_value * group.pair_count(len(criterion.rates), int(keep.sum()))) if error.total > 0 else 0.0
    return CriterionDistance(
        criterion,
        keep,
        spread,
        widest,
        lowest,
        highest,
        ratio,
        then,
        ratio_then,
        limit,
        surest,
        sure_low,
        sure_high,
        grew,
        pair,
        strays,
        varies,
        gap_before,
    )


def largest_gap(groups: GroupMetrics, rate: str, keep: Bools) -> tuple[float, int, int]:
    """Return the largest difference of one rate among some groups, and the positions of the groups with the lowest and the highest rate."""
    places, values = np.flatnonzero(keep), groups.metrics[rate].value[keep]
    low, high = int(values.argmin()), int(values.argmax())
    return float(values[high] - values[low]), int(places[low]), int(places[high])


def spread_of(criterion: Criterion, groups: GroupMetrics, keep: Bools, least: float = 0.0) -> GroupSpread:
    """Return the largest difference by the criterion among some groups. If any pair differs by at least `least`, the most significant pair
    is chosen among those pairs.
    """
    measured = [groups.metrics[rate].at(keep) for rate in criterion.rates]
    if any(each.successes is None for each in measured):
        return measured[0].spread(least)
    return group.max_rate_spread([(each.successes, each.n, None) for each in measured if each.successes is not None], least=least)


def ratio_of(groups: GroupMetrics, keep: NDArray[np.generic]) -> Interval:
    """Return the lowest selection rate among some groups divided by the highest."""
    measured = groups.metrics["selection_rate"].at(keep)
    return group.smallest_rate_ratio(measured.successes if measured.successes is not None else (), measured.n)[0]


def gap_growth_p_value(
    now: GroupMetrics, before: GroupMetrics, metric: str, low: int, high: int, groups: int, days: DifferenceError | None = None
) -> float:
    """Return the p-value of the growth of the gap between two groups that were chosen as the extremes of `groups` groups.

    days: the error with the variance between days; None to ignore this variance.
    """
    after, then = now.metrics[metric], before.metrics[metric]
    grown = (after.value[high] - after.value[low]) - (then.value[high] - then.value[low])
    of_row = np.maximum(after.variance, then.variance)
    error = float(np.sqrt(sum(of_row[place] * (1 / after.n[place] + 1 / then.n[place]) for place in (low, high))))
    p_value = growth_p_value(replace(days or DifferenceError(0.0), rows=error), float(grown))
    return float(min(1.0, groups * (groups - 1) / 2 * p_value))
