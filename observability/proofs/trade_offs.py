"""Write SQL for figures of audits of kind `precision`: values of one form, from the results."""

from datetime import datetime

from observability.core.analyzer import Context, Proofs
from observability.core.finding import Finding
from observability.core.time import instant_from_text
from observability.proofs.rows import known_record_conditions, text_literal, time_literal, where_clause


def form_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for a figure of the form that the finding names, from the results of its audit."""
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
    return f"SELECT DISTINCT {values[finding.metric]} AS {finding.metric} FROM audits\n{_of_audit(finding, context, at)}"


def fallbacks_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the number of forms that ran on another device than was requested."""
    at = instant_from_text(finding.evidence.get("audited"), "audited")
    if at is None:
        return None
    return f"""WITH forms AS (
  SELECT unnest(json_extract(results, '$.forms[*]')) AS form FROM (SELECT DISTINCT results FROM audits
  {_of_audit(finding, context, at)})
)
SELECT count(*) FILTER (form->>'provider' <> form->>'used_provider') AS form_fallbacks FROM forms"""


def _of_audit(finding: Finding, context: Context, at: datetime) -> str:
    """The WHERE clause that selects the audit of a model version made at a certain time."""
    named = {"model": finding.model or "", "version": finding.version or "", "audit": "precision"}
    of_audit = [f"{name} = {text_literal(value)}" for name, value in named.items()]
    return where_clause([*of_audit, f'"at" = {time_literal(at)}', *known_record_conditions(context)])


TRADE_OFF_PROOFS: Proofs = {
    "form_flip_rate": form_proof,
    "form_slice_gap": form_proof,
    "form_unstable_rate": form_proof,
    "form_fallbacks": fallbacks_proof,
}
