"""Look up prices at a point in time: unit prices, carbon intensity and power usage effectiveness.

A price record is valid from its `from` on. Fallbacks for values that neither a record nor a setting gives are defined here. Results that
use a fallback say so.
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
"""Fallback power of one busy core (a hardware thread): CodeCarbon's DEFAULT_POWER_PER_CORE."""
PUE = 1.0
CARBON_G_PER_KWH = 475.0
"""Fallbacks if there is neither a price record nor a setting, taken from CodeCarbon. 475 is the world average (IEA, Global Energy and CO2
Status Report 2019).
"""
PRICE_COLUMNS = ("from", "resource", "amount", "currency", "model", "device", "region", "carbon_g_per_kwh", "pue", "embodied_g")
PRICES = Records("price", PRICE_COLUMNS, ever=True)
NO_CURRENCY = ""
"""Stands for the currency of amounts that were logged without one."""


@dataclass(frozen=True)
class PriceScope:
    """The model and its owner's settings, by which prices and fallbacks are selected."""

    model: str
    settings: ModelSettings

    @property
    def watts_per_core(self) -> float:
        """Assumed power of one busy core, in watts."""
        return self.settings.watts_per_core or WATTS_PER_CORE

    @property
    def power_is_calibrated(self) -> bool:
        """Whether the assumed power was fitted to a meter, with a known error."""
        return self.settings.watts_per_core is not None and self.settings.watts_per_core_error is not None


def prices_at(
    prices: "DataFrame", field: str, at: ArrayLike, place: PriceScope, *, resource: str | None = None, device: str | None = None
) -> "tuple[Any, Any]":
    """Values of one field of the price records at some points in time.

    A record is valid from `from` until the next record of its kind. A record that names the model has priority, then one that names the
    device, then one that names the region. The region in the settings is used; if there is none, the only region that has prices.

    Parameters
    ----------
    prices : DataFrame
        Price records.
    field : str
        Field of the price records.
    at : ArrayLike
        Instants.
    place : PriceScope
        Model and settings that select prices and fallbacks.
    resource : str | None
        Resource; None for all.
    device : str | None
        Device; None for records without a device.

    Returns
    -------
    tuple[Any, Any]
        (values, currencies); NaN and None without a record.
    """
    moments = np.asarray(at, "datetime64[us]")
    values, currencies = np.full(moments.size, np.nan), np.full(moments.size, None, object)
    listed = prices[field].to_numpy(float)
    rows = ~np.isnan(listed)
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
            sorted(part, key=lambda place: (since[place], listed[place], named["currency"][place] is None, named["currency"][place] or ""))
        )
        found = np.searchsorted(since[part], moments, side="right") - 1
        held = found >= 0
        values[held] = listed[part][found[held]]
        currencies[held] = named["currency"][part][found[held]]
    return values, currencies


def price_start(prices: "DataFrame", place: PriceScope, resource: str, at: datetime) -> datetime | None:
    """When the newest price of a resource that may apply to a model at a point in time began to be valid.

    Parameters
    ----------
    prices : DataFrame
        Price records.
    place : PriceScope
        Model and settings that select prices and fallbacks.
    resource : str
        Resource.
    at : datetime
        Instant (naive UTC).

    Returns
    -------
    datetime | None
        None without a price.
    """
    own = (prices["resource"].to_numpy(object) == resource) & (prices["from"] <= at).to_numpy(bool)
    own &= np.array([model is None or model != model or model == place.model for model in prices["model"]], bool)
    return prices["from"][own].max().to_pydatetime() if own.any() else None


@dataclass(frozen=True)
class EnergyFactors:
    """Factors of energy at some points in time: pue, and intensity (g per kWh). For each factor, a mask says where a fallback was assumed.
    All are arrays.
    """

    pue: Any
    intensity: Any
    assumed_pue: Any
    assumed_intensity: Any


def energy_factors(prices: "DataFrame", at: ArrayLike, place: PriceScope) -> EnergyFactors:
    """PUE and carbon intensity at some points in time: from price records, else the owner's settings, else the fallbacks (assumed).

    Parameters
    ----------
    prices : DataFrame
        Price records.
    at : ArrayLike
        Instants.
    place : PriceScope
        Model and settings that select prices and fallbacks.

    Returns
    -------
    EnergyFactors
    """
    pue, intensity, settings = prices_at(prices, "pue", at, place)[0], stated_intensity(prices, at, place), place.settings
    own_pue = PUE if settings.pue is None else settings.pue
    return EnergyFactors(
        np.where(np.isnan(pue), own_pue, pue),
        np.where(np.isnan(intensity), CARBON_G_PER_KWH, intensity),
        np.isnan(pue) & (settings.pue is None),
        np.isnan(intensity),
    )


def stated_intensity(prices: "DataFrame", at: ArrayLike, place: PriceScope) -> "Any":
    """Carbon intensity (g per kWh) at some points in time: from price records, else the owner's typical day, else the owner's single
    number; else NaN.

    Parameters
    ----------
    prices : DataFrame
        Price records.
    at : ArrayLike
        Instants.
    place : PriceScope
        Model and settings that select prices.

    Returns
    -------
    Any
        An array.
    """
    settings, known = place.settings, prices_at(prices, "carbon_g_per_kwh", at, place)[0]
    if settings.carbon_by_hour:
        hours = np.asarray(at, "datetime64[h]").astype(np.int64) % len(settings.carbon_by_hour)
        return np.where(np.isnan(known), np.array(settings.carbon_by_hour)[hours], known)
    return known if settings.carbon_g_per_kwh is None else np.where(np.isnan(known), settings.carbon_g_per_kwh, known)


def ambiguous_regions(prices: "DataFrame", settings: ModelSettings) -> list[str]:
    """The regions that price records name, if there are several and the settings choose none of them.

    Parameters
    ----------
    prices : DataFrame
        Price records.
    settings : ModelSettings
        Settings of the model.

    Returns
    -------
    list[str]
    """
    regions = sorted({region for region in prices["region"] if region is not None})
    return regions if len(regions) > 1 and settings.region not in regions else []


def default_currency(prices: "DataFrame", settings: ModelSettings) -> str:
    """Currency of amounts that are logged without one: from the settings, else the only currency in the prices, else NO_CURRENCY.

    Parameters
    ----------
    prices : DataFrame
        Price records.
    settings : ModelSettings
        Settings of the model.

    Returns
    -------
    str
    """
    named = settings.cost_currency or settings.budget_currency
    known = sorted({currency for currency in prices["currency"] if currency is not None})
    return named or (known[0] if len(known) == 1 else NO_CURRENCY)
