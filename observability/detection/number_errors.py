"""Tests whether the numeric answers of a vendor's model are farther from the right answers than before, by mean absolute errors that are
paired by question.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from observability.core.finding import Finding, Severity
from observability.core.numerals import format_figure
from observability.detection.answer_changes import MIN_ROUNDS, first_round_beyond
from observability.detection.number_shifts import TOLERATED
from observability.detection.probe_claims import ERROR, SURER, JudgedSet
from observability.stats.arrays import Floats
from observability.stats.interval import Interval, ordered_interval


@dataclass(frozen=True, eq=False)
class NumberError:
    """The mean absolute error of the newest round on `n` questions, and by how much it exceeds that of the baseline and of the round
    before.

    Each has a 95 % interval over the questions; the differences are paired by question. before: error of the baseline. since_last: None if
    the previous round has too few of these questions. p_value: the probability of a mean error this far from those of the baseline's
    rounds. tolerance: mean of the tolerances of the questions. growths: for each round, the growth since the baseline, NaN if unknown.
    """

    value: Interval
    before: float
    growth: Interval
    since_last: Interval | None
    p_value: float
    tolerance: float
    growths: Floats

    @property
    def part(self) -> float:
        """The growth since the baseline, divided by the tolerance. If numbers repeat exactly, it is infinite as soon as the error grew at
        all.
        """
        more = self.growth.value or 0.0
        return max(more, 0.0) / self.tolerance if self.tolerance > 0 else float("inf") if more > 0 else 0.0


def number_error(judged: JudgedSet) -> NumberError | None:
    """The error of the newest round; None if answers are not numbers, or if too few questions have a known right answer."""
    rounds, tolerances = judged.rounds, judged.changes.tolerances
    if rounds.values is None or rounds.expected is None or tolerances is None:
        return None
    errors = np.abs(rounds.values - rounds.expected)
    past = errors[list(judged.changes.baseline)]
    asked = np.isfinite(errors[judged.last]) & np.isfinite(past).any(axis=0)
    if asked.sum() < MIN_ROUNDS:
        return None
    own, past = errors[judged.last, asked], past[:, asked]
    usual = np.nanmean(past, axis=0)
    growths = np.array([line[known].mean() if (known := np.isfinite(line)).any() else np.nan for line in errors[:, asked] - usual])
    gaps = past - usual
    nights = np.array([line[known].mean() for line in gaps if (known := np.isfinite(line)).any()])
    more, error = float((own - usual).mean()), float(nights.std(ddof=1) * np.sqrt(1 + 1 / nights.size)) if nights.size > 1 else 0.0
    p_value = float(2 * stdtr(nights.size - 1, -abs(more) / error)) if error > 0 else float(more == 0)
    last = own - errors[judged.last - 1, asked] if judged.last else own[:0]
    return NumberError(
        _mean_interval(own),
        float(usual.mean()),
        _mean_interval(own - usual),
        _mean_interval(last[np.isfinite(last)]) if np.isfinite(last).sum() >= MIN_ROUNDS else None,
        p_value,
        float(tolerances[asked].mean()),
        growths,
    )


def _mean_interval(values: Floats) -> Interval:
    """The mean of values with its 95 % interval by Student's t."""
    half = float(stdtrit(values.size - 1, 0.975) * values.std(ddof=1) / np.sqrt(values.size))
    return ordered_interval(mean := float(values.mean()), mean - half, mean + half, values.size)


def error_finding(judged: JudgedSet, error: NumberError, p: float) -> Finding:
    """The finding about the error; its evidence contains the paired differences. p: the adjusted p-value."""
    budget, part = judged.context.budget, error.part
    sure = p <= budget
    severity: Severity = "ok" if part < TOLERATED[0] else "unknown" if not sure else "watch"
    if severity == "watch" and part >= TOLERATED[1] and p <= budget / SURER:
        severity = "act"
    value, more = error.value.value or 0.0, error.growth.value or 0.0
    least = max(TOLERATED[0] * error.tolerance, np.finfo(float).tiny)  # if numbers repeat exactly, any growth counts
    first = first_round_beyond(error.growths, judged.last, least, above=True)
    because = (
        f"Answers to set `{judged.rounds.name}` are on average {format_figure(value, 3)} from the right numbers in the newest round, "
        f"{format_figure(error.before, 3)} in the baseline ({int(error.value.n):,} questions)."
    )
    if severity == "unknown":
        because += f" The growth of {format_figure(more, 3)} is not significant: more questions or rounds are needed."
    return judged.finding(
        ERROR,
        int(error.value.n),
        because,
        severity=severity,
        limit=error.before + TOLERATED[severity == "act"] * error.tolerance,
        evidence={
            "set": judged.rounds.name,
            "baseline": error.before,
            "difference": list(error.growth.triple),
            "since_last": None if error.since_last is None else list(error.since_last.triple),
            "p_adjusted": p,
            **judged.answers_of_baseline,
        },
        **error.value.fields,
        **judged.dated(first, severity),
    )
