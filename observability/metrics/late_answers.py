"""Days whose figures changed after they were shown, because devices store answers and send them late.

A day counts as shown LATE_HOURS after its end. `synced_at` says when an answer was sent. The time of loading does not say it, because an
import loads old answers all at once.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.formatting import format_day, plural
from observability.core.json_values import stored_json
from observability.core.numerals import percent
from observability.core.questions import Sample
from observability.metrics.edge_fleet import LATE_HOURS
from observability.stats.interval import Interval, rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame, Series

ANSWER_ROWS = 20_000
ANSWERS_WITH_EXTRA = Sample("predictions", ("at", "extra"), ANSWER_ROWS)
FIRST_ROWS = 1_000
"""Number of answers that a page reads first. If none of them states when it was sent, the rest are not read."""
MATTERS, MIN_ANSWERS = 0.05, 30
"""A day counts as changed if at least this share of its answers was late, and if it has at least this many answers."""
WITH_OFFSET = re.compile(r"^\d{4}-\d\d-\d\d[Tt ].*([Zz]|[+-]\d\d:?\d\d)$")
"""A time with an offset, as a text."""


@dataclass(frozen=True)
class LateAnswers:
    """Answers of a window that state when they were sent, by day.

    days: `day`, `answers`, and `late` (how many of these arrived more than LATE_HOURS after the day's end). unsent: number of answers that
    do not state when they were sent; these are not counted by day.
    """

    days: "DataFrame"
    unsent: int = 0

    @property
    def share(self) -> Interval:
        """The share of the window's answers that were late, with its interval."""
        return rate_interval(float(self.days["late"].sum()), int(self.days["answers"].sum()))

    @property
    def changed(self) -> "DataFrame":
        """The days that have enough answers and of which at least the share MATTERS was late, oldest first."""
        days = self.days
        return days[(days["answers"] >= MIN_ANSWERS) & (days["late"] >= MATTERS * days["answers"])]

    @property
    def words(self) -> str:
        """A sentence on how many days changed, and which day changed most; empty if none did."""
        changed = self.changed
        if changed.empty:
            return ""
        most = changed.assign(share=changed["late"] / changed["answers"]).sort_values("share", kind="stable").iloc[-1]
        of = f"{len(changed)} of {plural(len(self.days), 'day')}"
        words = f"Late answers changed {of} after {LATE_HOURS:g} h, most {format_day(most['day'])}: {percent(most['share'], 2)} came later."
        unknown = self.unsent / (self.unsent + float(self.days["answers"].sum()))
        return (
            f"{words} {percent(min(unknown, 0.999), 3)} of the answers do not say when they were sent; they are left out."
            if self.unsent
            else words
        )


def late_answers(rows: "DataFrame") -> LateAnswers | None:
    """Return the late answers of a window by day.

    Parameters
    ----------
    rows : DataFrame
        The answer to ANSWERS_WITH_EXTRA.

    Returns
    -------
    LateAnswers or None
        None if no answer says when it was sent, so that nothing is known.
    """
    import pandas as pd

    sent = sending_times(rows["extra"])
    if sent.isna().all():
        return None
    day, sent = pd.to_datetime(rows["at"]).dt.floor("D")[sent.notna()], sent.dropna()
    late = (sent > day + pd.Timedelta(hours=24 + LATE_HOURS)).to_numpy(bool)
    counted = pd.DataFrame({"day": day.to_numpy(), "answers": 1, "late": late.astype(np.int64)})
    return LateAnswers(counted.groupby("day", as_index=False, sort=True).sum(), len(rows) - len(counted))


def sending_times(extra: "Series[Any]") -> "Series[Any]":
    """Return `synced_at` of each row.

    Parameters
    ----------
    extra : Series
        Further fields of each prediction as JSON text, or None.

    Returns
    -------
    Series of datetime64
        UTC without a zone; missing if it is absent, no time, or without an offset, as in the view `MODEL.predictions`.
    """
    import pandas as pd

    found = []
    for text in extra:
        given = stored_json(text).get("synced_at") if isinstance(text, str) and "synced_at" in text else None
        found.append(given if isinstance(given, str) and WITH_OFFSET.search(given) else None)
    times = pd.to_datetime(pd.Series(found, index=extra.index, dtype=object), utc=True, errors="coerce", format="ISO8601")
    return times.dt.tz_localize(None)
