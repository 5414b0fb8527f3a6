"""Measures the age of the label queue, in total and for each annotator, and compares it with earlier days.

An item waits from its assignment to an annotator until this annotator labels it. The mean age of waiting items is measured at the end of
the window, and at the end of each day of the four weeks before the window. Its variation is estimated from those days, including their
autocorrelation.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from observability.core.analyzer import Context
from observability.core.finding import Finding, Severity
from observability.core.time import naive_utc
from observability.detection.change import DifferenceError, significant_severity
from observability.detection.onset import OnsetEstimate, estimate_onset
from observability.metrics.annotations import PAIR
from observability.metrics.labelling_projects import PAST_DAYS, Array, labelling_limits, record_ages
from observability.stats.dispersion import estimate_day_variation, mean_variance_ratio

if TYPE_CHECKING:
    from pandas import DataFrame

METRIC = "queue_days"
TIMES, WATCH, ACT = (1.5, 2.0), 0.5, 1.0
"""Limits for `watch` and `act`: ratio to the usual age, and additional days. Settings override the number of days."""
MIN_DAYS = 7
FLOOR = 0.25
"""This number of days is added to an age before the logarithm, so that differences of hours do not count."""
MIN_SPREAD = 0.1
"""Minimum standard deviation of the log age."""
OWN = 0.5
"""An annotator is reported if the queue of the other annotators grew less than this fraction of the annotator's own growth."""


@dataclass(frozen=True)
class Assignments:
    """Assignments to annotators, one per row. begin, end: time of the assignment and of the label, in days before the window's end (−inf:
    no label yet).
    """

    annotator: Array
    begin: Array
    end: Array

    def waiting(self, at: float, rows: Array) -> Array:
        """Return the ages in days of the items that were waiting `at` days before the window's end. rows: a mask of assignments."""
        here = rows & (self.begin >= at) & (self.end < at)
        return np.asarray(self.begin[here] - at, float)

    def ages_by_day(self, days: Array, rows: Array) -> Array:
        """Return the mean age of the items that were waiting at the end of each day; 0 if none was."""
        found = [self.waiting(float(day), rows) for day in days]
        return np.array([each.mean() if len(each) else 0.0 for each in found])


@dataclass(frozen=True)
class Queue:
    """One queue and its past. annotator: None for all annotators. age, usual: mean age in days, now and in the past. others: `times` of the
    other annotators' queue.
    """

    annotator: str | None
    ages: Array
    age: float
    usual: float
    days: int
    p_value: float
    others: float

    @property
    def times(self) -> float:
        """The age as a multiple of the usual age."""
        return (self.age + FLOOR) / (self.usual + FLOOR)

    @property
    def reach(self) -> float:
        """Half-width of the 95 % interval of the mean age (Student's t)."""
        n = len(self.ages)
        return float(stdtrit(n - 1, 0.975) * self.ages.std(ddof=1) / np.sqrt(n)) if n > 1 else self.age

    def reaches(self, times: float, longer: float) -> bool:
        """Return whether the mean age is at least `times` the usual age, at least `longer` days above it, and significantly larger."""
        return self.age >= times * self.usual and self.age - self.usual >= longer and self.age - self.reach > self.usual


def assignments_of(assigned: "DataFrame", annotated: "DataFrame", end: datetime) -> Assignments:
    """Return the assignments, each with the first label that the annotator gave after it."""
    rows = assigned.sort_values([*PAIR, "at"]).drop_duplicates(PAIR, keep="last")
    done = annotated[[*PAIR, "at"]].merge(rows[[*PAIR, "at"]], on=PAIR, suffixes=("_done", ""))
    first = done[done["at_done"] >= done["at"]].groupby(PAIR, as_index=False)["at_done"].min()
    both = rows.merge(first, on=PAIR, how="left")
    until = record_ages(both.assign(at=both["at_done"]), end)
    return Assignments(both["annotator"].astype(str).to_numpy(), record_ages(both, end), np.where(np.isnan(until), -np.inf, until))


def label_queues(work: Assignments, context: Context) -> list[Queue]:
    """Return the overall queue, followed by the queue of each annotator; empty if there is too little past."""
    days = np.arange(np.ceil(context.window.days), np.ceil(context.window.days) + PAST_DAYS)
    days = days[days < (work.begin.max() if len(work.begin) else 0)]
    if len(days) < MIN_DAYS:
        return []
    everybody = np.ones(len(work.begin), bool)
    found = [label_queue(work, None, everybody, days, 1.0)]
    for name in sorted(set(work.annotator)):
        mine = work.annotator == name
        if work.begin[mine].max() < days[MIN_DAYS - 1]:
            continue
        rest = label_queue(work, None, ~mine, days, 1.0) if (~mine).any() else None
        found.append(label_queue(work, name, mine, days, rest.times if rest else 1.0))
    return found


def label_queue(work: Assignments, name: str | None, rows: Array, days: Array, others: float) -> Queue:
    """Return one queue, compared with its past."""
    now = work.waiting(0.0, rows)
    age = float(now.mean()) if len(now) else 0.0
    past = work.ages_by_day(days, rows)[::-1]
    logs = np.log(past + FLOOR)
    varied = estimate_day_variation(logs, np.zeros(len(logs)), np.arange(len(logs)), weekly=False)
    spread = max(float(varied.between[0]), float(logs.var(ddof=1)), MIN_SPREAD**2)
    error = DifferenceError(0.0, spread * (1 + mean_variance_ratio(len(logs), varied.correlation)), varied.freedom, one_sided=True)
    return Queue(name, now, age, float(past.mean()), len(days), error.p_value(float(np.log(age + FLOOR) - logs.mean())), others)


def about_queues(blank: Finding, work: Assignments, queues: list[Queue], adjusted: list[float], context: Context) -> list[Finding]:
    """Return the finding about the overall queue, and one finding for each annotator whose own queue grew more than that of the others."""
    if not queues:
        known = int(work.begin.max()) if len(work.begin) else 0
        more = max(int(np.ceil(context.window.days)) + MIN_DAYS - known, 1)
        n = len(work.waiting(0.0, np.ones(len(work.begin), bool)))
        return [
            replace(
                blank,
                n=n,
                because=f"The age of the label queue cannot be compared yet: it needs about {more} more days of assignments.",
            )
        ]
    found = []
    least, much = labelling_limits(context, METRIC, WATCH, ACT)
    for each, p in zip(queues, adjusted, strict=True):
        severity = significant_severity(each.reaches(TIMES[0], least), each.reaches(TIMES[1], much), p, context.budget)
        alone = each.annotator is not None and each.others - 1 < OWN * (each.times - 1)
        if each.annotator is None or (severity != "ok" and alone):
            found.append(about_queue(blank, work, each, severity, p, context))
    return found


def about_queue(blank: Finding, work: Assignments, each: Queue, severity: Severity, p: float, context: Context) -> Finding:
    """Return the finding about one queue."""
    n, whose = (
        len(each.ages),
        "The label queue" if each.annotator is None else f"The label queue of annotator {each.annotator}",
    )
    limit = max(TIMES[0] * each.usual, each.usual + labelling_limits(context, METRIC, WATCH, ACT)[0])
    found = replace(
        blank,
        value=each.age,
        low=max(each.age - each.reach, 0.0),
        high=each.age + each.reach,
        n=n,
        severity=severity,
        limit=limit,
        subject=blank.subject if each.annotator is None else f"annotator={each.annotator}",
        because=f"{whose} is as old as usual: {n:,} labels, mean age {each.age:.1f} days, {each.usual:.1f} at the end of the "
        f"{each.days} days before.",
        evidence={"baseline": each.usual, "p_adjusted": p, "oldest_days": float(each.ages.max()) if n else 0.0},
    )
    if severity == "ok" and each.age >= limit:
        return replace(
            found,
            severity="unknown",
            because=f"Whether {whose[0].lower()}{whose[1:]} is older than usual is not yet known: {n:,} labels wait, {each.age:.2f} days "
            f"on average and {each.usual:.2f} at the end of the {each.days} days before. That is beyond the limit of {limit:.2f} days, but "
            "not significant and may be chance: it needs more labels that wait, or more days.",
        )
    if severity == "ok":
        return found
    when = queue_onset(work, each, context)
    return replace(
        found,
        likely_source="label",
        onset=when.at,
        rank=1.0 + min(each.times, 50.0) / 100,
        evidence=found.evidence | when.evidence,
        because=f"{whose} is older than usual: {n:,} labels wait, {each.age:.1f} days on average and {each.ages.max():.1f} at most; "
        f"the average was {each.usual:.1f} days at"
        f" the end of the {each.days} days before the window.",
    )


def queue_onset(work: Assignments, each: Queue, context: Context) -> OnsetEstimate:
    """Return the day since which labels wait longer, estimated from the age of the queue at the end of each day."""
    rows = np.ones(len(work.begin), bool) if each.annotator is None else work.annotator == each.annotator
    days = np.arange(np.ceil(context.window.days) + each.days - 1, -1, -1)
    end = naive_utc(context.window.end)
    values = np.log(work.ages_by_day(days, rows) + FLOOR)
    return estimate_onset([end - timedelta(days=float(day) + 1) for day in days], values, start=context.window.start, worse=1)
