"""Write SQL for figures of exports, from the events."""

from observability.core.analyzer import OTHERS, Context, Proofs
from observability.core.finding import Finding
from observability.metrics.exports import NOT_NAMED, UNTRANSFORMED
from observability.proofs.rows import known_record_conditions, text_literal, time_literal, where_clause
from observability.records.kinds import OWN_SOURCE

TAGS = ("personal", "sensitive")


def export_k_proof(finding: Finding, context: Context) -> str:
    """The SQL for the smallest k among the exports of a dataset to a recipient in the window."""
    return f"SELECT min(k) AS export_k FROM events\n{where_clause(_exports_of_pair(finding, context))}"


def _exports_of_pair(finding: Finding, context: Context) -> list[str]:
    """The conditions that select the exports of a dataset to a recipient in the window, without exports that this product itself made."""
    recipient, dataset = (text_literal(str(finding.evidence.get(name) or "")) for name in ("recipient", "dataset"))
    return [
        "what = 'export'",
        f"coalesce(nullif(recipient, ''), {text_literal(NOT_NAMED)}) = {recipient}",
        f"coalesce(dataset, '') = {dataset}",
        f"json_extract_string(extra, '$.source') IS DISTINCT FROM {text_literal(OWN_SOURCE)}",
        f'"at" >= {time_literal(finding.start)}',
        f'"at" < {time_literal(finding.end)}',
        *known_record_conditions(context),
    ]


def _tagged_in_settings(finding: Finding, context: Context) -> str:
    """The condition that the settings of an export's model tag the column as personal. It is used if the export states no tag."""
    models = context.counters.get("models") or {}
    pairs = [
        f"({text_literal(model.name)}, {text_literal(column)})"
        for model in models.values()
        if finding.model in (None, model.name)
        for column, tag in sorted(model.settings.column_tags.items())
        if tag in TAGS
    ]
    return f"(model, name) IN ({', '.join(pairs)})" if pairs else "false"


def personal_columns_proof(finding: Finding, context: Context) -> str:
    """The SQL for the number of personal columns that were exported without a legal basis. Columns without a transform are counted; if
    there are none, columns with one.
    """
    pointer = "'/' || replace(replace(name, '~', '~0'), '/', '~1')"
    tag, own = (f"coalesce(json_extract_string(columns, {pointer} || '/{part}'), '')" for part in ("tag", "transform"))
    return f"""WITH exported AS (
  SELECT model, columns, coalesce(transform, '') AS whole, unnest(json_keys(columns)) AS name FROM events
  {where_clause([*_exports_of_pair(finding, context), "coalesce(legal_basis, '') = ''"])}
), personal AS (
  SELECT name, lower(whole) IN {UNTRANSFORMED} AND lower({own}) IN {UNTRANSFORMED} AS bare FROM exported
  WHERE {tag} IN {TAGS} OR ({tag} = '' AND {_tagged_in_settings(finding, context)})
)
SELECT coalesce(nullif(count(DISTINCT name) FILTER (bare), 0), count(DISTINCT name)) AS export_personal_columns FROM personal"""


EXPORT_PROOFS: Proofs = {
    "export_k": export_k_proof,
    "export_personal_columns": personal_columns_proof,
    "export_epsilon": "adds up Rényi losses, which SQL does not compute",
    "canary_sightings": "searches texts for what was planted, which the query would have to name",
    OTHERS: "follows from tags, levels and several events; the page lists each export",
}
