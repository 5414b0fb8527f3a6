"""Compares the p99 latency of devices with their own past; devices without a past are compared with the other devices."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import stdtr, stdtrit

from observability.core.finding import Against, Severity
from observability.metrics.edge_fleet import GROUPS
from observability.stats.arrays import Floats
from observability.stats.interval import Interval, ordered_interval

if TYPE_CHECKING:
    from pandas import DataFrame

MIN_DEVICES = 20
"""Nothing is compared if either side has fewer devices."""
TIMES, ACT_TIMES = 1.25, 1.5
"""Ratio from which a longer latency is reported; ratio that the interval must exceed for `act`."""
OWN = 0.01
"""A change is attributed to a group, and not to all devices, only if the p-value of its difference from the other devices is at
most this.
"""


@dataclass(frozen=True)
class LatencyComparison:
    """The latency of all devices, or of one group, divided by the baseline.

    column, level: the group; empty for all devices. ratio: geometric mean over devices, with its interval. now, base: medians in ms.
    apart: the p-value of no difference from the other devices; 1 for all devices.
    """

    column: str
    level: str
    ratio: Interval
    n: int
    base_n: int
    now: float
    base: float
    against: Against
    p_value: float
    apart: float = 1.0

    def severity(self, p_adjusted: float, budget: float) -> Severity:
        """The severity at a p-value that is adjusted for all comparisons. It is `unknown` if the ratio is beyond the limit but not
        significantly.
        """
        if (self.ratio.value or 0.0) < TIMES:
            return "ok"
        if p_adjusted > budget:
            return "unknown"
        return "act" if (self.ratio.low or 0.0) > ACT_TIMES else "watch"


def latency_comparisons(now: "DataFrame", before: "DataFrame") -> list[LatencyComparison]:
    """Compare all devices of a model together, and each group that has enough devices.

    now, before: the result of `device_spans` for the window, and for all weeks before it.
    """
    known = now[now["latency"].astype(float) > 0].set_index("device")
    past = before[before["latency"].astype(float) > 0].set_index("device")["latency"].astype(float)
    latency = known["latency"].astype(float)
    logs = np.log(latency / past.reindex(latency.index))
    found = [compared for compared in (_own_past("", "", logs, latency, past, None),) if compared is not None]
    for column in GROUPS:
        levels = sorted(known[column].dropna().unique(), key=str)
        for level in levels if len(levels) > 1 else []:
            inside = (known[column] == level).to_numpy()
            compared = _own_past(column, str(level), logs[inside], latency[inside], past, logs[~inside].dropna().to_numpy())
            compared = compared or _other_devices(column, str(level), latency[inside].to_numpy(), latency[~inside].to_numpy())
            found += [compared] if compared is not None else []
    return found


def _own_past(column: str, level: str, logs: Any, latency: Any, past: Any, others: Floats | None) -> LatencyComparison | None:
    """The comparison of devices with their own past; None if too few of them have a past. others: log ratios of the other devices."""
    from scipy.stats import ttest_ind

    own = logs.dropna()
    if len(own) < MIN_DEVICES:
        return None
    values = own.to_numpy(np.float64)
    error = float(values.std(ddof=1) / np.sqrt(values.size))
    p_value = float(stdtr(values.size - 1, -values.mean() / error)) if error > 0 else float(values.mean() <= 0)
    apart = 1.0
    if others is not None and others.size > 1:
        apart = float(ttest_ind(values, others, equal_var=False, alternative="greater").pvalue)
    medians = float(latency[own.index].median()), float(past[own.index].median())
    ratio = _log_interval(float(values.mean()), error, values.size - 1, values.size)
    return LatencyComparison(column, level, ratio, values.size, values.size, *medians, "past", p_value, apart)


def _other_devices(column: str, level: str, own: Floats, others: Floats) -> LatencyComparison | None:
    """The comparison of devices without a past with the other devices; None if either side has too few devices."""
    from scipy.stats import ttest_ind

    if min(own.size, others.size) < MIN_DEVICES:
        return None
    logs, rest = np.log(own.astype(np.float64)), np.log(others.astype(np.float64))
    test = ttest_ind(logs, rest, equal_var=False, alternative="greater")
    error = float(np.sqrt(logs.var(ddof=1) / logs.size + rest.var(ddof=1) / rest.size))
    ratio = _log_interval(float(logs.mean() - rest.mean()), error, float(test.df), own.size)
    p_value = float(test.pvalue)
    return LatencyComparison(
        column, level, ratio, own.size, others.size, float(np.median(own)), float(np.median(others)), "peers", p_value, p_value
    )


def _log_interval(mean: float, error: float, freedom: float, n: int) -> Interval:
    """The mean of logarithms converted back to a ratio, with its 95 % interval."""
    half = float(stdtrit(freedom, 0.975)) * error
    return ordered_interval(float(np.exp(mean)), float(np.exp(mean - half)), float(np.exp(mean + half)), n)
