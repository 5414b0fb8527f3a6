"""Sentences about a measured metric: its title, a value, a value with its interval."""

from observability.core.metric_definitions import METRICS
from observability.stats.interval import Interval


def title(metric: str) -> str:
    """The metric's name in words."""
    return METRICS[metric].title


def number(metric: str, value: float) -> str:
    """A value as a person reads it: shares in per cent, the rest with three digits."""
    return f"{100 * value:.1f} %" if METRICS[metric].unit == "share" else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def shown(metric: str, value: Interval) -> str:
    """A value with its interval."""
    assert value.value is not None
    if value.low is None or value.high is None:
        return number(metric, value.value)
    return f"{number(metric, value.value)} ({number(metric, value.low)} to {number(metric, value.high)})"
