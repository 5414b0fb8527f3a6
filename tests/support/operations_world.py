"""Small handmade frames for the tests of energy and costs, in the form in which the store returns them."""

from datetime import datetime

import pandas as pd

from observability.core.settings import ModelSettings
from observability.metrics.energy_readings import RESOURCE_COLUMNS
from observability.metrics.prices import PRICE_COLUMNS, PriceScope
from observability.metrics.run_energy import RUN_COLUMNS

START = datetime(2026, 3, 2)


def place(**settings) -> PriceScope:
    """The model `loan` with these settings."""
    return PriceScope("loan", ModelSettings(**settings))


def records(columns: tuple[str, ...], rows: list[dict], times: tuple[str, ...], numbers: tuple[str, ...]) -> pd.DataFrame:
    """A frame of records in the form in which the store returns them."""
    frame = pd.DataFrame([{name: row.get(name) for name in columns} for row in rows], columns=list(columns))
    for name in columns:
        if name in times:
            frame[name] = pd.to_datetime(frame[name]).astype("datetime64[us]")
        elif name in numbers:
            frame[name] = frame[name].astype(float)
        else:
            frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
    return frame


def resources(*rows: dict) -> pd.DataFrame:
    """Readings of resources. `at` is in seconds after START."""
    timed = [{**row, "at": START + pd.Timedelta(seconds=row["at"])} for row in rows]
    columns = (*RESOURCE_COLUMNS, "temperature_c", "memory_gb")
    return records(columns, timed, ("at",), ("watts", "utilisation", "energy_j", "seconds", "temperature_c", "memory_gb"))


def runs(*rows: dict) -> pd.DataFrame:
    """Starts and ends of runs. `at` is in seconds after START."""
    return records(RUN_COLUMNS, [{**row, "at": START + pd.Timedelta(seconds=row["at"])} for row in rows], ("at",), ())


def run_steps(*rows: dict) -> pd.DataFrame:
    """Steps of runs. `at` is in seconds after START."""
    timed = [{"stride": 1, **row, "at": START + pd.Timedelta(seconds=row["at"])} for row in rows]
    return records(("run", "at", "step", "stride"), timed, ("at",), ()).astype({"step": "Int64", "stride": "int64"})


def prices(*rows: dict) -> pd.DataFrame:
    """Price records. `from` is in hours after START."""
    filled = [{"amount": 0.0, "currency": "EUR", **row, "from": START + pd.Timedelta(hours=row.get("from", -24))} for row in rows]
    return records(PRICE_COLUMNS, filled, ("from",), ("amount", "carbon_g_per_kwh", "pue", "embodied_g"))


def served(counts: list[float], version: str = "1") -> pd.DataFrame:
    """Predictions per hour from START on."""
    hours = pd.Series(pd.date_range(START, periods=len(counts), freq="h")).astype("datetime64[us]")
    n = pd.Series(counts, dtype=float)
    return pd.DataFrame({"period": hours, "version": version, "n": n.astype("int64"), "w": n, "w2": n})


def use(measure: str, counts: list[float], each: list[float], version: str = "1") -> pd.DataFrame:
    """Sums of a measure per hour: each hour has the given number of rows, all with the same value."""
    frame = served(counts, version)
    totals = pd.Series([n * x for n, x in zip(counts, each)], dtype=float)
    return frame.assign(measure=measure, total=totals, squares=totals**2, low=0.0, high=0.0)
