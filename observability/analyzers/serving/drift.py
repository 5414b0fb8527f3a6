"""Have the inputs or the scores moved away from the reference?

Each feature and the score is held against the reference on the reference's own deciles (Population Stability Index, missing as a bin of its
own), and against the model's own past month. A move is reported when it is large enough to matter and beyond what rows and days do by chance, the
false discovery rate controlled over all columns and looks of the run; what stood so in the past weeks already is no news, and is shown as such.
Two levels of a category that changed places are named, however little the index shows of it (_traded.py). What no single feature shows is the matter of serving/multivariate_drift.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Finding, Severity, needs_action
from observability.core.questions import Aggregate, Bucket
from observability.core.window import EPOCH
from observability.detection import swapped_categories
from observability.detection.distribution_changes import PAST_DAYS, Days, Gap, Look, Moved, began, measure
from observability.detection.histogram_distance import ACT, MINIMUM_ROWS, WATCH, distances, interval_around, rows_needed
from observability.metrics.histograms import axis_of, by_column, daily, mean_shift, side_of
from observability.stats.multiple import ACT_SHARE, benjamini_hochberg

NAME = "serving/drift"
FARTHER = 1.1
"""A column that the rows of a day share is news where it is a tenth farther from the reference than as many days of its past ever were."""
DAYS_KEPT = 62


@dataclass(frozen=True)
class Verdict:
    """What one look says. limit: the one that it passed, or would have to pass. standing: beyond the limit, and no further from the own past. interval: of the
    PSI, 95 %.
    """

    look: Look
    severity: Severity
    limit: float
    adjusted: float
    standing: bool
    interval: tuple[float, float]

    @property
    def order(self) -> tuple[int, bool, float]:
        """The worst first; of equals the whole window, then the largest."""
        return (("act", "watch", "unknown", "ok").index(self.severity), not self.look.whole, -self.look.reference.psi)


def needs(context: Context) -> dict[str, Ask]:
    """Histograms of every registered feature and of the score, by day, now and in the past month, and in the reference."""
    columns = asked(context)
    if not columns or not context.version.reference_rows:
        return {"current": Ask(Aggregate("predictions"))}
    by_day = Aggregate("predictions", keys=(Bucket("day"),), histogram=columns)
    return {
        "current": Ask(by_day),
        "past": Ask(by_day, span="past", days=PAST_DAYS),
        "reference": Ask(Aggregate("predictions", histogram=columns), span="reference"),
    }


def asked(context: Context) -> tuple[str, ...]:
    """References of the columns that have edges, and the score."""
    features = [f"feature.{name}" for name in context.version.features if f"feature.{name}" in context.version.edges]
    has_score = context.model.task == "binary" or "score" in context.version.edges
    return (*features, *(("score",) if has_score else ()))


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """One finding for each column, and one where two levels of it changed places, the false discovery rate controlled over all columns and looks."""
    if "reference" not in frames:
        sentence = "There is no reference to compare with: register this version with held-out predictions to see drift."
        return [unknown(context, "model", int(frames["current"]["n"].sum()), sentence)]
    if frames["current"].empty:
        return [unknown(context, "model", 0, "No predictions in this window, so nothing can be compared.")]
    moved = columns_of(frames, context)
    traded = [swapped_categories.seen(each) for each in moved]
    p_values = [
        p
        for each, levels in zip(moved, traded, strict=True)
        for p in (*(look.reference.p_value for look in each.looks), *swapped_categories.chances(levels))
    ]
    adjusted = iter(float(p) for p in benjamini_hochberg(p_values, context.budget)[0])
    found = []
    for each, levels in zip(moved, traded, strict=True):
        found.append(judge(each, [next(adjusted) for _ in each.looks], context))
        found += swapped_categories.claims(each, levels, [next(adjusted) for _ in levels], context)
    return found


def columns_of(frames: Frames, context: Context) -> list[Moved]:
    """Every column that has bins and was seen on both sides."""
    (now_days, now), (_, then), (past_days, past) = (by_column(frames[name]) for name in ("current", "reference", "past"))
    window = context.window
    days = Days((window.start - EPOCH).days, *context.whole_days, window.days)
    found = []
    for column in asked(context):
        if column not in now or column not in then:
            continue
        axis = axis_of(context.version.edges.get(column), then[column])
        if axis is None:
            continue
        before = side_of(then[column], axis.size)
        of = daily(now_days, now[column], axis.size)
        earlier = daily(past_days, past[column], axis.size) if column in past else None
        found.append(measure(column, context.model.subject(column), axis, before, of, earlier, days))
    return [each for each in found if each is not None]


def verdict(look: Look, adjusted: float, context: Context, weeks: Sequence[float]) -> Verdict:
    """How bad one look is: beyond chance, beyond the limit, and news. weeks: the PSI of the weeks before, newest first."""
    gap = look.reference
    watch, act = limits(gap, context)
    severity: Severity = "ok"
    if adjusted <= context.budget and gap.psi >= watch:
        severity = "act" if gap.psi >= act and adjusted <= context.budget * ACT_SHARE else "watch"
    standing = severity != "ok" and not is_news(look, context, severity)
    if standing:
        severity = "watch" if look.whole and not of_the_calendar(look, weeks, watch) else "ok"
    interval = interval_around(gap.psi, gap.groups, look.groups, (gap.n, look.after.n))
    return Verdict(look, severity, act if severity == "act" else watch, adjusted, standing, interval)


def limits(gap: Gap, context: Context) -> tuple[float, float]:
    """PSI from which it is watch and act: the smallest that matters, or what the column varies up to by itself where that is more."""
    act = context.model.settings.limits.get(f"{NAME}/psi", ACT)
    return max(min(WATCH, act), gap.varies), max(act, gap.varies)


def is_news(look: Look, context: Context, severity: Severity) -> bool:
    """Whether the column also moved from its own past; where there is none, everything is news. A look of a few days has to move as far from the same
    weekdays of its past as from the reference: single days differ more. What the calendar moves has to go farther than it went in the past.
    """
    past = look.past
    if as_usual(look):
        return False
    if past is None:
        return True
    sure = severity == "act" and not look.whole
    return past.psi >= limits(past, context)[sure] and past.p_value <= context.budget * (ACT_SHARE if sure else 1.0)


def as_usual(look: Look) -> bool:
    """Whether a column that the rows of a day share is where as many days of its past were: the calendar moved it."""
    return look.usual is not None and look.reference.psi <= look.usual * FARTHER


def of_the_calendar(look: Look, weeks: Sequence[float], limit: float) -> bool:
    """Whether less than a week moved only as single days do while the week before it did not: a Tuesday is no Monday."""
    return look.days < 7 and as_usual(look) and bool(weeks) and weeks[0] < limit


def judge(moved: Moved, adjusted: list[float], context: Context) -> Finding:
    """The finding about one column, of the look that says most."""
    verdicts = [verdict(look, p, context, moved.weeks) for look, p in zip(moved.looks, adjusted, strict=True)]
    worst = min(verdicts, key=lambda each: each.order)
    look, gap = worst.look, worst.look.reference
    needed = rows_needed(gap.groups, moved.before.n, min(WATCH, limits(gap, context)[0]))
    severity: Severity = "unknown" if worst.severity == "ok" and look.after.n < needed else worst.severity
    if needs_action(severity) and look.after.n < MINIMUM_ROWS:
        severity = "unknown"
    low, high = worst.interval
    importance = context.model.settings.importance
    when = began(moved, look, context.window.start) if needs_action(severity) and not worst.standing else None
    share = importance.get(moved.name)
    finding = replace(
        unknown(context, moved.name, look.after.rows, ""),
        value=gap.psi,
        low=low,
        high=high,
        limit=worst.limit,
        severity=severity,
        likely_source="input" if needs_action(severity) and moved.reference != "score" else None,
        onset=when.at if when else None,
        rank=gap.psi
        * (share if share is not None else (1 / max(len(importance), 1) if importance else 1.0))
        * (0.1 if worst.standing else 1),
        evidence=evidence(moved, worst, verdicts, share) | (when.evidence if when else {}),
    )
    return replace(finding, because=sentence(moved, worst, finding, needed))


def evidence(moved: Moved, worst: Verdict, verdicts: list[Verdict], share: float | None) -> dict[str, Any]:
    """The other distances, what each look says, and the series by day."""
    before, after, gap = moved.before, worst.look.after, worst.look.reference
    return {
        "column": moved.reference,
        "n_reference": before.rows,
        "p_value": gap.p_value,
        "p_adjusted": worst.adjusted,
        "null_95": gap.null.quantile(0.95),
        "varies_up_to": gap.varies,
        "days_of_past": moved.known_days,
        "past_psi": worst.look.past and worst.look.past.psi,
        "usual_psi": worst.look.usual,
        "standing": worst.standing,
        "standing_weeks": standing_weeks(moved, worst),
        "look_days": worst.look.days,
        "windows": [row(each) for each in verdicts],
        "missing_share": after.missing_share,
        "missing_share_reference": before.missing_share,
        "importance": share,
        "by_day": [
            [(EPOCH + timedelta(days=day)).date().isoformat(), round(value, 6), rows] for day, value, rows in moved.by_day[-DAYS_KEPT:]
        ],
        **distances(moved.axis, before, after),
    }


def row(each: Verdict) -> dict[str, Any]:
    """What one look says."""
    gap, past = each.look.reference, each.look.past
    low, high = each.interval
    return {
        "days": each.look.days, "value": gap.psi, "low": low, "high": high, "n": each.look.after.rows, "limit": each.limit, "varies_up_to": gap.varies,
        "p_value": gap.p_value, "p_adjusted": each.adjusted, "past": past and past.psi, "past_p_value": past and past.p_value,
        "edge": each.limit, "standing": each.standing, "severity": each.severity,
    }  # fmt: skip


def standing_weeks(moved: Moved, worst: Verdict) -> int:
    """How many of the weeks before the window were beyond the limit without a break."""
    count = 0
    for value in moved.weeks:
        if value < worst.limit:
            break
        count += 1
    return count


def sentence(moved: Moved, worst: Verdict, finding: Finding, needed: float) -> str:
    """What moved, in plain words, with the numbers."""
    look, psi = worst.look, worst.look.reference.psi
    rows = f"{look.after.rows:,} predictions"
    if finding.severity == "unknown":
        more = "a larger reference" if np.isinf(needed) else f"about {max(round(needed - look.after.n), 1):,} more predictions"
        return f"`{moved.name}` cannot be judged yet on {rows}: that needs {more}."
    if finding.severity == "ok":
        if worst.standing and look.usual is not None:
            stretch = "single days" if look.days == 1 else f"{look.days} days"
            return f"`{moved.name}` is as {stretch} are: PSI {psi:.2f} from the reference over {rows}, up to {look.usual:.2f} in the past {PAST_DAYS} days, whose last week did not differ."
        if psi >= worst.limit:
            chance = f"p {worst.adjusted:.2g} over all that was looked at"
            return f"`{moved.name}` moved no farther than chance may explain ({chance}): PSI {psi:.3f} over {rows}, beyond {worst.limit:.2g}{why(worst)}."
        return f"`{moved.name}` is distributed as in the reference: PSI {psi:.3f} (watch from {worst.limit:.2g}{why(worst)}) over {rows}."
    limit = f"(limit {worst.limit:.2g}{why(worst)})"
    if worst.standing:
        weeks = standing_weeks(moved, worst)
        settled = ", no farther than days of its past" if as_usual(look) else ", and not surely from its own past"
        since = f" as in the past {f'{weeks} weeks' if weeks > 1 else 'week'}" if weeks else settled
        past = f", {look.past.psi:.2f} from its own past {PAST_DAYS} days" if look.past else ""
        return f"`{moved.name}` differs from the reference{since}: PSI {psi:.2f} {limit} over {rows}{past}; {change(moved, look)}."
    when, beside = "", ""
    if not look.whole:
        when = " in the last day" if look.days == 1 else f" in the last {look.days} days"
        beside = f" ({moved.whole.reference.psi:.2f} over all {moved.whole.days} days)"
    past = f", and {look.past.psi:.2f} from its own past" if look.past else ""
    return f"`{moved.name}` moved{when}: PSI {psi:.2f} {limit} over {rows}{beside}{past}; {change(moved, look)}."


def why(worst: Verdict) -> str:
    """Where the limit comes from, where it is not the smallest move that matters."""
    varies = worst.look.reference.varies
    return f": its own days vary up to {varies:.2g}" if worst.limit <= varies else ""


def change(moved: Moved, look: Look) -> str:
    """The part of the move that is easiest to say: missing values, the mean, or the level that changed most."""
    after = look.after
    missing = after.missing_share - moved.before.missing_share
    if abs(missing) >= 0.05:
        return f"{100 * after.missing_share:.1f} % of the values are missing, {100 * moved.before.missing_share:.1f} % in the reference"
    shift = mean_shift(moved.axis, moved.before, after)
    if shift is not None and abs(shift) >= 0.1:
        return f"values are {abs(shift):.1f} reference standard deviations {'higher' if shift > 0 else 'lower'} on average"
    if moved.axis.ordered:
        return "the average is about the same, the shape is not"
    p, q = moved.before.counts / moved.before.counts.sum(), after.counts / after.counts.sum()
    most = int(np.abs(q - p).argmax())
    level = [*moved.axis.levels, "an unseen category", "missing"][most]
    return f"`{level}` is {100 * q[most]:.1f} % of the values, {100 * p[most]:.1f} % in the reference"


def unknown(context: Context, subject: str, n: int, because: str) -> Finding:
    """A finding of this analyzer that says it cannot tell, to be filled in where it can."""
    return context.undecided(NAME, subject, "psi", n, because)


ANALYZER = Analyzer(
    NAME,
    "Have the inputs or the scores moved away from the reference?",
    needs,
    analyze,
    limits={"psi": ACT, swapped_categories.METRIC: swapped_categories.ACT},
)
