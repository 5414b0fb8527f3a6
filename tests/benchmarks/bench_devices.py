"""How often does a clean fleet of collecting devices raise an alarm, and how long does the check of a large fleet take?

    python tests/benchmarks/bench_devices.py [SETS]

SETS (default 300): number of weeks of clean batches, each from six devices with two columns and a past of sixty days, judged once. Then
12,000 batches of 100 devices with 200 columns, judged once. Times are CPU seconds of the process.
"""

import os
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
os.chdir(ROOT)

import numpy as np

from tests.support.device_fleet import START, device_batches, device_findings


def clean_sets(sets: int) -> None:
    """Print how many of the clean weeks raise a `watch` or an `act`."""
    raised: Counter[str] = Counter()
    for seed in range(sets):
        severities = {each.severity for each in device_findings(device_batches(np.random.default_rng(1000 + seed)))}
        raised.update(severities & {"watch", "act"})
    print(f"{sets} clean weeks: {raised['act']} raise act, {raised['watch']} raise watch")


def large_fleet(devices: int = 100, days: int = 120, columns: int = 200) -> None:
    """Print the time for one large fleet."""
    rng = np.random.default_rng(7)
    batches = []
    for device in range(devices):
        for day in range(7 - days, 7):
            at = START + timedelta(days=day, hours=6)
            means, spreads, nulls = (
                rng.normal(20, 1, columns),
                np.exp(rng.normal(1, 0.1, columns)),
                rng.binomial(1000, 0.02, columns) / 1000,
            )
            stats = {
                f"c{place}": {"mean": mean, "std": std, "null_share": null}
                for place, (mean, std, null) in enumerate(zip(means.tolist(), spreads.tolist(), nulls.tolist(), strict=True))
            }
            body = {"batch": f"{device} {day}", "at": at, "source": "s", "rows": 1000, "device": f"d{device}", "rejected_rows": 3}
            batches.append(body | {"captured_to": at - timedelta(hours=1), "stats": stats})
    began = time.process_time()
    found = device_findings(batches)
    spent = time.process_time() - began
    print(f"{len(batches):,} batches x {columns} columns: {spent:.1f} s CPU, {sum(each.needs_action for each in found)} alarms")


if __name__ == "__main__":
    clean_sets(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
    large_fleet()
