"""Detects a decision threshold that moved: decisions that differ although the scores do not explain it.

The threshold of a day lies between the highest score with a negative decision and the lowest score with a positive one, so it is known up
to the width of a score bin. Days on which no single score separates the decisions (thresholds by group, a change at noon) are not used. The
usual threshold comes from the oldest past days that agree, so that later days with another threshold do not become usual.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core.analyzer import Context
from observability.core.finding import Finding
from observability.core.window import EPOCH
from observability.detection.change import stated_limits
from observability.detection.significant_claims import quality_percent
from observability.stats.scores import SCORE_EDGES

if TYPE_CHECKING:
    from pandas import DataFrame

METRIC = "threshold_shift"
WATCH, ACT = 0.02, 0.10
"""Shares of decisions that differ from those at the usual threshold, for `watch` and `act`. The setting
`serving/performance/threshold_shift` overrides ACT.
"""
MINIMUM_ROWS, USUAL_DAYS = 100, 7
"""A claim needs at least this many predictions since the change, and this many days at the usual threshold."""


@dataclass(frozen=True)
class DayDecisions:
    """The decisions of one day by score bin. highest: the highest bin with a negative decision; lowest: the lowest bin with a positive
    decision.
    """

    day: int
    counts: NDArray[np.float64]

    @property
    def highest(self) -> int:
        """The highest bin with a negative decision; -1 if there is none."""
        return int(np.flatnonzero(self.counts[0]).max(initial=-1))

    @property
    def lowest(self) -> int:
        """The lowest bin with a positive decision; the number of bins if there is none."""
        return int(np.flatnonzero(self.counts[1]).min(initial=self.counts.shape[1]))

    @property
    def split(self) -> bool:
        """Whether both decisions occur, and one score separates them."""
        return 0 <= self.highest <= self.lowest < self.counts.shape[1]

    def differing(self, usual: "UsualThreshold") -> float:
        """The number of rows whose decision would certainly be different at the usual threshold."""
        return float(self.counts[1, : max(usual.highest, 0)].sum() + self.counts[0, usual.lowest + 1 :].sum())


@dataclass(frozen=True)
class UsualThreshold:
    """The threshold on which the oldest `days` days agree, given as the bins between which it lies (see DayDecisions)."""

    highest: int
    lowest: int
    days: int

    def agrees(self, day: DayDecisions) -> bool:
        """Whether the decisions of this day are possible at this threshold."""
        return max(self.highest, day.highest) <= min(self.lowest, day.lowest)

    def narrowed(self, day: DayDecisions) -> "UsualThreshold":
        """The threshold with its bounds narrowed by the decisions of this day."""
        return UsualThreshold(max(self.highest, day.highest), min(self.lowest, day.lowest), self.days + 1)


def threshold_claims(past: "DataFrame", now: "DataFrame", context: Context) -> list[Finding]:
    """Return the finding about a threshold that moved. Empty if it did not move, or if the decisions do not follow a single threshold.

    past, now: counts by `period` (day), `score_bin`, `decision` and label.
    """
    if context.model.task != "binary" or context.window.slice is not None:  # scores of slices are counted in twenty groups only
        return []
    first = (context.window.start - EPOCH).days
    days = [each for frame in (past, now) for each in decisions_by_day(frame)]
    usual = usual_threshold([day for day in days if day.day < first])
    if usual is None or usual.days < USUAL_DAYS:
        return []
    run = moved_days(days, usual)
    inside = [day for day in run if day.day >= first and day.split]
    if not inside:
        return []
    return [threshold_finding(run[0].day, inside, usual, context)]


def decisions_by_day(frame: "DataFrame") -> list[DayDecisions]:
    """Return the decisions of each day, oldest first."""
    known = frame[(frame["decision"] >= 0) & (frame["score_bin"] >= 0)] if len(frame) else frame
    if known.empty:
        return []
    period = known["period"].to_numpy("datetime64[D]").astype(np.int64)
    days, place = np.unique(period, return_inverse=True)
    counts = np.zeros((days.size, 2, SCORE_EDGES.size + 1))
    np.add.at(counts, (place, known["decision"].to_numpy(np.int64), known["score_bin"].to_numpy(np.int64)), known["n"].to_numpy(float))
    return [DayDecisions(int(day), each) for day, each in zip(days, counts, strict=True)]


def usual_threshold(days: Sequence[DayDecisions]) -> UsualThreshold | None:
    """Return the threshold that the oldest days agree on; None if no day has one."""
    usual: UsualThreshold | None = None
    for day in days:
        if not day.split:
            continue
        if usual is None:
            usual = UsualThreshold(day.highest, day.lowest, 1)
        elif usual.agrees(day):
            usual = usual.narrowed(day)
        elif usual.days < USUAL_DAYS:
            return None
        else:
            break
    return usual


def moved_days(days: Sequence[DayDecisions], usual: UsualThreshold) -> list[DayDecisions]:
    """Return the last days, on none of which the usual threshold can have applied. On the first of them, both thresholds may have been
    used.
    """
    run: list[DayDecisions] = []
    for day in reversed(days):
        if usual.agrees(day):
            break
        run.insert(0, day)
    while len(run) > 1 and not run[0].split and not run[1].split:
        run = run[1:]
    return run


def threshold_finding(onset: int, days: Sequence[DayDecisions], usual: UsualThreshold, context: Context) -> Finding:
    """Return the finding about the days with another threshold."""
    rows = sum(float(day.counts.sum()) for day in days)
    share = sum(day.differing(usual) for day in days) / rows
    at = stated_limits(context.model.settings, f"serving/performance/{METRIC}", WATCH, ACT)
    before, after = middle_score(usual.highest, usual.lowest), middle_score(days[-1].highest, days[-1].lowest)
    since = EPOCH + timedelta(days=onset)
    because = (
        f"Decisions are made from a score of about {after:.3g} on, before it was {before:.3g}: since {since.day} {since:%B}, "
        f"{quality_percent(share)} of {rows:,.0f} decisions differ from those at {before:.3g}"
    )
    base = context.undecided("serving/performance", context.model.subject("score"), METRIC, round(rows), f"{because}.", against="past")
    base = replace(
        base, value=share, low=share, high=upper_share(days, usual, rows), limit=at[0], evidence=evidence_of(days, usual, before, after)
    )
    if rows < MINIMUM_ROWS:
        return replace(base, because=f"{because}; judging that needs about {MINIMUM_ROWS - rows:,.0f} more predictions.")
    if share < at[0]:
        return replace(base, severity="ok", because=f"{because} (limit {quality_percent(at[0])}).")
    dated: datetime = since
    return replace(
        base,
        severity="act" if share >= at[1] else "watch",
        limit=at[1] if share >= at[1] else at[0],
        likely_source="system",
        onset=dated,
        news="new" if since >= context.window.start else "ongoing",
        rank=8.0 + share,
        evidence=base.evidence | {"onset_known": "dated"},
    )


def upper_share(days: Sequence[DayDecisions], usual: UsualThreshold, rows: float) -> float:
    """Return the largest share of decisions that may differ. It includes the bins within which the usual threshold lies."""
    wide = UsualThreshold(usual.lowest + 1, usual.highest - 1, usual.days)
    return min(sum(day.differing(wide) for day in days) / rows, 1.0)


def middle_score(highest: int, lowest: int) -> float:
    """Return the middle of the two scores between which a threshold lies."""
    bounds = np.concatenate([[0.0], SCORE_EDGES, [1.0]])
    return float((bounds[min(highest, lowest)] + bounds[max(highest, lowest) + 1]) / 2)


def evidence_of(days: Sequence[DayDecisions], usual: UsualThreshold, before: float, after: float) -> dict[str, Any]:
    """Return the two thresholds, the scores that the usual threshold certainly decides, and the daily share of positive decisions since the
    change.
    """
    positive = [[(EPOCH + timedelta(days=day.day)).date().isoformat(), float(day.counts[1].sum() / day.counts.sum())] for day in days]
    sure = {"negative_below": float(SCORE_EDGES[max(usual.highest - 1, 0)]), "positive_from": float(SCORE_EDGES[usual.lowest])}
    return {"baseline": before, "threshold": after, **sure, "positive_decisions_by_day": positive}
