"""How many of the labels are in, how many usually are by then, when will the rest be, and have they stopped?

How many labels a day has so long after it was served is known from weeks before: the same days of the week, seen as they stood one, two and three weeks
ago. So it does not matter how late labels usually are.
"""

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
"""Days ago, whole weeks."""
PAST_DAYS = 28
DAY = timedelta(days=1)
DUE = 0.5
"""Share of a day's labels that usually is in, from which the day tells whether labels still come."""
STOPPED, STEADY = 0.5, 0.7
"""Labels have stopped where the newest days that are due have less than half of what is usual, and each of the weeks before had at least 0.7 of it."""
FEWER, FARTHER, SURE = 0.8, 0.9, 4.0
"""Fewer labels come where those days have less than 0.8 of what is usual, surely (standard errors by rows), and a tenth less than any such days of the past month."""
NEWEST, LEAST = 2, 50
"""Days that are judged, and labels that were expected of them at least."""
COMPLETE = 0.95


@dataclass(frozen=True)
class Completion:
    """usual: share of labels that a day usually has, by how many days before the window's end it is (1 the last); lowest of the weeks beside it.
    rows: (day, served, labelled, expected by now), oldest first.
    """

    usual: dict[int, float]
    lowest: dict[int, float]
    rows: tuple[tuple[datetime, float, float, float], ...]

    @property
    def expected(self) -> float:
        """Labels that would usually be in by now, of the days that this is known of."""
        return sum(row[3] for row in self.rows)

    def due(self, end: datetime) -> list[tuple[datetime, float, float, float]]:
        """The newest days of which most labels usually are in by now."""
        steady = [row for row in self.rows if self.steady(age(row[0], end)) and self.usual[age(row[0], end)] >= DUE and row[3] > 0]
        return steady[-NEWEST:]

    def lowest_before(self, end: datetime, start: datetime) -> float | None:
        """The least part of the usual labels that as many steady days in a row had before the window; None where that is not known of a week."""
        known = [
            row
            for row in self.rows
            if row[0] < start and self.steady(age(row[0], end)) and self.usual[age(row[0], end)] >= DUE and row[3] > 0
        ]
        if len(known) < PAST_DAYS // 4:
            return None
        pairs = [known[place : place + NEWEST] for place in range(len(known) - NEWEST + 1)]
        return min(sum(row[2] for row in each) / sum(row[3] for row in each) for each in pairs)

    def steady(self, days: int) -> bool:
        """Whether every week before had about as many labels of days of that age."""
        return days in self.usual and self.lowest[days] >= STEADY * self.usual[days]

    def complete(self, end: datetime) -> datetime | None:
        """When the window's last day will usually have 95 % of the labels that it gets; None where four weeks do not tell."""
        if len(self.usual) < PAST_DAYS // 2:
            return None
        final = max(self.usual.values())
        first = next((days for days in sorted(self.usual) if final > 0 and self.usual[days] >= COMPLETE * final), None)
        return None if first is None else end + (first - 1) * DAY


def asks() -> dict[str, Ask]:
    """Labelled and served predictions by day, of the window and the month before it, as they stood weeks ago."""
    counts = Aggregate("outcomes", keys=(Bucket("day"), By("label")))
    found = {}
    for days in BEFORE:
        found[f"labels_{days}"] = Ask(counts, earlier=days)
        found[f"past_labels_{days}"] = Ask(counts, span="past", days=PAST_DAYS, earlier=days)
    return found


def completion(frames: Frames, context: Context) -> Completion:
    """How many labels the days of the window and of the month before have, and usually have."""
    end = context.window.end
    shares: dict[int, list[float]] = {}
    for days in BEFORE:
        for name in (f"labels_{days}", f"past_labels_{days}"):
            for day, (served, labelled) in by_day(frames.get(name)).items():
                if served >= LEAST:
                    shares.setdefault(age(day, end - days * DAY), []).append(labelled / served)
    usual = {each: float(np.median(values)) for each, values in shares.items() if len(values) >= 2}
    lowest = {each: min(shares[each]) for each in usual}
    days_now = by_day(frames.get("past_counts")) | by_day(frames.get("current_counts"))
    rows = [
        (day, served, labelled, served * usual[age(day, end)])
        for day, (served, labelled) in sorted(days_now.items())
        if age(day, end) in usual
    ]
    return Completion(usual, lowest, tuple(rows))


def by_day(frame: "DataFrame | None") -> dict[datetime, tuple[float, float]]:
    """Served and labelled rows of each day."""
    if frame is None or frame.empty or "period" not in frame:
        return {}
    import pandas as pd

    place, days = pd.factorize(frame["period"].to_numpy("datetime64[us]"), sort=True)
    n = frame["n"].to_numpy(np.float64)
    served, known = (np.bincount(place, each, days.size) for each in (n, n * (frame["label"].to_numpy() != UNKNOWN)))
    return {aware_utc(day): (rows, labelled) for day, rows, labelled in zip(days.tolist(), served.tolist(), known.tolist(), strict=True)}


def age(day: datetime, end: datetime) -> int:
    """How many days before the end a day began, counted from 1."""
    return int(np.ceil((end - day) / DAY))


def judged(base: Finding, of: Completion, context: Context) -> Finding:
    """The finding about labels with what is usual: stopped, or when the rest is expected. base: how many are in, still unjudged or fine."""
    end = context.window.end
    evidence = base.evidence | {
        "by_day": [
            [day.date().isoformat(), round(labelled), round(served), round(expected, 1)] for day, served, labelled, expected in of.rows
        ]
    }
    due = of.due(end)
    came, usual = sum(row[2] for row in due), sum(row[3] for row in due)
    if len(due) == NEWEST and usual >= LEAST and came < STOPPED * usual:
        first = since_when(of, end)
        because = (
            f"Labels seem to have stopped: {came:,.0f} of the {sum(row[1] for row in due):,.0f} predictions of the newest days that are due are "
            f"labelled, where about {usual:,.0f} usually are by now."
        )
        missing = {"onset_known": "dated"}
        return replace(base, severity="act", because=because, onset=first, likely_source="label", rank=12.0, evidence=evidence | missing)
    before = of.lowest_before(end, context.window.start)
    if (
        len(due) == NEWEST
        and usual >= LEAST
        and before is not None
        and came < min(FEWER, FARTHER * before) * usual
        and surely_fewer(came, usual, due)
    ):
        because = (
            f"Fewer labels come than usual: {came:,.0f} of the {sum(row[1] for row in due):,.0f} predictions of the newest days that are due are labelled, where about {usual:,.0f} "
            f"usually are by now; days of the past month had at least {100 * before:.0f} % of what is usual."
        )
        first = since_when(of, end, min(FEWER, FARTHER * before))
        dated = {"onset_known": "dated"}
        return replace(base, severity="watch", because=because, onset=first, likely_source="label", rank=6.0, evidence=evidence | dated)
    ready = of.complete(end)
    if base.severity == "unknown" and ready is not None and ready > context.now:
        said = (
            f"{base.because.rstrip('.')}; {100 * COMPLETE:.0f} % of the labels that usually come are expected by {ready.day} {ready:%B %Y}."
        )
        return replace(base, because=said, evidence=evidence | {"complete_by": ready.date().isoformat()})
    return replace(base, evidence=evidence)


def surely_fewer(came: float, usual: float, due: list[tuple[datetime, float, float, float]]) -> bool:
    """Whether so few labels are more than rows do by chance."""
    share = usual / sum(row[1] for row in due)
    return usual - came >= SURE * float(np.sqrt(max(usual * (1 - share), came * (1 - came / sum(row[1] for row in due)), 1.0)))


def since_when(of: Completion, end: datetime, least: float = STOPPED) -> datetime:
    """The first day from which on every day that tells has less than a part of its usual labels."""
    first = of.due(end)[0][0]
    for day, _served, labelled, expected in reversed(of.rows):
        if not of.steady(age(day, end)) or of.usual[age(day, end)] < DUE or expected <= 0:
            continue
        if labelled >= least * expected:
            break
        first = day
    return first
