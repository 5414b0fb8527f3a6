"""Write SQL for figures of audits of kind `energy`: joules of a form with one batch size, and the share that another batch size saves."""

from observability.core.analyzer import Context
from observability.core.finding import Finding
from observability.proofs.audits import audit_conditions


def batch_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for a figure about the batch sizes that the finding names, from the results of its audit."""
    where, place, used = audit_conditions(finding, context), finding.evidence.get("place"), finding.evidence.get("place_used")
    if where is None or not isinstance(place, int):
        return None

    def joules(size: int) -> str:
        return f"CAST(json_extract(results, '/batches/{size}/joules/value') AS DOUBLE)"

    value = joules(place) if not isinstance(used, int) else f"1 - {joules(place)} / {joules(used)}"
    return f"SELECT DISTINCT {value} AS {finding.metric} FROM audits\n{where}"
