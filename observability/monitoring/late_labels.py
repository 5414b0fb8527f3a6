"""Find the newest days with complete labels, for windows whose own labels are not complete yet.

If labels arrive weeks after their predictions, the last days have none, and analyzers that need labels would never report anything. These
analyzers therefore run once more, over a window of the same length that ends with the newest day whose labels are complete.
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

AskCounts = Callable[[Aggregate, Window], "DataFrame"]
LOOKBACK_DAYS = 90
"""Number of days before the window that are searched for labels."""
COMPLETE_SHARE = 0.8
"""The labels of a day count as complete if its labelled share is at least this fraction of the usual share."""
SUFFICIENT_SHARE = 2 / 3
"""A window with at least this share of its usual labels is analyzed as it is, because earlier checks covered the days before it."""
MINIMUM_LABELS = 100
"""If there are fewer labels in total, nothing is analyzed."""
DAY = timedelta(days=1)
OUTCOMES = Aggregate("outcomes", keys=(Bucket("day"), By("label")))


def newest_labelled_window(ask: AskCounts, window: Window) -> Window | None:
    """A window with as many whole days as the given one, ending with the newest day whose labels are complete. None if the given window's
    labels are complete, or if there are none.

    The usual labelled share is the median over the days before the window that have any label.
    """
    length = max(round(window.days), 1)
    counts = ask(OUTCOMES, replace(window, start=window.start - LOOKBACK_DAYS * DAY, version=None, slice=None))
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
    if mine.any() and known[mine].sum() >= SUFFICIENT_SHARE * usual * served[mine].sum():
        return None
    ripe = np.flatnonzero(shares >= COMPLETE_SHARE * usual)
    if not ripe.size:
        return None
    end = aware_utc(days[ripe[-1]].item()) + DAY
    return replace(window, start=end - length * DAY, end=end) if end <= window.end - DAY else None


def with_analyzed_dates(finding: Finding) -> Finding:
    """Append the dates that were analyzed to the finding, because they differ from the requested window."""
    last = finding.end - DAY
    days = f"{finding.start.day} {finding.start:%b} to {last.day} {last:%b}" if last > finding.start else f"{last.day} {last:%b}"
    return replace(finding, because=f"{finding.because} Analyzed dates: {days}, the newest days with complete labels.")
