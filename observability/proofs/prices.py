"""Write SQL for the factors in the price records at an hour."""

from observability.core.analyzer import Context
from observability.metrics.prices import CARBON_G_PER_KWH, PUE
from observability.proofs.rows import number_literal, text_literal, time_literal


def price_sql(field: str, context: Context, resource: str | None = None) -> str:
    """SQL for the value of a field of the price records at an `hour`. A price of the model takes precedence over a price of its region, and
    this over a price for all models and regions. If several prices have the same precedence, the newest is used.
    """
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


def building_factor_sql(context: Context) -> str:
    """SQL for the power usage effectiveness at an `hour`: from the price records, else the owner's setting, else the fallback."""
    own = context.model.settings.pue
    return f"coalesce({price_sql('pue', context)}, {number_literal(PUE if own is None else own)})"


def carbon_factor_sql(context: Context) -> str:
    """SQL for the carbon intensity (g per kWh) at an `hour`: from the price records, else the owner's typical day, else the owner's single
    value, else the fallback.
    """
    own, by_hour = context.model.settings.carbon_g_per_kwh, context.model.settings.carbon_by_hour
    stated = number_literal(CARBON_G_PER_KWH if own is None else own)
    if by_hour:
        stated = f"list_extract([{', '.join(map(number_literal, by_hour))}], hour(hour) + 1)"
    return f"coalesce({price_sql('carbon_g_per_kwh', context)}, {stated})"
