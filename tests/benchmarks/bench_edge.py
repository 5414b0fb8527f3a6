"""Planted faults of devices that serve a model, and clean weeks: what is named, and what is raised. `python tests/benchmarks/bench_edge.py`

Prints what 100 clean weeks of 90 devices raise, and of each fault at each strength the weeks of 20 in which it is named, with its severity.
"""

import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from observability.simulation.edge_replay import replay_edge_fault
from observability.simulation.fault import STRENGTHS
from observability.simulation.faults_edge import FAULTS
from tests.support.edge_reports import device_reports, edge_findings, report_frame

CLEAN, RUNS = 100, 20


def main(clean: int = CLEAN, runs: int = RUNS) -> None:
    """Print both tables."""
    raised: Counter[tuple[str, str]] = Counter()
    for seed in range(clean):
        rows = device_reports(np.random.default_rng([seed, 3]), fleet=90, before=28)
        raised.update((each.severity, each.metric) for each in edge_findings(rows) if each.needs_action)
    print(f"clean: {dict(raised)} of {clean} weeks", flush=True)
    weeks = [report_frame(device_reports(np.random.default_rng([seed, 4]), fleet=90, before=14)) for seed in range(runs)]
    for name, fault in FAULTS.items():
        for strength in STRENGTHS:
            named: Counter[str] = Counter()
            for seed, frame in enumerate(weeks):
                found = replay_edge_fault(frame, fault, strength, seed)
                own = [
                    each.severity
                    for look in found.looks
                    for each in look.alarms
                    if (each.subject, each.metric) == (found.target, fault.metric)
                ]
                named[own[0] if own else "missed"] += 1
            print(f"{name:20} {strength:7} {dict(named)}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
