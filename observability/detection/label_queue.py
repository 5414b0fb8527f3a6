"""How long does what waits for a label wait, at one annotator and at all of them, against how it was at the end of earlier days?

An item waits from when it was given to an annotator until they label it. The mean age of what waits is taken at the window's end and at the end of each
of the four weeks' days before the window; how far it strays by itself is learned from those, one day's queue being much like the next one's.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import stdtr, stdtrit

from observability.core.analyzer import Context
from observability.core.finding import Finding, Severity
from observability.core.time import naive_utc
from observability.detection.onset import since
from observability.metrics.labelling_projects import PAIR, PAST_DAYS, Array, ages, limits
from observability.stats.dispersion import share_left, variation

if TYPE_CHECKING:
    from pandas import DataFrame

METRIC = "queue_days"
TIMES, WATCH, ACT = (1.5, 2.0), 0.5, 1.0
"""So many times as long, and so many days longer, is reported, and needs somebody; the owner sets the days."""
LEAST_DAYS = 7
FLOOR = 0.25
"""Days that are added to an age before its logarithm is taken: minutes and hours are one thing."""
LEAST_SPREAD = 0.1
"""A queue that never varied is taken to vary by a tenth."""
OWN = 0.5
"""Where the others' queue grew by less than this part of an annotator's, it is the annotator's own."""


@dataclass(frozen=True)
class Given:
    """What was given to annotators, a row each. begin, end: days before the window's end at which it was given, and labelled (−inf: not yet)."""

    annotator: Array
    begin: Array
    end: Array

    def waiting(self, at: float, rows: Array) -> Array:
        """Ages in days of what waited so many days before the window's end, of some rows (a mask)."""
        here = rows & (self.begin >= at) & (self.end < at)
        return np.asarray(self.begin[here] - at, float)

    def ages_by_day(self, days: Array, rows: Array) -> Array:
        """Mean age of what waited at the end of each day; 0 where nothing did."""
        found = [self.waiting(float(day), rows) for day in days]
        return np.array([each.mean() if len(each) else 0.0 for each in found])


@dataclass(frozen=True)
class Queue:
    """One queue against its past. annotator: None for all of them. age, usual: mean age now and in the past, days. others: times as long as usual, of the rest."""

    annotator: str | None
    ages: Array
    age: float
    usual: float
    days: int
    p_value: float
    others: float

    @property
    def times(self) -> float:
        """How many times as long as usual."""
        return (self.age + FLOOR) / (self.usual + FLOOR)

    @property
    def reach(self) -> float:
        """Half of the 95 % interval of the mean age by Student's t: of few that wait, one old one says little."""
        n = len(self.ages)
        return float(stdtrit(n - 1, 0.975) * self.ages.std(ddof=1) / np.sqrt(n)) if n > 1 else self.age

    def reaches(self, times: float, longer: float) -> bool:
        """Whether it is so many times as long, and so many days longer, and more than some old ones among few."""
        return self.age >= times * self.usual and self.age - self.usual >= longer and self.age - self.reach > self.usual


def given(assigned: "DataFrame", annotated: "DataFrame", end: datetime) -> Given:
    """Assignments with the first label that came after each."""
    rows = assigned.sort_values([*PAIR, "at"]).drop_duplicates(PAIR, keep="last")
    done = annotated[[*PAIR, "at"]].merge(rows[[*PAIR, "at"]], on=PAIR, suffixes=("_done", ""))
    first = done[done["at_done"] >= done["at"]].groupby(PAIR, as_index=False)["at_done"].min()
    both = rows.merge(first, on=PAIR, how="left")
    until = ages(both.assign(at=both["at_done"]), end)
    return Given(both["annotator"].astype(str).to_numpy(), ages(both, end), np.where(np.isnan(until), -np.inf, until))


def looked_at(work: Given, context: Context) -> list[Queue]:
    """The queue of all, and of each annotator, where the past tells; the whole first."""
    days = np.arange(np.ceil(context.window.days), np.ceil(context.window.days) + PAST_DAYS)
    days = days[days < (work.begin.max() if len(work.begin) else 0)]
    if len(days) < LEAST_DAYS:
        return []
    everybody = np.ones(len(work.begin), bool)
    found = [one_queue(work, None, everybody, days, 1.0)]
    for name in sorted(set(work.annotator)):
        mine = work.annotator == name
        if work.begin[mine].max() < days[LEAST_DAYS - 1]:
            continue
        rest = one_queue(work, None, ~mine, days, 1.0) if (~mine).any() else None
        found.append(one_queue(work, name, mine, days, rest.times if rest else 1.0))
    return found


def one_queue(work: Given, name: str | None, rows: Array, days: Array, others: float) -> Queue:
    """One queue against its past."""
    now = work.waiting(0.0, rows)
    age = float(now.mean()) if len(now) else 0.0
    past = work.ages_by_day(days, rows)[::-1]
    logs = np.log(past + FLOOR)
    varied = variation(logs, np.zeros(len(logs)), np.arange(len(logs)), weekly=False)
    spread = max(float(varied.between[0]), float(logs.var(ddof=1)), LEAST_SPREAD**2)
    error = np.sqrt(spread * (1 + share_left(len(logs), varied.correlation)))
    p = float(stdtr(varied.freedom, -(np.log(age + FLOOR) - logs.mean()) / error))
    return Queue(name, now, age, float(past.mean()), len(days), p, others)


def about_queues(blank: Finding, work: Given, seen: list[Queue], adjusted: list[float], act: float, context: Context) -> list[Finding]:
    """The finding about the queue of all, and one for each annotator whose queue grew by itself."""
    if not seen:
        known = int(work.begin.max()) if len(work.begin) else 0
        more = max(int(np.ceil(context.window.days)) + LEAST_DAYS - known, 1)
        n = len(work.waiting(0.0, np.ones(len(work.begin), bool)))
        return [replace(blank, n=n, because=f"Whether the queue of labels is as long as usual cannot be told: it needs about {more} more days of assignments.")]  # fmt: skip
    found = []
    least, much = limits(context, METRIC, WATCH, ACT)
    for each, p in zip(seen, adjusted, strict=True):
        severity: Severity = "act" if each.reaches(TIMES[1], much) and p <= act else "watch" if each.reaches(TIMES[0], least) and p <= context.budget else "ok"  # fmt: skip
        alone = each.annotator is not None and each.others - 1 < OWN * (each.times - 1)
        if each.annotator is None or (severity != "ok" and alone):
            found.append(about(blank, work, each, severity, p, context))
    return found


def about(blank: Finding, work: Given, each: Queue, severity: Severity, p: float, context: Context) -> Finding:
    """The finding about one queue."""
    n, whose = (
        len(each.ages),
        "What waits for a label" if each.annotator is None else f"What waits for a label by annotator {each.annotator}",
    )
    found = replace(
        blank, value=each.age, low=max(each.age - each.reach, 0.0), high=each.age + each.reach, n=n, severity=severity,
        limit=max(TIMES[0] * each.usual, each.usual + limits(context, METRIC, WATCH, ACT)[0]), subject=blank.subject if each.annotator is None else f"annotator={each.annotator}",
        because=f"{whose} waits as long as usual: {n:,} labels, {each.age:.1f} days old in the mean, and {each.usual:.1f} at the end of the {each.days} days before.",
        evidence={"baseline": each.usual, "p_adjusted": p, "oldest_days": float(each.ages.max()) if n else 0.0},
    )  # fmt: skip
    if severity == "ok":
        return found
    when = dated(work, each, context)
    return replace(
        found, likely_source="label", onset=when.at, rank=1.0 + min(each.times, 50.0) / 100, evidence=found.evidence | when.evidence,
        because=f"{whose} waits longer: {n:,} labels wait, {each.age:.1f} days in the mean and {each.ages.max():.1f} at most; it was {each.usual:.1f} days at"
        f" the end of the {each.days} days before the window.",
    )  # fmt: skip


def dated(work: Given, each: Queue, context: Context) -> Any:
    """Since when it is so, by the queue's age at the end of each day."""
    rows = np.ones(len(work.begin), bool) if each.annotator is None else work.annotator == each.annotator
    days = np.arange(np.ceil(context.window.days) + each.days - 1, -1, -1)
    end = naive_utc(context.window.end)
    values = np.log(work.ages_by_day(days, rows) + FLOOR)
    return since([end - timedelta(days=float(day) + 1) for day in days], values, start=context.window.start, worse=1)
