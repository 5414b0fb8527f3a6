"""Estimate the model's performance while labels have not arrived yet.

The results are estimates, not measurements: confidence-based (CBPE) for classifiers, direct loss estimation (DLE) on a sample of limited
size for regressions. Both assume that scores have the same meaning as in the reference, so they cannot detect concept drift. Therefore each
estimate is reported with its last measured error, on days whose labels have arrived. An estimate that failed this check is marked as not
trusted. If the estimate of the main metric failed, all others are marked too, because they are based on the same scores. An estimate whose
inputs are far from the reference extrapolates (detection/extrapolation.py): its severity is `unknown`, and the finding says how many labels
of the window are needed to decide. An estimate needs action only if labels are missing; otherwise serving/performance decides.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.analyzers.serving import drift
from observability.analyzers.serving.performance import limit_value
from observability.core.analyzer import OTHERS, Analyzer, Ask, Context, Frames
from observability.core.finding import Finding, Severity
from observability.core.metric_definitions import METRICS
from observability.core.questions import Aggregate, Bucket, By, EstimatedErrors
from observability.detection import estimate_sentences as words
from observability.detection import estimate_variation
from observability.detection.change import WindowChange, significant_severity, stated_limits
from observability.detection.extrapolation import FarInput, far_inputs, input_sides
from observability.detection.metric_changes import difference_error
from observability.metrics.estimate_accuracy import EstimateCheck, check_classifier_estimates, check_regression_estimates
from observability.metrics.estimates import (
    MINIMUM_REFERENCE,
    MetricEstimates,
    error_variances,
    estimate_metrics,
    estimate_questions,
    estimate_regression,
    labels_to_settle,
    score_calibration,
)
from observability.metrics.measured_windows import days_in, row_error
from observability.metrics.metric_limits import LIMITS
from observability.metrics.performance import HEADLINE, served_and_labelled
from observability.stats.difference_intervals import difference_interval
from observability.stats.interval import Interval
from observability.stats.multiple_testing import benjamini_hochberg

if TYPE_CHECKING:
    from pandas import DataFrame

NAME = "serving/estimated_performance"
MATURE = 0.8
PAST_DAYS = 56
MINIMUM_ROWS = 100
DAY = (Bucket("day"),)


@dataclass(frozen=True)
class Estimates:
    """The estimates of the window and of the reference, their last measured errors, and the between-day variance of their change.

    far: the inputs that are far from the reference; if there are any, the estimates are extrapolations.
    """

    now: MetricEstimates
    before: MetricEstimates
    checks: dict[str, EstimateCheck]
    days: estimate_variation.Days
    far: tuple[FarInput, ...] = ()


def needs(context: Context) -> dict[str, Ask]:
    """Return the queries: outcomes by day of the window and of the eight weeks before, and outcomes of the reference; for a regression,
    also the stored error estimates; and the inputs' histograms, as in serving/drift.
    """
    if context.model.task is None or not context.version.reference_rows:
        return {"current_counts": Ask(Aggregate("outcomes", keys=(By("label"),)))}
    if context.model.task == "regression":
        counts = Aggregate("outcomes", keys=(*DAY, By("label")))
        return {
            "current_counts": Ask(counts),
            "past_counts": Ask(counts, span="past", days=PAST_DAYS),
            "current_errors": Ask(EstimatedErrors()),
            "past_errors": Ask(EstimatedErrors(), span="past", days=PAST_DAYS),
            "reference_errors": Ask(EstimatedErrors(), span="reference"),
            **input_asks(context),
        }
    dated, whole = estimate_questions(context.model, *DAY), estimate_questions(context.model)
    asks = {f"current_{name}": Ask(each) for name, each in dated.items()}
    asks |= {f"past_{name}": Ask(each, span="past", days=PAST_DAYS) for name, each in dated.items()}
    asks |= {f"reference_{name}": Ask(each, span="reference") for name, each in whole.items() if name != "sums"}
    return asks | input_asks(context)


def input_asks(context: Context) -> dict[str, Ask]:
    """Return the queries for the inputs' histograms of the window and of the reference; none if no input has edges."""
    asks = drift.needs(context)
    if "reference" not in asks or drift.drift_columns(context) in ((), ("score",)):
        return {}
    return {"current_inputs": asks["current"], "reference_inputs": asks["reference"]}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return one finding for each metric that can be estimated, and one about the last measured error of the main metric."""
    served, labelled = served_and_labelled(frames["current_counts"])
    main = HEADLINE.get(context.model.task or "", "judged")
    if served == 0:
        return [undecided_estimate(context, main, 0, "No predictions in this window, so there is nothing to estimate.")]
    if context.model.task is None:
        return [
            undecided_estimate(context, main, int(served), "The task is not known: register this model to have its performance estimated.")
        ]
    if not context.version.reference_rows:
        return [undecided_estimate(context, main, int(served), words.NO_REFERENCE)]
    found = of_regression(frames, context) if main == "mae" else of_classifier(frames, context)
    if found is None:
        return [undecided_estimate(context, main, int(served), words.small_reference(MINIMUM_REFERENCE))]
    if not found.now:
        return [undecided_estimate(context, main, int(served), words.NOT_ESTIMATED if main == "mae" else words.NO_DECISIONS)]
    if "current_inputs" in frames and labelled < MATURE * served:
        found = replace(found, far=tuple(far_inputs(input_sides(frames["current_inputs"], frames["reference_inputs"], context))))
    changes = {
        metric: change
        for metric, each in found.now.items()
        if (change := estimate_change(metric, each.interval, found, context)) is not None
    }
    adjusted = benjamini_hochberg([each.p_value for each in changes.values()], context.budget)[0]
    of_p = {metric: float(p) for metric, p in zip(changes, adjusted)}
    said = [
        estimate_finding(context, found, metric, changes.get(metric), of_p.get(metric, 1.0), served, labelled)
        for metric in found.now
        if metric in LIMITS
    ]
    return [*said, *about_error(context, found.checks, main)]


def of_classifier(frames: Frames, context: Context) -> Estimates | None:
    """Return confidence-based estimates; None if the reference is too small to calibrate scores on."""
    counts, classes, past_classes = (frames.get(name) for name in ("current_counts", "current_classes", "past_classes"))
    assert counts is not None
    known = score_calibration(context.model, frames["reference_counts"], frames.get("reference_classes"))
    if known is None:
        return None
    past = frames["past_counts"]
    by_day = estimate_variation.of_binary(known, past) if past_classes is None else estimate_variation.of_classes(known, past, past_classes)
    return Estimates(
        estimate_metrics(known, counts, classes),
        estimate_metrics(known, frames["reference_counts"], frames.get("reference_classes")),
        check_classifier_estimates(known, frames, context.window.start),
        estimate_days(by_day, counts, context),
    )


def of_regression(frames: Frames, context: Context) -> Estimates:
    """Return direct loss estimates of the sampled rows."""
    now, reference, counts = frames["current_errors"], frames["reference_errors"], frames["current_counts"]
    spread = error_variances(reference)
    return Estimates(
        estimate_regression(now, spread, served_and_labelled(counts)[0])[0],
        estimate_regression(reference, spread, context.version.reference_rows)[0],
        check_regression_estimates(context.model, frames, context.window.start),
        estimate_days(estimate_variation.of_errors(frames["past_errors"], spread), counts, context),
    )


def estimate_days(past: estimate_variation.Daily, counts: "DataFrame", context: Context) -> estimate_variation.Days:
    """Return, for each metric, the variance between days of its change since the reference."""
    days = int(np.unique(days_in(counts)).size)
    return estimate_variation.estimate_day_variances(
        past, days, served_and_labelled(counts)[0] / max(days, 1), context.version.reference_rows
    )


def estimate_change(metric: str, now: Interval, found: Estimates, context: Context) -> WindowChange | None:
    """Return how much worse an estimate is than in the reference (in points, or relative); None if they cannot be compared."""
    then = found.before[metric].interval if metric in found.before else None
    if metric not in LIMITS or then is None or then.value is None or now.value is None or now.n < MINIMUM_ROWS:
        return None
    change = difference_interval(now, then)
    if change.value is None or change.low is None or change.high is None:
        return None
    worse = -change.value if METRICS[metric].better == "high" else change.value
    scale = abs(then.value) if LIMITS[metric][0] == "relative" and then.value else 1.0
    error = difference_error(change, *(found.days.get(metric) or estimate_variation.assumed_variance(row_error(now))))
    varies = error.reach / scale if error.days_known else 0.0
    return WindowChange(
        days=context.window.days,
        whole=True,
        effect=worse / scale,
        p_value=error.p_value(change.value),
        limits=estimate_limits(metric, context),
        varies=varies,
    )


def estimate_limits(metric: str, context: Context) -> tuple[float, float]:
    """Return the losses of an estimated metric from which the severity is `watch` and `act`."""
    return stated_limits(context.model.settings, f"{NAME}/{metric}", *LIMITS[metric][1:])


def estimate_finding(
    context: Context,
    found: Estimates,
    metric: str,
    change: WindowChange | None,
    adjusted: float,
    served: float,
    labelled: float,
) -> Finding:
    """Return the finding about one metric."""
    now, check = found.now[metric].interval, found.checks.get(metric)
    then = found.before[metric].interval if metric in found.before else None
    rows = int(served) if context.model.task != "regression" else round(now.n)
    base = replace(
        undecided_estimate(context, metric, rows, ""),
        value=now.value,
        low=now.low,
        high=now.high,
        evidence={
            "baseline": then.value if then else None,
            "label_maturity": labelled / served,
            "served": int(served),
            "check": None if check is None else as_json(check),
            "p_adjusted": adjusted if change else None,
            "worse_by": change.effect if change else None,
            "varies_up_to": change.varies if change else None,
        },
    )
    if now.value is None or now.n < MINIMUM_ROWS:
        return replace(base, because=words.too_few_rows_sentence(metric, now.n, MINIMUM_ROWS))
    if (wrong := failed_check(found, metric, context)) is not None:
        return replace(base, because=words.distrusted_sentence(metric, now, wrong))
    limits = change.limits if change else estimate_limits(metric, context)
    missing = labelled < MATURE * served
    if found.far:
        return extrapolated_finding(base, found, limits[1], labelled)
    severity: Severity = "ok"
    if change is not None:
        severity = estimated_severity(change, check, adjusted, context, missing=missing)
    if now.low is None or now.high is None:
        severity = "unknown"
    said = words.estimate_sentence(
        metric,
        now,
        then,
        check,
        rows,
        in_sample=context.version.in_sample,
        missing=1 - labelled / served if missing else None,
        open_fall=severity == "unknown",
    )
    return replace(
        base,
        severity=severity,
        because=said,
        limit=None if then is None or then.value is None else limit_value(metric, then.value, limits[severity == "act"]),
        rank=6.0 + min(max(change.effect if change else 0.0, 0.0) / limits[1], 5.0) if limits[1] > 0 else 6.0,
    )


def failed_check(found: Estimates, metric: str, context: Context) -> EstimateCheck | None:
    """Return the failed check because of which an estimate is not trusted. It is the metric's own check, or the check of the main metric,
    because all estimates are based on the same scores. None if neither failed.
    """
    checks = (found.checks.get(metric), found.checks.get(HEADLINE.get(context.model.task or "", "")))
    return next((check for check in checks if check is not None and check.failed), None)


def estimated_severity(change: WindowChange, check: EstimateCheck | None, adjusted: float, context: Context, *, missing: bool) -> Severity:
    """Return the severity of an estimated change.

    A change beyond its limit is `unknown` if it is not significant, or if labels have arrived (serving/performance then decides). It can be
    `act` only if the estimate was accurate enough on the last labels.
    """
    watch, act = change.limits
    if change.effect < watch:
        return "ok"
    trusted = check is not None and check.held and not context.version.in_sample
    severity = significant_severity(True, change.effect >= act and trusted, adjusted, context.budget)
    return severity if missing and severity != "ok" else "unknown"


def extrapolated_finding(base: Finding, found: Estimates, fall: float, labelled: float) -> Finding:
    """Return the finding about an estimate that extrapolates. It is `unknown` and has no interval; it states how many labels would be
    enough to decide.

    fall: the smallest critical fall, in points or relative. labelled: number of the window's labels that have arrived.
    """
    metric, now = base.metric, found.now[base.metric]
    then = found.before[metric].interval.value if metric in found.before else None
    scale = 1.0 if LIMITS[metric][0] == "points" else abs(now.interval.value or 0.0 if then is None else then)
    needed = labels_to_settle(metric, now, then, fall * scale)
    evidence = {"extrapolates": [[each.name, each.psi, each.outside] for each in found.far], "labels_needed": needed, "fall": fall}
    said = words.extrapolation_sentence(metric, now.interval, list(found.far), fall, needed, round(labelled), base.evidence["served"])
    return replace(base, low=None, high=None, because=said, evidence=base.evidence | evidence)


def about_error(context: Context, checks: dict[str, EstimateCheck], main: str) -> list[Finding]:
    """Return the finding about the main metric's last measured error; none if there were no labels to check it with."""
    check = checks.get(main)
    if check is None:
        return []
    base = replace(
        context.undecided(NAME, "model", "estimate_error", check.n, "", against="level"),
        value=check.error.value,
        low=check.error.low,
        high=check.error.high,
        limit=(-check.allowed, check.allowed),
        evidence=as_json(check),
    )
    known = None not in (base.value, base.low, base.high)
    return [replace(base, severity="ok" if known and not check.failed else "unknown", because=words.error_sentence(check))]


def as_json(check: EstimateCheck) -> dict[str, Any]:
    """Return a check as JSON-compatible values."""
    return {
        "metric": check.metric,
        "estimated": check.estimated,
        "measured": check.measured,
        "error": check.error.value,
        "low": check.error.low,
        "high": check.error.high,
        "allowed": check.allowed,
        "days": check.days,
        "first": check.first.isoformat(),
        "last": check.last.isoformat(),
        "n": check.n,
        "failed": check.failed,
    }


def undecided_estimate(context: Context, metric: str, n: int, because: str) -> Finding:
    """Return a finding of severity `unknown`, whose fields are replaced if a verdict is possible."""
    return replace(context.undecided(NAME, "model", metric, n, because), basis="estimated")


ANALYZER = Analyzer(
    NAME,
    "What is the estimated performance where labels are missing, and how accurate were past estimates?",
    needs,
    analyze,
    limits={metric: act for metric, (_, _, act) in LIMITS.items()},
    proofs={OTHERS: "it is an estimate without labels, or the error of one"},
)
