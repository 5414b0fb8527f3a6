"""Make the hourly carbon intensities and the sweep of a power cap. `python sample_data/savings.py`

They are SIMULATED, and each record states this (`simulated`). Intensities: a grid with much wind at night and a high load in the evening,
over five weeks. Sweep: runs of an invented processor under five power caps, with four seeds each; the runs learn nothing. Everything is
drawn with one seed.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
SWEEP, INTENSITIES = "savings.jsonl", "savings.prices.parquet"
MODEL, STUDY, SEED = "flights-late", "flights-late power caps", 31
FIRST_HOUR, DAYS = datetime(2024, 10, 29, tzinfo=UTC), 34
STARTED = datetime(2024, 11, 25, 10, tzinfo=UTC)
CAPS = {45: 1.0, 40: 1.004, 35: 1.03, 30: 1.12, 25: 1.35}
"""Power caps in watts, and how many times as long a run takes under each. Without a cap it draws at most MAX_WATTS."""
MAX_WATTS, SECONDS, SEEDS, READINGS = 43.0, 1.2, 4, 3


def simulated_sweep() -> list[dict[str, Any]]:
    """Start, readings and end of each run, in the order of time."""
    rng, found, began = np.random.default_rng(SEED), list[dict[str, Any]](), STARTED
    for cap, slower in CAPS.items():
        for seed in range(SEEDS):
            name = f"{MODEL}-cap-{cap}-{seed}"
            seconds, watts = SECONDS * slower * float(rng.lognormal(0, 0.008)), min(cap, MAX_WATTS) * float(rng.lognormal(-0.01, 0.008))
            about = {"run": name, "model": MODEL, "study": STUDY, "seed": seed, "simulated": True}
            found.append({"kind": "run", "at": began, "event": "start", "params": {"power_cap_w": cap}, **about})
            for place in range(READINGS):
                at = began + timedelta(seconds=seconds * (place + 1) / READINGS)
                drawn = {"watts": round(watts * float(rng.lognormal(0, 0.01)), 2), "seconds": round(seconds / READINGS, 3)}
                where = {"run": name, "model": MODEL, "device": "invented processor", "source": "estimated", "simulated": True}
                found.append({"kind": "resource", "at": at, **drawn, **where})
            began += timedelta(seconds=seconds)
            found.append({"kind": "run", "at": began, "event": "end", "status": "finished", **about})
            began += timedelta(seconds=5)
    return [{name: value.isoformat(timespec="milliseconds") if name == "at" else value for name, value in each.items()} for each in found]


def simulated_intensities() -> pd.DataFrame:
    """A price record of the kWh for each hour, with its carbon intensity; the price itself is the one in prices.jsonl."""
    rng = np.random.default_rng(SEED + 1)
    hours = np.arange(24 * DAYS)
    wind = np.repeat(np.convolve(rng.normal(0, 30, DAYS + 2), [0.3, 0.4, 0.3], "valid"), 24)
    day = 60 * np.cos(2 * np.pi * (hours % 24 - 19) / 24) + 25 * np.cos(4 * np.pi * (hours % 24 - 8) / 24)
    grams = np.round(np.maximum(320 + day + wind + rng.normal(0, 8, hours.size), 60), 0)
    at = pd.Series(pd.to_datetime([FIRST_HOUR + timedelta(hours=int(hour)) for hour in hours]).astype("datetime64[ms, UTC]"))
    about: dict[str, Any] = {"resource": "kwh", "amount": 0.12, "currency": "USD", "region": "example", "pue": 1.2, "simulated": True}
    return pd.DataFrame({"from": at, "received_at": at, "carbon_g_per_kwh": grams}).assign(**about)


def main() -> None:
    """Write both files."""
    text = "".join(json.dumps(each, separators=(",", ":")) + "\n" for each in simulated_sweep())
    (HERE / SWEEP).write_text(text, encoding="utf-8")
    simulated_intensities().to_parquet(HERE / INTENSITIES, index=False, compression="zstd")


if __name__ == "__main__":
    main()
