"""Figures of exports that SQL over the events gives."""

from observability.core.analyzer import OTHERS, Context, Proofs
from observability.core.finding import Finding
from observability.proofs.rows import known_record_conditions, text_literal, time_literal, where_clause


def export_k_proof(finding: Finding, context: Context) -> str:
    """The SQL of the smallest k of the exports of a dataset to a recipient in the window."""
    dataset = str(finding.evidence.get("dataset") or "")
    own = f"dataset = {text_literal(dataset)}" if dataset else "dataset IS NULL"
    conditions = [
        "what = 'export'",
        f"recipient = {text_literal(str(finding.evidence.get('recipient') or ''))}",
        own,
        f'"at" >= {time_literal(finding.start)}',
        f'"at" < {time_literal(finding.end)}',
        *known_record_conditions(context),
    ]
    return f"SELECT min(k) AS export_k FROM events\n{where_clause(conditions)}"


EXPORT_PROOFS: Proofs = {
    "export_k": export_k_proof,
    "export_epsilon": "adds up Rényi losses, which SQL does not compute",
    "canary_sightings": "searches texts for what was planted, which the query would have to name",
    OTHERS: "follows from tags, levels and several events; the page lists each export",
}
