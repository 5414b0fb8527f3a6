"""Compares the devices that serve a model with each other at the same times, and with themselves in earlier windows of the same length.

The comparisons are those for devices of training runs (device_peers, device_past), with a window instead of a run.
"""

from typing import TYPE_CHECKING

import numpy as np

from observability.core.time import naive_utc
from observability.core.window import Window
from observability.detection.device_figures import DEVICE_METRICS, DeviceUse, device_figures, with_units
from observability.detection.device_past import MAX_EARLIER, claims_about_own_past
from observability.detection.device_peers import claims_about_peers
from observability.detection.run_claims import RunClaim

if TYPE_CHECKING:
    from pandas import DataFrame

MAX_READINGS = 20_000
"""Maximum number of readings in a window that are used to compare devices with each other; the newest are used."""


def serving_device_claims(readings: "DataFrame", window: Window) -> list[RunClaim]:
    """Return the claims about the devices that served in the window; empty without readings.

    readings: resource records of the model up to the end of the window. Records of training runs are left out here.
    """
    own = readings[readings["run"].isna() & np.isfinite(readings[[each.column for each in DEVICE_METRICS]].to_numpy(float)).any(axis=1)]
    start = naive_utc(window.start)
    if not (own["at"] >= start).any():
        return []
    rows = with_units(own)
    back = np.floor((start - rows["at"]).dt.total_seconds().to_numpy(float) / (window.days * 86_400)).astype(int)
    rows = rows.assign(run=np.maximum(back, -1))
    rows = rows[rows["run"] < MAX_EARLIER]
    figures = {int(str(number)): part.droplevel("run") for number, part in device_figures(rows).groupby(level="run")}
    earlier = tuple(figures[number] for number in sorted(figures, reverse=True) if number >= 0)
    use = DeviceUse(f"the service of `{window.model}`", "device=", window.start, {}, "earlier window", "")
    found = claims_about_peers(use, rows[rows["run"] == -1].tail(MAX_READINGS), earlier[-1] if earlier else None)
    return [*found, *claims_about_own_past(use, figures[-1], earlier)]
