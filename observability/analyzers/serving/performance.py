"""Is the model right, as far as labels tell, and is it as right as it was?

Metrics are measured on labelled predictions only and held against the reference (against the model's own past month where there is none). A fall is
reported when it is more than rows and days do by chance, over all metrics and looks of the run, and large enough to matter; what stood so in the past
weeks already is no news. Where the labels of the window are young, the last week that has them is measured. A slow creep is watched for day by day.
"""

from dataclasses import dataclass, replace
from typing import Any

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Against, Finding, Severity
from observability.core.metric_definitions import METRICS
from observability.core.questions import Aggregate, Bucket
from observability.detection.gradual_shift import Creep, creep
from observability.detection.metric_changes import MINIMUM_LABELS, Compared, compared
from observability.detection.metric_onset import began
from observability.detection.performance_sentences import number, shown, title
from observability.metrics import label_maturity
from observability.metrics.measured_windows import MATURE, PAST_DAYS, Ledger, Metrics, Stretch, on
from observability.metrics.metric_limits import LIMITS
from observability.metrics.outlier_errors import wildest
from observability.metrics.performance import HEADLINE, maturity, outcome_aggregates, performance
from observability.stats.interval import Interval
from observability.stats.multiple import ACT_SHARE, benjamini_hochberg
from observability.stats.sequential import mean_days_between

NAME = "serving/performance"
DAYS_KEPT = 62
SURE_BY_ROWS = 1e-4
"""A fall that only the variation of days may explain is shown from this chance by rows on; one wild row gives a root mean square 0.002."""


@dataclass(frozen=True)
class Verdict:
    """What one look says of one metric. standing: beyond the limit, and no further from the own past. limit: in the unit of `side.worse`."""

    side: Compared
    severity: Severity
    adjusted: float
    standing: bool
    past: Compared | None

    @property
    def limit(self) -> float:
        """The limit that it passed, or would have to pass."""
        return self.side.allowed(self.severity == "act")

    @property
    def order(self) -> tuple[int, bool, float]:
        """The worst first; of equals the whole, then the largest."""
        return (("act", "watch", "unknown", "ok").index(self.severity), not self.side.stretch.whole, -self.side.worse)


def needs(context: Context) -> dict[str, Ask]:
    """Counts and sums by day, of the window and of the eight weeks before, and of the reference."""
    if context.model.task is None:
        return {"current_counts": Ask(Aggregate("outcomes"))}
    by_day, whole = outcome_aggregates(context.model, Bucket("day")), outcome_aggregates(context.model)
    asks = {f"current_{name}": Ask(aggregate) for name, aggregate in by_day.items()}
    if context.version.reference_rows:
        asks |= {f"reference_{name}": Ask(aggregate, span="reference") for name, aggregate in whole.items()}
    return (
        asks | {f"past_{name}": Ask(aggregate, span="past", days=PAST_DAYS) for name, aggregate in by_day.items()} | label_maturity.asks()
    )


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """One finding for each metric of the task, and one about the labels."""
    counts = frames["current_counts"]
    if context.model.task is None:
        return [
            blank(context, "judged", int(counts["n"].sum()), "The task is not known: register this model to have its performance measured.")
        ]
    served, labelled = maturity(counts)
    if served == 0:
        return [blank(context, HEADLINE[context.model.task], 0, "No predictions in this window, so nothing can be measured.")]
    usual = usual_maturity(frames)
    young = labelled < MATURE * usual * served
    ledger = Ledger(frames, context)
    looks = ledger.stretches(young=young, least=MINIMUM_LABELS)
    whole = looks[0]
    against, reference = baseline(frames, context, whole)
    verdicts = judged(ledger, looks, against, reference, context)
    crept = None if young and not whole.late else creep(ledger, whole, reference, context)
    too_young = labelled / served if young and not whole.late else None
    findings = [label_maturity.judged(labels(context, served, labelled, usual), label_maturity.completion(frames, context), context)]
    for metric in whole.metrics:
        before = reference.get(metric)
        findings.append(judge(context, ledger, metric, whole, before, verdicts.get(metric, []), against, too_young, crept))
    wild = wildest(NAME, context, frames["current_sums"])
    return findings + ([wild] if wild else [])


def baseline(frames: Frames, context: Context, whole: Stretch) -> tuple[Against, Metrics]:
    """What the metrics are held against, and its values: the reference, else the past month."""
    if "reference_counts" in frames:
        values = performance(context.model, frames["reference_counts"], frames["reference_sums"])
        if any(each.value is not None for each in values.values()):
            return "reference", values
    return "past", whole.past


def judged(ledger: Ledger, looks: list[Stretch], against: Against, reference: Metrics, context: Context) -> dict[str, list[Verdict]]:
    """What each look says of each metric, worst first; the false discovery rate is controlled over all of them."""
    limits = context.model.settings.limits
    sides: list[Compared] = []
    pasts: list[dict[str, Compared]] = []
    for look in looks:
        past = compared(ledger, look, look.past, limits, NAME, past=True) if look.past else {}
        of = past if against == "past" else compared(ledger, look, reference, limits, NAME, past=False)
        sides += of.values()
        pasts += [past if against == "reference" else {}] * len(of)
    adjusted, _ = benjamini_hochberg([each.p_value for each in sides], context.budget)
    found: dict[str, list[Verdict]] = {}
    for side, past, p in zip(sides, pasts, adjusted, strict=True):
        found.setdefault(side.metric, []).append(verdict(side, past.get(side.metric), float(p), context))
    return {metric: sorted(several, key=lambda each: each.order) for metric, several in found.items()}


def verdict(side: Compared, past: Compared | None, adjusted: float, context: Context) -> Verdict:
    """How bad one look is: beyond chance, beyond the limit, and news. A fall that would be an act, were days no different from each other, stays visible as
    a watch.
    """
    watch, act = side.limits
    severity: Severity = "ok"
    if side.worse >= watch and adjusted <= context.budget:
        severity = "act" if side.worse >= act and adjusted <= context.budget * ACT_SHARE else "watch"
    if (
        severity == "ok"
        and side.stretch.whole
        and side.worse >= side.smallest
        and side.by_rows <= min(context.budget * ACT_SHARE, SURE_BY_ROWS)
    ):
        return Verdict(side, "watch", adjusted, past is not None and past.worse < past.smallest / 2, past)
    news = past is None or (past.worse >= past.limits[0] and past.p_value <= context.budget)
    if severity == "ok" or news:
        return Verdict(side, severity, adjusted, False, past)
    return Verdict(side, "watch" if side.stretch.whole else "ok", adjusted, True, past)


def usual_maturity(frames: Frames) -> float:
    """Share of the past's predictions that are labelled by now; 1 where there is no past, so that 80 % is asked for."""
    served, labelled = maturity(frames["past_counts"])
    return labelled / served if served >= MINIMUM_LABELS and labelled else 1.0


def judge(
    context: Context, ledger: Ledger, metric: str, whole: Stretch, before: Interval | None, verdicts: list[Verdict], against: Against,
    too_young: float | None, crept: Creep | None,
) -> Finding:  # fmt: skip
    """The finding about one metric, of the look that says most. too_young: the share of labels that are in, where that is too little to alarm."""
    worst = verdicts[0] if verdicts else None
    stretch = worst.side.stretch if worst else whole
    now = stretch.metrics[metric]
    share = ledger.labels(stretch.days) / max(ledger.predictions(stretch.days), 1.0)
    series = by_day(ledger, whole, metric)
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
            "past": stretch.past[metric].value if metric in stretch.past else None,
            "label_maturity": share if too_young is None else too_young,
            "measured": [on(stretch.days[0]).isoformat(), on(stretch.days[-1]).isoformat()],
            "look_days": stretch.length,
            "windows": [row(each) for each in sorted(verdicts, key=lambda each: each.side.stretch.length)],
            "by_day": series,
        },
    )
    if now.value is None or now.n < MINIMUM_LABELS:
        more = max(round(MINIMUM_LABELS - now.n), 1)
        return replace(
            base, because=f"{title(metric)} cannot be told yet on {now.n:,.0f} labelled predictions: it needs about {more:,} more."
        )
    said = f"{title(metric)} {shown(metric, now)} on {now.n:,.0f} labelled predictions{stretch.words}"
    if metric not in LIMITS:
        return replace(base, severity="ok", because=f"{said}.")
    if worst is None or worst.side.before.value is None:
        return replace(base, because=f"{said}; there is too little {'reference' if against == 'reference' else 'past'} to compare with.")
    side, severity, usual = worst.side, worst.severity, worst.side.before.value
    creeps = crept if crept is not None and crept.metric == metric and severity in ("ok", "watch") and not worst.standing else None
    if creeps is not None and crept is not None:
        severity = crept.severity if severity == "ok" or crept.severity == "act" else severity
    limit = edge(metric, usual, side.allowed(severity == "act"))
    evidence = base.evidence | {
        "worse_by": side.worse, "p_value": side.p_value, "p_adjusted": worst.adjusted, "varies_up_to": side.varies, "standing": worst.standing,
        "creep": None if crept is None or crept.metric != metric else crept.days_between,
        "creep_once_in": mean_days_between(context.budget) if metric == HEADLINE[context.model.task or "binary"] and too_young is None else None,
    }  # fmt: skip
    because = f"{said}; {'the reference' if against == 'reference' else 'the month before'} had {number(metric, usual)}{moved(side)}"
    because += own_limit(side, severity) + (past_words(worst, metric) if worst.standing else "")
    base = replace(base, limit=limit, evidence=evidence)
    if severity == "ok":
        return replace(base, severity="ok", because=f"{because}.")
    if too_young is not None:
        return replace(base, because=f"{because}, but only {100 * too_young:.0f} % of the labels are in: too early to tell.")
    if creeps is not None:
        because += creeps.words
    act = side.limits[1]
    when = None if worst.standing else began(ledger, metric, side, context)
    return replace(
        base,
        severity=severity,
        evidence=evidence | (when.evidence if when else {}),
        because=f"{because}.",
        onset=creeps.onset if creeps is not None else when.at if when else None,
        rank=10.0 + min(side.worse / act, 10.0) + (5.0 if metric == HEADLINE[context.model.task or "binary"] else 0.0)
        if not worst.standing
        else 5.0,
    )


def own_limit(side: Compared, severity: Severity) -> str:
    """Where the limit comes from, where it is not the smallest fall that matters."""
    if side.allowed(severity == "act") > side.varies or not side.varies:
        return ""
    if LIMITS[side.metric][0] == "points":
        return f"; its own days vary it by up to {side.varies * 100:.1f} points"
    return f"; its own days vary it by up to {100 * side.varies:.0f} %"


def past_words(worst: Verdict, metric: str) -> str:
    """That it has been so for weeks."""
    past = worst.past
    return (
        f"; as in its own past month ({number(metric, past.before.value)}), so no news"
        if past and past.before.value is not None and past.worse < past.smallest / 2
        else ""
    )


def row(each: Verdict) -> dict[str, Any]:
    """What one look says."""
    side = each.side
    return {
        "days": side.stretch.length, "value": side.now.value, "low": side.now.low, "high": side.now.high, "n": round(side.now.n), "worse_by": side.worse, "limit": each.limit,
        "varies_up_to": side.varies, "p_value": side.p_value, "p_adjusted": each.adjusted, "past_worse_by": each.past and each.past.worse,
        "edge": None if side.before.value is None else edge(side.metric, side.before.value, each.limit), "standing": each.standing, "severity": each.severity,
    }  # fmt: skip


def edge(metric: str, before: float, allowed: float) -> float | None:
    """The value of the metric at which the limit is reached; None where it has two (bias)."""
    sign = -1 if METRICS[metric].better == "high" else 1
    if metric == "bias":
        return None
    return before + sign * allowed * (abs(before) if LIMITS[metric][0] == "relative" else 1.0)


def by_day(ledger: Ledger, whole: Stretch, metric: str) -> list[list[Any]]:
    """[day, value, low, high, labelled, served] of the last days that are measured, and of the window."""
    rows = []
    for day, labelled, served in zip(ledger.days, ledger.labelled, ledger.served, strict=True):
        if day >= min(ledger.first, whole.days[0]):
            each = ledger.of_day(int(day))[metric]
            rows.append([on(day).isoformat(), each.value, each.low, each.high, int(labelled), int(served)])
    return rows[-DAYS_KEPT:]


def labels(context: Context, served: float, labelled: float, usual: float) -> Finding:
    """How many of the labels are in."""
    from observability.stats.interval import rate_interval

    share = rate_interval(labelled, served)
    base = replace(
        blank(context, "label_maturity", int(served), "", "level"), value=share.value, low=share.low, high=share.high, limit=MATURE * usual
    )
    said = f"{labelled:,.0f} of {served:,.0f} predictions are labelled ({100 * labelled / served:.0f} %)"
    if labelled >= MATURE * usual * served:
        return replace(base, severity="ok", because=f"{said}.")
    needed = max(round(MATURE * usual * served - labelled), 1)
    return replace(base, because=f"{said}; judging this window needs about {needed:,} more labels.")


def moved(side: Compared) -> str:
    """How far it moved, in words."""
    assert side.now.value is not None and side.before.value is not None
    if LIMITS[side.metric][0] == "of mae":
        return f" ({100 * side.worse:+.0f} % of its mean absolute error)" if abs(side.worse) >= 0.01 else ""
    if LIMITS[side.metric][0] == "relative":
        return f" ({round(100 * (side.now.value / side.before.value - 1)):+d} %)" if side.before.value else ""
    return f" ({round((side.now.value - side.before.value) * 100, 1) + 0.0:+.1f} points)"


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
