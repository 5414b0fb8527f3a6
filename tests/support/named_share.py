"""The share of planted faults that was named: a test of a few draws fails if the share is surely below the goal, a long run if it is
below."""

from collections.abc import Callable

NamedShare = Callable[[str, int, int], None]
"""Called with the name of a fault, how often it was named, and how often it was planted."""
GOAL = 0.9
"""The share of faults of middle strength that should be named."""
SURE = 0.05
RECORDED = "share named"
"""The property of a test under which the share is reported."""


def surely_below(named: int, planted: int, goal: float = GOAL) -> bool:
    """Whether so few named faults would come up in fewer than one of twenty tests if the true share were the goal (binomial, one-sided)."""
    from scipy.stats import binom

    return bool(binom.cdf(named, planted, goal) < SURE)
