"""Measure calibration: whether scores match observed frequencies.

Predicted probabilities are compared with outcomes in two ways: by groups of equal mass (ECE), compared with the held-out reference; and
cumulatively (ECCE), compared with a perfectly calibrated model. An ECE is never zero, so it is always reported with the value that sampling
noise alone gives for this number of rows. Only errors that are both significant and large need action. For regression, the check is whether
the outcome rises by one when the prediction rises by one.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Against, Finding, Severity, needs_action, news_given_before
from observability.core.owner_level import owner_limit_words
from observability.core.questions import Aggregate, Bucket, By, Sample
from observability.core.window import EPOCH
from observability.detection.change import DifferenceError, significant_severity, stated_limits
from observability.detection.windows import reference_days
from observability.metrics import calibration_slope
from observability.metrics.calibration_slope import calibration_slope_finding
from observability.metrics.performance import served_and_labelled
from observability.metrics.reliability import (
    MINIMUM_LABELS,
    CalibrationErrors,
    DailyScoredRows,
    calibration_errors,
    daily_scored_rows,
    ece_by_period,
    score_question,
    scored_rows,
)
from observability.metrics.settled_labels import labelled_days
from observability.proofs.outcomes import CALIBRATION_PROOFS
from observability.stats.calibration import (
    BROWNIAN_95,
    CalibrationError,
    Reliability,
    brier_decomposition,
    brownian_range_p_value,
    calibration_change_p_value,
)
from observability.stats.difference_intervals import decreasing_root
from observability.stats.dispersion import MIN_DAYS, consecutive_day_variation
from observability.stats.multiple_testing import ACT_SHARE, benjamini_hochberg
from observability.stats.scores import SCORE_EDGES, SCORE_MIDDLES

NAME = "serving/calibration"
PARTS = ("total", "squares", "positive", "days")
WATCH, ACT = 0.02, 0.05
"""Smallest calibration error beyond sampling noise that matters: a mean distance of 2 points for `watch`, of 5 points for `act`. At these
limits, a fault of five points is found in a week of 1,000 labels eight times in ten. `limits` of the model's settings override the `act`
limits of `ece` and `ecce`. Variation between days does not raise a limit; it widens the uncertainty, so an error beyond the limit may be
`unknown`.
"""
CRITICAL_SHARE = 0.01
"""Share of the false-discovery budget that may be spent on `act`. With 20 analyzers this means 4.5 standard errors: a model without fault
gets an `act` in fewer than one of a thousand weeks.
"""
SURE_BY_ROWS = 1e-4
"""An error beyond the `act` limit that day-to-day variation might explain is still `watch` if its row-based p-value is at most this value,
as in serving/performance.
"""
DAY_MINIMUM = 20
PAST_DAYS, BASELINE_DAYS = 56, 28
"""Number of past days from which the natural variation of the calibration is estimated, and number of days in the month before."""
PAST_MINIMUM = 100
SAMPLE_ROWS = 10_000
"""Maximum number of rows that are compared for a regression."""


@dataclass(frozen=True)
class Baseline:
    """The baseline of calibration: the held-out reference, else the model's own past month. It is measured on the same score groups as the
    window.
    """

    against: Against
    judged: CalibrationErrors
    p_value: float

    @property
    def word(self) -> str:
        """The name of the baseline in a sentence."""
        return "the reference" if self.against == "reference" else "the month before"


def needs(context: Context) -> dict[str, Ask]:
    """Return the queries: outcomes by score bin, for the window and the past (by day) and for the reference; for a regression, a sample of
    rows.
    """
    labels = Aggregate("outcomes", keys=(Bucket("day"), By("label")))
    if context.model.task is None:
        return {"current_counts": Ask(labels)}
    if context.model.task == "regression":
        rows = Sample("outcomes", ("at", "score", "label_value"), SAMPLE_ROWS)
        asks = {"current_counts": Ask(labels), "past_counts": Ask(labels, span="past", days=BASELINE_DAYS), "current_rows": Ask(rows)}
        usable = context.version.reference_rows and not context.version.in_sample
        return asks | {"before_rows": Ask(rows, span="reference") if usable else Ask(rows, span="past", days=BASELINE_DAYS)}
    asks = {
        "current_counts": Ask(score_question(context.model, Bucket("day"))),
        "past_counts": Ask(score_question(context.model, Bucket("day")), span="past", days=PAST_DAYS),
    }
    if context.version.reference_rows:
        asks["reference_counts"] = Ask(score_question(context.model), span="reference")
    return asks


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return one finding for the ECE and one for the ECCE; for a regression, one finding for the slope."""
    counts = frames["current_counts"]
    served, labelled = served_and_labelled(counts)
    metric = "calibration_slope" if context.model.task == "regression" else "ece"
    if context.model.task is None:
        sentence = "The task is not known: register this model to have its calibration measured."
        return [context.undecided(NAME, "model", "judged", int(served), sentence)]
    if served == 0:
        return [context.undecided(NAME, "model", metric, 0, "No predictions in this window, so calibration cannot be measured.")]
    if context.model.task == "regression":
        young = not labelled_days(counts, past_label_share(*served_and_labelled(frames["past_counts"]))).settled
        return [calibration_slope_finding(NAME, frames, context, labelled / served, young)]
    by_day, past = daily_scored_rows(context.model, counts), daily_scored_rows(context.model, frames["past_counts"])
    young = not labelled_days(counts, past_label_share(*past.maturity)).settled
    now = by_day.whole()
    found = calibration_errors(now)
    if found is None or found.ece.n < MINIMUM_LABELS:
        more = max(round(MINIMUM_LABELS - (found.ece.n if found else 0.0)), 1)
        sentence = f"Calibration cannot be measured on {now.n:,} labelled predictions with a score: that needs about {more:,} more."
        return [context.undecided(NAME, "model", metric, now.n, sentence)]
    before = calibration_baseline(frames, past, context, found)
    error = daily_error(past, by_day, found, before)
    p_values = [*((before.p_value,) if before else ()), found.ecce.p_value]
    adjusted = [float(each) for each in benjamini_hochberg(p_values, context.budget)[0]]
    return [
        ece_finding(context, found, before, adjusted[0] if before else None, labelled / served, young, by_day, error),
        ecce_finding(context, found, before, adjusted[-1], labelled / served, young, error),
    ]


def past_label_share(served: float, labelled: float) -> float:
    """Return the labelled share of the past month's predictions; 1 if there is no past, so that 80 % is required."""
    return labelled / served if served >= PAST_MINIMUM and labelled else 1.0


def calibration_baseline(frames: Frames, past: DailyScoredRows, context: Context, now: CalibrationErrors) -> Baseline | None:
    """Return the held-out reference, else the past month; None if neither has enough labels.

    An in-sample reference is optimistic and is not used.
    """
    sides: list[Against] = ["past"]
    if "reference_counts" in frames and not context.version.in_sample:
        sides.insert(0, "reference")
    month = (context.window.start - timedelta(days=BASELINE_DAYS) - EPOCH) / timedelta(days=1)
    for against in sides:
        rows = past.whole(month) if against == "past" else scored_rows(context.model, frames["reference_counts"])
        before = calibration_errors(rows, now.groups.index)
        if before is not None and before.ece.n >= MINIMUM_LABELS:
            return Baseline(against, before, calibration_change_p_value(now.groups, before.groups))
    return None


def ece_finding(
    context: Context,
    now: CalibrationErrors,
    before: Baseline | None,
    adjusted: float | None,
    mature: float,
    young: bool,
    by_day: DailyScoredRows,
    of_days: DifferenceError,
) -> Finding:
    """Return the finding about the ECE and its growth since the baseline."""
    error, settings = now.ece, context.model.settings
    limits = stated_limits(settings, f"{NAME}/ece", WATCH, ACT)
    stood = max(before.judged.ece.excess, 0.0) if before else 0.0
    grown = error.excess - stood
    verdict = ErrorVerdict("unknown", "")
    if before is not None and adjusted is not None:
        verdict = error_verdict(grown, limits, adjusted, context.budget, of_days)
    severity = verdict.severity
    late = young and needs_action(severity)
    what = "Scores deviate" if context.model.task == "binary" else "Confidences deviate"
    said = f"{what} {in_points(error.value)} from outcomes on average ({in_points(error.low, '')} to {in_points(error.high)})"
    said += f" on {now.scored.n:,} labelled predictions; expected from sampling noise: {in_points(error.null_mean)}"
    if before is None:
        said += "; no held-out reference or labelled past to compare with"
    else:
        said += f"; {before.word}: {in_points(before.judged.ece.value)}"
        said += f" (expected {in_points(before.judged.ece.null_mean)})"
    said += own_days(of_days.reach, limits[0]) + verdict.reason + owner_limit_words(settings.limits, f"{NAME}/ece", in_points)
    return replace(
        context.undecided(NAME, "model", "ece", now.scored.n, "", against=before.against if before else "level"),
        value=error.value,
        low=error.low,
        high=error.high,
        limit=error.null_mean + stood + limits[severity == "act"],
        severity="unknown" if late else severity,
        because=f"{said}{too_early(mature) if late else ''}.",
        rank=9.0 + min(grown / limits[1], 5.0) if limits[1] > 0 else 9.0,
        evidence={
            "null_mean": error.null_mean,
            "null_95": error.null_95,
            "excess": error.excess,
            "grown": grown if before else None,
            "baseline": before.judged.ece.value if before else None,
            "baseline_null_mean": before.judged.ece.null_mean if before else None,
            "baseline_n": before.judged.scored.n if before else None,
            "varies_up_to": of_days.reach,
            "p_value": before.p_value if before else None,
            "p_adjusted": adjusted,
            "label_maturity": mature,
            "groups": as_rows(now.groups),
            "group_bins": (np.flatnonzero(np.diff(now.groups.index)) + 1).tolist(),
            "brier_parts": list(brier_decomposition(now.groups)),
            "trend": ece_by_period(by_day),
        },
    )


def ecce_finding(
    context: Context,
    now: CalibrationErrors,
    before: Baseline | None,
    adjusted: float,
    mature: float,
    young: bool,
    of_days: DifferenceError,
) -> Finding:
    """Return the finding about the ECCE: whether the deviation from perfect calibration is significant."""
    error, settings = now.ecce, context.model.settings
    limits = stated_limits(settings, f"{NAME}/ecce", WATCH, ACT)
    verdict = error_verdict(error.excess, limits, adjusted, context.budget, of_days)
    severity, limit = verdict.severity, limits[0]
    beyond = needs_action(severity)
    stood = before is not None and before.judged.ecce.excess >= limit and before.judged.ecce.p_value <= context.budget
    late = young and beyond
    month = before.judged.ecce if before is not None and before.against == "past" else None
    was_beyond = None if month is None or (month.excess >= limit and not stood) else stood
    where = (
        f"{interval_words(error.start or 0, error.end or 0)} are {in_points(abs(error.gap or 0.0))} too "
        f"{'low' if (error.gap or 0) > 0 else 'high'}"
    )
    where += f" on average, over {100 * (error.held or 0):.0f} % of the labelled predictions"
    chance = f"(p {p_words(error.p_value)}; adjusted p {p_words(adjusted)}, significant up to {context.budget:.2g})"
    said = f"{where} {chance}"
    if adjusted > context.budget:
        said = (
            f"No score range deviates significantly: largest cumulative deviation {in_points(error.value, ' %')} of all labelled "
            f"predictions {chance}"
        )
    if error.excess >= limit and adjusted > context.budget:
        more = labels_to_tell(error, context.budget * error.p_value / adjusted)
        said += f"; more than the limit of {in_points(error.null_mean + limit)}, but may be chance: a decision needs about {more:,} more "
        said += "labels"
    elif error.excess >= limit:
        said += own_days(of_days.reach, limit) + verdict.reason
    elif adjusted <= context.budget:
        said += f"; significant, but too small to matter (below {in_points(limit, ' %')} of all labelled predictions)"
    said += f"; the same in {before.word}" if beyond and stood and before is not None else ""
    said += owner_limit_words(settings.limits, f"{NAME}/ecce", in_points)
    return replace(
        context.undecided(NAME, "model", "ecce", now.scored.n, "", against="level"),
        value=error.value,
        low=error.low,
        high=error.high,
        limit=error.null_mean + limits[severity == "act"],
        severity="unknown" if late else severity,
        because=f"{said}{too_early(mature) if late else ''}.",
        news=news_given_before(was_beyond) if beyond and not late else None,
        rank=8.0,
        evidence={
            "p_value": error.p_value,
            "p_adjusted": adjusted,
            "null_mean": error.null_mean,
            "null_95": error.null_95,
            "gap": error.gap,
            "held": error.held,
            "baseline": before.judged.ecce.value if before else None,
            "stood_before": stood,
            "standing": beyond and stood,
            "varies_up_to": of_days.reach,
            "label_maturity": mature,
        },
    )


@dataclass(frozen=True)
class ErrorVerdict:
    """The severity of a calibration error. reason: why the severity differs from the one that the size of the error alone would give, as
    the end of a sentence; empty if it does not differ.
    """

    severity: Severity
    reason: str


def error_verdict(size: float, limits: tuple[float, float], adjusted: float, budget: float, of_days: DifferenceError) -> ErrorVerdict:
    """Return the severity of an error beyond chance. It needs action if the error is beyond its limit and significant, by rows (adjusted)
    and by days.

    It is `unknown` if the error is beyond its limit, but chance in the rows or variation between days may explain it. It is `watch` if the
    error is beyond the `act` limit and significant by rows alone.
    """
    by_rows = significant_severity(size >= limits[0], size >= limits[1], adjusted, budget, CRITICAL_SHARE)
    if size < limits[0]:
        return ErrorVerdict("ok", "")
    if by_rows == "ok":
        return ErrorVerdict("unknown", "; more than the limit, but not significant yet")
    if size >= of_days.reach:
        return ErrorVerdict(by_rows if size >= of_days.sure_reach else "watch", "")
    sure = size >= limits[1] and adjusted <= min(budget * ACT_SHARE, SURE_BY_ROWS)
    if sure:
        return ErrorVerdict("watch", ", so normal variation may explain it")
    return ErrorVerdict("unknown", "; more than the limit, but within the daily range: cannot tell yet")


def labels_to_tell(error: CalibrationError, p_value: float) -> int:
    """Return how many more labels would make an ECCE of this size significant at a p-value."""
    needed = decreasing_root(brownian_range_p_value, p_value, 0.5, 10.0) / BROWNIAN_95 * error.null_95
    return max(int(np.ceil(error.n * ((needed / error.value) ** 2 - 1))), 1)


def daily_error(past: DailyScoredRows, by_day: DailyScoredRows, now: CalibrationErrors, before: Baseline | None) -> DifferenceError:
    """Return the standard error that variation between days adds to the mean of score minus outcome; zero if too few days are known.

    It is estimated from the differences between consecutive days, because all rows of a day share the effect of that day.
    """
    total, squares, positive, numbers = (np.concatenate([getattr(each, name) for each in (past, by_day)]) for name in PARTS)
    rows = total.sum(axis=1)
    kept = rows >= DAY_MINIMUM
    if kept.sum() < 2 * MIN_DAYS:
        return DifferenceError(0.0)
    n, expected = rows[kept], total[kept] @ SCORE_MIDDLES
    chance = np.clip(expected / n, 0.01, 0.99)
    noise = chance * (1 - chance) * squares[kept].sum(axis=1) / n**2
    known = consecutive_day_variation((positive[kept].sum(axis=1) - expected) / n, noise, numbers[kept])
    length = float(np.count_nonzero(by_day.labelled))
    days = BASELINE_DAYS if before is None else reference_days(before.judged.ece.n, max(now.ece.n / max(length, 1.0), 1.0))
    return DifferenceError(0.0, float((known.of_mean(length) + known.of_mean(days))[0]), known.freedom)


def own_days(varies: float, limit: float) -> str:
    """Return a clause with the natural variation between days; empty if it is not larger than the limit."""
    return f"; expected daily range up to {in_points(varies)}" if varies > limit else ""


def as_rows(groups: Reliability) -> list[list[float]]:
    """Return [mean score, share of positives, low, high, n] of each group that holds rows."""
    return [
        [float(each) for each in row]
        for row in zip(groups.score, groups.rate, groups.low, groups.high, groups.n, strict=True)
        if row[4] > 0 and np.isfinite(row).all()
    ]


def interval_words(start: int, end: int) -> str:
    """Return the scores between two bins, in words."""
    edges = np.concatenate([[0.0], SCORE_EDGES, [1.0]])
    low, high = float(edges[start]), min(float(edges[end + 1]), 1.0)
    if low <= 0 and high >= 1:
        return "All scores"
    if low <= 0:
        return f"Scores below {high:.2g}"
    return f"Scores from {low:.2g} up" if high >= 1 else f"Scores from {low:.2g} to {high:.2g}"


def in_points(share: float, unit: str = " points") -> str:
    """Return a share in points: 0.032 is 3.2 points."""
    return f"{share * 100:.1f}{unit}"


def p_words(p: float) -> str:
    """Return a p-value as text."""
    return "below 0.0001" if p < 1e-4 else f"= {p:.2g}"


def too_early(mature: float) -> str:
    """Return the clause that most labels have not arrived yet."""
    return f"; only {100 * mature:.0f} % of the labels have arrived: too early to tell"


ANALYZER = Analyzer(
    NAME,
    "Are scores calibrated, and as well as in the reference?",
    needs,
    analyze,
    limits={"ece": ACT, "ecce": ACT, "calibration_slope": calibration_slope.ACT},
    labels=True,
    proofs=CALIBRATION_PROOFS,
)
