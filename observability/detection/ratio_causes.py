"""Splits a change of cost, energy or carbon per prediction into its factors.

Each quantity is a product (price × units, energy of the devices × PUE, energy × carbon per kWh), so its relative change is the product of
the relative changes of its factors. The split shows in which factor a change lies; it does not identify causes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.time import naive_utc
from observability.detection.ratio_changes import RatioVerdict
from observability.metrics.cost import CostPart
from observability.metrics.energy import ServingEnergy
from observability.metrics.performance import Columns
from observability.metrics.prices import PriceScope, prices_at

if TYPE_CHECKING:
    from pandas import DataFrame

MIN_FACTOR_CHANGE = 0.05
"""A factor is called unchanged if its relative change is below this."""
UNITS = {
    "request": ("the price of a request", ""),
    "cpu_hour": ("the price of an hour of a busy core", "the busy time of a prediction"),
    "kwh": ("the price of a kWh", "the energy of a prediction"),
}
DRAWN = {"latency": "the busy time of a prediction"}


@dataclass(frozen=True)
class Factor:
    """One factor: its title, and its mean now and before, weighted by predictions."""

    title: str
    now: float
    before: float

    @property
    def times(self) -> float:
        """The factor now, divided by the factor before; NaN if unknown."""
        return self.now / self.before if self.before > 0 else float("nan")


def factor_sentence(found: Sequence[Factor], verdict: RatioVerdict) -> str:
    """Return the end of a sentence that names the changed factors; empty if the product has not changed, or no factor has."""
    if verdict.worst is None or (not verdict.worst.needs_action and abs(verdict.worst.change.effect - 1) < MIN_FACTOR_CHANGE):
        return ""
    known = [each for each in found if np.isfinite(each.times)]
    if len(known) < len(found) or not any(abs(each.times - 1) >= MIN_FACTOR_CHANGE for each in known):
        return ""
    parts = [
        f"{each.title} is {'unchanged' if abs(each.times - 1) < MIN_FACTOR_CHANGE else f'{each.times:.2g} times as high'}" for each in known
    ]
    return f"; {' and '.join(parts)}"


def factor_evidence(found: Sequence[Factor]) -> dict[str, Any]:
    """Return the factors as evidence: [title, now, before, times]."""
    return {"factors": [[each.title, each.now, each.before, each.times] for each in found if np.isfinite(each.times)]}


def analyzed_start(verdict: RatioVerdict, start: datetime, end: datetime) -> datetime:
    """Return the start (naive UTC) of the part of the window that the verdict is about."""
    last = verdict.last_days
    return naive_utc(start if last is None else end - timedelta(days=last.days))


def rows_between(rows: "DataFrame", column: str, first: datetime | None, last: datetime | None = None) -> "DataFrame":
    """Return the rows within a half-open span of time."""
    kept = np.ones(len(rows), bool)
    if first is not None:
        kept &= (rows[column] >= first).to_numpy(bool)
    if last is not None:
        kept &= (rows[column] < last).to_numpy(bool)
    return rows[kept]


def of_cost(
    now: CostPart, before: CostPart | None, currency: str, prices: "DataFrame", place: PriceScope, served: Sequence["DataFrame"]
) -> list[Factor]:
    """Return two factors of the cost of served predictions: the price, and the units per prediction. served: rows by hour with `w`, now and
    before, for the same spans as the parts.
    """
    titles = UNITS.get(now.method or "")
    if titles is None or before is None or before.method != now.method:
        return []
    after, then = (
        price_and_units(each, currency, prices, place, float(rows["w"].sum())) for each, rows in zip((now, before), served, strict=True)
    )
    if after is None or then is None:
        return []
    found = [Factor(titles[0], after[0], then[0])]
    return found + ([Factor(titles[1], after[1], then[1])] if titles[1] else [])


def price_and_units(part: CostPart, currency: str, prices: "DataFrame", place: PriceScope, served: float) -> tuple[float, float] | None:
    """Return (mean price of a unit, units for one served prediction); None if nothing was paid."""
    rows = part.rows[(part.rows["currency"] == currency) & (part.rows["amount"] > 0)]
    if rows.empty or not served > 0:
        return None
    price, _ = prices_at(prices, "amount", rows["at"], place, resource=str(part.method))
    money = rows["amount"].to_numpy(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        units = float(np.nansum(money / price))
    return (float(money.sum()) / units, units / served) if units > 0 else None


def of_energy(of: ServingEnergy, now: Columns, before: Columns) -> tuple[list[Factor], list[Factor]]:
    """Return the factors of the energy per prediction (device energy, PUE), and those of the carbon per prediction (energy, carbon per
    kWh).

    now, before: the hours (as in Serving) that the sentence is about, and the hours of the past.
    """
    sides = []
    for each in (now, before):
        served, wh, grams = (float(each[name].sum()) for name in ("served", "wh", "grams"))
        if not (served > 0 and wh > 0 and grams > 0):
            return [], []
        drawn = float((each["wh"] / each["pue"]).sum())
        sides.append((drawn / served, wh / drawn, wh / served, grams / wh * 1000))
    (drawn, pue, energy, carbon), (drawn_before, pue_before, energy_before, carbon_before) = sides
    what = DRAWN.get(of.method or "", "the energy that devices draw for a prediction")
    return (
        [Factor(what, drawn, drawn_before), Factor("the building's share (PUE)", pue, pue_before)],
        [Factor("the energy of a prediction", energy, energy_before), Factor("the carbon of a kWh", carbon, carbon_before)],
    )
