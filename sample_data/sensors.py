"""Make the batches of the apron sensors. `python sample_data/sensors.py`

They are SIMULATED, and the name of their source states this: eight sensors on the apron of JFK over the last quarter of 2013. The daily and
seasonal course is that of the real weather there; the deviations of each sensor are drawn with one seed. Four faults are planted, each in
one sensor: humidity saturated for a week; humidity frozen for some hours of three days; a fifth of the rows rejected for three days;
temperature frozen from 27 December on. The product itself computes the statistics from the readings of each day.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
FILE, SOURCE, SEED = "sensors.batches.parquet", "apron sensors at JFK (simulated)", 47
SENSORS, READINGS = 8, 96
"""Number of sensors, and number of readings of each per day."""
FIRST, LAST = "2013-10-01", "2013-12-31"
SATURATED, SATURATED_FROM, SATURATED_UNTIL = "apron-6", "2013-11-29", "2013-12-06"
STUCK, STUCK_FROM = "apron-3", "2013-12-27"
HELD, HELD_FROM, HELD_UNTIL, HELD_HOURS = "apron-2", "2013-12-10", "2013-12-13", (6, 14)
REJECTED, REJECTED_FROM, REJECTED_UNTIL, REJECTED_SHARE, USUAL_SHARE = "apron-5", "2013-12-17", "2013-12-20", 0.2, 0.003
"""The sensor whose rows are rejected, from when until when, the rejected share in that time, and the usual rejected share."""
RANGES = {"surface_temperature_f": (-40.0, 180.0), "surface_humidity_percent": (0.0, 100.0)}


def weather_at(moments: pd.DatetimeIndex, folder: Path) -> pd.DataFrame:
    """Temperature and humidity at JFK at the given moments: interpolated between the means of the days, plus a daily wave as large as the
    day's spread.
    """
    from sample_data.deliveries import FILE as REAL

    days = pd.read_parquet(folder / REAL)
    days = days[days["device"] == "JFK"].sort_values("at")
    noon, found = (days["at"] - pd.Timedelta(hours=12)).astype("int64"), {}
    for name, phase in (("temperature_f", 1), ("humidity_percent", -1)):
        mean, spread = (np.array([each[name][part] for each in days["stats"]], float) for part in ("mean", "std"))
        known = np.isfinite(mean) & np.isfinite(spread)
        level, size = (np.interp(moments.as_unit("ms").asi8, noon.to_numpy()[known], values[known]) for values in (mean, spread))
        found[name] = level + phase * np.sqrt(2) * size * np.sin(2 * np.pi * (moments.hour + moments.minute / 60 - 9) / 24)
    return pd.DataFrame(found, index=moments)


def readings(folder: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """The readings of each sensor, every quarter of an hour in the time of New York; some are missing."""
    from sample_data.flights import NEW_YORK

    last = pd.Timestamp(LAST, tz=NEW_YORK) + pd.DateOffset(days=1)
    moments = pd.date_range(pd.Timestamp(FIRST, tz=NEW_YORK), last, freq="15min", inclusive="left")
    real, rng, day = weather_at(moments, folder), np.random.default_rng(SEED), moments.strftime("%Y-%m-%d").to_numpy()
    for place in range(1, SENSORS + 1):
        name, slow = f"apron-{place}", np.repeat(rng.normal(0, 0.6, len(moments) // 24 + 1), 24)[: len(moments)]
        temperature = real["temperature_f"] + rng.normal(0, 1.5) + slow + rng.normal(0, 0.5, len(moments))
        humidity = real["humidity_percent"] + rng.normal(0, 2) - 2 * slow + rng.normal(0, 1.5, len(moments))
        if name == SATURATED:
            humidity = humidity + 46.0 * ((day >= SATURATED_FROM) & (day < SATURATED_UNTIL))
        if name == HELD:
            held = (day >= HELD_FROM) & (day < HELD_UNTIL) & (moments.hour >= HELD_HOURS[0]) & (moments.hour < HELD_HOURS[1])
            humidity = humidity.mask(held).ffill()
        if name == STUCK:
            temperature = temperature.where(day < STUCK_FROM).ffill()
        table = pd.DataFrame({"surface_temperature_f": temperature.round(1), "surface_humidity_percent": humidity.clip(0, 100).round(1)})
        yield name, table.mask(rng.random(table.shape) < 0.01)


def batches(folder: Path) -> Iterator[dict[str, Any]]:
    """A batch for each sensor and day, delivered some minutes after midnight."""
    from observability.metrics.column_statistics import table_statistics

    rng, rejects = np.random.default_rng(SEED + 1), np.random.default_rng(SEED + 2)
    for name, table in readings(folder):
        for day, rows in table.groupby(pd.DatetimeIndex(table.index).strftime("%Y-%m-%d")):
            start, end = rows.index[0].tz_convert("UTC"), rows.index[-1].tz_convert("UTC") + pd.Timedelta(minutes=15)
            at = end + pd.Timedelta(seconds=int(rng.integers(120, 900)))
            share = REJECTED_SHARE if name == REJECTED and REJECTED_FROM <= str(day) < REJECTED_UNTIL else USUAL_SHARE
            yield {
                "batch": f"{name} {day}",
                "at": at,
                "source": SOURCE,
                "device": name,
                "rows": len(rows),
                "rejected_rows": int(rejects.binomial(len(rows), share)),
                "captured_from": start,
                "captured_to": end,
                "stats": table_statistics(rows, RANGES),
                "received_at": at,
            }


def make(out: Path) -> None:
    """Write the file."""
    from sample_data.collecting import write_sorted

    table = pd.DataFrame(batches(out))
    write_sorted(table.sort_values(["device", "at"], ignore_index=True), out / FILE)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    make(HERE)
