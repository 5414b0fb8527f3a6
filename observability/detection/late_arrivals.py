"""Detects predictions that arrive later than they used to.

Until late records arrive, they are missing in the figures of their days. The usual delay is that of the month before. Records of many hours
that arrive within one hour come from a load or a transfer. Their times of arrival say nothing about delays, so they give no finding.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.core.analyzer import Context
from observability.core.finding import Finding
from observability.core.numerals import hours_in_words
from observability.core.owner_level import owner_limit_words
from observability.core.time import aware_utc
from observability.core.window import HOUR
from observability.detection.change import stated_limits
from observability.detection.sampled_shares import sampled_share, shares_by_day
from observability.detection.significant_claims import NAME as QUALITY
from observability.detection.significant_claims import quality_percent

if TYPE_CHECKING:
    from pandas import DataFrame

METRIC = "late_rate"
WATCH, ACT = 0.10, 0.50
"""Share of late predictions from which the severity is `watch` and `act`. The setting `data/quality/late_rate` overrides ACT."""
MIN_DELAYS, QUANTILE, TIMES, SHORTEST = 100, 0.99, 2.0, 1.0
"""Minimum number of rows on either side. A prediction is late if its delay exceeds TIMES the quantile QUANTILE of past delays, and also
exceeds SHORTEST hours.
"""
SPREAD = 0.5
"""Number of hours in which late predictions arrived, divided by the number of hours of their event times. Below this ratio they came in a
load.
"""


def late_claims(now: "DataFrame", past: "DataFrame", without: Sequence[str], context: Context) -> list[Finding]:
    """Return the finding about late predictions; empty if predictions arrive as before.

    now, past: samples with `at`, `arrived` and `device`. without: devices of the window to leave out, for example because their clock is
    wrong.
    """
    now = now[~now["device"].isin(without)]
    delay, before = delay_hours(now), delay_hours(past)
    if min(delay.size, before.size) < MIN_DELAYS:
        return []
    limit = max(TIMES * float(np.quantile(before, QUANTILE)), SHORTEST)
    late = delay > limit
    of_days = [shares_by_day(days, days[hit]) for days, hit in ((event_days(now), late), (event_days(past), before > limit))]
    share = sampled_share(*of_days)
    settings, name = context.model.settings, f"{QUALITY}/{METRIC}"
    at = stated_limits(settings, name, WATCH, ACT)
    if not share.value >= at[0] or arrived_in_bulk(now[late]):
        return []
    sure = share.p_value <= context.budget / 100
    because = (
        f"{quality_percent(share.value)} of the predictions arrive more than {hours_in_words(limit)} after their timestamp, "
        f"half of these {hours_in_words(float(np.median(delay[late])))} or more ({delay.size:,} rows of the sample); "
        f"{quality_percent(share.before)} in the month before"
    )
    because += "" if sure else f"; more than the limit of {quality_percent(at[0])}, {share.doubt(context.budget / 100)}"
    because += f"{owner_limit_words(settings.limits, name)}. Figures of the newest days are incomplete until late predictions arrive."
    base = context.undecided("data/requests", "model", METRIC, delay.size, because, against="past", whole_model=True)
    act = sure and share.value >= at[1]
    return [
        replace(
            base,
            value=share.value,
            low=share.interval.low,
            high=share.interval.high,
            severity=("act" if act else "watch") if sure else "unknown",
            limit=at[1] if act else at[0],
            likely_source="system" if sure else None,
            onset=late_onset(now, late, at[0], context) if sure else None,
            rank=5.0 + share.value if sure else 0.0,
            evidence={
                "late_from_hours": limit,
                "without_devices": list(without),
                "baseline": share.before,
                "baseline_n": before.size,
            },
        )
    ]


def event_days(rows: "DataFrame") -> NDArray[np.datetime64]:
    """Return the day of the event time of each row."""
    return rows["at"].to_numpy("datetime64[D]")


def delay_hours(rows: "DataFrame") -> NDArray[np.float64]:
    """Return the hours from event time to arrival."""
    return np.asarray((rows["arrived"] - rows["at"]).dt.total_seconds() / HOUR.total_seconds(), np.float64)


def arrived_in_bulk(rows: "DataFrame") -> bool:
    """Return whether predictions of many hours arrived within few hours."""
    hours = [np.unique(rows[name].to_numpy("datetime64[h]")).size for name in ("arrived", "at")]
    return hours[0] < SPREAD * hours[1]


def late_onset(rows: "DataFrame", late: NDArray[np.bool_], limit: float, context: Context) -> datetime:
    """Return the start of the first day since which every day has had a larger share of late rows than the limit; the window's start if all
    days have, or if the last day has not.
    """
    days, place = np.unique(event_days(rows), return_inverse=True)
    share = np.bincount(place, late) / np.bincount(place)
    fine = np.flatnonzero(share < limit)
    if not fine.size or fine[-1] + 1 == days.size:
        return context.window.start
    return max(aware_utc(days[fine[-1] + 1].astype("datetime64[s]").item()), context.window.start)
