"""Planted faults of storage places (folders or buckets), and clean weeks: which faults are named, and how many false alarms? `python
tests/benchmarks/bench_storage.py`

Prints the findings of 300 clean weeks of three places; and for each fault and strength, in how many of 60 weeks it is named.
"""

import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from observability.simulation.fault import STRENGTHS
from observability.simulation.faults_storage import FAULTS
from observability.simulation.storage_replay import replay_storage_fault
from tests.support.storage_reports import PLACES, place_reports, storage_findings, storage_frame

CLEAN, RUNS = 300, 60


def main() -> None:
    """Print both tables."""
    raised: Counter[tuple[str, str]] = Counter()
    for seed in range(CLEAN):
        rows = [row for place, name in enumerate(PLACES) for row in place_reports(np.random.default_rng([seed, place]), name)]
        raised.update((each.severity, each.metric) for each in storage_findings(rows) if each.needs_action)
    print(f"clean: {dict(raised)} of {CLEAN} weeks of {len(PLACES)} places")
    for name, fault in FAULTS.items():
        for strength in STRENGTHS:
            named: Counter[str] = Counter()
            for seed in range(RUNS):
                frame = storage_frame(place_reports(np.random.default_rng([seed, 19]), PLACES[seed % 3]))
                found = replay_storage_fault(frame, fault, strength, seed)
                alarms = [each for look in found.looks for each in look.alarms]
                own = [each.severity for each in alarms if (each.subject, each.metric) == (found.target, fault.metric)]
                named.update(own[:1])
            print(f"{name:20} {strength:7} {named.total()}/{RUNS} {dict(named)}", flush=True)


if __name__ == "__main__":
    main()
