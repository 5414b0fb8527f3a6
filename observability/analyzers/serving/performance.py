"""Measure the model's performance on labelled predictions, and whether it became worse.

Metrics are compared with the reference (with the model's own past month if there is none). A loss is reported if it is large enough and
beyond the variation of rows and days; multiplicity is controlled over all metrics and windows of the run. A loss that the past weeks show
too is marked as standing. If the labels of the window have not arrived yet, the last week with labels is measured instead. A gradual shift
is tested day by day.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from observability.core.analyzer import DAYS_DRAWN, Analyzer, Ask, Context, Frames
from observability.core.finding import Against, Finding
from observability.core.formatting import plural
from observability.core.metric_definitions import METRICS
from observability.core.numerals import change_in_words
from observability.core.owner_level import held_against_level
from observability.core.questions import Aggregate, Bucket
from observability.detection.change import ChangeVerdict
from observability.detection.decision_threshold import ACT as THRESHOLD_ACT
from observability.detection.decision_threshold import METRIC as THRESHOLD_METRIC
from observability.detection.decision_threshold import threshold_claims
from observability.detection.gradual_shift import GradualShift, gradual_shift
from observability.detection.metric_changes import (
    MINIMUM_LABELS,
    NAME,
    PRIMARY_CHANCE,
    MeasuredWindow,
    MetricChange,
    labels_to_decide,
    measured_windows,
    metric_changes,
    metric_onset,
    metric_standing,
    metric_verdict,
)
from observability.detection.performance_sentences import (
    bin_error_words,
    labels_needed,
    measured_on,
    metric_name,
    metric_number,
    metric_with_interval,
    points_difference,
    rows_measured,
)
from observability.metrics import label_maturity
from observability.metrics.measured_windows import MATURE, PAST_DAYS, DailyMetrics, Metrics, day_date
from observability.metrics.metric_limits import LIMITS
from observability.metrics.outlier_errors import largest_error_finding
from observability.metrics.performance import (
    HEADLINE,
    outcome_aggregates,
    performance_metrics,
    primary_metric,
    ranking_errors,
    served_and_labelled,
)
from observability.proofs.outcomes import PERFORMANCE_PROOFS
from observability.stats.interval import Interval
from observability.stats.multiple_testing import benjamini_hochberg
from observability.stats.sequential import alarm_threshold

Verdict = ChangeVerdict[MetricChange]
ONE_DAY = "; one day alone, so not critical before a second day confirms it"


def needs(context: Context) -> dict[str, Ask]:
    """Return the queries: counts and sums by day for the window and the eight weeks before, and in total for the reference."""
    if context.model.task is None:
        return {"current_counts": Ask(Aggregate("outcomes"))}
    by_day, whole = outcome_aggregates(context.model, Bucket("day")), outcome_aggregates(context.model)
    asks = {f"current_{name}": Ask(aggregate) for name, aggregate in by_day.items()}
    if context.version.reference_rows:
        asks |= {f"reference_{name}": Ask(aggregate, span="reference") for name, aggregate in whole.items()}
    return (
        asks
        | {f"past_{name}": Ask(aggregate, span="past", days=PAST_DAYS) for name, aggregate in by_day.items()}
        | label_maturity.label_history_asks()
    )


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return one finding for each metric of the task, and one about the labels."""
    counts = frames["current_counts"]
    if context.model.task is None:
        return [
            undecided_performance(
                context, "judged", int(counts["n"].sum()), "The task is not known: register this model to have its performance measured."
            )
        ]
    served, labelled = served_and_labelled(counts)
    if served == 0:
        return [
            undecided_performance(context, HEADLINE[context.model.task], 0, "No predictions in this window, so nothing can be measured.")
        ]
    usual = past_maturity(frames)
    young = labelled < MATURE * usual * served
    daily = DailyMetrics(frames, context)
    windows = measured_windows(daily, young=young, least=MINIMUM_LABELS)
    whole = windows[0]
    against, reference = performance_baseline(frames, context, whole)
    primary = primary_metric(context.model)
    verdicts = metric_verdicts(daily, windows, against, reference, context, primary)
    shift = None if young and not whole.late else gradual_shift(daily, whole, reference, context)
    too_young = labelled / served if young and not whole.late else None
    findings = [
        label_maturity.label_arrival_finding(
            label_coverage_finding(context, served, labelled, usual), label_maturity.label_completion(frames, context), context
        )
    ]
    errors = ranking_errors(frames["reference_counts"]) if against == "reference" and context.model.task == "binary" else {}
    for metric in whole.metrics:
        before = reference.get(metric)
        own = verdicts.get(metric, [])
        findings.append(metric_finding(context, daily, metric, whole, before, own, against, too_young, shift, primary, errors))
    wild = largest_error_finding(NAME, context, frames["current_sums"])
    return [*findings, *([wild] if wild else []), *threshold_claims(frames["past_counts"], counts, context)]


def performance_baseline(frames: Frames, context: Context, whole: MeasuredWindow) -> tuple[Against, Metrics]:
    """Return the baseline and its values: the reference, else the past month."""
    if "reference_counts" in frames:
        values = performance_metrics(context.model, frames["reference_counts"], frames["reference_sums"])
        if any(each.value is not None for each in values.values()):
            return "reference", values
    return "past", whole.past


def metric_verdicts(
    daily: DailyMetrics, windows: list[MeasuredWindow], against: Against, reference: Metrics, context: Context, primary: str
) -> dict[str, list[Verdict]]:
    """Return the verdicts on each metric, worst first, with the false discovery rate controlled over all of them."""
    settings = context.model.settings
    changes: list[MetricChange] = []
    for window in windows:
        past = metric_changes(daily, window, window.past, settings) if window.past else {}
        changes += (past if against == "past" else metric_changes(daily, window, reference, settings, past)).values()
    adjusted, _ = benjamini_hochberg([change.p_value for change in changes], context.budget)
    fell = any(change.metric == primary and change.effect >= change.limits[0] for change in changes)
    found: dict[str, list[Verdict]] = {}
    for change, p in zip(changes, adjusted, strict=True):
        verdict = metric_verdict(change, float(p), context.budget, primary=change.metric == primary, primary_fell=fell)
        found.setdefault(change.metric, []).append(verdict)
    return {metric: sorted(several, key=lambda verdict: verdict.order) for metric, several in found.items()}


def past_maturity(frames: Frames) -> float:
    """Return the labelled share of the past predictions; 1 if there is no past, so that 80 % is required."""
    served, labelled = served_and_labelled(frames["past_counts"])
    return labelled / served if served >= MINIMUM_LABELS and labelled else 1.0


def metric_finding(
    context: Context,
    daily: DailyMetrics,
    metric: str,
    whole: MeasuredWindow,
    before: Interval | None,
    verdicts: list[Verdict],
    against: Against,
    too_young: float | None,
    shift: GradualShift | None,
    primary: str,
    before_errors: Mapping[str, float],
) -> Finding:
    """Return the finding about one metric, from its most informative window.

    too_young: the share of labels that have arrived if it is too low for an alarm, else None. before_errors: for baseline metrics computed
    from score bins, the largest possible difference from the metric computed from rows.
    """
    worst = verdicts[0] if verdicts else None
    window = worst.change.window if worst else whole
    now, binary = window.metrics[metric], context.model.task == "binary"
    share = daily.labels(window.days) / max(daily.predictions(window.days), 1.0)
    base = replace(
        undecided_performance(context, metric, rows_measured(metric, now, window.labelled), "", against),
        value=now.value,
        low=now.low,
        high=now.high,
        evidence={
            "baseline": None if before is None else before.value,
            "baseline_low": None if before is None else before.low,
            "baseline_high": None if before is None else before.high,
            "baseline_n": None if before is None else round(before.n),
            "past": window.past[metric].value if metric in window.past else None,
            "label_maturity": share if too_young is None else too_young,
            "measured": [day_date(window.days[0]).isoformat(), day_date(window.days[-1]).isoformat()],
            **({"measured_days": [day_date(day).isoformat() for day in window.days]} if window.late else {}),
            "look_days": window.length,
            "primary": metric == primary,
            "windows": [metric_row(verdict) for verdict in sorted(verdicts, key=lambda verdict: verdict.change.days)],
            "by_day": metric_by_day(daily, whole, metric),
        },
    )
    if now.value is None or now.n < MINIMUM_LABELS:
        return replace(base, because=labels_needed(metric, now, window.labelled, MINIMUM_LABELS, binary=binary))
    rows = measured_on(metric, now, window.labelled, binary=binary, weighted=daily.weighted)
    error = window.bin_errors.get(metric, 0.0)
    value = metric_with_interval(metric, now, context.model.settings.unit)
    measured = f"{metric_name(metric)} {value}{bin_error_words(error)} on {rows}{window.phrase}"
    if metric not in LIMITS:
        return replace(held_against_level(replace(base, because=measured), context.model.settings.limits), against=against)
    if worst is None or worst.change.before.value is None:
        return replace(
            base, because=f"{measured}; the {'reference' if against == 'reference' else 'past'} has too few labels to compare with."
        )
    change, severity, usual = worst.change, worst.severity, worst.change.before.value
    own_shift = shift if shift is not None and shift.metric == metric else None
    shifting = own_shift if severity != "act" or worst.standing else None
    if shifting is not None and severity != "act":
        severity = shifting.severity if severity in ("ok", "unknown") or shifting.severity == "act" else severity
    headline = metric == primary
    evidence = base.evidence | {
        "worse_by": change.effect,
        "p_value": change.p_value,
        "p_adjusted": worst.p_adjusted,
        "varies_up_to": change.varies,
        "standing": worst.standing,
        "creep": own_shift and own_shift.days_between,
        "creep_once_in": alarm_threshold(context.budget) if headline and too_young is None else None,
    }
    allowed = change.limits[severity == "act"]
    where = "the reference" if against == "reference" else "the month before"
    because = f"{measured}; {metric_number(metric, usual)} in {where}{metric_difference(change, error + before_errors.get(metric, error))}"
    because += daily_range(change, allowed) + (past_words(change) if worst.standing else "")
    because += ONE_DAY if change.on_one_day and severity == "watch" else ""
    base = replace(base, limit=limit_value(metric, usual, allowed), evidence=evidence, news=worst.news)
    if severity == "ok":
        return replace(base, severity="ok", because=f"{because}.")
    if severity == "unknown":
        return replace(base, because=f"{because}: cannot tell yet, {undecided_reason(change)}.")
    if too_young is not None and not (headline and change.effect * too_young >= allowed):
        first = limit_value(metric, usual, change.limits[0])
        because = f"{because}, but only {100 * too_young:.0f} % of the labels have arrived: too early to decide."
        return replace(base, limit=first, because=because)
    if too_young is not None:
        arrived = f"{100 * too_young:.0f} % of the labels have arrived"
        because += f"; {arrived}, and it stays beyond its limit even if the others are as good as before"
    onset = None if worst.standing else metric_onset(daily, change, context)
    stands = metric_standing(daily, change, allowed) if worst.standing else {}
    return replace(
        base,
        severity=severity,
        evidence=evidence | (onset.evidence if onset else stands),
        because=f"{because}{shifting.phrase if shifting else ''}.",
        onset=shifting.onset if shifting else onset.at if onset else None,
        rank=5.0 if worst.standing else 10.0 + min(change.effect / change.limits[1], 10.0) + (5.0 if headline else 0.0),
    )


def undecided_reason(change: MetricChange) -> str:
    """Return in words what is missing to decide about a loss beyond its limit."""
    if change.by_rows <= PRIMARY_CHANCE:
        return "within its daily range"
    needed = labels_to_decide(change)
    return f"about {plural(needed, 'more label')} {'is' if needed == 1 else 'are'} needed"


def daily_range(change: MetricChange, allowed: float) -> str:
    """Return a clause with the natural variation between days; empty if it is smaller than the limit."""
    if allowed > change.varies or not change.varies:
        return ""
    unit = "points" if LIMITS[change.metric][0] == "points" else "%"
    return f"; expected daily range up to {100 * change.varies:{'.1f' if unit == 'points' else '.0f'}} {unit}"


def past_words(change: MetricChange) -> str:
    """Return the clause `unchanged from last month`; empty if the metric changed or its past is unknown."""
    past = change.past
    return (
        f"; unchanged from last month ({metric_number(change.metric, past.before.value)})"
        if past and past.before.value is not None and change.near_past
        else ""
    )


def metric_row(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict of one window."""
    change, now = verdict.change, verdict.change.now
    limit = None if change.before.value is None else limit_value(change.metric, change.before.value, verdict.limit)
    more = {
        "n": rows_measured(change.metric, now, change.window.labelled),
        "worse_by": change.effect,
        "past_worse_by": change.past and change.past.effect,
    }
    return verdict.evidence_row(now.value, now.low, now.high, limit, **more)


def limit_value(metric: str, before: float, allowed: float) -> float | None:
    """Return the value of the metric at which the limit is reached; None for a bias, which has a limit on each side."""
    sign = -1 if METRICS[metric].better == "high" else 1
    if metric == "bias":
        return None
    return before + sign * allowed * (abs(before) if LIMITS[metric][0] == "relative" else 1.0)


def metric_by_day(daily: DailyMetrics, whole: MeasuredWindow, metric: str) -> list[list[Any]]:
    """Return [day, value, low, high, labelled, served] for the last measured days and for the days of the window."""
    rows = []
    for day, labelled, served in zip(daily.days, daily.labelled, daily.served, strict=True):
        if day >= min(daily.first, whole.days[0]):
            each = daily.of_day(int(day))[metric]
            rows.append([day_date(day).isoformat(), each.value, each.low, each.high, int(labelled), int(served)])
    return rows[-DAYS_DRAWN:]


def label_coverage_finding(context: Context, served: float, labelled: float, usual: float) -> Finding:
    """Return the finding about the share of labels that have arrived."""
    from observability.stats.interval import rate_interval

    share = rate_interval(labelled, served)
    base = replace(
        undecided_performance(context, "label_maturity", int(served), "", "level"),
        value=share.value,
        low=share.low,
        high=share.high,
        limit=MATURE * usual,
    )
    said = f"{labelled:,.0f} of {served:,.0f} predictions are labelled ({100 * labelled / served:.0f} %)"
    if labelled >= MATURE * usual * served:
        return replace(base, severity="ok", because=f"{said}.")
    needed = max(round(MATURE * usual * served - labelled), 1)
    return replace(base, because=f"{said}; judging this window needs about {needed:,} more labels.")


def metric_difference(change: MetricChange, error: float) -> str:
    """Return the change since the baseline, in brackets. error: the largest error of the change that can result from score bins."""
    kind, now, before = LIMITS[change.metric][0], change.now.value or 0.0, change.before.value or 0.0
    if kind == "of mae":
        return f" ({100 * change.effect:+.0f} % of its mean absolute error)" if abs(change.effect) >= 0.01 else ""
    if kind == "relative":
        return f" ({change_in_words(100 * (now / before - 1), '%')})" if before else ""
    return f" ({points_difference(now - before, error)})"


def undecided_performance(context: Context, metric: str, n: int, because: str, against: Against = "reference") -> Finding:
    """Return a finding of severity `unknown`, whose fields are replaced if a verdict is possible."""
    return context.undecided(NAME, "model", metric, n, because, against=against)


ANALYZER = Analyzer(
    NAME,
    "Is performance as good as in the reference?",
    needs,
    analyze,
    limits={metric: act for metric, (_, _, act) in LIMITS.items()} | {THRESHOLD_METRIC: THRESHOLD_ACT},
    proofs=PERFORMANCE_PROOFS,
)
