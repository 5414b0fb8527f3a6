"""How many false alarms does a fleet of correlated models raise in a week, and how many faults does it find?

    python tests/benchmarks/bench_fleet_truth.py [--weeks 400] [--effect 4.4]

Simulates fleet-weeks of 10, 100 and 1,000 models whose daily test statistics are correlated (0.4, 0.65, 0.9) through one factor a day. From
the third day on, one model in fifty (at least one) has a fault of `--effect` standard errors a day. Prints the false alarms per fleet-week
and the share of faults found, both if models alarm by themselves and if the fleet is judged together, for faults of single models and for a
fault that a third of the models share.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.fleet_weeks import simulate_fleet_weeks


def main() -> int:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weeks", type=int, default=400)
    parser.add_argument("--effect", type=float, default=4.4)
    options = parser.parse_args()
    missed = False
    print("models  correlation   false alarms a fleet-week (alone, fleet)   found (alone, fleet)   shared fault: alarms, found")
    for models in (10, 100, 1000):
        for correlation in (0.4, 0.65, 0.9):
            found = simulate_fleet_weeks(models, correlation, weeks=options.weeks, effect=options.effect, seed=models)
            held = found.false_fleet <= 0.5 and found.power_fleet >= found.power_alone - 0.05
            missed |= not held
            print(
                f"{models:6,}  {correlation:11.2f}   {found.false_alone:12.2f} {found.false_fleet:12.2f}   {found.power_alone:18.3f} {found.power_fleet:8.3f}"
                f"   {found.shared_alarms:12.2f} {found.shared_found:8.3f}   {'held' if held else 'MISSED'}",
                flush=True,
            )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
