"""Which factor of what a thousand predictions cost, draw or emit changed: the price of a unit, or the units that a prediction takes?

Each is a product (price × units, energy of the devices × PUE, energy × carbon of a kWh), so its change is the product of theirs. That says where the change
sits, and nothing about causes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.finding import needs_action
from observability.core.time import naive_utc
from observability.detection.ratio_changes import Judged
from observability.metrics.cost import Part, priced
from observability.metrics.energy import Serving
from observability.metrics.performance import Columns
from observability.metrics.prices import Place

if TYPE_CHECKING:
    from pandas import DataFrame

LEAST = 0.05
"""A factor that changed by less is not named."""
UNITS = {
    "request": ("the price of a request", ""),
    "cpu_hour": ("the price of an hour of a busy core", "the busy time of a prediction"),
    "kwh": ("the price of a kWh", "the energy of a prediction"),
}
DRAWN = {"latency": "the busy time of a prediction"}


@dataclass(frozen=True)
class Factor:
    """One factor in words, with its mean now and before, each prediction counted once."""

    title: str
    now: float
    before: float

    @property
    def times(self) -> float:
        """How many times as high it is as before; NaN where that is not known."""
        return self.now / self.before if self.before > 0 else float("nan")


def said(found: Sequence[Factor], judged: Judged) -> str:
    """The factors that changed, for the end of a sentence; nothing where the whole did not change, or none of them did."""
    if judged.told is None or (not needs_action(judged.severity) and abs(judged.told.look.grown - 1) < LEAST):
        return ""
    known = [each for each in found if np.isfinite(each.times)]
    if len(known) < len(found) or not any(abs(each.times - 1) >= LEAST for each in known):
        return ""
    parts = [f"{each.title} is {'unchanged' if abs(each.times - 1) < LEAST else f'{each.times:.2g} times as high'}" for each in known]
    return f"; {' and '.join(parts)}"


def facts(found: Sequence[Factor]) -> dict[str, Any]:
    """The same as evidence: [title, now, before, times]."""
    return {"factors": [[each.title, each.now, each.before, each.times] for each in found if np.isfinite(each.times)]}


def stretch(judged: Judged, start: datetime, end: datetime) -> datetime:
    """When the part of the window begins that the sentence is about (naive UTC)."""
    told = judged.told
    days = told.look.days if told is not None and not told.look.whole and needs_action(judged.severity) else None
    return naive_utc(start if days is None else end - timedelta(days=days))


def inside(rows: "DataFrame", column: str, first: datetime | None, last: datetime | None = None) -> "DataFrame":
    """The rows of a half-open span."""
    kept = np.ones(len(rows), bool)
    if first is not None:
        kept &= (rows[column] >= first).to_numpy(bool)
    if last is not None:
        kept &= (rows[column] < last).to_numpy(bool)
    return rows[kept]


def of_cost(
    now: Part, before: Part | None, currency: str, prices: "DataFrame", place: Place, served: Sequence["DataFrame"]
) -> list[Factor]:
    """Price and units of a thousand predictions that are served. served: by hour with `w`, now and before, of the same spans as the parts."""
    titles = UNITS.get(now.method or "")
    if titles is None or before is None or before.method != now.method:
        return []
    after, then = (amounts(each, currency, prices, place, float(rows["w"].sum())) for each, rows in zip((now, before), served, strict=True))
    if after is None or then is None:
        return []
    found = [Factor(titles[0], after[0], then[0])]
    return found + ([Factor(titles[1], after[1], then[1])] if titles[1] else [])


def amounts(part: Part, currency: str, prices: "DataFrame", place: Place, served: float) -> tuple[float, float] | None:
    """(mean price of a unit, units for one prediction served); None where nothing was paid."""
    rows = part.rows[(part.rows["currency"] == currency) & (part.rows["amount"] > 0)]
    if rows.empty or not served > 0:
        return None
    price, _ = priced(prices, rows["at"], place, str(part.method))
    money = rows["amount"].to_numpy(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        units = float(np.nansum(money / price))
    return (float(money.sum()) / units, units / served) if units > 0 else None


def of_energy(of: Serving, now: Columns, before: Columns) -> tuple[list[Factor], list[Factor]]:
    """Of the energy of a prediction: what devices draw, and the building's share. Of its carbon: the energy, and the carbon of a kWh.

    now, before: the hours (as in Serving) that the sentence is about, and those of the past.
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
