"""Write SQL for data quality, arrival and drift, from raw rows: rates of values, counts of predictions, PSI on the reference's bins."""

from bisect import bisect_right
from datetime import datetime

from observability.core.analyzer import Context, Proofs
from observability.core.catalog import Edges
from observability.core.finding import Finding
from observability.core.time import instant_from_text
from observability.core.view_names import view_name
from observability.core.window import EPOCH, HOUR
from observability.metrics.histograms import RARE_SHARE
from observability.proofs.mean_shifts import mean_shift_proof
from observability.proofs.rows import (
    DAY,
    ProvenRows,
    column_in_view,
    indented_clause,
    last_days,
    number_literal,
    proven_rows,
    reference_rows,
    text_literal,
    time_literal,
)

PSI_FLOOR = 1e-4
"""Smaller shares are raised to this value in the PSI."""
PAST_DAYS = 28


def rate_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the share of a column's values that are missing, of another type, unseen, or out of range."""
    reference = finding.evidence["column"]
    column, edges = column_in_view(context.model, reference), context.version.edges.get(reference, Edges())
    name = text_literal(column[1:-1].replace('""', '"'))
    marked = [] if reference == "score" else [f"list_contains({of}, {name})" for of in ("absent", "wrong_type")]
    number = reference == "score" or (known := context.model.column(reference)) is None or known.kind == "number"
    among: list[str] = []
    if finding.metric == "null_rate":
        hit = " AND ".join([f"{column} IS NULL", *(f"NOT {each}" for each in marked)])
    elif finding.metric == "nan_rate":
        hit = f"isnan({column})"
    elif finding.metric in ("absent_rate", "wrong_type_rate"):
        hit = marked[finding.metric == "wrong_type_rate"]
    elif finding.metric == "unseen_rate":
        value = f"{column}::VARCHAR"
        hit = f"""{column} IS NOT NULL AND {value} NOT IN (
    SELECT level FROM {view_name(context.model, "edges")}
    WHERE version = {text_literal(context.version.name)} AND "column" = {text_literal(reference)} AND level IS NOT NULL)"""
    else:
        hit, among = out_of_range_sql(column, edges), [f"{column} IS NOT NULL", *([f"NOT isnan({column})"] if number else [])]
    return f"""SELECT coalesce(sum(weight) FILTER ({hit}), 0) / sum(weight) AS {finding.metric}
{proven_rows(finding, context).where(*among)}"""


def out_of_range_sql(column: str, edges: Edges) -> str:
    """The condition that a number is in a bin outside the range of the reference."""
    if edges.limits is None:
        return "false"
    low, high = edges.limits
    first, last = bisect_right(edges.edges, low), bisect_right(edges.edges, high)
    parts = [f"{column} < {number_literal(edges.edges[first - 1])}"] if first else []
    parts += [f"{column} >= {number_literal(edges.edges[last])}"] if last < len(edges.edges) else []
    return " OR ".join(parts) or "false"


def constant_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the share of a column's values that are in its fullest bin."""
    reference = finding.evidence["column"]
    column = column_in_view(context.model, reference)
    rows = proven_rows(finding, context)
    known = context.model.column(reference)
    if known is not None and known.kind != "number":
        counted = f"SELECT {column} AS bin, sum(weight) AS w\n  {indented_clause(rows.where(f'{column} IS NOT NULL'))}\n  GROUP BY ALL"
    else:
        counted = f"""SELECT bin, sum(weight) AS w FROM (
    SELECT weight, {column} AS value
    {indented_clause(rows.where(f"{column} IS NOT NULL", f"NOT isnan({column})"), 4)}) p
  ASOF LEFT JOIN {_bins(context, reference, "bin")} e ON p.value >= e.low
  GROUP BY ALL"""
    return f"WITH counted AS (\n  {counted}\n)\nSELECT max(w) / sum(w) AS constant FROM counted"


def line_rate_proof(finding: Finding, context: Context) -> str:
    """The SQL for the share of the lines sent by services that were repeated, or that were rejected."""
    part = {"duplicate_rate": "duplicates", "rejected_rate": "rejected"}[finding.metric]
    window = context.window
    start, end = window.start, window.end if window.as_of is None else min(window.end, window.as_of)
    start, end = start - (start - EPOCH) % HOUR, end + (EPOCH - end) % HOUR
    return f"""SELECT sum({part}) / sum(stored + duplicates + rejected) AS {finding.metric}
FROM arrivals
WHERE sent AND model = {text_literal(context.model.name)} AND kind = 'prediction'
  AND hour >= {time_literal(start)} AND hour + INTERVAL 1 HOUR <= {time_literal(end)}"""


def volume_proof(finding: Finding, context: Context) -> str:
    """The SQL for the number of predictions in the whole hours of a window, or in its last 24 hours."""
    first = finding.start + (EPOCH - finding.start) % HOUR
    last = min(finding.end, context.now)
    last = max(last - (last - EPOCH) % HOUR, first)
    in_window = sum(n for _, n, _ in finding.evidence.get("by_day", []))
    start = first if finding.value == in_window or "by_day" not in finding.evidence else max(last - DAY, first)
    return f"SELECT count(*) AS volume\n{proven_rows(finding, context, start=start, end=last).where()}"


def freshness_proof(finding: Finding, context: Context) -> str:
    """The SQL for the smallest possible age of the newest prediction, in hours, because counts give its time only to the hour."""
    at = time_literal(min(finding.end, context.now))
    rows = proven_rows(finding, context, start=finding.start - PAST_DAYS * DAY)
    return f"""SELECT greatest(date_diff('microsecond', date_trunc('hour', max("at")), {at}) / 3.6e9 - 1, 0) AS freshness_hours
{rows.where()}"""


def silence_proof(finding: Finding, context: Context) -> str:
    """The SQL for the number of hours without predictions in the gap that a finding names.

    If it names none: the SQL for the number of empty hours, that is, hours of the window without predictions at a time of the week at which
    predictions were made in the four weeks before.
    """
    evidence = finding.evidence
    if "from" in evidence:
        start, end = (instant_from_text(evidence[name], name) for name in ("from", "to"))
        assert start is not None and end is not None
        return _silent_hours_sql(start, end, proven_rows(finding, context, start=start, end=end))
    first = finding.start + (EPOCH - finding.start) % HOUR
    last = min(finding.end, context.now)
    last = max(last - (last - EPOCH) % HOUR, first)
    rows = proven_rows(finding, context, start=first - PAST_DAYS * DAY, end=last)
    expected = f"""EXISTS (
  SELECT 1 FROM made WHERE made.hour < {time_literal(first)} AND date_diff('hour', made.hour, hours.hour) % 168 = 0)"""
    return f"{_silent_hours_sql(first, last, rows)} AND {expected}"


def _silent_hours_sql(start: datetime, end: datetime, rows: ProvenRows) -> str:
    """The SQL for the hours without predictions in a time span."""
    return f"""WITH made AS (
  SELECT DISTINCT date_trunc('hour', "at") AS hour
  {indented_clause(rows.where())}
), hours AS (
  SELECT unnest(range({time_literal(start)}, {time_literal(end)}, INTERVAL 1 HOUR)) AS hour
)
SELECT count(*) AS silence_hours FROM hours
WHERE hour NOT IN (SELECT hour FROM made)"""


def psi_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the PSI of a column against the reference, on the reference's deciles. Missing and unseen values are
    groups of their own.
    """
    reference, days = finding.evidence["column"], finding.evidence["look_days"]
    own = finding.evidence["windows"]
    rows = proven_rows(finding, context) if days == max(row["days"] for row in own) else last_days(finding, context, days)
    column, known = column_in_view(context.model, reference), context.model.column(reference)
    if known is not None and known.kind != "number":
        parts = _category_parts(reference, context)
    elif reference in context.version.edges:
        parts = f"""SELECT reference, weight, CASE WHEN value IS NULL OR isnan(value) THEN -1 ELSE decile END AS part
  FROM rows_of_both ASOF LEFT JOIN {_bins(context, reference, "decile")} e ON value >= e.low"""
    else:
        cuts = finding.evidence.get("score_cuts")
        if cuts is None:
            return None
        cases = " ".join(f"WHEN value < {number_literal(cut)} THEN {place}" for place, cut in enumerate(cuts))
        parts = f"""SELECT reference, weight, CASE WHEN value IS NULL OR isnan(value) THEN -1 {cases} ELSE {len(cuts)} END AS part
  FROM rows_of_both"""
    return f"""WITH rows_of_both AS (
  {_rows_of_both(column, rows, finding, context)}
), parts AS (
  {parts}
), shares AS (
  SELECT part, coalesce(sum(weight) FILTER (reference), 0) / (SELECT sum(weight) FROM parts WHERE reference) AS before,
    coalesce(sum(weight) FILTER (NOT reference), 0) / (SELECT sum(weight) FROM parts WHERE NOT reference) AS now
  FROM parts GROUP BY part
), floored AS (
  SELECT greatest(before, {number_literal(PSI_FLOOR)}) AS p, greatest(now, {number_literal(PSI_FLOOR)}) AS q FROM shares
)
SELECT sum((q - p) * ln(q / p)) AS psi FROM floored"""


def level_trade_proof(finding: Finding, context: Context) -> str:
    """The SQL for how much the shares of two levels have changed since the reference; the smaller of the two changes."""
    column = column_in_view(context.model, finding.evidence["column"])
    rows = last_days(finding, context, finding.evidence["days"])
    changes = (
        f"abs(sum(weight) FILTER (NOT reference AND {own}) / sum(weight) FILTER (NOT reference) "
        f"- sum(weight) FILTER (reference AND {own}) / sum(weight) FILTER (reference))"
        for own in (f"value = {text_literal(level)}" for level in finding.evidence["levels"])
    )
    joined = ",\n  ".join(changes)
    return f"""WITH rows_of_both AS (
  {_rows_of_both(column, rows, finding, context)}
)
SELECT least(
  {joined}) AS level_trade
FROM rows_of_both"""


def _rows_of_both(column: str, rows: ProvenRows, finding: Finding, context: Context) -> str:
    """The values of a column in the window and in the reference."""
    return f"""SELECT false AS reference, weight, {column} AS value
  {indented_clause(rows.where())}
  UNION ALL
  SELECT true, weight, {column}
  {indented_clause(reference_rows(finding, context).where())}"""


def _category_parts(reference: str, context: Context) -> str:
    """The groups of a category: each level that is not rare in the reference, all rare levels together, unseen, and missing."""
    levels = f"""(
    SELECT level, bin FROM {view_name(context.model, "edges")}
    WHERE version = {text_literal(context.version.name)} AND "column" = {text_literal(reference)} AND level IS NOT NULL)"""
    return f"""SELECT reference, weight, CASE WHEN value IS NULL THEN -1 WHEN bin IS NULL THEN -2 WHEN rare THEN -3 ELSE bin END AS part
  FROM rows_of_both LEFT JOIN (
    SELECT level, bin, coalesce(sum(weight), 0) < {number_literal(RARE_SHARE)} * greatest(sum(coalesce(sum(weight), 0)) OVER (), 1) AS rare
    FROM {indented_clause(levels)} LEFT JOIN (SELECT value::VARCHAR AS level, weight FROM rows_of_both WHERE reference) USING (level)
    GROUP BY level, bin) e ON value::VARCHAR = e.level"""


def _bins(context: Context, reference: str, figure: str) -> str:
    """The bins of a number in the version that a finding is about: the lower edge of each, and a figure."""
    return f"""(
    SELECT low, {figure} FROM {view_name(context.model, "edges")}
    WHERE version = {text_literal(context.version.name)} AND "column" = {text_literal(reference)})"""


SEARCHED = "it is the outcome of a search over hours or days, not one figure of the rows"
QUALITY_PROOFS: Proofs = {
    **dict.fromkeys(("null_rate", "nan_rate", "absent_rate", "wrong_type_rate", "unseen_rate", "out_of_range_rate"), rate_proof),
    "constant": constant_proof,
    "duplicate_rate": line_rate_proof,
    "rejected_rate": line_rate_proof,
    "volume": volume_proof,
    "freshness_hours": freshness_proof,
    "stuck_hours": SEARCHED,
    "silence_hours": silence_proof,
    "unknown_columns": "it counts names of fields that no version was registered with, which stand in `extra`",
}
DRIFT_PROOFS: Proofs = {
    "psi": psi_proof,
    "level_trade": level_trade_proof,
    "mean_shift": mean_shift_proof,
}
