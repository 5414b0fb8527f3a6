"""Planted faults of studies, and clean searches: which faults are named, and how many false alarms? `python
tests/benchmarks/bench_studies.py`

Prints the findings of 300 clean searches; and for each fault and strength, in how many of 100 searches it is named. Searches that cannot
have the fault are left out.
"""

import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from observability.core.errors import UsageError
from observability.detection.study_checks import claims_about_searches
from observability.simulation.fault import STRENGTHS
from observability.simulation.faults_studies import FAULTS
from observability.simulation.study_replay import replay_study_fault
from tests.support.simulated_studies import simulated_study

CLEAN, RUNS = 300, 100


def main() -> None:
    """Print both tables."""
    raised: Counter[tuple[str, str]] = Counter()
    for seed in range(CLEAN):
        found = claims_about_searches(simulated_study(np.random.default_rng([seed, 23]), test=seed % 2 == 0))
        raised.update((claim.severity, claim.metric) for claim, _ in found if claim.severity in ("act", "watch"))
    print(f"clean: {dict(raised)} of {CLEAN} searches", flush=True)
    searches = [simulated_study(np.random.default_rng([seed, 29]), trials=80) for seed in range(RUNS)]
    for name, fault in FAULTS.items():
        for strength in STRENGTHS:
            named: Counter[str] = Counter()
            for seed, runs in enumerate(searches):
                try:
                    replay = replay_study_fault(runs, fault, strength, seed)
                except UsageError:
                    named["cannot have it"] += 1
                    continue
                own = [each.severity for look in replay.looks for each in look.alarms if each.metric == fault.metric]
                named[own[0] if own else "missed"] += 1
            print(f"{name:20} {strength:7} {dict(named)}", flush=True)


if __name__ == "__main__":
    main()
