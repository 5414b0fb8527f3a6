"""Write SQL for the answers that models which run elsewhere give to fixed questions, from the predictions with environment `probe`.

SQL compares answers as the product does: ignoring case, outer blanks, a final stop and quotation marks. Letters without a single lower-case
form (such as the German sharp s) are compared in the form that `lower` gives.
"""

from collections.abc import Mapping

from observability.core.analyzer import OTHERWISE, Context, Proofs
from observability.core.catalog import Model
from observability.core.finding import Finding
from observability.core.time import instant_from_text
from observability.core.view_names import quoted_identifier as quoted
from observability.core.view_names import view_name
from observability.detection.answer_changes import EQUAL, SPREADS
from observability.proofs.rows import json_pointer_part, number_literal, text_literal, time_literal, where_clause

TOKENS = "feature.output_tokens"
FREE_TEXT = "answers of free text are compared by similarity, and steps of numbers by their robust spread, which SQL does not measure"


def round_rate_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for a share in the newest round: refusals, answers without the requested format, or questions without an answer."""
    hit, among = {
        "refusal_rate": ("refused", "answered AND refused IS NOT NULL"),
        "format_failure_rate": ("NOT well_formed", "answered AND well_formed IS NOT NULL"),
        "probe_failure_rate": ("NOT answered", "true"),
    }[finding.metric]
    start = _answers_sql(finding, context)
    return start and f"{start}\nSELECT count(*) FILTER ({hit}) / count(*) AS {finding.metric} FROM newest WHERE {among}"


def round_level_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for a level in the newest round: median latency, mean tokens per answer, or the mean of a score."""
    start, model = _answers_sql(finding, context), _model_of(finding, context)
    if start is None or model is None:
        return None
    if finding.metric == "probe_tokens":
        names = model.view_columns
        figure = f"avg({quoted(names[TOKENS])})" if TOKENS in names else None
    elif finding.metric == "rubric_score":
        name = finding.evidence.get("score")
        path = text_literal(f"/rubric/{json_pointer_part(str(name))}")
        figure = f"avg(TRY_CAST(json_extract(extra, {path}) AS DOUBLE))" if name else None
    else:
        figure = "median(latency_ms)"
    return figure and f"{start}\nSELECT {figure} AS {finding.metric} FROM newest WHERE answered"


def changed_answers_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the share of answers in the newest round that differ from the typical answers of the baseline; None for free text."""
    if finding.evidence.get("numbers"):
        start = _typical_number_sql(finding, context)
        rate = "count(*) FILTER (abs(newest.number - typical.number) > tolerance) / count(*)"
        return start and f"{start}\nSELECT {rate} AS {finding.metric} FROM newest JOIN typical USING (item) WHERE newest.number IS NOT NULL"
    start = _typical_sql(finding, context)
    return (
        start
        and f"""{start}
SELECT count(*) FILTER (newest.said <> typical.said) / count(*) AS {finding.metric} FROM newest JOIN typical USING (item) WHERE answered"""
    )


def shift_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the mean difference between the newest round's numbers and the typical numbers of the baseline."""
    start = _typical_number_sql(finding, context)
    figure = f"SELECT avg(newest.number - typical.number) AS {finding.metric} FROM newest JOIN typical USING (item)"
    return start and f"{start}\n{figure}\nWHERE newest.number IS NOT NULL"


def number_error_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the mean distance of the newest round's numbers from the right numbers, on questions that the baseline answers with a
    number.
    """
    start, right = _typical_number_sql(finding, context), "TRY_CAST(newest.expected AS DOUBLE)"
    figure = f"SELECT avg(abs(newest.number - {right})) AS {finding.metric} FROM newest JOIN typical USING (item)"
    return start and f"{start}\n{figure}\nWHERE newest.number IS NOT NULL AND {right} IS NOT NULL"


def right_answers_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the share of right answers in the newest round. Only questions count whose typical answer in the baseline is also marked
    as right or wrong.
    """
    start = _typical_sql(finding, context)
    return (
        start
        and f"""{start}
SELECT count(*) FILTER (newest.said = newest.expected) / count(*) AS {finding.metric} FROM newest JOIN typical USING (item)
WHERE answered AND newest.expected IS NOT NULL AND typical.expected IS NOT NULL"""
    )


def flips_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the share of answers in the newest round that differ from those of the round before; None for free text."""
    start = None if finding.evidence.get("free_text") or finding.evidence.get("numbers") else _answers_sql(finding, context)
    return (
        start
        and f"""{start}, before AS (
  SELECT item, said FROM asked JOIN rounds USING (round) WHERE answered AND place = (SELECT max(place) - 1 FROM newest)
)
SELECT count(*) FILTER (newest.said <> before.said) / count(*) AS {finding.metric} FROM newest JOIN before USING (item) WHERE answered"""
    )


def versions_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the number of rounds in the window that state another version than the round before."""
    start = _answers_sql(finding, context)
    inside = f"began >= {time_literal(finding.start)} AND began < {time_literal(finding.end)}"
    return (
        start
        and f"""{start}, declared AS (
  SELECT place, began, version FROM asked JOIN rounds USING (round) WHERE answered GROUP BY place, began, version
  QUALIFY row_number() OVER (PARTITION BY place ORDER BY count(*) DESC, version DESC) = 1
), changes AS (
  SELECT began, version <> lag(version) OVER (ORDER BY place) AND place = lag(place) OVER (ORDER BY place) + 1 AS changed FROM declared
)
SELECT count(*) FILTER (changed AND {inside}) AS {finding.metric} FROM changes"""
    )


def _model_of(finding: Finding, context: Context) -> Model | None:
    """The model that a finding names."""
    models: Mapping[str, Model] = context.counters.get("models") or {}
    return models.get(finding.model or "")


def _answers_sql(finding: Finding, context: Context) -> str | None:
    """The first part of a query: the last answer to each question in each round (`asked`), the rounds, and the newest round of the window.

    None if the model is not known.
    """
    model = _model_of(finding, context)
    if model is None:
        return None
    name = finding.subject.removeprefix("probes:")
    known = [] if context.window.as_of is None else [f"arrived <= {time_literal(context.window.as_of)}"]
    where = [
        "environment = 'probe'",
        "extra->>'item' IS NOT NULL",
        f"coalesce(nullif(extra->>'set', ''), 'probes') = {text_literal(name)}",
        f'"at" < {time_literal(finding.end)}',
        *known,
    ]
    inside = f"began >= {time_literal(finding.start)} AND began < {time_literal(finding.end)}"
    return f"""WITH answers AS (
  SELECT *, extra->>'item' AS item, coalesce(nullif(extra->>'round', ''), strftime("at", '%Y-%m-%d')) AS round,
    status = 'ok' AND prediction IS NOT NULL AS answered,
    {_normal_sql("prediction")} AS said, {_normal_sql(_typed_sql("expected", "VARCHAR"))} AS expected,
    CASE WHEN answered THEN TRY_CAST(trim(prediction) AS DOUBLE) END AS number,
    CAST({_typed_sql("refused", "BOOLEAN")} AS BOOLEAN) AS refused,
    CAST({_typed_sql("well_formed", "BOOLEAN")} AS BOOLEAN) AS well_formed
  FROM {view_name(model, "predictions")}
  {where_clause(where)}
), asked AS (
  SELECT * FROM answers QUALIFY row_number() OVER (PARTITION BY round, item ORDER BY "at" DESC, id DESC) = 1
), rounds AS (
  SELECT round, min("at") AS began, row_number() OVER (ORDER BY min(struct_pack(a := "at", b := id))) AS place FROM answers GROUP BY round
), newest AS (
  SELECT * FROM asked JOIN rounds USING (round) WHERE place = (SELECT max(place) FROM rounds WHERE {inside})
)"""


def _typical_sql(finding: Finding, context: Context) -> str | None:
    """The first part of a query, with the typical answer of the baseline to each question: the most frequent answer, and among equally
    frequent ones the earliest.
    """
    start, rounds = _answers_sql(finding, context), finding.evidence.get("baseline_times")
    if start is None or not rounds or finding.evidence.get("free_text"):
        return None
    instants = ", ".join(time_literal(at) for each in rounds if (at := instant_from_text(each, "baseline_times")) is not None)
    return f"""{start}, usual AS (
  SELECT item, said, place, expected, count(*) OVER (PARTITION BY item, said) AS votes FROM asked JOIN rounds USING (round)
  WHERE answered AND began IN ({instants})
), typical AS (
  SELECT item, said, expected FROM usual QUALIFY row_number() OVER (PARTITION BY item ORDER BY votes DESC, place) = 1
)"""


def _typical_number_sql(finding: Finding, context: Context) -> str | None:
    """The first part of a query, with the typical number of the baseline for each question (the lower median) and its tolerance."""
    start, rounds = _answers_sql(finding, context), finding.evidence.get("baseline_times")
    if start is None or not rounds:
        return None
    instants = ", ".join(time_literal(at) for each in rounds if (at := instant_from_text(each, "baseline_times")) is not None)
    stated = finding.evidence.get("tolerance")
    share = "(SELECT coalesce(median(spread / abs(number)) FILTER (number <> 0), 0) FROM usual)"
    own = f"{number_literal(SPREADS)} * greatest(spread, {share} * abs(number))" if stated is None else number_literal(stated)
    return f"""{start}, usual AS (
  SELECT item, list_sort(list(number))[(count(*) + 1) // 2] AS number, coalesce(stddev_samp(number), 0) AS spread
  FROM asked JOIN rounds USING (round) WHERE number IS NOT NULL AND began IN ({instants}) GROUP BY item
), typical AS (
  SELECT item, number, {own} + {number_literal(EQUAL)} * abs(number) AS tolerance FROM usual
)"""


def _typed_sql(name: str, kind: str) -> str:
    """A field of `extra` as text; null if it has another type."""
    return f"CASE json_type(extra->'{name}') WHEN '{kind}' THEN extra->>'{name}' END"


def _normal_sql(text: str) -> str:
    """A text in the form that is used to compare answers."""
    blanks = rf"trim(regexp_replace({text}, '\s+', ' ', 'g'))"
    return f"""lower(rtrim(ltrim({blanks}, '"''`*'), '"''`*.!'))"""


VENDOR_PROOFS: Proofs = {
    **dict.fromkeys(("refusal_rate", "format_failure_rate", "probe_failure_rate"), round_rate_proof),
    **dict.fromkeys(("probe_latency", "probe_tokens", "rubric_score"), round_level_proof),
    "answer_change_rate": changed_answers_proof,
    f"answer_change_rate{OTHERWISE}": FREE_TEXT,
    "answer_flip_rate": flips_proof,
    f"answer_flip_rate{OTHERWISE}": FREE_TEXT,
    "answer_similarity": FREE_TEXT,
    "answer_shift": shift_proof,
    "probe_accuracy": right_answers_proof,
    "probe_error": number_error_proof,
    "declared_versions": versions_proof,
    "probe_month_cost": "it adds a forecast of the remaining days",
}
