"""Runs of a cleaning rule without faults, with the counts of two groupings; none of them is an audit of data."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from observability.metrics.audited_data import DATA_AUDITS

START = datetime(2026, 3, 2)
COLUMNS = ["rule", "at", "rows_in", "rows_changed", "rows_dropped", "dataset", "groups"]
NO_AUDITS = pd.DataFrame(columns=list(DATA_AUDITS.columns or ()))


def cleaning_frame(seed: int, days: int = 63) -> pd.DataFrame:
    """One run per day, in the form in which the store returns them: 2,000 rows of four regions, 3 % of which are dropped and 10 %
    changed.
    """
    rng, rows = np.random.default_rng(seed), []
    for day in range(days):
        sizes = rng.multinomial(2000, (0.4, 0.3, 0.2, 0.1))
        dropped = rng.binomial(sizes, 0.03)
        groups = {
            "region": {name: {"in": int(n), "dropped": int(k)} for name, n, k in zip(("n", "e", "s", "w"), sizes, dropped, strict=True)}
        }
        at = START + timedelta(days=day - days + 7, hours=3)
        rows.append(["ages", at, 2000, int(rng.binomial(2000, 0.1)), int(dropped.sum()), "people", groups])
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.astype({"at": "datetime64[us]", "rows_in": "Int64", "rows_changed": "Int64", "rows_dropped": "Int64", "rule": object})
