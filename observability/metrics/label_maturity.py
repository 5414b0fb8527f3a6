"""How complete the labels of a window are, compared with the usual arrival of labels, and when they are expected to be complete.

How many labels a day usually has at its present age is computed from the same weekdays one, two and three weeks earlier, at the same age.
Labels that are only as late as usual therefore do not count as missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from observability.core.analyzer import Ask, Context, Frames
from observability.core.finding import Finding
from observability.core.questions import UNKNOWN, Aggregate, Bucket, By
from observability.core.time import aware_utc

if TYPE_CHECKING:
    from pandas import DataFrame

BEFORE = (7, 14, 21)
"""Earlier dates that are compared, in days before; whole weeks, so that the weekday is the same."""
PAST_DAYS = 28
DAY = timedelta(days=1)
DUE = 0.5
"""A day tells something about the arrival of labels if at least this share of its predictions usually has a label by now."""
STOPPED, STEADY = 0.5, 0.7
"""Labels have stopped if the newest due days have less than half of the usual labels, while each of the weeks before had at least 0.7 of
them.
"""
FEWER, FARTHER, SURE = 0.8, 0.9, 4.0
"""Fewer labels arrive if three conditions hold. The newest due days have less than 0.8 of the usual labels. The shortfall is more than SURE
standard errors of the rows. Their share of the usual labels is less than 0.9 of the smallest share on such days in the past month.
"""
NEWEST, MIN_EXPECTED_LABELS = 2, 50
"""Number of newest days that are tested, and minimum number of labels that must be expected for them."""
COMPLETE = 0.95
OLDEST, MONTH = 7, PAST_DAYS + 7
"""Number of ages (in days) from which the final share of labels is computed, and the largest of these ages if labels arrive within days."""


@dataclass(frozen=True)
class LabelCompletion:
    """Labels of the days of the window and of the month before it.

    usual: share of a day's predictions that usually have a label, by how many days before the window's end the day is (1 is the last day);
    lowest: the lowest share in the weeks that are compared. rows: (day, served, labelled, expected by now), oldest first.
    """

    usual: dict[int, float]
    lowest: dict[int, float]
    rows: tuple[tuple[datetime, float, float, float], ...]

    @property
    def expected(self) -> float:
        """Number of labels that would usually have arrived by now, summed over the days for which this is known."""
        return sum(row[3] for row in self.rows)

    def informative(self, end: datetime) -> list[tuple[datetime, float, float, float]]:
        """The days for which most labels should have arrived by now, oldest first."""
        ages = [(row, days_before_end(row[0], end)) for row in self.rows]
        return [row for row, age in ages if self.steady(age) and self.usual[age] >= DUE and row[3] > 0]

    def due(self, end: datetime) -> list[tuple[datetime, float, float, float]]:
        """The newest days for which most labels should have arrived by now."""
        return self.informative(end)[-NEWEST:]

    def lowest_before(self, end: datetime, first: datetime) -> float | None:
        """Smallest share of the usual labels in any run of NEWEST informative days before `first`, the first day of the present shortfall.

        With less than a week of such days, the smallest share of a single day, as it was known weeks ago. None if neither is known.
        """
        known = [row for row in self.informative(end) if row[0] < first]
        if len(known) >= PAST_DAYS // 4:
            pairs = [known[place : place + NEWEST] for place in range(len(known) - NEWEST + 1)]
            return min(sum(row[2] for row in pair) / sum(row[3] for row in pair) for pair in pairs)
        ages = [age for age, share in self.usual.items() if self.steady(age) and share >= DUE]
        return min((self.lowest[age] / self.usual[age] for age in ages), default=None) if len(self.rows) >= PAST_DAYS else None

    def steady(self, days: int) -> bool:
        """Whether in every earlier week, days of that age had a similar share of labels."""
        return days in self.usual and self.lowest[days] >= STEADY * self.usual[days]

    def final_ages(self) -> list[int]:
        """The ages at which days have all labels that they will ever get. They are the seven largest ages up to MONTH, or up to four times
        as long as labels take if that is longer. Older days are left out, because their share of labels may have been different from the
        beginning.
        """
        ages = sorted(self.usual)
        steady = (age for place, age in enumerate(ages) if self.usual[age] >= COMPLETE * self._median(ages[place : place + PAST_DAYS]))
        oldest = max(MONTH, 4 * next(steady, 0))
        return [age for age in ages if age <= oldest][-OLDEST:]

    @property
    def final_share(self) -> float:
        """Share of predictions that usually get a label in the end; 0 if unknown."""
        return self._median(self.final_ages())

    def _median(self, ages: Sequence[int]) -> float:
        return float(np.median([self.usual[each] for each in ages])) if ages else 0.0

    def days_until_complete(self) -> int | None:
        """Number of days after which a day usually has 95 % of its final labels; None if there are no labels."""
        final = self.final_share
        return next((days for days in sorted(self.usual) if self.usual[days] >= COMPLETE * final), None) if final > 0 else None

    def complete(self, end: datetime) -> datetime | None:
        """The time at which the window's last day will usually have 95 % of its labels; None with less than four weeks of data."""
        first = self.days_until_complete() if len(self.usual) >= PAST_DAYS // 2 else None
        return None if first is None else end + (first - 1) * DAY


def label_history_asks() -> dict[str, Ask]:
    """The queries for labelled and served predictions by day, for the window and the month before it, as these were known some weeks ago.

    Returns
    -------
    dict[str, Ask]
    """
    counts = Aggregate("outcomes", keys=(Bucket("day"), By("label")))
    found = {}
    for days in BEFORE:
        found[f"labels_{days}"] = Ask(counts, earlier=days)
        found[f"past_labels_{days}"] = Ask(counts, span="past", days=PAST_DAYS, earlier=days)
    return found


def label_completion(frames: Frames, context: Context) -> LabelCompletion:
    """The labels on the days of the window and of the month before, and how many there usually are.

    Parameters
    ----------
    frames : Frames
        Answers to `label_history_asks`, "current_counts" and "past_counts".
    context : Context
        Context of the check.

    Returns
    -------
    LabelCompletion
    """
    end = context.window.end
    shares: dict[int, list[float]] = {}
    for days in BEFORE:
        for name in (f"labels_{days}", f"past_labels_{days}"):
            for day, (served, labelled) in _labels_by_day(frames.get(name)).items():
                if served >= MIN_EXPECTED_LABELS:
                    shares.setdefault(days_before_end(day, end - days * DAY), []).append(labelled / served)
    usual = {each: float(np.median(values)) for each, values in shares.items() if len(values) >= 2}
    lowest = {each: min(shares[each]) for each in usual}
    days_now = _labels_by_day(frames.get("past_counts")) | _labels_by_day(frames.get("current_counts"))
    rows = [
        (day, served, labelled, served * usual[days_before_end(day, end)])
        for day, (served, labelled) in sorted(days_now.items())
        if days_before_end(day, end) in usual
    ]
    return LabelCompletion(usual, lowest, tuple(rows))


def _labels_by_day(frame: "DataFrame | None") -> dict[datetime, tuple[float, float]]:
    """Served and labelled rows of each day."""
    if frame is None or frame.empty or "period" not in frame:
        return {}
    import pandas as pd

    place, days = pd.factorize(frame["period"].to_numpy("datetime64[us]"), sort=True)
    n = frame["n"].to_numpy(np.float64)
    served, known = (np.bincount(place, each, days.size) for each in (n, n * (frame["label"].to_numpy() != UNKNOWN)))
    return {aware_utc(day): (rows, labelled) for day, rows, labelled in zip(days.tolist(), served.tolist(), known.tolist(), strict=True)}


def days_before_end(day: datetime, end: datetime) -> int:
    """How many days before the end a day began, counted from 1.

    Parameters
    ----------
    day : datetime
        Start of the day.
    end : datetime
        End of the window.

    Returns
    -------
    int
    """
    return int(np.ceil((end - day) / DAY))


def label_arrival_finding(base: Finding, of: LabelCompletion, context: Context) -> Finding:
    """The finding about labels compared with their usual number: they have stopped, fewer arrive, or the rest is expected by a date.

    Parameters
    ----------
    base : Finding
        Finding with the share of labels that have arrived.
    of : LabelCompletion
        Labels of the days.
    context : Context
        Context of the check.

    Returns
    -------
    Finding
    """
    end = context.window.end
    evidence = base.evidence | {
        "by_day": [
            [day.date().isoformat(), round(labelled), round(served), round(expected, 1)] for day, served, labelled, expected in of.rows
        ]
    }
    dated = replace(base, likely_source="label", evidence=evidence | {"onset_known": "dated"})
    due = of.due(end)
    before = of.lowest_before(end, _shortfall_start(of, end, FEWER)) if due else None
    served, came, usual = (sum(column) for column in zip(*(row[1:] for row in due))) if due else (0.0, 0.0, 0.0)
    enough = len(due) == NEWEST and usual >= MIN_EXPECTED_LABELS
    counted = f"{came:,.0f} of {served:,.0f} predictions of the newest due days are labelled; usually about {usual:,.0f} are by now"
    if enough and came < STOPPED * usual:
        because = f"Labels stopped arriving: {counted}."
        return replace(dated, severity="act", because=because, onset=_shortfall_start(of, end), rank=12.0)
    if enough and before is not None and came < (least := min(FEWER, FARTHER * before)) * usual and _significantly_fewer(came, usual, due):
        because = f"Fewer labels than usual: {counted}, and at least {100 * before:.0f} % of that on days of the past month."
        return replace(dated, severity="watch", because=because, onset=_shortfall_start(of, end, least), rank=6.0)
    ready = of.complete(end)
    if base.severity == "unknown" and ready is not None and ready > context.now:
        because = f"{base.because.rstrip('.')}; {100 * COMPLETE:.0f} % of the usual labels are expected by {ready.day} {ready:%B %Y}."
        return replace(base, because=because, evidence=evidence | {"complete_by": ready.date().isoformat()})
    return replace(base, evidence=evidence)


def _significantly_fewer(came: float, usual: float, due: list[tuple[datetime, float, float, float]]) -> bool:
    """Whether labels are fewer than usual by more than sampling variation explains."""
    share = usual / sum(row[1] for row in due)
    return usual - came >= SURE * float(np.sqrt(max(usual * (1 - share), came * (1 - came / sum(row[1] for row in due)), 1.0)))


def _shortfall_start(of: LabelCompletion, end: datetime, least: float = STOPPED) -> datetime:
    """The first day from which on every informative day has less than the share `least` of its usual labels."""
    first = of.due(end)[0][0]
    for day, _served, labelled, expected in reversed(of.informative(end)):
        if labelled >= least * expected:
            break
        first = day
    return first
