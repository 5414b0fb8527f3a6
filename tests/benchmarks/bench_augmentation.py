"""How often is a planted fault of an augmentation named, and how often does a clean audit raise anything? `python tests/benchmarks/bench_augmentation.py`

Prints the share of named faults at each strength over 100 audits, and how many of 300 clean audits ask for attention.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pandas as pd

from observability.metrics.augmentation import augmentation_audits
from observability.simulation.augmentation_replay import replay_augmentation_fault
from observability.simulation.fault import STRENGTHS
from observability.simulation.faults_augmentation import FAULTS
from tests.support.augmentation_audits import audit_row, augmentation_findings, simulated_audit

CLEAN, RUNS, AUDITS = 300, 100, 20


def main() -> None:
    """Print both tables."""
    clean = [simulated_audit(1000 + seed, rows=1500) for seed in range(CLEAN)]
    raised = [each for row in clean for each in augmentation_findings([row]) if each.needs_action]
    print(f"clean: {sum(each.severity == 'act' for each in raised)} critical and {len(raised)} in all, of {CLEAN} audits")
    named = [audit_row(row["results"], augmentation=f"jitter {place}") for place, row in enumerate(clean[:AUDITS])]
    audits = augmentation_audits(pd.DataFrame(named))
    for name, fault in FAULTS.items():
        for strength in STRENGTHS:
            found = [replay_augmentation_fault(audits, fault, strength, seed) for seed in range(RUNS)]
            hits = sum(
                any((each.subject, each.metric) == (one.target, fault.metric) for look in one.looks for each in look.alarms)
                for one in found
            )
            print(f"{name:30} {strength:7} {hits}/{RUNS}")


if __name__ == "__main__":
    main()
