"""How much of an error budget is left, how fast is it spent, and when was it spent too fast?

A service level allows a share 1 - target of bad requests: that is the error budget. Burn rate is the share of bad requests over the share that is
allowed: at 1 the budget lasts exactly its period. An alert asks for a fast burn over a long window, so that it matters, and over a short one at its
end, so that it is still so (Beyer et al., The Site Reliability Workbook, 2018, chapter 5). Requests are known by the hour here: an hour stands for
the 5- and the 30-minute windows of the workbook.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observability.stats.interval import Interval, interval, rate_interval

Floats = NDArray[np.float64]
BUDGET_DAYS = 28
"""The period of the budget: four whole weeks, so that each day of the week counts as often."""
MINIMUM_REQUESTS, MINIMUM_BAD = 100, 5
"""Fewer requests, or fewer bad ones, in a window raise nothing (the minimum volume)."""


@dataclass(frozen=True)
class Rule:
    """Alert where the budget burns `factor` times as fast as allowed over `long` hours and over the last `short` ones. spent: share of a
    28-day budget that such a burn takes in the long window.
    """

    factor: float
    long: int
    short: int

    @property
    def spent(self) -> float:
        """Share of the whole budget."""
        return self.factor * self.long / (24 * BUDGET_DAYS)


RULES = (Rule(14.4, 1, 1), Rule(6.0, 6, 1), Rule(1.0, 72, 6))
"""Fastest first: the workbook's 14.4 over 1 h + 5 min, 6 over 6 h + 30 min, 1 over 3 d + 6 h. The first two need somebody at once."""


@dataclass(frozen=True)
class Burn:
    """One rule at the end of the hours. rate: burn over its long window; short: over the short one (None: no requests). n, bad: of the long window.

    enough: whether the volume suffices to say anything. fires: whether the alert is on.
    """

    rule: Rule
    rate: Interval
    short: float | None
    n: float
    bad: float
    enough: bool
    fires: bool


def burn_interval(bad: float, n: float, target: float, n_squares: float | None = None) -> Interval:
    """Burn rate with Wilson's interval of the share of bad requests. Unknown without requests, or where the target allows none (1)."""
    found = rate_interval(bad, n, n_squares)
    if found.value is None or found.low is None or found.high is None or target >= 1:
        return Interval(None, None, None, found.n)
    return interval(found.value / (1 - target), found.low / (1 - target), found.high / (1 - target), found.n)


def budget_left(bad: float, n: float, target: float, n_squares: float | None = None) -> Interval:
    """Share of the error budget of n requests that is left: 1 - burn rate; negative where more were bad than allowed."""
    spent = burn_interval(bad, n, target, n_squares)
    if spent.value is None or spent.low is None or spent.high is None:
        return spent
    return interval(1 - spent.value, 1 - spent.high, 1 - spent.low, spent.n)


def over(values: ArrayLike, hours: int) -> Floats:
    """Sum of the last `hours` values at each place (fewer where there are no more before)."""
    total = np.concatenate([[0.0], np.cumsum(np.asarray(values, np.float64))])
    places = np.arange(1, total.size)
    return np.asarray(total[places] - total[np.maximum(places - hours, 0)])


def firing(bad: ArrayLike, n: ArrayLike, target: float, rule: Rule) -> NDArray[np.bool_]:
    """At the end of which hours a rule's alert is on. bad, n: requests by consecutive hour."""
    allowed = 1 - target
    held = np.ones(np.asarray(n).size, np.bool_)
    for hours in (rule.long, rule.short):
        wrong, rows = over(bad, hours), over(n, hours)
        held &= (rows > 0) & (wrong >= rule.factor * allowed * rows - 1e-9)
    wrong, rows = over(bad, rule.long), over(n, rule.long)
    return np.asarray(held & (rows >= MINIMUM_REQUESTS) & (wrong >= MINIMUM_BAD) & (lowest(wrong, rows) > allowed))


def lowest(bad: Floats, n: Floats) -> Floats:
    """Lower end of Wilson's 95 % interval of each share; 0 without requests. A burn counts only where it is above 1 beyond chance."""
    z = 1.959963984540054
    rows = np.maximum(n, 1.0)
    share = bad / rows
    half = z * np.sqrt(np.maximum(share * (1 - share), 0.0) / rows + z**2 / (4 * rows**2))
    return np.asarray(np.where(n > 0, np.maximum((share + z**2 / (2 * rows) - half) / (1 + z**2 / rows), 0.0), 0.0))


def burns(bad: ArrayLike, n: ArrayLike, target: float, rules: Sequence[Rule] = RULES) -> list[Burn]:
    """Every rule at the end of the hours. bad, n: requests by consecutive hour."""
    wrong, rows = np.asarray(bad, np.float64), np.asarray(n, np.float64)
    found = []
    for rule in rules:
        spent, served = float(wrong[-rule.long :].sum()), float(rows[-rule.long :].sum())
        short = burn_interval(float(wrong[-rule.short :].sum()), float(rows[-rule.short :].sum()), target).value
        on = firing(wrong[-rule.long :], rows[-rule.long :], target, rule)
        found.append(
            Burn(rule, burn_interval(spent, served, target), short, served, spent, served >= MINIMUM_REQUESTS, bool(on.size and on[-1]))
        )
    return found
