"""Which are the newest days whose labels are in, where those of the window are not yet?

Labels that come weeks after their predictions leave every window of the last days without any, so that nothing that only labels show would
ever be said. Analyzers that need labels are then asked once more, about as many days that end with the newest one whose labels are in; measured performance goes back by itself.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from observability.core.finding import Finding
from observability.core.questions import UNKNOWN, Aggregate, Bucket, By
from observability.core.time import aware_utc, naive_utc
from observability.core.window import Window

if TYPE_CHECKING:
    from pandas import DataFrame

Asked = Callable[[Aggregate, Window], "DataFrame"]
LOOKED_BACK = 90
"""Days before the window in which days with labels are looked for."""
IN = 0.8
"""A day's labels are in where it has this share of what days usually come to."""
OWN = 2 / 3
"""A window with this share of the labels that its days usually come to says it itself: the days before it were judged a day or two ago."""
MINIMUM_LABELS = 100
"""Days that usually come to fewer labels, all together, are not judged."""
DAY = timedelta(days=1)
OUTCOMES = Aggregate("outcomes", keys=(Bucket("day"), By("label")))


def late_window(ask: Asked, window: Window) -> Window | None:
    """As many whole days as the window has, ending with the newest one whose labels are in; None where the window's own labels are, or none come at all.

    What days usually come to is the median share of labelled predictions over the days before the window that have any label.
    """
    length = max(round(window.days), 1)
    counts = ask(OUTCOMES, replace(window, start=window.start - LOOKED_BACK * DAY, version=None, slice=None))
    if counts.empty:
        return None
    days, place = np.unique(counts["period"].to_numpy("datetime64[us]"), return_inverse=True)
    n = counts["n"].to_numpy(np.float64)
    served, known = (np.bincount(place, each, days.size) for each in (n, n * (counts["label"].to_numpy() != UNKNOWN)))
    shares = known / served
    if known.sum() < MINIMUM_LABELS:
        return None
    usual = float(np.median(shares[shares > 0]))
    mine = days >= np.datetime64(naive_utc(window.start))
    if mine.any() and known[mine].sum() >= OWN * usual * served[mine].sum():
        return None
    ripe = np.flatnonzero(shares >= IN * usual)
    if not ripe.size:
        return None
    end = aware_utc(days[ripe[-1]].item()) + DAY
    return replace(window, start=end - length * DAY, end=end) if end <= window.end - DAY else None


def told(finding: Finding) -> Finding:
    """The finding with which days it is about, which are not those that were asked for."""
    last = finding.end - DAY
    days = f"{finding.start.day} {finding.start:%b} to {last.day} {last:%b}" if last > finding.start else f"{last.day} {last:%b}"
    return replace(finding, because=f"{finding.because} This is about {days}, the newest days whose labels are in.")
