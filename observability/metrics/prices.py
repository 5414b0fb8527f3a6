"""What does the price list say at an instant: what a unit costs, how much carbon a kWh carries, how much a building adds?

Price records hold from their `from` on. Fallbacks for what no record and no setting says are stated here, and whoever uses one says so.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from observability.core.questions import Records
from observability.core.settings import ModelSettings

if TYPE_CHECKING:
    from pandas import DataFrame

WATTS_PER_CORE = 4.0
"""Power of one busy core (a hardware thread) where nothing better is known: CodeCarbon's DEFAULT_POWER_PER_CORE."""
PUE = 1.0
CARBON_G_PER_KWH = 475.0
"""Where no price record and no setting says: CodeCarbon's fallbacks. 475 is the world's average (IEA, Global Energy and CO2 Status Report 2019)."""
PRICE_COLUMNS = ("from", "resource", "amount", "currency", "model", "device", "region", "carbon_g_per_kwh", "pue", "embodied_g")
PRICES = Records("price", PRICE_COLUMNS, ever=True)


@dataclass(frozen=True)
class Place:
    """Whose prices and which fallbacks hold: the model's name and its owner's settings."""

    model: str
    settings: ModelSettings

    @property
    def watts_per_core(self) -> float:
        """Assumed power of one busy core."""
        return self.settings.watts_per_core or WATTS_PER_CORE


def in_force(
    prices: "DataFrame", field: str, at: ArrayLike, place: Place, *, resource: str | None = None, device: str | None = None
) -> "tuple[Any, Any]":
    """(values, currencies) of a field of the price records at some instants; NaN and None where no record says.

    A record holds from `from` until the next like it. One that names the model goes before one that does not, then one that names the device,
    then one that names the region; of regions, the one in the settings counts, or the only one that there is.
    """
    moments = np.asarray(at, "datetime64[us]")
    values, currencies = np.full(moments.size, np.nan), np.full(moments.size, None, object)
    said = prices[field].to_numpy(float)
    rows = ~np.isnan(said)
    if resource is not None:
        rows &= prices["resource"].to_numpy(object) == resource
    if not rows.any():
        return values, currencies
    named = {name: prices[name].to_numpy(object) for name in ("model", "device", "region", "currency")}
    regions = {each for each in named["region"][rows] if each is not None}
    region = place.settings.region or (min(regions) if len(regions) == 1 else None)
    rank = np.zeros(len(prices), int)
    for weight, (name, wanted) in zip((4, 2, 1), (("model", place.model), ("device", device), ("region", region))):
        own = np.array([wanted is not None and each == wanted for each in named[name]], bool)
        rank, rows = rank + weight * own, rows & (own | np.array([each is None or each != each for each in named[name]], bool))
    since = prices["from"].to_numpy("datetime64[us]")
    for each in np.unique(rank[rows]):
        part = np.flatnonzero(rows & (rank == each))
        part = np.array(
            sorted(part, key=lambda place: (since[place], said[place], named["currency"][place] is None, named["currency"][place] or ""))
        )
        found = np.searchsorted(since[part], moments, side="right") - 1
        held = found >= 0
        values[held] = said[part][found[held]]
        currencies[held] = named["currency"][part][found[held]]
    return values, currencies


def recorded_from(prices: "DataFrame", place: Place, resource: str, at: datetime) -> datetime | None:
    """From when on the newest price of a resource holds that may count for a model at an instant (naive UTC); None where there is none."""
    own = (prices["resource"].to_numpy(object) == resource) & (prices["from"] <= at).to_numpy(bool)
    own &= np.array([each is None or each != each or each == place.model for each in prices["model"]], bool)
    return prices["from"][own].max().to_pydatetime() if own.any() else None


@dataclass(frozen=True)
class Factors:
    """What energy is multiplied by at some instants: pue, and intensity (g a kWh), each with whether a fallback was assumed; arrays."""

    pue: Any
    intensity: Any
    assumed_pue: Any
    assumed_intensity: Any


def factors(prices: "DataFrame", at: ArrayLike, place: Place) -> Factors:
    """PUE and carbon intensity at some instants: from price records, else the owner's settings, else the stated fallbacks (assumed)."""
    pue, intensity = (in_force(prices, field, at, place)[0] for field in ("pue", "carbon_g_per_kwh"))
    settings = place.settings
    own_pue = PUE if settings.pue is None else settings.pue
    own_intensity = CARBON_G_PER_KWH if settings.carbon_g_per_kwh is None else settings.carbon_g_per_kwh
    return Factors(
        np.where(np.isnan(pue), own_pue, pue),
        np.where(np.isnan(intensity), own_intensity, intensity),
        np.isnan(pue) & (settings.pue is None),
        np.isnan(intensity) & (settings.carbon_g_per_kwh is None),
    )


def ambiguous_regions(prices: "DataFrame", settings: ModelSettings) -> list[str]:
    """Regions that price records name, where there are several and the settings choose none of them."""
    regions = sorted({each for each in prices["region"] if each is not None})
    return regions if len(regions) > 1 and settings.region not in regions else []
