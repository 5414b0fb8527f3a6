"""Figures of audits of kind `precision`: values of one form in the results."""

from observability.core.analyzer import Context, Proofs
from observability.core.finding import Finding
from observability.core.time import instant_from_text
from observability.proofs.rows import text_literal, time_literal


def form_proof(finding: Finding, context: Context) -> str | None:
    """The SQL of a figure of the form that the finding names, from the results of its audit."""
    at, place = instant_from_text(finding.evidence.get("audited"), "audited"), finding.evidence.get("place")
    if at is None or not isinstance(place, int):
        return None

    def number(path: str) -> str:
        return f"CAST(json_extract(results, {text_literal(f'/forms/{place}/{path}')}) AS DOUBLE)"

    n, flips = number("probes"), number("flips")
    values = {"form_flip_rate": f"{flips} / {n}", "form_unstable_rate": f"{number('unstable')} / {n}"}
    part = finding.evidence.get("slice_place")
    if isinstance(part, int):
        own_n, own = number(f"slices/{part}/n"), number(f"slices/{part}/flips")
        values["form_slice_gap"] = f"{own} / {own_n} - ({flips} - {own}) / ({n} - {own_n})"
    if finding.metric not in values:
        return None
    known = "" if context.window.as_of is None else f" AND arrived <= {time_literal(context.window.as_of)}"
    where = f"model = {text_literal(finding.model or '')} AND version = {text_literal(finding.version or '')} AND audit = 'precision'"
    return f'SELECT DISTINCT {values[finding.metric]} AS {finding.metric} FROM audits\nWHERE {where} AND "at" = {time_literal(at)}{known}'


TRADE_OFF_PROOFS: Proofs = {
    "form_flip_rate": form_proof,
    "form_slice_gap": form_proof,
    "form_unstable_rate": form_proof,
    "form_fallbacks": "the audit's record states the requested and the used device of each form",
    "audit_age_days": "the time since the audit depends on the time of the check",
}
