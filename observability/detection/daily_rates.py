"""How far does the rate of a column stray by itself, as the days of its own past do?

Rows of one day share its weather, its upstream job, its campaign: calm air is no gust in every row of the day. What days add to a rate is told from the
past month without its farthest day (a feed that fell silent once), and makes rows count for so many times fewer. What happens on two days of a
month or more is what its days do.
"""

from dataclasses import dataclass

import numpy as np

from observability.metrics.column_counts import Counts, Share, Shares
from observability.stats.change import two_proportion_test
from observability.stats.dispersion import DOUBT, LEAST_DAYS, Variation, share_left, variation

KEPT = 0.95
"""Of the days of the past those count that lie nearest to the middle: of four weeks all but one."""
BY_ITSELF = 0.001
"""What a rate reaches by its days alone less often than this in a window is news."""
REFERENCE_DAYS = (7, 90)
"""Days that a reference is taken to span, which is stored without times: its rows at the traffic of a usual day, within these."""


@dataclass(frozen=True)
class Strays:
    """What days add to a rate. known: None with fewer than seven days of past, when days are taken to double the variance. chance: variance of one row.
    rows: of a usual day.
    """

    known: Variation | None
    chance: float
    rows: float

    def design(self, side: Share, days: float) -> float:
        """How many times more a rate over so many days varies than its rows alone would make it."""
        if self.known is None:
            return 1 + DOUBT
        return 1 + float(self.known.between[0]) * share_left(days, self.known.correlation) * side.n / self.chance

    def reference_days(self, reference: Share) -> float:
        """Days that a reference is taken to span."""
        return float(np.clip(reference.n / self.rows, *REFERENCE_DAYS)) if self.rows > 0 else float(REFERENCE_DAYS[0])

    def p_value(self, now: Share, now_days: float, before: Share, before_days: float) -> float:
        """How easily rows and days give a difference as large, two-sided; 1 where a side has no rows."""
        wide = [side.squares * self.design(side, days) for side, days in ((now, now_days), (before, before_days))]
        test = two_proportion_test(now.hits, now.total, before.hits, before.total, *wide)
        if test.z is None or test.p_value is None or self.known is None:
            return 1.0 if test.p_value is None else test.p_value
        from scipy.special import stdtr

        return float(2 * stdtr(self.known.freedom, -abs(test.z)))

    def up_to(self, now: Share, now_days: float, past: Share, past_days: float) -> float:
        """The rate that a window like this one stays under all but once in a thousand times, by what the past was."""
        from scipy.special import ndtri, stdtrit

        error = np.sqrt(self.chance * sum(self.design(side, days) / side.n for side, days in ((now, now_days), (past, past_days))))
        reach = -ndtri(BY_ITSELF) if self.known is None else stdtrit(self.known.freedom, 1 - BY_ITSELF)
        return float(min(past.value + reach * error, 1.0))


def strays(past: Shares, otherwise: Share) -> Strays:
    """What the days of the past tell about a rate, given its share on each. otherwise: the side that says how rare it is where there is no past."""
    past = past.at(past.n > 0)
    n, value = past.n, past.value
    rows, hits = float(n.sum()), float(value @ n)
    if not n.size:
        rows, hits = otherwise.n, otherwise.value * otherwise.n if otherwise.n > 0 else 0.0
    rate = (hits + 0.5) / (rows + 1)
    chance = rate * (1 - rate)
    usual = float(np.median(n)) if n.size else 0.0
    if n.size < LEAST_DAYS:
        return Strays(None, chance, usual)
    return Strays(variation(value, chance / n, past.days.astype(np.int64), kept=KEPT), chance, usual)


def days_of(counts: Counts) -> int:
    """On how many days there were rows; at least one."""
    return max(counts.days.size, 1)
