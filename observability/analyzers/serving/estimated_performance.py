"""How well does the model do where labels have not come in yet, if scores still mean what they meant in the reference?

Estimates, never measurements: confidence-based (CBPE) for classifiers, direct loss estimation (DLE) on a bounded sample for regressions. Both are blind
to a change of the relation between inputs and labels (concept drift). So each estimate stands beside its last measured error, on days whose labels
are in; where it failed there it is not trusted. It alarms only where labels are missing, and leaves the rest to serving/performance.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.analyzers.serving.performance import edge
from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Finding, Severity
from observability.core.metric_definitions import METRICS
from observability.core.questions import Aggregate, Bucket, By, EstimatedErrors
from observability.detection import estimate_sentences as words
from observability.detection import estimate_variation
from observability.detection.metric_changes import chance, reach_of
from observability.metrics.estimate_accuracy import Check, check_classifier, check_regression
from observability.metrics.estimates import MINIMUM_REFERENCE, Figures, estimates, meaning, questions, regression, spreads
from observability.metrics.measured_windows import days_in, row_error
from observability.metrics.metric_limits import LIMITS
from observability.metrics.performance import HEADLINE, maturity
from observability.stats.interval import Interval, difference_interval
from observability.stats.multiple import benjamini_hochberg

if TYPE_CHECKING:
    from pandas import DataFrame

NAME = "serving/estimated_performance"
MATURE = 0.8
PAST_DAYS = 56
MINIMUM_ROWS = 100
ACT_SHARE = 0.2
"""An act may spend a fifth of the run's budget of false discoveries, a watch all of it."""
DAY = (Bucket("day"),)


@dataclass(frozen=True)
class Estimates:
    """What is estimated of the window and of the reference, how right the estimate was where labels came in, and what days add to its change."""

    now: Figures
    before: Figures
    checks: dict[str, Check]
    days: estimate_variation.Days


def needs(context: Context) -> dict[str, Ask]:
    """Outcomes by day of the window and the month before, and of the reference; of a regression the stored estimates of errors beside them."""
    if context.model.task is None or not context.version.reference_rows:
        return {"current_counts": Ask(Aggregate("outcomes", keys=(By("label"),)))}
    if context.model.task == "regression":
        counts = Aggregate("outcomes", keys=(*DAY, By("label")))
        return {
            "current_counts": Ask(counts), "past_counts": Ask(counts, span="past", days=PAST_DAYS),
            "current_errors": Ask(EstimatedErrors()), "past_errors": Ask(EstimatedErrors(), span="past", days=PAST_DAYS),
            "reference_errors": Ask(EstimatedErrors(), span="reference"),
        }  # fmt: skip
    dated, whole = questions(context.model, *DAY), questions(context.model)
    asks = {f"current_{name}": Ask(each) for name, each in dated.items()}
    asks |= {f"past_{name}": Ask(each, span="past", days=PAST_DAYS) for name, each in dated.items()}
    return asks | {f"reference_{name}": Ask(each, span="reference") for name, each in whole.items() if name != "sums"}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """One finding for each metric that can be estimated, and one for the last measured error of the main one."""
    served, labelled = maturity(frames["current_counts"])
    main = HEADLINE.get(context.model.task or "", "judged")
    if served == 0:
        return [blank(context, main, 0, "No predictions in this window, so there is nothing to estimate.")]
    if context.model.task is None:
        return [blank(context, main, int(served), "The task is not known: register this model to have its performance estimated.")]
    if not context.version.reference_rows:
        return [blank(context, main, int(served), words.NO_REFERENCE)]
    found = of_regression(frames, context) if main == "mae" else of_classifier(frames, context)
    if found is None:
        return [blank(context, main, int(served), words.small_reference(MINIMUM_REFERENCE))]
    if not found.now:
        return [blank(context, main, int(served), words.NOT_ESTIMATED if main == "mae" else words.NO_DECISIONS)]
    changes = {metric: change for metric, each in found.now.items() if (change := fall(metric, each.interval, found)) is not None}
    adjusted = benjamini_hochberg([each.p_value for each in changes.values()], context.budget)[0]
    of_p = {metric: float(p) for metric, p in zip(changes, adjusted)}
    said = [
        judge(context, found, metric, changes.get(metric), of_p.get(metric, 1.0), served, labelled)
        for metric in found.now
        if metric in LIMITS
    ]
    return [*said, *about_error(context, found.checks, main)]


def of_classifier(frames: Frames, context: Context) -> Estimates | None:
    """Confidence-based estimates; None where the reference is too small to calibrate scores on."""
    counts, classes, past_classes = (frames.get(name) for name in ("current_counts", "current_classes", "past_classes"))
    assert counts is not None
    known = meaning(context.model, frames["reference_counts"], frames.get("reference_classes"))
    if known is None:
        return None
    past = frames["past_counts"]
    by_day = estimate_variation.of_binary(known, past) if past_classes is None else estimate_variation.of_classes(known, past, past_classes)
    return Estimates(
        estimates(known, counts, classes),
        estimates(known, frames["reference_counts"], frames.get("reference_classes")),
        check_classifier(known, frames, context.window.start),
        strays(by_day, counts, context),
    )


def of_regression(frames: Frames, context: Context) -> Estimates:
    """Direct loss estimates of the sampled rows."""
    now, reference, counts = frames["current_errors"], frames["reference_errors"], frames["current_counts"]
    spread = spreads(reference)
    return Estimates(
        regression(now, spread, maturity(counts)[0])[0],
        regression(reference, spread, context.version.reference_rows)[0],
        check_regression(context.model, frames, context.window.start),
        strays(estimate_variation.of_errors(frames["past_errors"], spread), counts, context),
    )


def strays(past: estimate_variation.Daily, counts: "DataFrame", context: Context) -> estimate_variation.Days:
    """What days add to the change of each metric since the reference."""
    days = int(np.unique(days_in(counts)).size)
    return estimate_variation.strays(past, days, maturity(counts)[0] / max(days, 1), context.version.reference_rows)


@dataclass(frozen=True)
class Change:
    """How much worse an estimate is than the reference's (points, or relative), how easily rows and days give that, and up to where days go by themselves."""

    worse: float
    p_value: float
    varies: float


def fall(metric: str, now: Interval, found: Estimates) -> Change | None:
    """The change of an estimate since the reference; None where it cannot be compared."""
    then = found.before[metric].interval if metric in found.before else None
    if metric not in LIMITS or then is None or then.value is None or now.value is None or now.n < MINIMUM_ROWS:
        return None
    change = difference_interval(now, then)
    if change.value is None or change.low is None or change.high is None:
        return None
    worse = -change.value if METRICS[metric].better == "high" else change.value
    scale = abs(then.value) if LIMITS[metric][0] == "relative" and then.value else 1.0
    days = found.days.get(metric) or estimate_variation.doubted(row_error(now))
    return Change(worse / scale, chance(change, *days), reach_of(change, *days) / scale)


def judge(
    context: Context, found: Estimates, metric: str, change: Change | None, adjusted: float, served: float, labelled: float,
) -> Finding:  # fmt: skip
    """The finding about one metric."""
    now, check = found.now[metric].interval, found.checks.get(metric)
    then = found.before[metric].interval if metric in found.before else None
    rows = int(served) if context.model.task != "regression" else round(now.n)
    base = replace(
        blank(context, metric, rows, ""), value=now.value, low=now.low, high=now.high,
        evidence={
            "baseline": then.value if then else None, "label_maturity": labelled / served, "served": int(served),
            "check": None if check is None else as_json(check), "p_adjusted": adjusted if change else None,
            "worse_by": change.worse if change else None, "varies_up_to": change.varies if change else None,
        },
    )  # fmt: skip
    if now.value is None or now.n < MINIMUM_ROWS:
        return replace(base, because=words.few(metric, now.n, MINIMUM_ROWS))
    if check is not None and check.failed:
        return replace(base, because=words.distrusted(metric, now, check))
    act = context.model.settings.limits.get(f"{NAME}/{metric}", LIMITS[metric][2])
    varies = change.varies if change else 0.0
    watch, act = max(min(LIMITS[metric][1], act), varies), max(act, varies)
    missing = labelled < MATURE * served
    severity: Severity = "ok"
    if change is not None and missing and change.worse >= watch and adjusted <= context.budget:
        sure = (
            change.worse >= act
            and adjusted <= context.budget * ACT_SHARE
            and check is not None
            and check.held
            and not context.version.in_sample
        )
        severity = "act" if sure else "watch"
    if now.low is None or now.high is None:
        severity = "unknown"
    said = words.estimate(
        metric, now, then, check, rows, in_sample=context.version.in_sample, missing=1 - labelled / served if missing else None
    )
    return replace(
        base, severity=severity, because=said,
        limit=None if then is None or then.value is None else edge(metric, then.value, act if severity == "act" else watch),
        rank=6.0 + min(max(change.worse if change else 0.0, 0.0) / act, 5.0) if act > 0 else 6.0,
    )  # fmt: skip


def about_error(context: Context, checks: dict[str, Check], main: str) -> list[Finding]:
    """The last measured error of the estimate of the main metric; nothing where there were no labels to check it with."""
    check = checks.get(main)
    if check is None:
        return []
    base = replace(
        context.undecided(NAME, "model", "estimate_error", check.n, "", against="level"),
        value=check.error.value, low=check.error.low, high=check.error.high, limit=(-check.allowed, check.allowed), evidence=as_json(check),
    )  # fmt: skip
    known = None not in (base.value, base.low, base.high)
    return [replace(base, severity="ok" if known and not check.failed else "unknown", because=words.error(check))]


def as_json(check: Check) -> dict[str, Any]:
    """A check as JSON can carry it."""
    return {
        "metric": check.metric, "estimated": check.estimated, "measured": check.measured, "error": check.error.value, "low": check.error.low,
        "high": check.error.high, "allowed": check.allowed, "days": check.days, "first": check.first.isoformat(), "last": check.last.isoformat(),
        "n": check.n, "failed": check.failed,
    }  # fmt: skip


def blank(context: Context, metric: str, n: int, because: str) -> Finding:
    """A finding that says it cannot tell, to be filled in where it can."""
    return replace(context.undecided(NAME, "model", metric, n, because), basis="estimated")


ANALYZER = Analyzer(
    NAME,
    "How well does the model do where labels have not come in yet, and how right were such estimates?",
    needs,
    analyze,
    limits={metric: act for metric, (_, _, act) in LIMITS.items()},
)
