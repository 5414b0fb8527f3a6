"""Find features and scores whose distribution drifted from the reference.

Each feature and the score is compared with the reference on the reference's deciles (population stability index; missing values are a
separate bin) and with the model's own past month. A distance is reported if it is large enough and beyond the variation of rows and days.
The false discovery rate is controlled over all columns and windows of the run. A drift is reported regardless of how long it lasts; if the
past weeks show it too, it is marked as standing. Two further changes are reported even if the PSI is small: two swapped levels of a
category (detection/swapped_categories.py), and a mean that moved by a quarter of a standard deviation (detection/mean_shifts.py). Drift
that no single feature shows is found by serving/multivariate_drift.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from observability.core.analyzer import DAYS_DRAWN, Analyzer, Ask, Context, Frames
from observability.core.finding import Finding, Severity, needs_action
from observability.core.questions import Aggregate, Bucket
from observability.core.window import EPOCH
from observability.detection import mean_shifts, swapped_categories, value_means
from observability.detection.change import ChangeVerdict, judge_change, stated_limits
from observability.detection.distribution_changes import (
    PAST_DAYS,
    ColumnDrift,
    ComparedColumn,
    DistributionChange,
    WindowDays,
    column_drifts,
)
from observability.detection.distribution_onsets import drift_onsets, drifts_standing
from observability.detection.histogram_distance import ACT, MINIMUM_ROWS, WATCH, distances_of_columns, psi_rows_needed
from observability.detection.move_history import fall_asks, move_record, weekly_falls
from observability.detection.onset import OnsetEstimate
from observability.detection.own_past import MAX_BEYOND, own_past_distance, share_beyond
from observability.detection.unit_changes import UnitChange
from observability.detection.windows import window_phrase
from observability.metrics.histograms import (
    axes_of_counts,
    axis_size,
    daily_histograms,
    group_cuts,
    histogram_rows_by_column,
    histograms_of_columns,
)
from observability.proofs.values import DRIFT_PROOFS
from observability.stats.multiple_testing import benjamini_hochberg

NAME = "serving/drift"
STABLE, BELOW_PSI = "is stable: PSI", "moved, but less than the limit of the PSI: PSI"
"""Words for a column whose PSI is below the limit: the first if its mean is stable too, the second if its mean moved beyond its limit."""


Verdict = ChangeVerdict[DistributionChange]


def needs(context: Context) -> dict[str, Ask]:
    """Return the queries: histograms by day of every registered feature and of the score, now, in the past month and in the reference; and
    the sums of numbers.
    """
    columns = drift_columns(context)
    if not columns or not context.version.reference_rows:
        return {"current": Ask(Aggregate("predictions"))}
    by_day = Aggregate("predictions", keys=(Bucket("day"),), histogram=columns)
    return {
        **fall_asks(context),
        **value_means.value_asks(columns, context),
        "current": Ask(by_day),
        "past": Ask(by_day, span="past", days=PAST_DAYS),
        "reference": Ask(Aggregate("predictions", histogram=columns), span="reference"),
    }


def drift_columns(context: Context) -> tuple[str, ...]:
    """Return references of the columns that have edges, and the score."""
    features = [f"feature.{name}" for name in context.version.features if f"feature.{name}" in context.version.edges]
    has_score = context.model.task == "binary" or "score" in context.version.edges
    return (*features, *(("score",) if has_score else ()))


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return one finding for each column; one more for each swap of two of its levels, and one more if only its mean moved too far.

    The false discovery rate is controlled over all columns and windows.
    """
    if "reference" not in frames:
        sentence = "There is no reference to compare with: register this version with held-out predictions to see drift."
        return [undecided_drift(context, "model", int(frames["current"]["n"].sum()), sentence)]
    if frames["current"].empty:
        return [undecided_drift(context, "model", 0, "No predictions in this window, so nothing can be compared.")]
    drifts = compared_drifts(frames, context)
    traded = [swapped_categories.seen_swaps(drift) for drift in drifts]
    limit = mean_shifts.mean_shift_limit(context)
    shifts = iter(mean_shifts.column_mean_shifts([drift for drift in drifts if drift.reference != "score"], limit))
    means = [next(shifts) if drift.reference != "score" else None for drift in drifts]
    p_values = [
        p
        for drift, levels, mean in zip(drifts, traded, means, strict=True)
        for p in (
            *(change.p_value for change in drift.windows),
            *swapped_categories.swap_p_values(levels),
            *([] if mean is None else [mean.p_value]),
        )
    ]
    adjusted = iter(float(p) for p in benjamini_hochberg(p_values, context.budget)[0])
    verdicts, swaps, moves = [], [], []
    for drift, levels, mean in zip(drifts, traded, means, strict=True):
        verdicts.append([judge_change(change, next(adjusted), context.budget) for change in drift.windows])
        swaps.append(swapped_categories.swap_claims(drift, levels, [next(adjusted) for _ in levels], context))
        moves.append(None if mean is None else next(adjusted))
    judged = [judged_drift(*each) for each in zip(drifts, verdicts, strict=True)]
    columns = column_findings(judged, means, frames, context)
    found = []
    for drift, column, swapped, mean, p in zip(drifts, columns, swaps, means, moves, strict=True):
        alone = mean_shifts.mean_shift_claims(drift, mean, p, context) if column.severity == "ok" else []
        found += [column.revised(because=column.because.replace(STABLE, BELOW_PSI)) if alone else column, *swapped, *alone]
    return found


def compared_drifts(frames: Frames, context: Context) -> list[ColumnDrift]:
    """Return the drift of every column that has bins and rows on both sides."""
    (now_days, now), (_, then), (past_days, past) = (histogram_rows_by_column(frames[name]) for name in ("current", "reference", "past"))
    window = context.window
    days = WindowDays((window.start - EPOCH).days, *context.whole_days, window.days)
    stated = stated_limits(context.model.settings, f"{NAME}/psi", WATCH, ACT)
    of_both = [column for column in drift_columns(context) if column in now and column in then]
    edges = {column: context.version.edges.get(column) for column in of_both}
    held = {column: size for column in of_both if (size := axis_size(edges[column])) is not None}
    sizes, seen = list(held.values()), [column for column in held if column in past]
    before = histograms_of_columns([then[column] for column in held], sizes)
    axes = axes_of_counts([edges[column] for column in held], [reference.values for reference in before])
    found = dict(zip(held, axes, strict=True))
    of = daily_histograms(now_days, [now[column] for column in found], sizes)
    earlier = dict(zip(seen, daily_histograms(past_days, [past[column] for column in seen], [held[column] for column in seen])))
    columns = [
        ComparedColumn(column, context.model.subject(column), axis, reference, by_day, earlier.get(column))
        for (column, axis), reference, by_day in zip(found.items(), before, of, strict=True)
    ]
    return column_drifts(columns, days, stated)


@dataclass(frozen=True)
class JudgedDrift:
    """A column's drift with the verdicts of its windows.

    worst: the verdict of the most informative window. needed: number of rows from which the PSI can be judged. severity: severity of the
    finding.
    """

    drift: ColumnDrift
    verdicts: list[Verdict]
    worst: Verdict
    needed: float
    severity: Severity

    @property
    def alarming(self) -> bool:
        """Whether the finding about this drift needs action."""
        return needs_action(self.severity)


def judged_drift(drift: ColumnDrift, verdicts: list[Verdict]) -> JudgedDrift:
    """Return the severity of a column's drift, from its most informative window."""
    worst = min(verdicts, key=lambda verdict: verdict.order)
    change = worst.change
    needed = psi_rows_needed(change.reference.groups, drift.before.n, min(WATCH, change.limits[0]))
    severity: Severity = "unknown" if worst.severity == "ok" and change.after.n < needed else worst.severity
    if needs_action(severity) and change.after.n < MINIMUM_ROWS:
        severity = "unknown"
    return JudgedDrift(drift, verdicts, worst, needed, severity)


def column_findings(
    judged: list[JudgedDrift], means: list[mean_shifts.MeanShift | None], frames: Frames, context: Context
) -> list[Finding]:
    """Return the finding about each column. Onsets and further distances are computed for all columns together. means: the shift of the
    mean of each column.
    """
    falls, values = weekly_falls(frames, context), value_means.ColumnValues(frames, context)
    alarms = [place for place, each in enumerate(judged) if each.alarming]
    new = [place for place in alarms if not judged[place].worst.standing]
    old = [place for place in alarms if judged[place].worst.standing and judged[place].worst.change.whole]
    onsets = dict(zip(new, drift_onsets([(judged[at].drift, judged[at].worst.change) for at in new], context.window.start)))
    stands = dict(zip(old, drifts_standing([(judged[at].drift, judged[at].worst.change, judged[at].worst.limit) for at in old])))
    others = distances_of_columns([(each.drift.axis, each.drift.before, each.worst.change.after) for each in judged])
    found = []
    for at, (each, mean) in enumerate(zip(judged, means, strict=True)):
        onset, moved = onsets.get(at), {} if mean is None else {"mean_shift": mean.shift, "mean_shift_p_value": mean.p_value}
        more = others[at] | (onset.evidence if onset else stands.get(at, {})) | moved
        found.append(column_finding(each, onset, more, falls, values, context))
    return found


def column_finding(
    judged: JudgedDrift,
    onset: OnsetEstimate | None,
    more: dict[str, Any],
    falls: list[bool | None],
    values: value_means.ColumnValues,
    context: Context,
) -> Finding:
    """Return the finding about one column, from its most informative window.

    onset: the onset of a new alarm. more: further evidence. falls: whether performance fell in each of the past weeks. values: the means of
    the values themselves.
    """
    drift, worst, severity, alarming = judged.drift, judged.worst, judged.severity, judged.alarming
    change = worst.change
    low, high = change.interval
    importance = context.model.settings.importance
    share, unit = importance.get(drift.name), values.unit_change(drift) if alarming else None
    weight = share if share is not None else 1 / max(len(importance), 1) if importance else 1.0
    finding = undecided_drift(context, drift.name, change.after.rows, "").revised(
        value=change.effect,
        low=low,
        high=high,
        limit=worst.limit,
        severity=severity,
        likely_source="input" if alarming and drift.reference != "score" else None,
        onset=onset.at if onset else None,
        rank=change.effect * weight,
        news=worst.news if severity == worst.severity else None,
        evidence=drift_evidence(drift, worst, judged.verdicts, share)
        | more
        | {"value_shift": values.shift(drift, change), **({"factor": unit.factor} if unit else {})}
        | ({"undecided": cause} if (cause := undecided_drift_cause(drift, worst, severity, judged.needed)) else {}),
    )
    finding = finding.revised(because=drift_sentence(drift, worst, finding, judged.needed, unit, context.budget))
    return with_worth(finding, drift, worst, falls, context) if severity == "act" and drift.reference != "score" else finding


def with_worth(finding: Finding, drift: ColumnDrift, worst: Verdict, falls: list[bool | None], context: Context) -> Finding:
    """Return the finding with its track record: how often an earlier drift of the column coincided with a fall of the
    model's performance.
    """
    moved = [value >= worst.limit for value in drift.weeks]
    record = move_record([*moved, *[None] * (len(falls) - len(moved))], falls, context)
    because = f"{finding.because.removesuffix('.')}; {record.in_words}."
    return finding.revised(because=because, evidence=finding.evidence | record.evidence)


def drift_evidence(drift: ColumnDrift, worst: Verdict, verdicts: list[Verdict], share: float | None) -> dict[str, Any]:
    """Return the verdict of each window, and the series by day."""
    before, change, own = drift.before, worst.change, own_past_distance(drift.axis, worst.change)
    return {
        "column": drift.reference,
        "n_reference": before.rows,
        "p_value": change.p_value,
        "p_adjusted": worst.p_adjusted,
        "null_95": change.reference.null.quantile(0.95),
        "varies_up_to": change.varies,
        "days_of_past": drift.known_days,
        "past_psi": change.past and change.past.psi,
        "past_psi_at_least": own and own.psi,
        "past_beyond": own and own.beyond,
        "usual_psi": change.usual,
        "standing": worst.standing,
        "standing_weeks": standing_weeks(drift, worst),
        "look_days": change.days,
        "one_value_a_day": not drift.by_day,
        "windows": [drift_row(verdict) for verdict in verdicts],
        "missing_share": change.after.missing_share,
        **({"score_cuts": group_cuts(drift.axis)} if drift.reference == "score" else {}),
        "missing_share_reference": before.missing_share,
        "importance": share,
        "by_day": [
            [(EPOCH + timedelta(days=day)).date().isoformat(), round(value, 6), rows] for day, value, rows in drift.by_day[-DAYS_DRAWN:]
        ],
    }


def drift_row(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict of one window."""
    change, past = verdict.change, verdict.change.past
    more: dict[str, Any] = {"n": change.after.rows, "past": past and past.psi, "past_p_value": past and past.p_value}
    return verdict.evidence_row(change.effect, *change.interval, verdict.limit, **more)


def standing_weeks(drift: ColumnDrift, worst: Verdict) -> int:
    """Return how many consecutive weeks before the window were beyond the limit."""
    return next((count for count, value in enumerate(drift.weeks) if value < worst.limit), len(drift.weeks))


def drift_sentence(drift: ColumnDrift, worst: Verdict, finding: Finding, needed: float, unit: UnitChange | None, budget: float) -> str:
    """Return the finding's sentence: the column, the largest change and its PSI. budget: the largest adjusted p that is significant."""
    name, change, psi = drift.name, worst.change, worst.change.effect
    rows = f"{change.after.rows:,} predictions"
    cause = undecided_drift_cause(drift, worst, finding.severity, needed)
    if cause in ("small reference", "few rows"):
        more = "a larger reference" if cause == "small reference" else f"about {max(round(needed - change.after.n), 1):,} more predictions"
        return f"`{name}` cannot be compared yet on {rows}: {more} needed."
    if cause is not None:
        reason = undecided_drift_reason(drift, worst, cause, budget)
        return f"`{name}` cannot be judged: PSI {psi:.2f} (warning from {worst.limit:.2g}) over {rows}, but {reason}."
    if finding.severity == "ok":
        varies = own_variation(worst)
        claim = "is stable" if psi < WATCH else "moved within its daily range" if varies else "moved less than its limit"
        recovered = f"; it is back below the limit, PSI {change.week_before:.2f} the week before" if finding.news == "recovered" else ""
        return f"`{name}` {claim}: PSI {psi:.3f} (warning from {worst.limit:.2g}{varies}) over {rows}{recovered}."
    limit = f"(limit {worst.limit:.2g}{own_variation(worst)})"
    largest = f"{unit.words}, as in another unit" if unit else largest_change(drift, change, finding.evidence["value_shift"])
    own = own_past_distance(drift.axis, change)
    when = window_phrase(change.days, whole=change.whole)
    if worst.standing and not change.whole:
        return (
            f"`{name}` differs from the reference{when}, as on such weekdays before: {largest}; PSI {psi:.2f} {limit} over {rows}; "
            "the reference is like the other days."
        )
    if worst.standing:
        weeks = standing_weeks(drift, worst)
        since = (
            f", as in the past {f'{weeks} weeks' if weeks > 1 else 'week'}" if weeks else ", without a significant change from its own past"
        )
        past = own.words(f" {PAST_DAYS} days") if own else ""
        return f"`{name}` differs from the reference{since}: {largest}; PSI {psi:.2f} {limit} over {rows}{past}."
    whole = "" if change.whole else f" ({drift.whole.effect:.2f} over all {drift.whole.days} days)"
    past = own.words("") if own else ""
    return f"`{name}` moved{when}: {largest}; PSI {psi:.2f} {limit} over {rows}{whole}{past}."


def undecided_drift_cause(drift: ColumnDrift, worst: Verdict, severity: Severity, needed: float) -> str | None:
    """Return why a column is not decided: `small reference`, `few rows`, `beyond reference`, `as past days`, `few days` or `chance`. None
    if it is decided. needed: number of rows from which the PSI can be judged.
    """
    change = worst.change
    if severity != "unknown":
        return None
    if change.effect < worst.limit or change.after.n < needed:
        return "small reference" if np.isinf(needed) else "few rows"
    if change.usual is None:
        return "chance"
    if share_beyond(drift.axis, change.after) >= MAX_BEYOND:
        return "beyond reference"
    return "as past days" if change.one_value_a_day and change.as_usual else "few days"


def undecided_drift_reason(drift: ColumnDrift, worst: Verdict, cause: str, budget: float) -> str:
    """Return why a distance beyond its limit is not decided, in words. cause: from `undecided_drift_cause`. budget: the largest adjusted p
    that is significant.
    """
    change = worst.change
    if cause == "beyond reference":
        return (
            f"{100 * share_beyond(drift.axis, change.after):.0f} % of its values lie beyond one end of the reference’s range, in one bin, "
            "so its days cannot be compared: a newer reference is needed to decide"
        )
    if cause == "as past days":
        return (
            f"it has one value a day, and an equal number of past days was just as far from the reference (PSI {change.usual:.2f}): "
            "a longer window is needed to decide"
        )
    if cause == "few days":
        days = "a day is" if change.days == 1 else f"{change.days:g} days are"
        return f"rows of a day share its value, so {days} too few: a longer window is needed to decide"
    return (
        f"it may be chance (p {worst.p_adjusted:.2g} with all columns counted, an alarm needs {budget:.2g}): "
        "a longer window is needed to decide"
    )


def own_variation(worst: Verdict) -> str:
    """Return the clause that the natural variation sets the limit; empty if it does not."""
    return ", its expected daily range" if worst.limit == worst.change.varies else ""


def largest_change(drift: ColumnDrift, change: DistributionChange, value_shift: float | None) -> str:
    """Return the change in words: missing values, the mean, or the level that changed most."""
    before, after = drift.before, change.after
    if abs(after.missing_share - before.missing_share) >= 0.05:
        return f"{100 * after.missing_share:.1f} % of the values are missing, {100 * before.missing_share:.1f} % in the reference"
    moved = value_means.shift_words(drift, change, value_shift)
    if moved:
        return moved
    if drift.axis.ordered:
        return "the mean is about the same, the shape differs"
    p, q = before.counts / before.counts.sum(), after.counts / after.counts.sum()
    most = int(np.abs(q - p).argmax())
    level = [*drift.axis.levels, "an unseen category", "missing"][most]
    return f"`{level}` is {100 * q[most]:.1f} % of the values, {100 * p[most]:.1f} % in the reference"


def undecided_drift(context: Context, subject: str, n: int, because: str) -> Finding:
    """Return a finding of severity `unknown`, to be filled in where a verdict is possible."""
    return context.undecided(NAME, subject, "psi", n, because)


ANALYZER = Analyzer(
    NAME,
    "Did inputs or scores drift from the reference?",
    needs,
    analyze,
    limits={"psi": ACT, swapped_categories.METRIC: swapped_categories.ACT, mean_shifts.METRIC: mean_shifts.WATCH},
    proofs=DRIFT_PROOFS,
)
