"""Find changes in the inputs and outputs of a language model's logged calls, compared with the eight weeks before.

Such a model has no reference, so serving/drift cannot judge it. All its versions are judged together, on a sample of the calls. Each column
has one finding; the false discovery rate is controlled over all columns. A critical change needs three earlier weeks.
`detection.call_drift` defines by how much a change must exceed the differences between earlier weeks.
"""

from dataclasses import replace

from observability.core.analyzer import OTHERS, Analyzer, Ask, Context, Frames
from observability.core.catalog import Model
from observability.core.finding import Finding, Severity, needs_action
from observability.core.formatting import format_day
from observability.core.questions import Sample
from observability.detection.call_drift import MOVED, PAST_DAYS, CallDrift, call_drifts, compared_calls
from observability.detection.change import ChangeVerdict, judge_change, stated_limits
from observability.stats.multiple_testing import benjamini_hochberg

NAME, METRIC = "serving/call_drift", "call_psi"
MAX_CALLS = 20_000
"""Maximum number of calls that are compared on each side."""
FIELDS = ("id", "at", "status", "prediction", "extra")


def is_language_model(model: Model) -> bool:
    """Whether a model's calls are calls of a language model, that is, whether they have a number of input tokens."""
    return model.column("feature.input_tokens") is not None


def needs(context: Context) -> dict[str, Ask]:
    """Ask for a sample of the calls of the window and of the eight weeks before; for nothing if the model is of another kind or has a
    reference.
    """
    if not is_language_model(context.model) or any(version.reference_rows for version in context.model.versions):
        return {}
    calls = Sample("predictions", (*FIELDS, *(each.reference for each in context.model.features())), MAX_CALLS)
    return {"current": Ask(calls, scope="model"), "past": Ask(calls, span="past", days=PAST_DAYS, scope="model")}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return a finding for each column of the calls, or one that says why the calls cannot be compared; nothing if there are no calls."""
    if "current" not in frames or (frames["current"].empty and frames["past"].empty):
        return []
    calls = compared_calls(frames["current"], frames["past"], context.window)
    stated = stated_limits(context.model.settings, f"{NAME}/{METRIC}", *MOVED)
    drifts = call_drifts(calls, [each.reference for each in context.model.features()], context.window, stated)
    if not drifts:
        because = f"The calls cannot be compared yet: {calls.missing or 'no column is logged in both'}."
        return [undecided_calls(context, "model", len(calls.now), because)]
    adjusted = benjamini_hochberg([each.p_value for each in drifts], context.budget)[0].tolist()
    return [column_finding(judge_change(drift, p, context.budget), context) for drift, p in zip(drifts, adjusted, strict=True)]


def undecided_calls(context: Context, subject: str, n: int, because: str) -> Finding:
    """Return a finding of severity `unknown`, on which the other findings are based."""
    return context.undecided(NAME, subject, METRIC, n, because, against="past", whole_model=True)


def column_finding(verdict: ChangeVerdict[CallDrift], context: Context) -> Finding:
    """Return the finding about one column."""
    drift = verdict.change
    severity: Severity = "unknown" if verdict.severity == "ok" and drift.calls < drift.needed else verdict.severity
    alarming, (low, high) = needs_action(severity), drift.interval
    return replace(
        undecided_calls(context, drift.column, drift.calls, drift_sentence(verdict, severity)),
        value=drift.effect,
        low=low,
        high=high,
        limit=verdict.limit,
        severity=severity,
        likely_source=("model" if drift.of_answers else "input") if alarming else None,
        onset=drift.since.at if alarming else None,
        rank=drift.effect,
        news=verdict.news if severity == verdict.severity else None,
        evidence={
            "baseline_n": drift.earlier_calls,
            "p_value": drift.p_value,
            "p_adjusted": verdict.p_adjusted,
            "usual_psi": drift.varies,
            "level": drift.level,
            "before": drift.before,
            "now": drift.now,
            **(drift.since.evidence if alarming else {}),
        },
    )


def drift_sentence(verdict: ChangeVerdict[CallDrift], severity: Severity) -> str:
    """Return the sentence of the finding: the column, the change, its PSI and the PSI of the weeks before."""
    drift = verdict.change
    value = f"PSI {drift.effect:.2g}"
    calls = f"{drift.calls:,} calls"
    if severity == "unknown":
        more = max(round(drift.needed) - drift.calls, 1) if drift.needed < float("inf") else None
        wanted = "a longer past is needed" if more is None else f"about {more:,} more are needed"
        return f"`{drift.column}` cannot be compared yet on {calls}: {value}, {drift.words}; {wanted}."
    usual = f"at most {drift.varies:.2g} in the weeks before"
    if severity == "ok":
        recovered = f"; it was {drift.last_week:.2g} in the week before" if verdict.news == "recovered" else ""
        return f"`{drift.column}` is as in the weeks before: {value} (warning from {verdict.limit:.2g}) over {calls}{recovered}."
    since = f" since {format_day(drift.since.at)}" if drift.since.known == "dated" else ""
    return f"`{drift.column}` moved{since}: {drift.words}; {value} (limit {verdict.limit:.2g}, {usual}) over {calls}."


ANALYZER = Analyzer(
    NAME,
    "Did the inputs or outputs of a language model's calls change from the weeks before?",
    needs,
    analyze,
    limits={METRIC: MOVED[1]},
    proofs={OTHERS: "it compares a sample of the calls in bins that are made from the earlier ones"},
)
