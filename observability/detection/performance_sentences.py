"""Sentences about a measured metric: its title, a value, a value with its interval."""

from observability.core.metric_definitions import METRICS
from observability.stats.interval import Interval


def metric_name(metric: str) -> str:
    """Return the metric's name in words."""
    return METRICS[metric].title


def metric_number(metric: str, value: float) -> str:
    """Return a value as text: shares in per cent, others with three digits."""
    return f"{100 * value:.1f} %" if METRICS[metric].unit == "share" else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def metric_with_interval(metric: str, value: Interval) -> str:
    """Return a value with its interval."""
    assert value.value is not None
    if value.low is None or value.high is None:
        return metric_number(metric, value.value)
    return f"{metric_number(metric, value.value)} ({metric_number(metric, value.low)} to {metric_number(metric, value.high)})"
