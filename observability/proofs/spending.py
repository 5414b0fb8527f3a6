"""Cost and energy from raw rows: what predictions carry, or the price of a request, per prediction, right decision and avoided error."""

from observability.core.analyzer import OTHERWISE, Context, Proofs
from observability.core.finding import Finding, needs_action
from observability.proofs.rows import (
    ProvenRows,
    class_literals,
    indented,
    last_days,
    number_literal,
    proven_rows,
    text_literal,
    time_literal,
)

JOULES_A_WH = 3600.0
HOT_SHARE = 0.95
"""Share of a device's readings at most as hot as its temperature."""
BOTH = "decision IS NOT NULL AND label IS NOT NULL"


def cost_per_thousand_proof(finding: Finding, context: Context) -> str | None:
    """The SQL of the serving cost of a thousand predictions."""
    hours = _costed_hours(finding, context, _compared_rows(finding, context))
    return hours and f"{hours}\nSELECT 1000 * sum(amount) / sum(served) AS cost_per_thousand FROM costed"


def cost_per_decision_proof(finding: Finding, context: Context) -> str | None:
    """The SQL of the cost of a right decision, or of an avoided error: that of a prediction over their share."""
    parts = finding.evidence.get("parts", {})
    if any(amount for name, amount in parts.items() if name != "serving"):
        return None
    rows = proven_rows(finding, context)
    if (hours := _costed_hours(finding, context, rows)) is None:
        return None
    right = "coalesce(sum(weight) FILTER (decision = label), 0)"
    if finding.metric == "cost_per_error_avoided":
        right = f"({right} - coalesce(sum(weight) FILTER (label = {text_literal(finding.evidence['majority'])}), 0))"
    return f"""{hours}, decided AS (
  SELECT {right} / sum(weight) AS share
  {indented(rows.where(BOTH))}
)
SELECT (SELECT sum(amount) / sum(served) FROM costed) / share AS {finding.metric} FROM decided"""


def money_lost_proof(finding: Finding, context: Context) -> str | None:
    """The SQL of the money that errors lose in a thousand labelled decisions, by the owner's costs of both errors."""
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
    """The SQL of the energy of a thousand predictions, from the energy that they carry."""
    if finding.evidence.get("method") != "predictions":
        return None
    rows, settings = _compared_rows(finding, context), context.model.settings
    pue = f"coalesce({_price_sql('pue', context)}, {number_literal(1.0 if settings.pue is None else settings.pue)})"
    return f"""WITH hours AS (
  SELECT date_trunc('hour', "at") AS hour, sum(weight) AS served, sum(weight * energy_j) AS joules
  {indented(rows.where("isfinite(energy_j)"))}
  GROUP BY ALL
)
SELECT 1000 * sum(joules / {number_literal(JOULES_A_WH)} * {pue}) / sum(served) AS energy_per_thousand FROM hours"""


def device_proof(finding: Finding, context: Context) -> str:
    """The SQL of the mean utilisation of a device, or of the temperature that one reading in twenty exceeds."""
    known = [] if context.window.as_of is None else [f"arrived <= {time_literal(context.window.as_of)}"]
    of_model = f"model = {text_literal(context.model.name)}"
    runs = " UNION ".join(f"SELECT run FROM {view} WHERE {' AND '.join([of_model, *known])}" for view in ("runs", "resources"))
    conditions = [
        f"({of_model} OR (model IS NULL AND run IN ({runs})))",
        f"device || coalesce(' on ' || nullif(host, ''), '') = {text_literal(finding.subject.removeprefix('device='))}",
        f'"at" >= {time_literal(finding.start)}',
        f'"at" < {time_literal(finding.end)}',
        f"isfinite({finding.metric})",
        *known,
        *([] if context.model.sample else ["sample IS NOT TRUE"]),
    ]
    figure = "avg(utilisation)" if finding.metric == "utilisation" else f"quantile_disc(temperature_c, {number_literal(HOT_SHARE)})"
    newest = f'SELECT {finding.metric} FROM resources\n  WHERE {" AND ".join(conditions)}\n  ORDER BY "at" DESC LIMIT {finding.n}'
    return f"SELECT {figure} AS {finding.metric} FROM (\n  {newest}\n)"


def _compared_rows(finding: Finding, context: Context) -> ProvenRows:
    """The rows of a ratio to the past: the last days where a change of these is reported, else the window."""
    evidence = finding.evidence
    longest = max((row["days"] for row in evidence["windows"]), default=None)
    days = evidence.get("look_days")
    if days is None or longest is None or days >= longest or not needs_action(finding.severity):
        return proven_rows(finding, context)
    return last_days(finding, context, days)


def _costed_hours(finding: Finding, context: Context, rows: ProvenRows) -> str | None:
    """Serving cost by hour (`costed`: amount, served), where predictions carry it or a request has a price; None by other methods."""
    if finding.evidence.get("method") == "cost":
        return f"""WITH hours AS (
  SELECT date_trunc('hour', "at") AS hour, sum(weight) AS served, sum(weight * cost) FILTER (isfinite(cost)) AS total,
    sum(weight) FILTER (isfinite(cost)) AS carried
  {indented(rows.where())}
  GROUP BY ALL
), costed AS (
  SELECT served, served * coalesce(total / carried, sum(total) OVER () / sum(carried) OVER ()) AS amount FROM hours
)"""
    if finding.evidence.get("method") == "request":
        return f"""WITH hours AS (
  SELECT date_trunc('hour', "at") AS hour, sum(weight) AS served
  {indented(rows.where())}
  GROUP BY ALL
), costed AS (
  SELECT served, served * {_price_sql("amount", context, "request")} AS amount FROM hours
)"""
    return None


def _price_sql(field: str, context: Context, resource: str | None = None) -> str:
    """The value of a field of the price records at an `hour`: of the model before the region before all, and of these the newest."""
    window, settings, model = context.window, context.model.settings, text_literal(context.model.name)
    known = [f"{field} IS NOT NULL", f'"from" < {time_literal(window.end)}']
    known += [] if resource is None else [f"resource = {text_literal(resource)}"]
    known += [] if context.model.sample else ["sample IS NOT TRUE"]
    known += [] if window.as_of is None else [f"arrived <= {time_literal(window.as_of)}"]
    of_all = " AND ".join([*known, f"(model IS NULL OR model = {model})"])
    only = f"(SELECT CASE WHEN count(DISTINCT region) = 1 THEN min(region) END FROM prices WHERE {of_all})"
    region = text_literal(settings.region) if settings.region else only
    rank = f"CASE WHEN model = {model} THEN 4 ELSE 0 END + CASE WHEN region IS NOT NULL THEN 1 ELSE 0 END"
    return f"""(
    SELECT arg_max({field}, struct_pack(a := {rank}, b := "from", c := {field})) FROM prices
    WHERE {of_all} AND device IS NULL AND (region IS NULL OR region = {region}) AND "from" <= hour)"""


OTHER_MONEY = "its money comes from prices of hours or labels, not from predictions or a price of a request alone"
COST_PROOFS: Proofs = {
    f"cost_per_thousand{OTHERWISE}": OTHER_MONEY,
    f"cost_per_correct_decision{OTHERWISE}": OTHER_MONEY,
    f"cost_per_error_avoided{OTHERWISE}": OTHER_MONEY,
    f"money_lost_per_thousand{OTHERWISE}": OTHER_MONEY,
    "cost_per_thousand": cost_per_thousand_proof,
    "cost_per_correct_decision": cost_per_decision_proof,
    "cost_per_error_avoided": cost_per_decision_proof,
    "money_lost_per_thousand": money_lost_proof,
    "month_cost": "it adds serving, training, labelling and storage of a month, each by prices of its own, and forecasts the rest",
}
ENERGY_PROOFS: Proofs = {
    "energy_per_thousand": energy_proof,
    "sci": "it adds operational and embodied carbon, each by factors of the price records at that hour",
    "idle_share": "it compares readings of devices, integrated over time, with what predictions carry",
    "run_energy": "it integrates readings of several devices over time",
    "utilisation": device_proof,
    "temperature_c": device_proof,
}
