"""Write SQL for figures of audits of kind `augmentation`: sums of the counts in their results."""

from observability.core.analyzer import Context, Proofs
from observability.core.finding import Finding
from observability.core.time import instant_from_text
from observability.metrics.augmentation import ERROR
from observability.proofs.rows import known_record_conditions, text_literal, time_literal, where_clause


def augmentation_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for a figure of the augmentation that the finding names, from the results of its audit."""
    at, name = instant_from_text(finding.evidence.get("audited"), "audited"), finding.evidence.get("augmentation")
    if at is None or not isinstance(name, str):
        return None

    def total(path: str) -> str:
        return f"list_sum(CAST(json_extract(results, {text_literal(path)}) AS DOUBLE[]))"

    def number(path: str) -> str:
        return f"CAST(json_extract(results, {text_literal(path)}) AS DOUBLE)"

    part, by = finding.evidence.get("slice_place"), finding.evidence.get("by")
    values = {
        "augmentation_gain": f"({total('/gained')} - {total('/lost')}) / ({number('/rows')} * json_array_length(results, '/gained'))",
        "augmentation_affinity": f"{total('/error')} / {total('/copies_error')}"
        if finding.evidence.get("of") == ERROR
        else f"{total('/copies_right')} / {total('/right')}",
        "augmentation_diversity": f"{total('/loss_with')} / {total('/loss')}",
    }
    if isinstance(part, int):
        own = f"/slices/{part}"
        rows = f"({number(f'{own}/n')} * json_array_length(results, {text_literal(f'{own}/gained')}))"
        values["augmentation_slice_gain"] = f"({total(f'{own}/gained')} - {total(f'{own}/lost')}) / {rows}"
    if by in ("checked", "consensus"):
        values["augmentation_label_changes"] = f"{number(f'/{by}/changed')} / {number(f'/{by}/n')}"
    if finding.metric not in values:
        return None
    named = {"model": finding.model or "", "version": finding.version or "", "audit": "augmentation"}
    of_audit = [f"{key} = {text_literal(value)}" for key, value in named.items()]
    of_audit += [f"json_extract_string(results, '/augmentation') = {text_literal(name)}", f'"at" = {time_literal(at)}']
    where = where_clause([*of_audit, *known_record_conditions(context)])
    return f"SELECT DISTINCT {values[finding.metric]} AS {finding.metric} FROM audits\n{where}"


AUGMENTATION_PROOFS: Proofs = dict.fromkeys(
    (
        "augmentation_gain",
        "augmentation_slice_gain",
        "augmentation_label_changes",
        "augmentation_affinity",
        "augmentation_diversity",
    ),
    augmentation_proof,
)
