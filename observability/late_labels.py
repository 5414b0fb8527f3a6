"""Which are the newest days whose labels are in, where those of the window are not yet?

Labels that come weeks after their predictions leave every window of the last days without any, so that nothing that only labels show would
ever be said. Analyzers that need labels are then asked once more, about as many days that end with the newest one whose labels are in; measured performance goes back by itself.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import numpy as np

from observability.aggregate import UNKNOWN, Aggregate, Bucket, By
from observability.finding import Finding
from observability.window import Window

if TYPE_CHECKING:
    from pandas import DataFrame

Asked = Callable[[Aggregate, Window], "DataFrame"]
LOOKED_BACK = 90
"""Days before the window in which days with labels are looked for."""
IN = 0.8
"""A day's labels are in where it has this share of what days usually come to."""
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
    served = counts.groupby("period")["n"].sum()
    known = counts[counts["label"] != UNKNOWN].groupby("period")["n"].sum().reindex(served.index, fill_value=0)
    shares = (known / served).to_numpy(float)
    if known.sum() < MINIMUM_LABELS:
        return None
    usual = float(np.median(shares[shares > 0]))
    mine = (served.index >= np.datetime64(window.start.replace(tzinfo=None))).nonzero()[0]
    if mine.size and known.iloc[mine].sum() >= IN * usual * served.iloc[mine].sum():
        return None
    ripe = np.flatnonzero(shares >= IN * usual)
    if not ripe.size:
        return None
    end = served.index[ripe[-1]].to_pydatetime().replace(tzinfo=UTC) + DAY
    return replace(window, start=end - length * DAY, end=end) if end <= window.end - DAY else None


def told(finding: Finding) -> Finding:
    """The finding with which days it is about, which are not those that were asked for."""
    last = finding.end - DAY
    days = f"{finding.start.day} {finding.start:%b} to {last.day} {last:%b}" if last > finding.start else f"{last.day} {last:%b}"
    return replace(finding, because=f"{finding.because} This is about {days}, the newest days whose labels are in.")
