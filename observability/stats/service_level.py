"""Error budgets and burn-rate alerts of service levels.

A service level allows a share 1 - target of bad requests: the error budget. The burn rate is the share of bad requests divided by the
allowed share: at 1 the budget lasts exactly for its period. An alert needs a fast burn over a long window (so the loss matters) and over a
short window at its end (so the loss is current; Beyer et al., The Site Reliability Workbook, 2018, chapter 5). Requests are counted by the
hour, so one hour replaces the 5- and 30-minute windows of the workbook.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from observability.stats.arrays import Bools, Floats
from observability.stats.interval import Interval, ordered_interval, rate_interval, wilson_bounds

BUDGET_DAYS = 28
"""Period of the budget: four whole weeks, so that each weekday counts equally often."""
MINIMUM_REQUESTS, MINIMUM_BAD = 100, 5
"""Minimum volume: windows with fewer requests, or with fewer bad requests, raise no alert."""


@dataclass(frozen=True)
class BurnRule:
    """Alert if the budget burns `factor` times as fast as allowed over `long` hours and over the last `short` hours.

    spent: share of a 28-day budget that such a burn uses up in the long window.
    """

    factor: float
    long: int
    short: int

    @property
    def spent(self) -> float:
        """Share of the whole budget."""
        return self.factor * self.long / (24 * BUDGET_DAYS)


RULES = (BurnRule(14.4, 1, 1), BurnRule(6.0, 6, 1), BurnRule(1.0, 72, 6))
"""The rules, fastest first. In the workbook they are 14.4 over 1 h + 5 min, 6 over 6 h + 30 min, 1 over 3 d + 6 h. The first two need
immediate action.
"""


@dataclass(frozen=True)
class BurnState:
    """One rule at the end of the hours.

    rate: burn rate over its long window; short: burn rate over its short window (None: no requests). n, bad: requests and bad requests of
    the long window. enough: whether the volume suffices. fires: whether the alert is on.
    """

    rule: BurnRule
    rate: Interval
    short: float | None
    n: float
    bad: float
    enough: bool
    fires: bool


def burn_rate_interval(bad: float, n: float, target: float, n_squares: float | None = None) -> Interval:
    """Burn rate with the interval of the share of bad requests.

    Parameters
    ----------
    bad : float
        Bad requests.
    n : float
        Requests.
    target : float
        Share of good requests that the service level asks for.
    n_squares : float | None
        Σw² of the requests; None if they are unweighted.

    Returns
    -------
    Interval
        Unknown without requests, or where the target allows no bad ones (1).
    """
    found = rate_interval(bad, n, n_squares)
    if found.value is None or found.low is None or found.high is None or target >= 1:
        return Interval(None, None, None, found.n)
    return ordered_interval(found.value / (1 - target), found.low / (1 - target), found.high / (1 - target), found.n)


def error_budget_left(bad: float, n: float, target: float, n_squares: float | None = None) -> Interval:
    """Share of the error budget that is left: 1 - burn rate. It is negative if more requests were bad than allowed.

    Parameters
    ----------
    bad : float
        Bad requests.
    n : float
        Requests.
    target : float
        Share of good requests that the service level asks for.
    n_squares : float | None
        Σw² of the requests; None if they are unweighted.

    Returns
    -------
    Interval
    """
    spent = burn_rate_interval(bad, n, target, n_squares)
    if spent.value is None or spent.low is None or spent.high is None:
        return spent
    return ordered_interval(1 - spent.value, 1 - spent.high, 1 - spent.low, spent.n)


def trailing_sums(values: ArrayLike, hours: int) -> Floats:
    """At each place, the sum of the last `hours` values, or of fewer if there are no more before.

    Parameters
    ----------
    values : ArrayLike
        One an hour.
    hours : int
        Number of values.

    Returns
    -------
    Floats
    """
    total = np.concatenate([[0.0], np.cumsum(np.asarray(values, np.float64))])
    places = np.arange(1, total.size)
    return np.asarray(total[places] - total[np.maximum(places - hours, 0)])


def alert_hours(bad: ArrayLike, n: ArrayLike, target: float, rule: BurnRule) -> Bools:
    """Mask of the hours at whose end a rule's alert is on.

    Parameters
    ----------
    bad : ArrayLike
        Bad requests by consecutive hour.
    n : ArrayLike
        Requests by consecutive hour.
    target : float
        Share of good requests that the service level asks for.
    rule : BurnRule
        Rule of the alert.

    Returns
    -------
    Bools
    """
    allowed = 1 - target
    sums = [(trailing_sums(bad, hours), trailing_sums(n, hours)) for hours in (rule.long, rule.short)]
    held = np.logical_and.reduce([(rows > 0) & (wrong >= rule.factor * allowed * rows - 1e-9) for wrong, rows in sums])
    wrong, rows = sums[0]
    return np.asarray(held & (rows >= MINIMUM_REQUESTS) & (wrong >= MINIMUM_BAD) & (wilson_lower(wrong, rows) > allowed))


def wilson_lower(bad: Floats, n: Floats) -> Floats:
    """Lower end of Wilson's 95 % interval of each share, so that a burn rate counts only if it is significantly above 1.

    Parameters
    ----------
    bad : Floats
        Bad requests.
    n : Floats
        Requests.

    Returns
    -------
    Floats
        0 without requests.
    """
    rows = np.maximum(n, 1.0)
    return np.asarray(np.where(n > 0, wilson_bounds(bad / rows, rows)[0], 0.0))


def burn_states(bad: ArrayLike, n: ArrayLike, target: float, rules: Sequence[BurnRule] = RULES) -> list[BurnState]:
    """State of every rule at the end of the hours.

    Parameters
    ----------
    bad : ArrayLike
        Bad requests by consecutive hour.
    n : ArrayLike
        Requests by consecutive hour.
    target : float
        Share of good requests that the service level asks for.
    rules : Sequence[BurnRule]
        Rules of the alerts.

    Returns
    -------
    list[BurnState]
    """
    wrong, rows = np.asarray(bad, np.float64), np.asarray(n, np.float64)
    found = []
    for rule in rules:
        spent, served = float(wrong[-rule.long :].sum()), float(rows[-rule.long :].sum())
        short = burn_rate_interval(float(wrong[-rule.short :].sum()), float(rows[-rule.short :].sum()), target).value
        on = alert_hours(wrong[-rule.long :], rows[-rule.long :], target, rule)
        rate, enough = burn_rate_interval(spent, served, target), served >= MINIMUM_REQUESTS
        found.append(BurnState(rule, rate, short, served, spent, enough, bool(on.size and on[-1])))
    return found
