"""Compares each device of a training run with the same device in earlier runs of the same kind: whether it is hotter, fuller, less used or
slower than before.

Runs are of one kind if their model and parameters are the same, apart from random draws. Each device has one figure per run, so that the
readings of one run, which are correlated, count once. The figure is compared with the median of up to MAX_EARLIER earlier runs, by
Student's t with a robust spread. The p-value is adjusted for all devices and readings of the run, and the difference must also reach the
minimum.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtr, stdtrit

from observability.detection.device_figures import (
    DEVICE_METRICS,
    POWER,
    SAME_USE,
    SURE,
    USED,
    DeviceMetric,
    DeviceUse,
    compared_metrics,
    gap_claim,
    memory_size,
    most_telling,
)
from observability.detection.own_history import MAX_FREEDOM, OF_A_MEDIAN
from observability.detection.run_claims import RunClaim, counted_things
from observability.stats.dispersion import MAD_TO_SD
from observability.stats.multiple_testing import benjamini_hochberg

if TYPE_CHECKING:
    from pandas import DataFrame

MIN_EARLIER, MAX_EARLIER = 5, 20
MIN_SPREAD = 1 / 5
"""Minimum standard deviation between runs, as a fraction of the smallest difference that is reported."""


def claims_about_own_past(use: DeviceUse, now: "DataFrame", earlier: Sequence["DataFrame"]) -> list[RunClaim]:
    """Return a claim for each device that differs from its earlier runs. If none differs, one claim that states so; if there are too few
    earlier runs, one claim that states how many more are needed.

    now: figures of this run by unit; earlier: figures of each earlier run of the same kind, oldest first.
    """
    import pandas as pd

    found: list[tuple[float, float, RunClaim]] = []
    runs, every = len(earlier), pd.concat(earlier[-MAX_EARLIER:]) if earlier else now.iloc[:0]
    figures = {each.column: now[each.column].to_numpy(float) for each in DEVICE_METRICS}
    for place, unit in enumerate(now.index):
        past = every[every.index == unit]
        for each in compared_metrics(str(unit)):
            values, value = past[each.column].dropna().to_numpy(float), float(figures[each.column][place])
            if len(values) < MIN_EARLIER or not np.isfinite(value):
                continue
            if each is POWER and figures[USED.column][place] < past[USED.column].median() - SAME_USE:
                continue
            found.append(past_difference(use, str(unit), each, value, values))
    if not found:
        if not np.isfinite(now.to_numpy(float)).any():
            return []
        more = max(MIN_EARLIER - runs, 1)
        because = (
            f"The devices of {use.words} cannot be compared with their own past yet: {counted_things(runs, use.earlier)}{use.kind} "
            f"{'has' if runs == 1 else 'have'} enough readings, about {more} more {'is' if more == 1 else 'are'} needed."
        )
        return [RunClaim(DEVICE_METRICS[0].metric, runs, "unknown", because, against="past")]
    adjusted = benjamini_hochberg([p for p, _, _ in found], SURE)[0]
    told = [claim for (_, relative, claim), p in zip(found, adjusted, strict=True) if p <= SURE and relative >= 1]
    return most_telling(told) if told else [as_before(use, found)]


def past_difference(
    use: DeviceUse, unit: str, each: DeviceMetric, value: float, values: "np.ndarray[tuple[int], np.dtype[np.float64]]"
) -> tuple[float, float, RunClaim]:
    """Return three things about a device and its earlier runs: the p-value, the difference divided by its limit, and the claim that it
    differs.

    values: values of the earlier runs, oldest first.
    """
    usual, n = float(np.median(values)), len(values)
    scale, limit, freedom = each.scale(usual, memory_size(use, unit)), each.limit(usual), min(n - 1, MAX_FREEDOM)
    gaps = each.worse * (values - usual) / scale
    spread = max(MAD_TO_SD * float(np.median(np.abs(gaps))), float(np.quantile(gaps, 0.85) / 1.0364), MIN_SPREAD * limit)
    error, gap = spread * float(np.sqrt(1 + OF_A_MEDIAN / n)), each.worse * (value - usual) / scale
    half = float(stdtrit(freedom, 0.975)) * error
    low, high = sorted(each.worse * end for end in (gap - half, gap + half))
    compared = (
        f"in {n} {use.earlier}s{use.kind} (usually {each.usual_words(usual)}; differences of up to {each.gap_words(half)} can be chance)"
    )
    claim = gap_claim(
        use, unit, each, "past", (each.worse * gap, low, high), usual, limit, n, compared, {"standing": bool(gaps[-1] >= limit)}
    )
    return float(stdtr(freedom, -gap / error)), gap / limit, claim


def as_before(use: DeviceUse, found: list[tuple[float, float, RunClaim]]) -> RunClaim:
    """Return the claim that no device differs from its earlier runs; it names the largest difference."""
    most = max(found, key=lambda each: each[1])[2]
    each = next(one for one in DEVICE_METRICS if one.metric == most.metric)
    largest, limit = each.gap_words(max(each.worse * (most.value or 0.0), 0.0)), each.gap_words(float(most.limit or 0.0))
    because = (
        f"The devices of {use.words} are as in {most.n} {use.earlier}s{use.kind}. The largest change for the worse is "
        f"{largest} at `{most.evidence['device']}` (limit {limit})."
    )
    return RunClaim(
        most.metric, most.n, "ok", because, most.value, most.low, most.high, limit=most.limit, against="past", evidence=most.evidence
    )
