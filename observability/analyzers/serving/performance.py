"""Is the model right, as far as labels tell, and is it as right as it was?

Metrics are measured on labelled predictions only and held against the reference (against the model's own past month where there is none). A fall
is reported when it is more than chance, over all metrics of the run, and large enough to matter; while labels are young it is `unknown`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from observability.aggregate import Aggregate, Bucket
from observability.analyzer import Analyzer, Ask, Context, Frames
from observability.finding import Against, Finding, Severity
from observability.measure import HEADLINE, maturity, outcome_aggregates, performance, performance_by
from observability.metrics import METRICS
from observability.since import Since, joint, since
from observability.stats.interval import Interval, difference_interval
from observability.stats.multiple import benjamini_hochberg

if TYPE_CHECKING:
    from pandas import DataFrame

NAME = "serving/performance"
MINIMUM_LABELS = 100
MATURE = 0.8
"""Below this share of the usual labels, a fall may be the labels' youth (terms.md: shown below 80 % as shaded)."""
ACT_SHARE = 0.2
"""An act may spend a fifth of the run's budget of false discoveries, a watch all of it."""
PAST_DAYS = 28
DAYS_KEPT = 62
LABELS_A_DAY = 20
"""Days with fewer labels are passed over when the first bad day is sought."""
LEAST_PAST = 5
"""Days of the past from which they say what was usual; with fewer the baseline does."""
Z_WIDTH = 2 * 1.96
"""Standard errors in the width of a 95 % interval."""
LIMITS: dict[str, tuple[str, float, float]] = {
    "accuracy": ("points", 0.02, 0.03),
    "roc_auc": ("points", 0.02, 0.03),
    "pr_auc": ("points", 0.05, 0.08),
    "precision": ("points", 0.03, 0.05),
    "recall": ("points", 0.03, 0.05),
    "f1": ("points", 0.03, 0.05),
    "r2": ("points", 0.10, 0.20),
    "log_loss": ("relative", 0.10, 0.25),
    "brier": ("relative", 0.10, 0.25),
    "mae": ("relative", 0.10, 0.25),
    "rmse": ("relative", 0.15, 0.35),
    "bias": ("of mae", 0.25, 0.50),
}
"""The smallest fall that matters, for watch and for act: in points of the metric, or relative to what it is held against (bias: how much larger it
is, either way, as a share of the baseline's mean absolute error). A week of about a
thousand labels finds a five-point fall of accuracy at these limits nine times in ten. `limits` of the model's settings override the act limit."""


@dataclass(frozen=True)
class Compared:
    """One metric now and before: worse is how much worse it became (points, or relative), p_value how easily chance does that."""

    metric: str
    now: Interval
    before: Interval
    worse: float
    p_value: float
    limits: tuple[float, float]


def needs(context: Context) -> dict[str, Ask]:
    """Counts and sums of the window and of the month before by day, and of the reference."""
    if context.model.task is None:
        return {"current_counts": Ask(Aggregate("outcomes"))}
    by_day, whole = outcome_aggregates(context.model, Bucket("day")), outcome_aggregates(context.model)
    asks = {f"current_{name}": Ask(aggregate) for name, aggregate in by_day.items()}
    if context.version.reference_rows:
        asks |= {f"reference_{name}": Ask(aggregate, span="reference") for name, aggregate in whole.items()}
    return asks | {f"past_{name}": Ask(aggregate, span="past", days=PAST_DAYS) for name, aggregate in by_day.items()}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """One finding for each metric of the task, and one about the labels."""
    counts = frames["current_counts"]
    if context.model.task is None:
        return [
            blank(context, "judged", int(counts["n"].sum()), "The task is not known: register this model to have its performance measured.")
        ]
    sums = frames["current_sums"]
    served, labelled = maturity(counts)
    if served == 0:
        return [blank(context, HEADLINE[context.model.task], 0, "No predictions in this window, so nothing can be measured.")]
    usual = usual_maturity(frames)
    young = labelled < MATURE * usual * served
    metrics = performance(context.model, counts, sums)
    against, before = baseline(frames, context)
    compared = compare(metrics, before, context)
    adjusted, _ = benjamini_hochberg([each.p_value for each in compared.values()], context.budget)
    of_p = dict(zip(compared, (float(p) for p in adjusted)))
    series = by_day(context, counts, sums)
    earlier = by_day(context, frames["past_counts"], frames["past_sums"])
    findings = [labels(context, served, labelled, usual)]
    for metric, now in metrics.items():
        side = compared.get(metric)
        findings.append(
            judge(context, metric, now, before.get(metric), side, of_p.get(metric), against, young, labelled / served, series, earlier)
        )
    return findings


def baseline(frames: Frames, context: Context) -> tuple[Against, dict[str, Interval]]:
    """What the metrics are held against, and its values: the reference, else the past month."""
    if "reference_counts" in frames:
        values = performance(context.model, frames["reference_counts"], frames["reference_sums"])
        if any(each.value is not None for each in values.values()):
            return "reference", values
    return "past", performance(context.model, frames["past_counts"], frames["past_sums"])


def usual_maturity(frames: Frames) -> float:
    """Share of the past month's predictions that are labelled by now; 1 where there is no past, so that 80 % is asked for."""
    served, labelled = maturity(frames["past_counts"])
    return labelled / served if served >= MINIMUM_LABELS and labelled else 1.0


def compare(metrics: dict[str, Interval], before: dict[str, Interval], context: Context) -> dict[str, Compared]:
    """The comparisons that can be made: enough labels on both sides and an interval on each."""
    found = {}
    for metric, (kind, watch, usual_act) in LIMITS.items():
        now, then = metrics.get(metric), before.get(metric)
        if now is None or then is None or now.n < MINIMUM_LABELS or then.n < MINIMUM_LABELS:
            continue
        change = difference_interval(now, then)
        if change.value is None or change.low is None or change.high is None or now.value is None or then.value is None:
            continue
        act = context.model.settings.limits.get(f"{NAME}/{metric}", usual_act)
        scale = abs(then.value) if kind == "relative" else 1.0
        worse = -change.value if METRICS[metric].better == "high" else change.value
        if kind == "of mae":
            scale, worse = before["mae"].value or 0.0, abs(now.value) - abs(then.value)
        found[metric] = Compared(metric, now, then, worse / scale if scale else 0.0, chance(change), (min(watch, act), act))
    return found


def chance(change: Interval) -> float:
    """Two-sided p-value of no change, from the interval's reach on the side of zero."""
    from scipy.special import ndtr

    assert change.value is not None and change.low is not None and change.high is not None
    reach = (change.value - change.low if change.value > 0 else change.high - change.value) / 1.96
    return float(2 * ndtr(-abs(change.value) / reach)) if reach > 0 else float(change.value == 0)


def judge(
    context: Context,
    metric: str,
    now: Interval,
    before: Interval | None,
    side: Compared | None,
    adjusted: float | None,
    against: Against,
    young: bool,
    mature: float,
    series: dict[str, list[list[Any]]],
    earlier: dict[str, list[list[Any]]],
) -> Finding:
    """The finding about one metric."""
    base = replace(
        blank(context, metric, round(now.n), "", against),
        value=now.value,
        low=now.low,
        high=now.high,
        evidence={
            "baseline": None if before is None else before.value,
            "baseline_low": None if before is None else before.low,
            "baseline_high": None if before is None else before.high,
            "baseline_n": None if before is None else round(before.n),
            "label_maturity": mature,
            "by_day": series.get(metric, []),
        },
    )
    if now.value is None or now.n < MINIMUM_LABELS:
        more = max(round(MINIMUM_LABELS - now.n), 1)
        return replace(
            base, because=f"{title(metric)} cannot be told yet on {now.n:,.0f} labelled predictions: it needs about {more:,} more."
        )
    said = f"{title(metric)} {shown(metric, now)} on {now.n:,.0f} labelled predictions"
    if metric not in LIMITS:
        return replace(base, severity="ok", because=f"{said}.")
    if side is None or adjusted is None or side.before.value is None:
        return replace(base, because=f"{said}; there is too little {'reference' if against == 'reference' else 'past'} to compare with.")
    watch, act = side.limits
    severity: Severity = "ok"
    if side.worse >= watch and adjusted <= context.budget:
        severity = "act" if side.worse >= act and adjusted <= context.budget * ACT_SHARE else "watch"
    limit = edge(metric, side.before.value, act if severity == "act" else watch)
    evidence = base.evidence | {"worse_by": side.worse, "p_value": side.p_value, "p_adjusted": adjusted}
    because = (
        f"{said}; {'the reference' if against == 'reference' else 'the month before'} had {number(metric, side.before.value)}{moved(side)}"
    )
    if severity == "ok":
        return replace(base, severity="ok", limit=limit, evidence=evidence, because=f"{because}.")
    if young:
        return replace(
            base, limit=limit, evidence=evidence, because=f"{because}, but only {mature:.0%} of the labels are in: too early to tell."
        )
    when = began(metric, joint(earlier.get(metric, []), series.get(metric, [])), side, context)
    return replace(
        base,
        severity=severity,
        limit=limit,
        evidence=evidence | when.evidence,
        because=f"{because}.",
        onset=when.at,
        rank=10.0 + min(side.worse / act, 10.0) + (5.0 if metric == HEADLINE[context.model.task or "binary"] else 0.0),
    )


def edge(metric: str, before: float, allowed: float) -> float | None:
    """The value of the metric at which the limit is reached; None where it has two (bias)."""
    sign = -1 if METRICS[metric].better == "high" else 1
    if metric == "bias":
        return None
    return before + sign * allowed * (abs(before) if LIMITS[metric][0] == "relative" else 1.0)


def by_day(context: Context, counts: "DataFrame", sums: "DataFrame") -> dict[str, list[list[Any]]]:
    """For each metric, [day, value, low, high, labelled, served] of the last days of the window."""
    series: dict[str, list[list[Any]]] = {}
    for day, metrics, served, labelled in performance_by(context.model, counts, sums, "period"):
        for metric, each in metrics.items():
            series.setdefault(metric, []).append([day.date().isoformat(), each.value, each.low, each.high, int(labelled), int(served)])
    return {metric: rows[-DAYS_KEPT:] for metric, rows in series.items()}


def began(metric: str, days: Sequence[Sequence[Any]], side: Compared, context: Context) -> Since:
    """Since when a metric is as the window found it, from the days of the past month and of the window that hold enough labels."""
    told = [row for row in days if None not in row[1:4] and row[4] >= LABELS_A_DAY]
    now, (level, low, high) = side.now.value, (side.before.value, side.before.low, side.before.high)
    assert now is not None and level is not None and low is not None and high is not None
    past = sum(datetime.fromisoformat(str(row[0])).replace(tzinfo=UTC) < context.window.start for row in told)
    return since(
        [row[0] for row in told],
        [float(row[1]) for row in told],
        [(row[3] - row[2]) / Z_WIDTH for row in told],
        start=context.window.start,
        before=None if past >= LEAST_PAST else (level, (high - low) / Z_WIDTH),
        worse=1 if now >= level else -1,
    )


def labels(context: Context, served: float, labelled: float, usual: float) -> Finding:
    """How many of the labels are in."""
    from observability.stats.interval import rate_interval

    share = rate_interval(labelled, served)
    base = replace(
        blank(context, "label_maturity", int(served), "", "level"), value=share.value, low=share.low, high=share.high, limit=MATURE * usual
    )
    said = f"{labelled:,.0f} of {served:,.0f} predictions are labelled ({labelled / served:.0%})"
    if labelled >= MATURE * usual * served:
        return replace(base, severity="ok", because=f"{said}.")
    needed = max(round(MATURE * usual * served - labelled), 1)
    return replace(base, because=f"{said}; judging this window needs about {needed:,} more labels.")


def title(metric: str) -> str:
    """The metric's name in words."""
    return METRICS[metric].title


def number(metric: str, value: float) -> str:
    """A value as a person reads it: shares in per cent, the rest with three digits."""
    return f"{value:.1%}" if METRICS[metric].unit == "share" else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def shown(metric: str, value: Interval) -> str:
    """A value with its interval."""
    assert value.value is not None
    if value.low is None or value.high is None:
        return number(metric, value.value)
    return f"{number(metric, value.value)} ({number(metric, value.low)} to {number(metric, value.high)})"


def moved(side: Compared) -> str:
    """How far it moved, in words."""
    assert side.now.value is not None and side.before.value is not None
    if LIMITS[side.metric][0] == "of mae":
        return f" ({side.worse:+.0%} of its mean absolute error)" if abs(side.worse) >= 0.01 else ""
    if LIMITS[side.metric][0] == "relative":
        return f" ({(side.now.value / side.before.value - 1):+.0%})" if side.before.value else ""
    return f" ({(side.now.value - side.before.value) * 100:+.1f} points)"


def blank(context: Context, metric: str, n: int, because: str, against: Against = "reference") -> Finding:
    """A finding that says it cannot tell, to be filled in where it can."""
    return context.undecided(NAME, "model", metric, n, because, against=against)


ANALYZER = Analyzer(
    NAME,
    "Is the model right, as far as labels tell, and is it as right as it was?",
    needs,
    analyze,
    limits={metric: act for metric, (_, _, act) in LIMITS.items()},
)
