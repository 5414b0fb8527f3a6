"""Which criteria of fairness can an owner choose, and how far are groups from one: now, in the reference, by chance?"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Model
from observability.core.settings import ModelSettings
from observability.detection.group_contrasts import Contrast, chance, enough_days
from observability.detection.onset import Since, since
from observability.metrics.groups import Bools, Floats, Groups, enough
from observability.stats import group
from observability.stats.group import Spread
from observability.stats.interval import Interval

NAME = "trust/fairness"
ByDay = Callable[[str, Floats], Contrast]
"""A difference between groups by day: of a rate, with a weight for each group (_changes.Side.contrast)."""
FOUR_FIFTHS = 0.8
RATIO_BAND = (0.8, 1.25)
"""A selection rate is near another's where their ratio is between four fifths and its inverse (29 CFR 1607.4(D))."""


@dataclass(frozen=True)
class Criterion:
    """What is to be equal. rates: of each group, in separate rows where there are several. limit: the largest difference that is accepted; of a
    mean (relative) as a share of the mean of all.
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
        Criterion("demographic_parity", "Demographic parity", "demographic_parity_difference", ("selection_rate",),
                  asks="every group is decided positively as often, whatever the labels"),
        Criterion("equalized_odds", "Equalized odds", "equalized_odds_difference", ("true_positive_rate", "false_positive_rate"),
                  asks="positives are found, and negatives mistaken, as often in every group"),
        Criterion("equal_opportunity", "Equal opportunity", "equal_opportunity_difference", ("true_positive_rate",),
                  asks="positives are found as often in every group"),
        Criterion("predictive_parity", "Predictive parity", "predictive_parity_difference", ("precision",),
                  asks="a positive decision is right as often in every group"),
    )
}  # fmt: skip
"""What an owner may choose for a binary model (settings.fairness_criterion). 0.1 is the common limit (terms.md)."""
EQUAL_ACCURACY = Criterion(
    "equal_accuracy", "Equal accuracy", "group_accuracy_difference", ("accuracy",), asks="decisions are right as often in every group"
)
EQUAL_ERROR = Criterion(
    "equal_error", "Equal error", "group_mae_difference", ("mae",), 0.25, relative=True, asks="predictions are off as far in every group"
)
UNCHOSEN = ("equalized_odds", "demographic_parity")
"""What is looked at while none is chosen: the second where there are no labels."""


@dataclass(frozen=True)
class Level:
    """How far groups are from a criterion. keep: the groups that are large enough. widest: the rate that differs most, with its own difference.

    before: the difference in the reference of those of the groups that are large enough there, None where fewer than two are. limit: in the
    unit of the difference. surest: the rate of the pair that is surest to differ (of pairs beyond the limit where there are any); sure_low, sure_high:
    its groups. chance: p-value of that among equal groups. growth: of so large a growth of that pair since the reference, None where not known.
    by_day: the difference of that pair by day; strays: p-value of so large a difference by what days add, varies: what it varies up to by itself (0: not
    known); gap_before: what it was in the reference. p_value: the largest of the three; NaN where it stood in the reference.
    """

    criterion: Criterion
    keep: Bools
    spread: Spread
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
    by_day: Contrast | None = None
    strays: float = 0.0
    varies: float = 0.0
    gap_before: float | None = None

    @property
    def chance(self) -> float:
        """How often equal groups differ as surely."""
        return self.spread.p_value

    @property
    def p_value(self) -> float:
        """What is tested: that the difference is more than rows and days do by chance and has grown."""
        return float("nan") if self.stood else max(self.chance, self.growth or 0.0, self.strays)

    def since(self, start: datetime) -> Since:
        """The day from which the surest pair is as far apart as it is."""
        if self.by_day is None:
            return since([], [], start=start)
        return self.by_day.since(start, self.reference, 1)

    @property
    def reference(self) -> tuple[float, float]:
        """The surest pair's difference in the reference and its standard error; equal groups' where it is not known there."""
        error = self.spread.surest.error if self.spread.surest is not None else 0.0
        return (self.gap_before or 0.0, error)

    @property
    def breached(self) -> bool:
        """Whether the difference is at the limit or beyond, or the ratio of selection rates below four fifths for certain."""
        return (self.spread.difference or 0.0) >= self.limit or self.ratio_breached

    @property
    def ratio_breached(self) -> bool:
        """Whether the four-fifths rule fails beyond chance (demographic parity only)."""
        return self.criterion.name == "demographic_parity" and self.ratio.high is not None and self.ratio.high < FOUR_FIFTHS

    @property
    def stood(self) -> bool:
        """Whether the reference was beyond the same limit."""
        if (self.spread.difference or 0.0) >= self.limit:
            return self.before is not None and self.before >= self.limit
        return self.ratio_breached and self.ratio_before is not None and self.ratio_before < FOUR_FIFTHS


def criterion_of(model: Model, groups: Groups) -> Criterion | None:
    """The criterion that a model is held against: the chosen one, else one to look at; None for a model of no known task."""
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


def is_chosen(model: Model) -> bool:
    """Whether the owner chose; only of a binary model there is a choice."""
    return model.task != "binary" or model.settings.fairness_criterion in CRITERIA


def enough_for(groups: Groups, criterion: Criterion) -> Bools:
    """Which groups are large enough for every rate of a criterion."""
    return np.asarray(np.logical_and.reduce([enough(groups, rate) for rate in criterion.rates]), np.bool_)


def overall(groups: Groups, metric: str) -> float:
    """The value over all groups; NaN without rows."""
    measured = groups.metrics[metric]
    held = measured.n > 0
    rows = float(measured.n[held].sum())
    return float((measured.value[held] * measured.n[held]).sum()) / rows if rows > 0 else float("nan")


def limit_of(criterion: Criterion, settings: ModelSettings, groups: Groups) -> float:
    """The accepted difference in its unit; the model's settings may set another (`trust/fairness/<metric>`)."""
    limit = settings.limits.get(f"{NAME}/{criterion.metric}", criterion.limit)
    return limit * overall(groups, criterion.rates[0]) if criterion.relative else limit


def level(
    criterion: Criterion, groups: Groups, before: Groups | None, settings: ModelSettings, by_day: ByDay | None = None, days: float = 7.0
) -> Level | None:
    """How far the groups are from the criterion; None where fewer than two are large enough. before: the reference, at the same places. by_day: where
    days are to be taken into account; days: length of the window.
    """
    keep = enough_for(groups, criterion)
    if keep.sum() < 2:
        return None
    limit = limit_of(criterion, settings, groups)
    spread = spread_of(criterion, groups, keep, limit)
    if spread.difference is None or spread.surest is None:
        return None
    widest = max(criterion.rates, key=lambda rate: apart(groups, rate, keep)[0])
    _, lowest, highest = apart(groups, widest, keep)
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
    added, freedom = (0.0, float("inf")) if pair is None else pair.added(days, rows_before)
    if before is not None and earlier.sum() >= 2:
        then = max(apart(before, rate, earlier)[0] for rate in criterion.rates)
        ratio_then = ratio_of(before, earlier).value if criterion.name == "demographic_parity" else None
        if earlier[sure_low] and earlier[sure_high]:
            grew = growth(groups, before, surest, sure_low, sure_high, int(keep.sum()) * len(criterion.rates), added, freedom)
            gap_before = float(before.metrics[surest].value[sure_high] - before.metrics[surest].value[sure_low])
    strays = varies = 0.0
    if pair is not None and added > 0:
        error, p_value, varies = chance(spread.surest.difference, spread.surest.error, added, freedom, known=enough_days(pair))
        strays = min(1.0, p_value * group.pairs_of(criterion.rates, int(keep.sum()))) if error > 0 else 0.0
    return Level(
        criterion, keep, spread, widest, lowest, highest, ratio, then, ratio_then, limit, surest, sure_low, sure_high, grew, pair, strays, varies, gap_before,
    )  # fmt: skip


def apart(groups: Groups, rate: str, keep: Bools) -> tuple[float, int, int]:
    """The largest difference of one rate among some groups, and the places of its lowest and highest."""
    places, values = np.flatnonzero(keep), groups.metrics[rate].value[keep]
    low, high = int(values.argmin()), int(values.argmax())
    return float(values[high] - values[low]), int(places[low]), int(places[high])


def spread_of(criterion: Criterion, groups: Groups, keep: Bools, least: float = 0.0) -> Spread:
    """The criterion's largest difference among some groups; its surest pair is one that differs by `least` where there is one."""
    measured = [groups.metrics[rate].at(keep) for rate in criterion.rates]
    if any(each.successes is None for each in measured):
        return measured[0].spread(least)
    return group.max_rate_spread([(each.successes, each.n, None) for each in measured if each.successes is not None], least=least)


def ratio_of(groups: Groups, keep: NDArray[np.generic]) -> Interval:
    """Lowest over highest selection rate among some groups."""
    measured = groups.metrics["selection_rate"].at(keep)
    return group.smallest_ratio(measured.successes if measured.successes is not None else (), measured.n)[0]


def growth(
    now: Groups, before: Groups, metric: str, low: int, high: int, groups: int, added: float = 0.0, freedom: float = float("inf")
) -> float:
    """How often chance makes the gap between two groups grow as much, when the two were picked as the extremes of `groups`. added: variance by days, known to
    some degrees of freedom.
    """
    after, then = now.metrics[metric], before.metrics[metric]
    grown = (after.value[high] - after.value[low]) - (then.value[high] - then.value[low])
    of_row = np.maximum(after.variance, then.variance)
    error = float(np.sqrt(sum(of_row[place] * (1 / after.n[place] + 1 / then.n[place]) for place in (low, high))))
    _, p_value, _ = chance(float(grown), error, added, freedom, known=False)
    return float(min(1.0, groups * (groups - 1) / 2 * p_value))
