"""The share of planted faults that were named. A test of a few draws fails only if the share is certainly below the goal; a long run fails
if it is below.
"""

from collections.abc import Callable

NamedShare = Callable[[str, int, int], None]
"""Call it with the name of a fault, how often the fault was named, and how often it was planted."""
GOAL = 0.9
"""The share of faults of middle strength that should be named."""
SURE = 0.05
RECORDED = "share named"
"""The name of the test's property that reports the share."""


def surely_below(named: int, planted: int, goal: float = GOAL) -> bool:
    """Whether so few named faults would occur with a probability below SURE if the true share were the goal (one-sided binomial test)."""
    from scipy.stats import binom

    return bool(binom.cdf(named, planted, goal) < SURE)
