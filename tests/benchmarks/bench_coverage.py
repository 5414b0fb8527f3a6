"""How often does each nominal 95 % interval contain the truth, over a grid of n, rate, groups and effect (including zero)?

    python tests/benchmarks/bench_coverage.py [--runs 2000] [--family PART] [--seed 1]

The goal is at least 93 % in every cell. For means, for rates with n p of at least 10 and for ROC AUC it is also at most 98 %; extremes and
distances bounded at zero may be conservative (the dashboard shows them against their null). The cells are those of
tests/support/coverage_grid.py. With 2,000 simulations per cell, the error is half a point.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from tests.support.coverage_grid import cells, coverage, verdict


def main():
    """Read the options, and print the grid and the cells that miss the goal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--family", default="")
    parser.add_argument("--seed", type=int, default=1, help="1 is the one that intervals were mended with; report another")
    options = parser.parse_args()
    family, missed, asked = (
        "",
        0,
        sorted((each for each in cells() if options.family.lower() in each.family.lower()), key=lambda each: each.family),
    )
    for cell in asked:
        if cell.family != family:
            family = cell.family
            print(family)
        share, known = coverage(cell, options.runs, options.seed)
        said = verdict(cell, share, options.runs)
        missed += said != "held"
        rest = "" if known == options.runs else f"   ({known} of {options.runs} gave an interval)"
        print(
            f"  {cell.where:<44} {share:7.1%}  {'at most 98 %' if cell.capped else 'bounded' if cell.bounded else '':<13} {said}{rest}",
            flush=True,
        )
    print(f"{len(asked)} cells, {missed} missed")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
