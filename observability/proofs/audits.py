"""Write SQL for figures of audits: the value that summarises an audit, and the number of days until it expires."""

from observability.core.analyzer import Context, Proofs
from observability.core.finding import Finding
from observability.core.time import instant_from_text
from observability.detection.audit_history import FURTHER, HEADLINES
from observability.proofs.rows import known_record_conditions, text_literal, time_literal, where_clause

A_DAY = "8.64e10"
"""Microseconds in a day."""


def headline_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the judged value of an audit. It reads the value from the record, because an audit runs the model file on a sample."""
    where = audit_conditions(finding, context)
    path = "/headline" if finding.metric in HEADLINES.values() else f"/further/{finding.metric}"
    value = f"CAST(json_extract(results, '{path}/value') AS DOUBLE)"
    return where and f"SELECT DISTINCT {value} AS {finding.metric} FROM audits\n{where}"


def validity_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the days until an audit expires; negative after it has expired. For a version without an audit: the days since its
    registration. For a version whose file was replaced: the days since the audit.
    """
    where, now = audit_conditions(finding, context), time_literal(context.due_time)
    if where is None:
        return None
    if finding.evidence.get("audited_version") == finding.version and not finding.evidence.get("file_replaced"):
        return f"SELECT DISTINCT date_diff('microsecond', {now}, expires) / {A_DAY} AS audit_days_left FROM audits\n{where}"
    model, version = text_literal(finding.model or ""), text_literal(finding.version or "")
    registered = f"(SELECT registered_at FROM versions WHERE model = {model} AND version = {version})"
    since = f'greatest("at", {registered})'
    return f"SELECT DISTINCT least(date_diff('microsecond', {now}, {since}) / {A_DAY}, 0) AS audit_days_left FROM audits\n{where}"


def audit_conditions(finding: Finding, context: Context) -> str | None:
    """The WHERE clause that selects the audit that a finding names; None if it names none."""
    at, version = instant_from_text(finding.evidence.get("audited_at"), "audited_at"), finding.evidence.get("audited_version")
    if at is None or not isinstance(version, str):
        return None
    named = {"model": finding.model or "", "version": version, "audit": str(finding.evidence["audit"])}
    of_audit = [f"{name} = {text_literal(value)}" for name, value in named.items()]
    return where_clause([*of_audit, f'"at" = {time_literal(at)}', *known_record_conditions(context)])


JUDGED = (*HEADLINES.values(), *(metric for metrics in FURTHER.values() for metric in metrics))
AUDIT_PROOFS: Proofs = {**dict.fromkeys(JUDGED, headline_proof), "audit_days_left": validity_proof}
