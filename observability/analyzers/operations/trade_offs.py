"""Check the form of a model that is served (such as the model in some precision or runtime, or a smaller one): how many decisions it
changes, in which slices, whether repeated answers agree, and on which device it ran.

Reads audits of kind `precision` and the decisions on a form. Only the newest audit of each model version counts. Usually only the form in
use can need attention, because the other forms were only compared and serve nobody. A form that ran on another device than requested is
always reported, because its times belong to that device. Expired audits of every kind are reported by trust/audits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Finding, Severity, iso, needs_action, news_given_before
from observability.core.formatting import format_day
from observability.core.numerals import percent
from observability.detection.form_slices import FLIP_LIMIT, SliceExcess, flip_severity, missing_rows, slice_excesses, worst_slice
from observability.metrics.form_decisions import FORM_DECISIONS, FormDecision, served_form_decisions
from observability.metrics.trade_offs import PRECISION_AUDITS, FormResult, TradeOffAudit, latest_audits, trade_off_audits
from observability.proofs.trade_offs import TRADE_OFF_PROOFS
from observability.stats.difference_intervals import rate_difference_interval
from observability.stats.interval import rate_interval
from observability.stats.multiple_testing import benjamini_hochberg

NAME = "operations/trade_offs"
FLIPS, GAP, UNSTABLE, FALLBACKS = "form_flip_rate", "form_slice_gap", "form_unstable_rate", "form_fallbacks"


def needs(context: Context) -> dict[str, Ask]:
    """Ask for the audits of forms and for all decisions."""
    return {"audits": Ask(PRECISION_AUDITS), "decisions": Ask(FORM_DECISIONS)}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return the findings about the form in use of each audited model version."""
    known = trade_off_audits(frames["audits"])
    audits = latest_audits(known)
    chosen = served_form_decisions(frames["decisions"])
    used = [(audit, served_form(audit, chosen)) for audit in audits]
    excesses = [slice_excesses(form) if (form := audit.form(name)) and form.flips else [] for audit, name in used]
    adjusted = iter(benjamini_hochberg([each.p_value for own in excesses for each in own], context.budget)[0].tolist())
    found: list[Finding] = []
    for (audit, name), own in zip(used, excesses, strict=True):
        slices = [(each, next(adjusted)) for each in own]
        form, own_findings = audit.form(name), list[Finding]()
        if form is None:
            because = f"Form `{name}` is in use, and the newest audit of {format_day(audit.at)} did not measure it; {again_words(audit)}."
            own_findings.append(undecided_form(context, audit, name, FLIPS, 0, because))
        else:
            own_findings.append(flip_finding(context, audit, form, earlier_form(known, audit, name)))
            own_findings += [*slice_findings(context, audit, form, slices), *unstable_findings(context, audit, form)]
        own_findings += fallback_findings(context, audit, name)
        news = news_given_before(audit.at < context.window.start)
        found += [replace(each, news=each.news or news) if needs_action(each.severity) else each for each in own_findings]
    return found


def again_words(audit: TradeOffAudit) -> str:
    """How to repeat an audit, in words. Imported results were measured on other hardware, so the audit is repeated there."""
    return "measure it on that hardware and import the results" if audit.imported else "run the audit again"


def served_form(audit: TradeOffAudit, chosen: Mapping[tuple[str, str], FormDecision]) -> str:
    """The form that is served: according to the newest decision in force, or to the audit if there is no decision. chosen: the decisions by
    model and version.
    """
    decision = chosen.get((audit.model, audit.version))
    return decision.form if decision else audit.in_use


def earlier_form(known: Sequence[TradeOffAudit], audit: TradeOffAudit, name: str) -> tuple[TradeOffAudit, FormResult] | None:
    """The newest earlier audit of the model (any version) that compared the answers of a form, and its result for that form; None if there
    is none.
    """
    for earlier in reversed(known):
        form = earlier.form(name) if earlier.model == audit.model and earlier.at < audit.at else None
        if form is not None and form.probes and form.flips is not None:
            return earlier, form
    return None


def changes_more_than(form: FormResult, earlier: FormResult) -> bool:
    """Whether a form changes a larger share of decisions than in an earlier audit: the interval of the difference is above zero."""
    ends = (form.flips, form.probes, earlier.flips, earlier.probes)
    if None in ends:
        return False
    low = rate_difference_interval(*(float(end) for end in ends if end is not None)).low
    return low is not None and low > 0


def undecided_form(context: Context, audit: TradeOffAudit, form: str, metric: str, n: int, because: str) -> Finding:
    """Return the finding of severity `unknown` about a form, on which the other findings are based."""
    blank = context.undecided(NAME, f"form={form}", metric, n, because, against="level")
    return replace(blank, model=audit.model, version=audit.version, evidence={"audited": iso(audit.at), "form": form})


def with_place(finding: Finding, form: FormResult, **more: Any) -> Finding:
    """The finding with further evidence, including the place of its form in the audit."""
    return replace(finding, evidence=finding.evidence | {"place": form.place} | more)


def flip_finding(
    context: Context, audit: TradeOffAudit, form: FormResult, before: tuple[TradeOffAudit, FormResult] | None = None
) -> Finding:
    """Return the finding about the decisions that the form in use changes. before: the result of the same form in the previous audit."""
    rate = form.flip_rate
    if rate is None or rate.value is None or rate.low is None or rate.high is None:
        because = f"How many decisions form `{form.name}` changes is unknown: the audit compared no answers."
        return undecided_form(context, audit, form.name, FLIPS, 0, because)
    n, flips = form.probes or 0, form.flips or 0
    blank = with_place(undecided_form(context, audit, form.name, FLIPS, n, ""), form)
    if audit.forms[0].name == form.name:
        others = [each.flip_rate for each in audit.forms[1:]]
        within = sum(each is not None and each.value is not None and each.value <= FLIP_LIMIT for each in others)
        because = f"The model is served as registered; {within} of {len(others)} other forms change at most {percent(FLIP_LIMIT)} of its"
        because = f"{because} decisions ({n:,} rows)." if others else "The model is served as registered; no other form of it was measured."
        return replace(blank, value=0.0, low=0.0, high=rate.high, severity="ok", limit=FLIP_LIMIT, because=because)
    ends = f"{percent(rate.low)} to {percent(rate.high)}"
    said = f"Form `{form.name}` changes {percent(rate.value)} of decisions ({flips:,} of {n:,} rows; {ends})"
    severity = flip_severity(rate)
    worse = before is not None and changes_more_than(form, before[1])
    if severity == "unknown" and not worse:
        more = missing_rows(n)
        return replace(
            blank, because=f"{said}; whether that is below {percent(FLIP_LIMIT)} is unknown yet: a decision needs about {more:,} more rows."
        )
    judged = f"{said}; the limit is {percent(FLIP_LIMIT)}"
    if before is not None and worse:
        severity = "watch" if severity in ("ok", "unknown") else severity
        earlier, then = before
        share = (then.flips or 0) / (then.probes or 1)
        of_version = "" if earlier.version == audit.version else f" of version {earlier.version}"
        judged += f"; worse than {percent(share)} on {format_day(earlier.at)}{of_version}"
        past = {"baseline": share, "baseline_n": then.probes, "baseline_at": iso(earlier.at), "baseline_version": earlier.version}
        blank = replace(blank, evidence=blank.evidence | past, news="worse")
    return replace(
        blank,
        value=rate.value,
        low=rate.low,
        high=rate.high,
        severity=severity,
        limit=FLIP_LIMIT,
        likely_source=None if severity == "ok" else "model",
        because=f"{judged}.",
    )


def slice_findings(context: Context, audit: TradeOffAudit, form: FormResult, slices: list[tuple[SliceExcess, float]]) -> Iterator[Finding]:
    """Yield the finding about the worst slice: whether the form in use changes more decisions there than elsewhere."""
    worst = worst_slice(slices, context.budget)
    if worst is None:
        return
    part, difference = worst.excess.part, worst.excess.difference
    blank = undecided_form(context, audit, form.name, GAP, part.n, "")
    evidence = {"slice_place": form.slices.index(part), "p_adjusted": worst.p_adjusted, "compared": worst.compared}
    blank = replace(with_place(blank, form, **evidence), value=difference.value, low=difference.low, high=difference.high)
    if worst.severity == "ok":
        because = (
            f"Form `{form.name}` changes no slice significantly more than the others ({worst.compared} slices tested); "
            f"smallest p-value: {worst.rates}."
        )
        yield replace(blank, severity="ok", because=because)
        return
    because = f"Form `{form.name}` changes decisions mainly in {worst.where}: {worst.rates}.{worst.more}"
    yield replace(blank, severity=worst.severity, because=because, slice=part.slice_text, likely_source="model")


def unstable_findings(context: Context, audit: TradeOffAudit, form: FormResult) -> Iterator[Finding]:
    """Yield the finding about rows for which the form in use gives another decision when it is asked again."""
    if form.unstable is None or not form.probes:
        return
    rate = rate_interval(form.unstable, form.probes)
    blank = with_place(undecided_form(context, audit, form.name, UNSTABLE, form.probes, ""), form)
    blank = replace(blank, value=rate.value, low=rate.low, high=rate.high)
    if not form.unstable:
        yield replace(
            blank, severity="ok", because=f"Form `{form.name}` is repeatable: all {form.probes:,} rows had the same decision in every pass."
        )
        return
    severity: Severity = "act" if rate.low is not None and rate.low > FLIP_LIMIT else "watch"
    because = (
        f"Form `{form.name}` is not repeatable: the decision of {form.unstable:,} of {form.probes:,} rows changed in another pass. "
        "Its output depends on the other rows of a batch, or on chance."
    )
    yield replace(blank, severity=severity, because=because, likely_source="system")


def fallback_findings(context: Context, audit: TradeOffAudit, used: str) -> Iterator[Finding]:
    """Yield the finding about forms that ran on another device than requested."""
    fallen = [form for form in audit.forms if form.fell_back]
    asked = [form for form in audit.forms if form.provider is not None and form.used_provider is not None]
    if not asked:
        return
    worst = next((form for form in fallen if form.name == used), fallen[0] if fallen else asked[0])
    blank = undecided_form(context, audit, worst.name, FALLBACKS, len(asked), "")
    blank = replace(blank, value=float(len(fallen)), low=float(len(fallen)), high=float(len(fallen)))
    if not fallen:
        partly = "".join(f" Of `{form.name}`, {form.partial_fallback}." for form in asked if form.partial_fallback)
        yield replace(blank, severity="ok", because=f"All {len(asked)} forms ran on the device that was requested.{partly}")
        return
    device, wanted = (worst.used_provider or "").upper(), (worst.provider or "").upper()
    because = f"Form `{worst.name}` ran on {device} although {wanted} was requested, without an error; its times are those of the {device}."
    severity: Severity = "act" if worst.name == used else "watch"
    yield replace(blank, severity=severity, because=because, likely_source="system")


ANALYZER = Analyzer(
    NAME,
    "Does the served form give the model's decisions, in every slice, repeatably and on the intended device?",
    needs,
    analyze,
    about="records",
    proofs=TRADE_OFF_PROOFS,
)
