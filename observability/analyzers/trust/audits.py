"""Judge the newest audits of a version. Their values are compared with the owner's level and with the previous audit. Expired audits are
reported too.

Reads records of the kind `audit` (robustness, membership, explanations, fairness, leakage). An audit is about one version and its model
file, so it does not count for a new version or after the file was replaced. Audits of kind `precision` compare forms of a model (other
precisions or runtimes); only their existence and age are judged here, because operations/trade_offs judges their figures.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from observability.core.analyzer import DAY, Analyzer, Ask, Context, Frames
from observability.core.finding import Finding, iso, needs_action, news_given_before
from observability.core.formatting import format_day, join_words
from observability.core.numerals import format_figure, percent
from observability.core.owner_level import beyond_level, level_name, level_words
from observability.core.questions import Records
from observability.detection.audit_history import (
    HEADLINES,
    KINDS,
    StoredAudit,
    comparable_audits,
    made_by,
    other_audits,
    precision_audits,
    recorded_numbers,
    stored_audits,
    worse_than_before,
)
from observability.metrics.audit_model import KNOWS
from observability.metrics.trade_offs import NETWORK_ROWS
from observability.proofs.audits import AUDIT_PROOFS

NAME = "trust/audits"
AUDITS = Records("audit", ("model", "version", "at", "audit", "results", "expires"), ever=True, rows=500)
METRIC = "audit_days_left"
RATE_WORDS = {
    "selection_rate": "Selection rate",
    "true_positive_rate": "True positive rate",
    "false_positive_rate": "False positive rate",
    "precision": "Precision",
}
MAX_NAMED_NUMBERS = 4
"""Maximum number of figures in the sentence about an audit without a headline."""
WORDS = {
    "robustness": "Robustness",
    "membership": "Membership",
    "explanations": "Explanations",
    "fairness": "Fairness under shift",
    "leakage": "Data leakage",
    "precision": "Forms",
}
NEVER_RUN = {
    "robustness": "robustness",
    "membership": "exposure of training rows",
    "explanations": "stability of explanations",
    "fairness": "fairness under shift",
    "leakage": "data leakage",
    "precision": "agreement of its forms",
}
NEW_VERSION, NEW_IMPORT = "A new version needs its own.", "Measure the new version on that hardware and import the results."
OF_ITS_OWN = ("lightgbm", "onnx")
"""Kinds of model files from which other forms (precisions, runtimes) can be made. For other kinds, a small network is trained on the
reference instead.
"""


def needs(context: Context) -> dict[str, Ask]:
    """Ask for every audit of the model; nothing in a slice, because a slice has no audits."""
    return {} if context.window.slice else {"audits": Ask(AUDITS, scope="model")}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return a finding about each kind of audit; none for a version without a model file and without audits."""
    if "audits" not in frames:
        return []
    rows = frames["audits"].to_dict("records")
    known, others, forms = (
        [audit for audit in made_by(read(rows), context.due_time) if audit.model == context.model.name]
        for read in (stored_audits, other_audits, precision_audits)
    )
    found: list[Finding] = []
    for kind in KINDS:
        of_kind = [audit for audit in known if audit.kind == kind]
        own = [audit for audit in of_kind if is_of_version(audit, context)]
        if own:
            earlier = [audit for audit in of_kind if audit.at < own[-1].at]
            found += audit_findings(own[-1], earlier[-1] if earlier else None, context)
            continue
        told = [audit for audit in others if audit.kind == kind and is_of_version(audit, context)]
        if told:
            found += audit_findings(told[-1], None, context)
        elif of_kind:
            found.append(never_for_version(of_kind[-1], context))
    compared = [audit for audit in forms if is_of_version(audit, context)]
    if compared and compared[-1].has_expired(context.due_time):
        found.append(expired_finding(compared[-1], context))
    elif forms and not compared:
        found.append(never_for_version(forms[-1], context))
    told_of = {audit.kind for audit in (*known, *others, *forms)}
    groups = context.model.task == "binary" and any(column.sensitive for column in context.model.columns)
    idle = (set() if groups else {"fairness"}) | (set() if has_other_forms(context) else {"precision"})
    never = [words for kind, words in NEVER_RUN.items() if kind not in told_of | idle]
    if never and context.version.artifact:
        because = (
            f"No audit had been run by {context.due_time:%Y-%m-%d}: {join_words(never)} of version {context.version.name} "
            f"{'is' if len(never) == 1 else 'are'} unknown."
        )
        found.append(context.undecided(NAME, "model", METRIC, 0, because, against="level"))
    return found


def has_other_forms(context: Context) -> bool:
    """Return whether other forms of the version's model file can be made. They are made from LightGBM and ONNX files; for other files, a
    network is trained, which needs enough reference rows.
    """
    kind = (context.version.artifact or "").rpartition("/")[2].partition("-")[0]
    return kind in OF_ITS_OWN or context.version.reference_rows >= NETWORK_ROWS


def is_of_version(audit: StoredAudit, context: Context) -> bool:
    """Return whether an audit examined the version in the context with its current model file."""
    return audit.version == context.version.name and audit.is_of_file(context.version.artifact)


def audit_findings(now: StoredAudit, before: StoredAudit | None, context: Context) -> list[Finding]:
    """Return the findings about an audit's figures; if it has expired, one about that and only those figures that need action."""
    earlier = {} if before is None else {audit.metric: audit for audit in (before, *before.further)}
    values = [audit_headline_finding(audit, earlier.get(audit.metric), context) for audit in (now, *now.further)]
    if not now.has_expired(context.due_time):
        return values
    return [expired_finding(now, context), *(value for value in values if needs_action(value.severity))]


def audit_headline_finding(now: StoredAudit, before: StoredAudit | None, context: Context) -> Finding:
    """Return the finding about the headline value of an audit. It is `unknown` if there is neither a level nor an earlier audit.

    Even then, a feature that alone predicts the label is a warning.
    """
    metric = str(now.metric)
    evidence = audit_evidence(now)
    if now.value is None:
        because = str(now.headline.get("why") or no_value_sentence(now))
        base = context.undecided(NAME, now.kind, metric, now.rows, because, against="level")
        return replace(base, evidence=evidence)
    earlier = before if before is not None and comparable_audits(now, before) else None
    worse = earlier is not None and worse_than_before(now, earlier)
    if earlier is not None:
        baseline = {"baseline": earlier.value, "baseline_n": earlier.rows, "baseline_at": iso(earlier.at)}
        evidence |= baseline | {"baseline_version": earlier.version}
    base = context.undecided(NAME, now.kind, metric, now.rows, "", against="level")
    base = replace(base, value=now.value, low=now.low, high=now.high, rank=4.0 if worse else 3.0, evidence=evidence)
    level = context.model.settings.limits.get(level_name(base))
    severity = beyond_level(base, level) if level is not None else "unknown" if earlier is None else "ok"
    knows = knows_the_label(now, level)
    severity = "watch" if (worse and severity == "ok") or knows else severity
    return replace(
        base,
        limit=KNOWS if knows else level,
        severity=severity,
        because=headline_sentence(now, earlier if worse or level is None else None, level, level_name(base)),
        against="level" if level is not None or earlier is None else "past",
        likely_source="model" if needs_action(severity) else None,
        news="worse" if worse else news_given_before(now.at < context.window.start) if needs_action(severity) else None,
    )


def no_value_sentence(audit: StoredAudit) -> str:
    """Return the sentence about an audit without a value to judge, with the numbers that it recorded."""
    numbers = [] if audit.headline else recorded_numbers(audit)
    if not numbers:
        return f"The {audit.kind} audit gave no value."
    return (
        f"The {audit.kind} audit of {format_day(audit.at)} cannot be judged: its results have no `headline` with `value`, `low`, `high` "
        f"and `n`. It recorded {join_words(numbers, MAX_NAMED_NUMBERS)}."
    )


def expired_finding(audit: StoredAudit, context: Context) -> Finding:
    """Return the finding about an audit whose date has passed."""
    assert audit.expires is not None
    days = (audit.expires - context.due_time) / DAY
    again = "measure it on that hardware and import the results" if audit.results.get("imported_from") else "run it again"
    because = f"The {audit.kind} audit of version {audit.version} expired on {format_day(audit.expires)}: {again}."
    return replace(validity_finding(audit, days, because, context), onset=audit.expires)


def never_for_version(last: StoredAudit, context: Context) -> Finding:
    """Return the finding about a kind of audit that exists only for an earlier version, or for an earlier file of this version."""
    since: datetime = max(context.version.registered_at or last.at, last.at)
    because = (
        f"Version {context.version.name} has no {last.kind} audit: the newest is of version {last.version}, {format_day(last.at)}. "
        f"{NEW_VERSION if not last.results.get('imported_from') else NEW_IMPORT}"
    )
    replaced = last.version == context.version.name
    if replaced:
        because = (
            f"The {last.kind} audit of {format_day(last.at)} used another model file than version {last.version} has now: run it again."
        )
    made = validity_finding(last, min(-(context.due_time - since) / DAY, 0.0), because, context)
    return replace(made, onset=None if replaced else since, evidence=made.evidence | {"file_replaced": replaced})


def validity_finding(audit: StoredAudit, days: float, because: str, context: Context) -> Finding:
    """Return a finding that an audit is no longer valid. days: number of days until it expires; negative if it has expired."""
    base = context.undecided(NAME, audit.kind, METRIC, 1, because, against="level")
    return replace(
        base, value=days, low=days, high=days, limit=0.0, severity="watch", rank=2.0, evidence=audit_evidence(audit) | {"valid": False}
    )


def headline_sentence(now: StoredAudit, before: StoredAudit | None, level: float | None, name: str) -> str:
    """Return the value of an audit in words, compared with the owner's level and with the previous audit. If there is neither, the sentence
    names the level to set (`name`).
    """
    said = f"{audit_value_words(now)}, on {now.rows:,} {ROWS[str(now.metric)]}"
    if now.metric == "training_overlap" and (repeated := repeated_training_share(now)) is not None:
        said += f"; {percent(repeated)} of training rows equal another one"
    knows = knows_the_label(now, level)
    if knows:
        said += f"; a feature that predicts the label this well ({percent(KNOWS)} or more) may itself not be known at prediction time"
    if level is not None:
        said += f"; {level_words(str(now.metric), level)}"
    if before is not None:
        other = "" if before.version == now.version else f" of version {before.version}"
        changed = "worse than" if worse_than_before(now, before) else "no significant change from"
        said += f"; {changed} {before.value:.3f} on {format_day(before.at)}{other}"
    if level is None and before is None and not knows:
        said += f"; no level set: set `{name}`"
    why = now.headline.get("why")
    return f"{said}." + (f" {why}" if why else "")


def repeated_training_share(audit: StoredAudit) -> float | None:
    """Return the share of training rows that equal another training row; None if the results have none."""
    try:
        return float(audit.results["overlaps"][0]["among_training"]["value"])
    except (LookupError, TypeError, ValueError):
        return None


def knows_the_label(audit: StoredAudit, level: float | None) -> bool:
    """Return whether a feature alone predicts the label too well; always False if the owner states a level."""
    return level is None and audit.metric == HEADLINES["leakage"] and audit.value is not None and audit.value >= KNOWS


ROWS = {
    "robust_accuracy": "rows",
    "membership_exposure": "training records",
    "explanation_stability": "explained rows",
    "shifted_fairness_gap": "effective rows of a group",
    "label_leakage": "rows",
    "training_overlap": "held-out rows",
}


def audit_value_words(audit: StoredAudit) -> str:
    """Return the measured quantity of an audit with its value and interval, as a full sentence. If the results lack a part of the sentence,
    only metric, value and interval are returned.
    """
    figures = [format_figure(end) for end in (audit.value, audit.low, audit.high) if end is not None]
    if len(figures) == 3:
        with suppress(LookupError, TypeError, ValueError):
            return full_value_words(audit)
    interval = f" ({figures[1]} to {figures[2]})" if len(figures) == 3 else ""
    return f"{WORDS[audit.kind]}: {str(audit.metric).replace('_', ' ')} {figures[0]}{interval}"


def full_value_words(audit: StoredAudit) -> str:
    """Return the full sentence of `audit_value_words`, for an audit that was run by this program.

    Raises
    ------
    LookupError, TypeError, ValueError
        If results that the sentence names are absent, or have another form.
    """
    value, low, high = (float(part) if part is not None else float("nan") for part in (audit.value, audit.low, audit.high))
    if audit.kind == "robustness" and audit.results.get("tolerance"):
        return (
            f"{100 * value:.1f} % of predictions move by at most {audit.results['tolerance']:.3g} under changes that cost up to "
            f"{audit.headline.get('at')} ({100 * low:.1f} to {100 * high:.1f} %)"
        )
    if audit.kind == "robustness":
        return (
            f"{100 * value:.1f} % of rows keep a correct prediction under changes that cost up to {audit.headline.get('at')} "
            f"({100 * low:.1f} to {100 * high:.1f} %)"
        )
    if audit.kind == "membership":
        rate = audit.point or 0.01
        return (
            f"The attack finds {100 * value:.2f} % of training records at {100 * rate:g} % false positives "
            f"({100 * low:.2f} to {100 * high:.2f} %)"
        )
    if audit.metric == "training_overlap":
        sides = audit.results["overlaps"][0]
        return (
            f"{percent(value)} of {sides['held']['are']} have the features of {sides['training']['are']}, exactly or nearly "
            f"({percent(low)} to {percent(high)})"
        )
    if audit.kind == "leakage":
        own = audit.results.get("model")
        beside = f"; the model itself {percent(own['value'])}" if isinstance(own, Mapping) and own.get("value") is not None else ""
        return (
            f"Label predictability from {audit.headline.get('feature')} alone: {percent(value)} "
            f"({percent(low)} to {percent(high)}; 0 % chance, 100 % perfect){beside}"
        )
    if audit.kind == "fairness":
        worst = audit.results.get("worst")
        if not worst:
            return f"The gap between groups under shift is {100 * value:.1f} points ({100 * low:.1f} to {100 * high:.1f})"
        return (
            f"{RATE_WORDS[worst['rate']]} of {worst['attribute']} {worst['highest']} is {100 * value:.1f} points above that of "
            f"{worst['lowest']} ({100 * low:.1f} to {100 * high:.1f}) under the worst shift within {audit.headline.get('at')} nats: "
            f"{worst['shift']}"
        )
    return f"Attributions against other backgrounds rank features alike: correlation {value:.2f} ({low:.2f} to {high:.2f})"


def audit_evidence(audit: StoredAudit) -> dict[str, object]:
    """Return when an audit was made and until when it is valid."""
    expires = None if audit.expires is None else iso(audit.expires)
    return {"audit": audit.kind, "audited_at": iso(audit.at), "audited_version": audit.version, "expires": expires}


ANALYZER = Analyzer(
    NAME,
    "Are the audits of this version valid, within the owner's levels, and no worse than before?",
    needs,
    analyze,
    exceptions=frozenset({1}),  # no audit is required of a version that has neither a model file nor audits
    limits={"robust_accuracy": None, "membership_exposure": None, "explanation_stability": None, "shifted_fairness_gap": None}
    | {"label_leakage": None, "training_overlap": None},
    proofs=AUDIT_PROOFS,
)
