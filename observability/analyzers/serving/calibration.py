"""Do scores still mean what they say: is an event that is given 0.3 seen 3 times in 10?

Chances are held against what came true, in two ways: by groups of equal mass (ECE), against the reference that the model did not see, and
cumulatively (ECCE), against a model without fault. An ECE is never zero, so it is always told with what a model without fault shows at this size.
Reported is only what is more than chance and large enough to matter. Of a regression: whether the truth rises by one where the prediction does.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Against, Finding, Severity, needs_action
from observability.core.questions import Aggregate, Bucket, By, Sample
from observability.core.window import EPOCH
from observability.metrics import calibration_slope
from observability.metrics.calibration_slope import about_slope
from observability.metrics.performance import maturity
from observability.metrics.reliability import MINIMUM_LABELS, Daily, Judged, daily, judged, question, scored, trend
from observability.stats.calibration import Reliability, brier_parts, calibration_change_p_value
from observability.stats.dispersion import LEAST_DAYS, share_left, variation
from observability.stats.multiple import ACT_SHARE, benjamini_hochberg
from observability.stats.scores import SCORE_EDGES, SCORE_MIDDLES

NAME = "serving/calibration"
WATCH, ACT = 0.02, 0.05
"""The smallest error beyond that of a model without fault that matters: 2 points in the mean distance between score and truth for a watch, 5 for an
act. At these limits a week of 1,000 labels finds a five-point fault eight times in ten. `limits` of the model's settings override the act limit."""
SURE_BY_ROWS = 1e-4
"""An error as large as an act that only the variation of days may explain is shown as a watch from this chance by rows on, as in serving/performance."""
DAY_MINIMUM = 20
MATURE = 0.8
PAST_DAYS, BASELINE_DAYS = 56, 28
"""Days that tell how much calibration varies by itself; and those that stand for the month before."""
PAST_MINIMUM = 100
SAMPLE_ROWS = 10_000
"""Rows of a regression that truth and prediction are compared on."""


@dataclass(frozen=True)
class Baseline:
    """What calibration is held against: the held-out reference, else the model's own past month; judged on the groups of now."""

    against: Against
    judged: Judged
    p_value: float

    @property
    def word(self) -> str:
        """What it is called in a sentence."""
        return "the reference" if self.against == "reference" else "the month before"


def needs(context: Context) -> dict[str, Ask]:
    """Outcomes by score bin, of the window by day, of the reference and of the month before; of a regression a sample of rows."""
    labels = Aggregate("outcomes", keys=(By("label"),))
    if context.model.task is None:
        return {"current_counts": Ask(labels)}
    if context.model.task == "regression":
        rows = Sample("outcomes", ("at", "score", "label_value"), SAMPLE_ROWS)
        asks = {"current_counts": Ask(labels), "past_counts": Ask(labels, span="past", days=BASELINE_DAYS), "current_rows": Ask(rows)}
        usable = context.version.reference_rows and not context.version.in_sample
        return asks | {"before_rows": Ask(rows, span="reference") if usable else Ask(rows, span="past", days=BASELINE_DAYS)}
    asks = {
        "current_counts": Ask(question(context.model, Bucket("day"))),
        "past_counts": Ask(question(context.model, Bucket("day")), span="past", days=PAST_DAYS),
    }
    if context.version.reference_rows:
        asks["reference_counts"] = Ask(question(context.model), span="reference")
    return asks


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Of a classifier one finding for the ECE and one for the ECCE, of a regression one for the slope."""
    counts = frames["current_counts"]
    served, labelled = maturity(counts)
    metric = "calibration_slope" if context.model.task == "regression" else "ece"
    if context.model.task is None:
        sentence = "The task is not known: register this model to have its calibration judged."
        return [context.undecided(NAME, "model", "judged", int(served), sentence)]
    if served == 0:
        return [context.undecided(NAME, "model", metric, 0, "No predictions in this window, so calibration cannot be told.")]
    if context.model.task == "regression":
        young = labelled < MATURE * usual_maturity(*maturity(frames["past_counts"])) * served
        return [about_slope(NAME, frames, context, labelled / served, young)]
    by_day, past = daily(context.model, counts), daily(context.model, frames["past_counts"])
    young = labelled < MATURE * usual_maturity(*past.maturity) * served
    now = by_day.whole()
    found = judged(now)
    if found is None or found.ece.n < MINIMUM_LABELS:
        more = max(round(MINIMUM_LABELS - (found.ece.n if found else 0.0)), 1)
        sentence = f"Calibration cannot be told on {now.n:,} labelled predictions with a score: it needs about {more:,} more."
        return [context.undecided(NAME, "model", metric, now.n, sentence)]
    before = baseline(frames, past, context, found)
    varies = varies_up_to(past, by_day, found, before)
    p_values = [*((before.p_value,) if before else ()), found.ecce.p_value]
    adjusted = [float(each) for each in benjamini_hochberg(p_values, context.budget)[0]]
    return [
        about_groups(context, found, before, adjusted[0] if before else None, labelled / served, young, by_day, varies),
        about_cumulated(context, found, before, adjusted[-1], labelled / served, young, varies),
    ]


def usual_maturity(served: float, labelled: float) -> float:
    """Share of the past month's predictions that are labelled by now; 1 where there is no past, so that 80 % is asked for."""
    return labelled / served if served >= PAST_MINIMUM and labelled else 1.0


def baseline(frames: Frames, past: Daily, context: Context, now: Judged) -> Baseline | None:
    """The held-out reference, else the past month; None where neither has labels enough. An in-sample reference flatters and is passed over."""
    sides: list[Against] = ["past"]
    if "reference_counts" in frames and not context.version.in_sample:
        sides.insert(0, "reference")
    month = (context.window.start - timedelta(days=BASELINE_DAYS) - EPOCH) / timedelta(days=1)
    for against in sides:
        rows = past.whole(month) if against == "past" else scored(context.model, frames["reference_counts"])
        before = judged(rows, now.groups.index)
        if before is not None and before.ece.n >= MINIMUM_LABELS:
            return Baseline(against, before, calibration_change_p_value(now.groups, before.groups))
    return None


def about_groups(
    context: Context,
    now: Judged,
    before: Baseline | None,
    adjusted: float | None,
    mature: float,
    young: bool,
    by_day: Daily,
    varies: float,
) -> Finding:
    """The finding about the ECE: has it grown since the reference?"""
    error = now.ece
    smallest = context.model.settings.limits.get(f"{NAME}/ece", ACT)
    watch, act = max(min(WATCH, smallest), varies), max(smallest, varies)
    stood = max(before.judged.ece.excess, 0.0) if before else 0.0
    grown = error.excess - stood
    severity: Severity = "ok"
    if before is None or adjusted is None:
        severity = "unknown"
    elif grown >= watch and adjusted <= context.budget:
        severity = "act" if grown >= act and adjusted <= context.budget * ACT_SHARE else "watch"
    explained = (
        severity == "ok" and adjusted is not None and grown >= smallest and adjusted <= min(context.budget * ACT_SHARE, SURE_BY_ROWS)
    )
    severity = "watch" if explained else severity
    late = young and needs_action(severity)
    what = "Scores are" if context.model.task == "binary" else "Confidences are"
    said = f"{what} {points(error.value)} from what came true on average ({points(error.low, '')} to {points(error.high)})"
    said += f" on {now.scored.n:,} labelled predictions; a model without fault shows {points(error.null_mean)} at this size"
    if before is None:
        said += ", and there is no held-out reference or past with labels to compare with"
    else:
        said += f", and {before.word} was at {points(before.judged.ece.value)}"
        said += " where it shows " + points(before.judged.ece.null_mean)
    said += own_days(varies, WATCH) + (", so this may be such days" if explained else "")
    return replace(
        context.undecided(NAME, "model", "ece", now.scored.n, "", against=before.against if before else "level"),
        value=error.value, low=error.low, high=error.high, limit=error.null_mean + stood + (act if severity == "act" else watch),
        severity="unknown" if late else severity,
        because=f"{said}{too_early(mature) if late else ''}.",
        rank=9.0 + min(grown / act, 5.0) if act > 0 else 9.0,
        evidence={
            "null_mean": error.null_mean, "null_95": error.null_95, "excess": error.excess, "grown": grown if before else None,
            "baseline": before.judged.ece.value if before else None, "baseline_null_mean": before.judged.ece.null_mean if before else None,
            "baseline_n": before.judged.scored.n if before else None, "varies_up_to": varies, "p_value": before.p_value if before else None, "p_adjusted": adjusted,
            "label_maturity": mature, "groups": as_rows(now.groups), "brier_parts": list(brier_parts(now.groups)),
            "trend": trend(by_day),
        },
    )  # fmt: skip


def about_cumulated(
    context: Context, now: Judged, before: Baseline | None, adjusted: float, mature: float, young: bool, varies: float
) -> Finding:
    """The finding about the ECCE: is the model without fault, as far as this many labels can tell?"""
    error = now.ecce
    limit = max(WATCH, varies)
    beyond = error.excess >= limit and adjusted <= context.budget
    stood = before is not None and before.judged.ecce.excess >= WATCH and before.judged.ecce.p_value <= context.budget
    severity: Severity = "watch" if beyond and not stood else "ok"
    late = young and severity == "watch"
    where = f"{interval_words(error.start or 0, error.end or 0)} say {points(abs(error.gap or 0.0))} too {'little' if (error.gap or 0) > 0 else 'much'}"
    where += f" on average, over {100 * (error.held or 0):.0f} % of the labelled predictions"
    chance = f"(p {p_words(error.p_value)})"
    said = f"{where} {chance}, more than chance gives a model without fault"
    if adjusted > context.budget:
        said = f"No stretch of scores is surely off: the farthest lacks or exceeds {points(error.value)} of all labelled predictions {chance}, not beyond this run's budget of false alarms"
    if beyond and stood and before is not None:
        said += f"; it stood in {before.word}"
    elif adjusted <= context.budget and error.excess < limit:
        small = "and no more than its own days vary it" if varies > WATCH else "and too small to matter"
        said += f"; surely there, {small} (below {points(limit)} of all)"
    return replace(
        context.undecided(NAME, "model", "ecce", now.scored.n, "", against="level"),
        value=error.value, low=error.low, high=error.high, limit=error.null_mean + limit, severity="unknown" if late else severity,
        because=f"{said}{too_early(mature) if late else ''}.",
        rank=8.0,
        evidence={
            "p_value": error.p_value, "p_adjusted": adjusted, "null_mean": error.null_mean, "null_95": error.null_95, "gap": error.gap,
            "held": error.held, "baseline": before.judged.ecce.value if before else None, "stood_before": stood, "varies_up_to": varies, "label_maturity": mature,
        },
    )  # fmt: skip


def varies_up_to(past: Daily, by_day: Daily, now: Judged, before: Baseline | None) -> float:
    """How far truth and score of clean weeks stray apart by themselves, 99 times in 100, as days differ; 0 where too few days of past are known.

    Told from the mean of truth less score of each day: what a day does to all of its rows alike.
    """
    from scipy.special import stdtrit

    rows = past.total.sum(axis=1)
    kept = rows >= DAY_MINIMUM
    if kept.sum() < LEAST_DAYS:
        return 0.0
    n, expected = rows[kept], past.total[kept] @ SCORE_MIDDLES
    chance = np.clip(expected / n, 0.01, 0.99)
    noise = chance * (1 - chance) * past.squares[kept].sum(axis=1) / n**2
    known = variation((past.positive[kept].sum(axis=1) - expected) / n, noise, past.days[kept])
    length = float(np.count_nonzero(by_day.labelled))
    baseline_days = float(BASELINE_DAYS if before is None else np.clip(before.judged.ece.n / max(now.ece.n / max(length, 1.0), 1.0), 7, 90))
    share = share_left(length, known.correlation) + share_left(baseline_days, known.correlation)
    return float(stdtrit(known.freedom, 0.995)) * float(np.sqrt(known.between[0] * share))


def own_days(varies: float, limit: float) -> str:
    """Where the limit comes from, where it is not the smallest error that matters."""
    return f"; its own days vary it by up to {points(varies)}" if varies > limit else ""


def as_rows(groups: Reliability) -> list[list[float]]:
    """[mean score, share of positives, low, high, n] of each group that holds rows."""
    return [
        [float(each) for each in row]
        for row in zip(groups.score, groups.rate, groups.low, groups.high, groups.n, strict=True)
        if row[4] > 0 and np.isfinite(row).all()
    ]


def interval_words(start: int, end: int) -> str:
    """The scores between two bins, in words."""
    edges = np.concatenate([[0.0], SCORE_EDGES, [1.0]])
    low, high = float(edges[start]), min(float(edges[end + 1]), 1.0)
    if low <= 0 and high >= 1:
        return "All scores together"
    if low <= 0:
        return f"Scores below {high:.2g}"
    return f"Scores from {low:.2g} up" if high >= 1 else f"Scores from {low:.2g} to {high:.2g}"


def points(share: float, unit: str = " points") -> str:
    """A share in points: 0.032 is 3.2 points."""
    return f"{share * 100:.1f}{unit}"


def p_words(p: float) -> str:
    """A p-value as a person reads it."""
    return "below 0.0001" if p < 1e-4 else f"= {p:.2g}"


def too_early(mature: float) -> str:
    """That most labels are still to come."""
    return f"; but only {100 * mature:.0f} % of the labels are in: too early to tell"


ANALYZER = Analyzer(
    NAME,
    "Do scores mean what they say, as far as labels tell, and as much as in the reference?",
    needs,
    analyze,
    limits={"ece": ACT, "calibration_slope": calibration_slope.ACT},
    labels=True,
)
