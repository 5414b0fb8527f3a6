"""The share of planted faults that was named: a test of a few draws fails if the share is surely below the goal, a long run if it is
below."""

from collections.abc import Callable

NamedShare = Callable[[str, int, int], None]
"""Given the name of a fault, how often it was named and how often it was planted."""
GOAL = 0.9
"""Share of the faults of middle strength that are to be named."""
SURE = 0.05
RECORDED = "share named"
"""The property of a test under which the share is reported."""


def surely_below(named: int, planted: int, goal: float = GOAL) -> bool:
    """Whether at most so few would be named in fewer than one of twenty tests, if the share were the goal (binomial, one-sided)."""
    from scipy.stats import binom

    return bool(binom.cdf(named, planted, goal) < SURE)
