"""Tests whether the numeric answers of a vendor's model moved together, by paired differences from the typical answers of the baseline."""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from observability.core.finding import Finding, Severity, needs_action
from observability.core.formatting import format_day
from observability.core.numerals import format_figure
from observability.detection.answer_changes import MIN_ROUNDS
from observability.detection.probe_claims import SHIFT, SURER, JudgedSet, chance_words, tolerance_words, version_words
from observability.stats.arrays import Floats
from observability.stats.interval import Interval, ordered_interval

TOLERATED = (0.25, 0.5)
"""A shift of all answers is `watch` and `act` from these fractions of the mean tolerance. A mean varies less than a single answer."""


@dataclass(frozen=True, eq=False)
class NumberShift:
    """The mean difference of the newest round from the baseline, with its interval over the questions.

    p_value: the probability of a mean that is at least this far from the means of the baseline's rounds. means: the mean of each round.
    tolerance: the mean tolerance of all questions.
    """

    value: Interval
    p_value: float
    means: Floats
    tolerance: float

    def part(self, place: int) -> float:
        """The shift of a round, divided by the mean tolerance. If numbers repeat exactly, it is infinite unless the shift is 0."""
        size = abs(float(self.means[place]))
        return size / self.tolerance if self.tolerance > 0 else float("inf") if size > 0 else 0.0


def number_shift(judged: JudgedSet) -> NumberShift | None:
    """The shift of the newest round; None if answers are not numbers, or if there are too few."""
    gaps, tolerances = judged.changes.gaps, judged.changes.tolerances
    if gaps is None or tolerances is None:
        return None
    own = gaps[judged.last][np.isfinite(gaps[judged.last])]
    means = np.array([line[known].mean() if (known := np.isfinite(line)).any() else np.nan for line in gaps])
    past = means[list(judged.changes.baseline)]
    past = past[np.isfinite(past)]
    if own.size < MIN_ROUNDS or past.size < MIN_ROUNDS:
        return None
    half = float(stdtrit(own.size - 1, 0.975) * own.std(ddof=1) / np.sqrt(own.size))
    mean, error = float(own.mean()), float(past.std(ddof=1) * np.sqrt(1 + 1 / past.size))
    away = mean - float(past.mean())
    p_value = float(2 * stdtr(past.size - 1, -abs(away) / error)) if error > 0 else float(away == 0)
    tolerance = float(np.nanmean(tolerances))
    return NumberShift(ordered_interval(mean, mean - half, mean + half, own.size), p_value, means, tolerance)


def shift_finding(judged: JudgedSet, shift: NumberShift, p: float) -> Finding:
    """The finding about the mean difference between the numbers and the baseline. p: the adjusted p-value."""
    rounds, budget, part = judged.rounds, judged.context.budget, shift.part(judged.last)
    severity: Severity = "ok" if part < TOLERATED[0] else "watch" if p <= budget else "unknown"
    if severity == "watch" and part >= TOLERATED[1] and p <= budget / SURER:
        severity = "act"
    first, asks = judged.last, needs_action(severity)
    while asks and first > 0 and first - 1 not in judged.changes.baseline and shift.part(first - 1) >= TOLERATED[0]:
        first -= 1
    interval = shift.value
    ends = f"{format_figure(interval.low or 0.0, 3)} to {format_figure(interval.high or 0.0, 3)}"
    side = "above" if (interval.value or 0.0) >= 0 else "below"
    said = (
        f"Answers of `{rounds.model}` to set `{rounds.name}` are on average {format_figure(abs(interval.value or 0.0), 3)} {side} the "
        f"baseline ({ends})"
    )
    since = f" since {format_day(rounds.times[first])}" if first < judged.last else " in the newest round"
    because = f"{said}{since}. {version_words(rounds, first)}" if asks else f"{said}.{chance_words(severity)}"
    limit = TOLERATED[severity == "act"] * shift.tolerance
    return judged.finding(
        SHIFT,
        int(interval.n),
        because,
        severity=severity,
        limit=(-limit, limit),
        evidence={
            "set": rounds.name,
            "baseline": 0.0,
            "p_adjusted": p,
            "beyond": tolerance_words(rounds).strip(),
            **judged.answers_of_baseline,
            **({"onset_known": "dated"} if asks else {}),
        },
        **interval.fields,
        **judged.dated(first, severity),
    )
