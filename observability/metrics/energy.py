"""Energy and emissions of serving, computed from records and sums; and the queries for them.

Energy is computed only here, in energy_readings.py and in run_energy.py. The analyzer, the page, the tables and the sentences all use these
modules.

**No energy is counted twice.** A record that names a run counts as training, any other record of the model as serving. If serving devices
have records, these give the energy. The energy that predictions state (`energy_j`) is then a part of it, and the rest is the idle share.
Without such records, the energy of serving is the mean `energy_j` of the predictions that state it, else their latency times an assumed
power.

Energy here is the energy used by the device times the power usage effectiveness (PUE) of the building. Emissions (gCO₂e) are this energy
times the carbon intensity of the hour.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observability.core.questions import Aggregate, Bucket, By, Records
from observability.metrics.energy_readings import JOULES_A_WH, RESOURCE_COLUMNS, Source, reading_energy, worst_source
from observability.metrics.performance import Columns, answer_columns
from observability.metrics.prices import PriceScope, energy_factors, prices_at
from observability.metrics.run_energy import RUN_COLUMNS

if TYPE_CHECKING:
    from pandas import DataFrame

RESOURCES, RUNS = Records("resource", RESOURCE_COLUMNS), Records("run", RUN_COLUMNS, ever=True)


def served_question() -> Aggregate:
    """The query for the number of served predictions, by hour and version.

    Returns
    -------
    Aggregate
    """
    return Aggregate("predictions", keys=(Bucket("hour"), By("version")))


def consumption_question(*more: str) -> Aggregate:
    """The query for sums of the energy and latency that predictions state, by hour and version. more: further sums."""
    return Aggregate("predictions", keys=(Bucket("hour"), By("version")), sums=("energy_j", "latency_ms", *more))


@dataclass(frozen=True)
class ServingEnergy:
    """Energy of serving.

    method: "resources", "predictions", "latency" or None without data. source: source of the energy. hours: one value per hour for period
    (naive UTC), served (Σ weight of the predictions that the energy belongs to), wh (with PUE), grams, embodied grams, and the PUE. rows:
    number of stored predictions that the figures are based on. served: Σ weight of all predictions. covered: the share of them that the
    energy belongs to. idle_share: None if unknown. assumed_pue, assumed_carbon: whether wh or grams depend on a fallback.
    """

    method: str | None
    source: Source
    hours: Columns
    rows: int
    served: float
    covered: float
    idle_share: float | None = None
    assumed_pue: bool = False
    assumed_carbon: bool = False

    @property
    def wh(self) -> float:
        """Wh of all served predictions. Predictions without a measurement are assumed to consume the same as the others."""
        return float(self.hours["wh"].sum()) / self.covered if self.covered > 0 else 0.0

    @property
    def grams(self) -> float:
        """Operational gCO₂e of all served predictions, under the same assumption."""
        return float(self.hours["grams"].sum()) / self.covered if self.covered > 0 else 0.0

    @property
    def carbon_source(self) -> Source:
        """Source of the grams. It is `assumed` if they depend on a fallback."""
        return "assumed" if self.assumed_carbon or self.assumed_pue else self.source

    @property
    def by_hour(self) -> Columns:
        """The hours, with `emitted`: operational and embodied grams together."""
        return {**self.hours, "emitted": self.hours["grams"] + self.hours["embodied"]}

    def parts(self, *columns: str) -> "DataFrame":
        """Sums by day, or by hour if there are fewer than three days. These parts are what the interval of a ratio is computed from."""
        import pandas as pd

        hours = self.by_hour
        days = hours["period"].astype("datetime64[D]")
        sums = sums_by_period(days if np.unique(days).size >= 3 else hours["period"], {name: hours[name] for name in ("served", *columns)})
        return pd.DataFrame(sums).set_index("period")


METHODS = ("resources", "predictions", "latency")


def serving_energy(
    served: "DataFrame",
    use: "DataFrame",
    resources: "DataFrame",
    prices: "DataFrame",
    place: PriceScope,
    *,
    version: str | None = None,
    method: str | None = None,
) -> ServingEnergy:
    """Energy of serving in a window, by the best method that the records allow.

    Readings that name no version are divided between the versions in proportion to the predictions of each in that hour.

    Parameters
    ----------
    served : DataFrame
        Answer to `served_question` over every version.
    use : DataFrame
        Answer to `consumption_question` over every version.
    resources : DataFrame
        Resource records.
    prices : DataFrame
        Price records.
    place : PriceScope
        Model and settings that select prices and fallbacks.
    version : str | None
        Version; None for all.
    method : str | None
        Method to use; None for the best.

    Returns
    -------
    ServingEnergy
    """
    shares = _served_by_hour(served, version)
    readings = reading_energy(resources) if len(resources) else None
    hourly = _device_energy_by_hour(readings, shares, version) if readings is not None else None
    logged: Source = "measured" if readings is None else worst_source(sorted(set(readings.loc[readings["run"] == "", "source"])))
    for each in METHODS if method is None else (method,):
        if each == "resources" and hourly is not None:
            return _with_factors(each, logged, hourly, shares, use, prices, place, version)
        rows = logged_by_hour(use, "energy_j" if each == "predictions" else "latency_ms", version)
        if each != "resources" and rows["served"].sum() > 0:
            scale = 1.0 if each == "predictions" else place.watts_per_core / 1000.0
            by_time: Source = "estimated" if place.power_is_calibrated else "assumed"
            source: Source = by_time if each == "latency" else logged
            return _with_factors(each, source, {**rows, "joules": rows["total"] * scale}, shares, use, prices, place, version)
    nothing = {name: np.zeros(0) for name in ("served", "wh", "grams", "embodied", "pue")}
    return ServingEnergy(None, "assumed", {"period": shares["period"][:0], **nothing}, 0, float(shares["served"].sum()), 0.0)


def _served_by_hour(served: "DataFrame", version: str | None) -> Columns:
    """One value per hour: period, served (predictions of the version), everyone (of all versions), n."""
    own = np.ones(len(served), bool) if version is None else served["version"].to_numpy(object) == version
    w, n = served["w"].to_numpy(float), served["n"].to_numpy(float)
    return sums_by_period(served["period"], {"everyone": w, "served": w * own, "n": n * own})


def logged_by_hour(use: "DataFrame", measure: str, version: str | None) -> Columns:
    """Sums by hour of a measure that predictions state themselves.

    Parameters
    ----------
    use : DataFrame
        Answer to `consumption_question` over every version.
    measure : str
        "energy_j", "latency_ms" or "cost".
    version : str | None
        Version; None for all.

    Returns
    -------
    Columns
        period, served (Σ weight of the predictions that carry it), total, n.
    """
    own = use["measure"].to_numpy(object) == measure
    if version is not None:
        own &= use["version"].to_numpy(object) == version
    return sums_by_period(use["period"], {"served": use["w"], "total": use["total"], "n": use["n"]}, own)


def sums_by_period(periods: ArrayLike, figures: Mapping[str, ArrayLike], kept: NDArray[np.bool_] | None = None) -> Columns:
    """Sums of some figures by period.

    Parameters
    ----------
    periods : ArrayLike
        Period of each row.
    figures : Mapping[str, ArrayLike]
        Figures of each row.
    kept : NDArray[np.bool_] | None
        Mask of the rows that count.

    Returns
    -------
    Columns
        period, in order, and one value of each figure for each period.
    """
    chosen = slice(None) if kept is None else kept
    unique, place = np.unique(np.asarray(periods, "datetime64[us]")[chosen], return_inverse=True)
    sums = {name: np.bincount(place, np.asarray(figure, float)[chosen], unique.size) for name, figure in figures.items()}
    return {"period": unique, **sums}


def _device_energy_by_hour(readings: "DataFrame", shares: Columns, version: str | None) -> Columns | None:
    """One value for each hour with readings of the service's devices, for: period, served, joules, n. None without readings."""
    import pandas as pd

    own = readings[readings["run"] == ""]
    if version is not None:
        own = own[own["version"].isin(["", version])]
    if own.empty or not own["joules"].sum() > 0:
        return None
    at = own["at"].dt.floor("h")
    frame = own.assign(
        period=at, shared=own["joules"].where(own["version"] == "", 0.0), named=own["joules"].where(own["version"] != "", 0.0)
    )
    hours = frame.groupby("period")[["shared", "named"]].sum().reset_index().merge(pd.DataFrame(shares), on="period", how="left")
    hours = hours.fillna({"served": 0.0, "everyone": 0.0, "n": 0})
    everyone = float(shares["everyone"].sum())
    usual = float(shares["served"].sum()) / everyone if everyone > 0 else 1.0
    share = (hours["served"] / hours["everyone"]).where(hours["everyone"] > 0, usual)
    own_share = share if version is not None else 1.0
    return answer_columns(hours.assign(joules=hours["shared"] * own_share + hours["named"])[["period", "served", "joules", "n"]])


def _with_factors(
    method: str,
    source: Source,
    hours: Columns,
    shares: Columns,
    use: "DataFrame",
    prices: "DataFrame",
    place: PriceScope,
    version: str | None,
) -> ServingEnergy:
    """The energy of serving, made from joules by hour. It adds PUE, carbon and embodied carbon, the covered share of predictions, and the
    idle share. hours: in order.
    """
    of = energy_factors(prices, hours["period"], place)
    wh = hours["joules"] / JOULES_A_WH * of.pue
    known = {
        "period": hours["period"],
        "served": hours["served"],
        "wh": wh,
        "grams": wh / 1000.0 * of.intensity,
        "embodied": _embodied_grams(hours, wh, use, prices, place, version),
        "pue": of.pue,
    }
    total, held = float(shares["served"].sum()), float(hours["served"].sum())
    idle = None
    if method == "resources":
        carried = logged_by_hour(use, "energy_j", version)
        read = np.isin(carried["period"], hours["period"])
        if carried["served"][read].sum() > 0 and held > 0:
            active = float(carried["total"][read].sum()) / float(carried["served"][read].sum()) * held
            idle = min(max(1.0 - active / float(hours["joules"].sum()), 0.0), 1.0)
    rows, covered = int(hours["n"].sum()), min(held / total, 1.0) if total > 0 else 0.0
    assumed = bool(of.assumed_pue.any()), bool(of.assumed_intensity.any())
    return ServingEnergy(method, source, known, rows, total, covered, idle, *assumed)


def _embodied_grams(hours: Columns, wh: Any, use: "DataFrame", prices: "DataFrame", place: PriceScope, version: str | None) -> Any:
    """Embodied grams of each hour: `embodied_g` of the price records, given per request, per kWh, and per hour of a busy core."""
    import pandas as pd

    if not prices["embodied_g"].notna().any():
        return np.zeros(hours["period"].size)
    of = {
        resource: prices_at(prices, "embodied_g", hours["period"], place, resource=resource)[0]
        for resource in ("request", "kwh", "cpu_hour")
    }
    busy = logged_by_hour(use, "latency_ms", version)
    core_hours = pd.Series(busy["total"] / 3.6e6, busy["period"]).reindex(hours["period"], fill_value=0.0).to_numpy(float)
    amounts = {"request": hours["served"], "kwh": wh / 1000.0, "cpu_hour": core_hours}
    return sum(np.nan_to_num(of[name]) * amounts[name] for name in of)
