"""Write SQL for cost and energy, from raw rows: per prediction, per right decision and per avoided error. They come from the fields of
predictions, or from a price per request.
"""

from datetime import datetime, timedelta

from observability.core.analyzer import OTHERS, OTHERWISE, Context, Proofs
from observability.core.finding import Finding, needs_action
from observability.core.view_names import view_name
from observability.proofs.audits import validity_proof
from observability.proofs.batch_energy import batch_proof
from observability.proofs.prices import building_factor_sql, carbon_factor_sql, price_sql
from observability.proofs.readings import idle_share_proof, model_record_conditions, run_energy_proof
from observability.proofs.rows import (
    ProvenRows,
    class_literals,
    indented_clause,
    last_days,
    number_literal,
    proven_rows,
    text_literal,
    time_literal,
    where_clause,
)

JOULES_A_WH, PAST_DAYS = 3600.0, 56
HOT_SHARE = 0.95
"""The temperature of a device is the one that this share of its readings does not exceed."""
BOTH = "decision IS NOT NULL AND label IS NOT NULL"


def cost_per_thousand_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the serving cost per thousand predictions."""
    hours = _costed_hours(context, _compared_rows(finding, context), finding.evidence.get("method"), finding.start)
    return hours and f"{hours}\nSELECT 1000 * sum(amount) / sum(served) AS cost_per_thousand FROM costed"


def cost_per_decision_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the cost per right decision, or per avoided error: the cost per prediction divided by their share."""
    rows = proven_rows(finding, context)
    if (spent := _spent_sql(finding, context, finding.start)) is None:
        return None
    right = "coalesce(sum(weight) FILTER (decision = label), 0)"
    if finding.metric == "cost_per_error_avoided":
        right = f"({right} - coalesce(sum(weight) FILTER (label = {text_literal(finding.evidence['majority'])}), 0))"
    return f"""{spent}, decided AS (
  SELECT {right} / sum(weight) AS share
  {indented_clause(rows.where(BOTH))}
)
SELECT (SELECT sum(amount) / sum(served) FROM spent) / share AS {finding.metric} FROM decided"""


def month_cost_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the spending in a past month, on serving and on labels."""
    month = (finding.end - timedelta(microseconds=1)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    spent = _spent_sql(finding, context, month)
    return spent and f"{spent}\nSELECT sum(amount) AS month_cost FROM spent"


def _spent_sql(finding: Finding, context: Context, since: datetime) -> str | None:
    """The SQL for the spending from a point in time to the end of a window, row by row (`spent`: amount, served); None for other parts or
    methods.

    If the predictions of an hour state no cost, the hour gets a mean cost: that of the hours before the window, or that of the window.
    Labels are annotations; if there are none, labels that people gave.
    """
    paid = {name for name, amount in finding.evidence.get("parts", {}).items() if amount}
    if not finding.evidence.get("one_currency") or not paid <= {"serving", "labelling"}:
        return None
    first = since if since >= finding.start else finding.start - timedelta(days=PAST_DAYS)
    hours = _costed_hours(context, proven_rows(finding, context, start=first), finding.evidence.get("serving"), finding.start)
    if hours is None:
        return None
    after, projects = f">= {time_literal(since)}", context.model.settings.projects or (context.model.name,)
    known = [] if context.window.as_of is None else [f"arrived <= {time_literal(context.window.as_of)}"]
    span = [f'"at" >= {time_literal(first)}', f'"at" < {time_literal(finding.end)}', *known]
    own = [] if context.model.sample else ["sample IS NOT TRUE"]
    inside = f'"at" >= {time_literal(finding.start)}'
    return f"""{hours}, annotated AS (
  SELECT "at" AS hour, {inside} AS inside FROM annotations
  {where_clause([f"project IN ({', '.join(map(text_literal, projects))})", *span, *own])}
), labelled AS (
  SELECT * FROM annotated
  UNION ALL
  SELECT "at", {inside} FROM {view_name(context.model, "labels")}
  {where_clause(["source = 'human'", *span, f"({inside}) NOT IN (SELECT inside FROM annotated)"])}
), spent AS (
  SELECT amount, served FROM costed WHERE hour {after}
  UNION ALL
  SELECT {price_sql("amount", context, "label")}, 0 FROM labelled WHERE hour {after}
)"""


def money_lost_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the money that errors lose per thousand labelled decisions, from the costs that the owner set for the two kinds of
    errors.
    """
    costs = context.model.settings.cost_false_positive, context.model.settings.cost_false_negative
    if costs[0] is None or costs[1] is None or len(context.model.classes) != 2:
        return None
    negative, positive = class_literals(context.model)
    errors = (
        f"coalesce(sum(weight) FILTER (label = {label} AND decision = {decision}), 0) * {number_literal(cost)}"
        for label, decision, cost in ((negative, positive, costs[0]), (positive, negative, costs[1]))
    )
    return f"SELECT 1000 * ({' + '.join(errors)}) / sum(weight) AS money_lost_per_thousand\n{proven_rows(finding, context).where(BOTH)}"


def energy_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the energy per thousand predictions, from the energy that predictions state."""
    if finding.evidence.get("method") != "predictions":
        return None
    wh = f"joules / {number_literal(JOULES_A_WH)} * {building_factor_sql(context)}"
    return f"{_drawn_hours(finding, context)}\nSELECT 1000 * sum({wh}) / sum(served) AS energy_per_thousand FROM hours"


def carbon_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the carbon per thousand predictions: from the energy that predictions state, and from the embodied carbon of the machines
    that serve them.
    """
    if finding.evidence.get("method") != "predictions":
        return None
    embodied = {name: f"coalesce({price_sql('embodied_g', context, name)}, 0)" for name in ("request", "kwh", "cpu_hour")}
    return f"""{_drawn_hours(finding, context)}, used AS (
  SELECT *, joules / {number_literal(JOULES_A_WH)} * {building_factor_sql(context)} / 1000 AS kwh FROM hours
), emitted AS (
  SELECT served, kwh * ({carbon_factor_sql(context)} + {embodied["kwh"]}) + served * {embodied["request"]}
    + core_hours * {embodied["cpu_hour"]} AS grams FROM used
)
SELECT 1000 * sum(grams) / sum(served) AS sci FROM emitted"""


def _drawn_hours(finding: Finding, context: Context) -> str:
    """By hour, the predictions that state their energy (`hours`): their weight and joules, and the hours of a busy core over all
    predictions.
    """
    carries = "isfinite(energy_j)"
    return f"""WITH hours AS (
  SELECT date_trunc('hour', "at") AS hour, sum(weight) FILTER ({carries}) AS served, sum(weight * energy_j) FILTER ({carries}) AS joules,
    coalesce(sum(weight * latency_ms) FILTER (isfinite(latency_ms)), 0) / 3.6e6 AS core_hours
  {indented_clause(_compared_rows(finding, context).where())}
  GROUP BY ALL HAVING served > 0
)"""


def device_proof(finding: Finding, context: Context) -> str:
    """The SQL for the mean utilisation of a device, or for the temperature or memory that one reading in twenty exceeds."""
    conditions = [
        *model_record_conditions(context),
        f"device || coalesce(' on ' || nullif(host, ''), '') = {text_literal(finding.subject.removeprefix('device='))}",
        f'"at" >= {time_literal(finding.start)}',
        f'"at" < {time_literal(finding.end)}',
        f"isfinite({finding.metric})",
    ]
    figure = "avg(utilisation)" if finding.metric == "utilisation" else f"quantile_disc({finding.metric}, {number_literal(HOT_SHARE)})"
    newest = f'SELECT {finding.metric} FROM resources\n  WHERE {" AND ".join(conditions)}\n  ORDER BY "at" DESC LIMIT {finding.n}'
    return f"SELECT {figure} AS {finding.metric} FROM (\n  {newest}\n)"


def _compared_rows(finding: Finding, context: Context) -> ProvenRows:
    """The rows of a ratio to the past: those of the last days if the finding reports a change in these days, else those of the window."""
    evidence = finding.evidence
    longest = max((row["days"] for row in evidence["windows"]), default=None)
    days = evidence.get("look_days")
    if days is None or longest is None or days >= longest or not needs_action(finding.severity):
        return proven_rows(finding, context)
    return last_days(finding, context, days)


def _costed_hours(context: Context, rows: ProvenRows, method: str | None, start: datetime) -> str | None:
    """Serving cost by hour (`costed`: hour, amount, served), if predictions state their cost or there is a price per request; None for
    other methods.

    start: start of the window. An hour whose predictions state no cost gets the mean of the hours on its side of the start.
    """
    if method == "cost":
        return f"""WITH hours AS (
  SELECT date_trunc('hour', "at") AS hour, sum(weight) AS served, sum(weight * cost) FILTER (isfinite(cost)) AS total,
    sum(weight) FILTER (isfinite(cost)) AS carried
  {indented_clause(rows.where())}
  GROUP BY ALL
), costed AS (
  SELECT hour, served, served * coalesce(total / carried, sum(total) OVER side / sum(carried) OVER side) AS amount FROM hours
  WINDOW side AS (PARTITION BY hour >= date_trunc('hour', {time_literal(start)}))
)"""
    if method == "request":
        return f"""WITH hours AS (
  SELECT date_trunc('hour', "at") AS hour, sum(weight) AS served
  {indented_clause(rows.where())}
  GROUP BY ALL
), costed AS (
  SELECT hour, served, served * {price_sql("amount", context, "request")} AS amount FROM hours
)"""
    return None


OTHER_MONEY = "its money comes from prices of hours, from training or storage, or in several currencies"
OTHER_ENERGY = "its energy is that of readings of devices, or of latency, not of what predictions carry"
COST_PROOFS: Proofs = {
    f"cost_per_thousand{OTHERWISE}": OTHER_MONEY,
    f"cost_per_correct_decision{OTHERWISE}": OTHER_MONEY,
    f"cost_per_error_avoided{OTHERWISE}": OTHER_MONEY,
    f"money_lost_per_thousand{OTHERWISE}": OTHER_MONEY,
    "cost_per_thousand": cost_per_thousand_proof,
    "cost_per_correct_decision": cost_per_decision_proof,
    "cost_per_error_avoided": cost_per_decision_proof,
    "money_lost_per_thousand": money_lost_proof,
    "month_cost": month_cost_proof,
    f"month_cost{OTHERWISE}": OTHER_MONEY,
}
ENERGY_PROOFS: Proofs = {
    "energy_per_thousand": energy_proof,
    f"energy_per_thousand{OTHERWISE}": OTHER_ENERGY,
    "sci": carbon_proof,
    f"sci{OTHERWISE}": OTHER_ENERGY,
    "idle_share": idle_share_proof,
    "run_energy": run_energy_proof,
    f"run_energy{OTHERWISE}": "its oldest readings were not read, or it has none and its energy is that of its cores",
    "run_energy_forecast": "it is a forecast from the energy so far and from earlier runs",
    "batch_energy": batch_proof,  # only if a meter was read
    "batch_saving": batch_proof,
    "audit_days_left": validity_proof,
    "utilisation": device_proof,
    "temperature_c": device_proof,
    "memory_gb": device_proof,
    OTHERS: "it is a median of differences from other devices at the same times, or from earlier windows",
}
