"""The deliveries of the weather stations at the three airports, by day of 2013.

The features of a flight come from hourly observations. A batch is the day of one station, in the time of New York, closed at midnight: the
number of hours that arrived, their first and last time, and their statistics. Hours that the source lacks are missing here too, and a day
without any hour has no batch. No row of the source is rejected, so no number of rejected rows is logged.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from observability import Logger
from sample_data.flights import NEW_YORK, WEATHER, station_days

FILE = "weather.batches.parquet"
HOUR, A_DAY = pd.Timedelta(hours=1), pd.DateOffset(days=1)
DIGITS = {"rain_in": 4}
"""Decimals of a measure's mean and standard deviation, if not 2."""
POSSIBLE = {
    "temperature_f": (-80.0, 135.0),
    "dew_point_f": (-80.0, 95.0),
    "humidity_percent": (0.0, 100.0),
    "wind_direction_degrees": (0.0, 360.0),
    "wind_speed_mph": (0.0, 200.0),
    "wind_gust_mph": (0.0, 200.0),
    "rain_in": (0.0, 15.0),
    "pressure_mb": (870.0, 1090.0),
    "visibility_miles": (0.0, 100.0),
}
"""Possible range of each measure, set wide for New York: a value outside is an error of the sensor or of the transmission."""


def batches(weather: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The records, station by station in the order of time. An hour is stamped with its beginning and ends an hour later."""
    hours = pd.to_datetime(weather["time_hour"], utc=True)
    names = station_days(weather["origin"], hours)
    table = weather[list(WEATHER)].rename(columns=WEATHER).assign(hour=hours)
    for name, part in table.groupby(names, sort=True):
        station, day = str(name).split()
        closed = utc(pd.Timestamp(day, tz=NEW_YORK) + A_DAY)
        yield {
            "batch": name,
            "at": closed,
            "source": f"hourly weather at {station}",
            "device": station,
            "rows": len(part),
            "captured_from": utc(part["hour"].min()),
            "captured_to": utc(part["hour"].max() + HOUR),
            "stats": {name: summary(part[name], DIGITS.get(name, 2), POSSIBLE[name]) for name in WEATHER.values()},
            "received_at": closed,
        }


def summary(values: pd.Series, digits: int, possible: tuple[float, float]) -> dict[str, float | None]:
    """Mean and standard deviation of a day's observations (None if there are too few), the share of hours without an observation, and the
    share of impossible observations.
    """
    rounded = {"mean": values.mean(), "std": values.std()}
    found: dict[str, float | None] = {name: None if pd.isna(value) else round(float(value), digits) for name, value in rounded.items()}
    known = values.dropna()
    outside = float((~known.between(*possible)).mean()) if len(known) else 0.0
    return found | {"null_share": round(float(values.isna().mean()), 3), "out_of_range_share": round(outside, 4)}


def utc(moment: pd.Timestamp) -> datetime:
    """The instant in UTC."""
    return moment.tz_convert("UTC").to_pydatetime()


def log_batches(weather: pd.DataFrame, log: Logger) -> None:
    """Logs every batch."""
    for each in batches(weather):
        log.batch(**each)


def write(records: list[dict[str, Any]], out: Path) -> None:
    """Write the records that were logged, sorted by station, which makes the file small."""
    from sample_data.collecting import write_sorted

    table = pd.DataFrame(records).drop(columns="kind")
    for name in ("at", "received_at", "captured_from", "captured_to"):
        table[name] = pd.to_datetime(table[name], utc=True, format="ISO8601")
    write_sorted(table.sort_values(["source", "at"], ignore_index=True), out / FILE)
