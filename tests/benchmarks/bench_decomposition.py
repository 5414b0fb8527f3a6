"""How often do the 95 % intervals of the parts of a performance change contain the truth?

    python tests/benchmarks/bench_decomposition.py [--runs 2000] [--seed 1] [--to FILE]

Two samples of four inputs, the first input shifted by `shift` standard deviations. The loss (skewed, or 0 or 1) depends on the inputs
nonlinearly. At equal inputs it is higher by `drift`: for all rows, or for those above half a standard deviation. The truth is integrated
over the distribution that both samples share, not computed by the function under test. The goal is at least 93 %. `--to` saves a line per
cell; saved cells are not simulated again.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

import numpy as np
from scipy import stats

from observability.stats.decompose import decompose_loss_change

MINIMUM = 0.93
GRID = [
    (kind, n, shift, drift, to)
    for n in (500, 1500)
    for kind, shift, drift, to in (
        ("skewed", 0.0, 0.0, "all"),
        ("skewed", 0.8, 0.0, "all"),
        ("skewed", 0.0, 1.0, "all"),
        ("skewed", 0.8, 1.0, "all"),
        ("skewed", 0.8, 1.0, "some"),
        ("0 or 1", 0.0, 0.0, "all"),
        ("0 or 1", 0.8, 0.1, "all"),
        ("0 or 1", 0.8, 0.1, "some"),
    )
]
"""Kind of loss, rows of each side, shift, drift, and which rows the drift affects."""


def expected(kind, x, second, drift, to):
    """The mean loss at the given inputs."""
    more = drift * (x > 0.5 if to == "some" else 1.0)
    return 8 + 2 * np.clip(x, -2, 3) + second**2 + more if kind == "skewed" else 0.15 + 0.1 * (x > 0) + 0.05 * (np.abs(second) > 1) + more


def truth(kind, shift, drift, to):
    """The parts (inputs, relation), by integrals over the first two inputs."""
    x, second = np.meshgrid(np.linspace(-7, 8, 3001), np.linspace(-6, 6, 481), indexing="ij")
    rest = stats.norm.pdf(second)
    before, now = stats.norm.pdf(x) * rest, stats.norm.pdf(x - shift) * rest
    shared = before * now / np.maximum(before + now, 1e-300)
    then, later = expected(kind, x, second, 0.0, to), expected(kind, x, second, drift, to)
    change = (later * now).sum() / now.sum() - (then * before).sum() / before.sum()
    relation = ((later - then) * shared).sum() / shared.sum()
    return change - relation, relation


def drawn(rng, kind, n, shift, drift, to):
    """Drawn columns and losses of both sides."""
    made = []
    for moved, more in ((0.0, 0.0), (shift, drift)):
        x = rng.normal(size=(n, 4))
        x[:, 0] += moved
        mean = expected(kind, x[:, 0], x[:, 1], more, to)
        loss = mean - 3 + rng.exponential(3, n) if kind == "skewed" else (rng.random(n) < mean).astype(float)
        made.append(({f"f{i}": x[:, i] for i in range(4)}, loss))
    (before, loss_before), (now, loss_now) = made
    return before, now, loss_before, loss_now


def main():
    """Reads the options, simulates the missing cells, and prints each cell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--to", type=Path)
    options = parser.parse_args()
    lines = [json.loads(each) for each in options.to.read_text().splitlines()] if options.to and options.to.exists() else []
    done, missed = {tuple(each["cell"]): each["held"] for each in lines}, 0
    for place, cell in enumerate(GRID):
        if cell not in done:
            wanted, held = truth(cell[0], *cell[2:]), np.zeros(2)
            for run in range(options.runs):
                found = decompose_loss_change(*drawn(np.random.default_rng([options.seed, place, run]), *cell))
                held += [each.low <= value <= each.high for each, value in zip((found.inputs, found.relation), wanted)]
            done[cell] = (held / options.runs).tolist()
            if options.to:
                with options.to.open("a") as file:
                    file.write(json.dumps({"cell": cell, "held": done[cell]}) + "\n")
        kind, n, shift, drift, to = cell
        low = min(done[cell]) < MINIMUM
        missed += low
        print(
            f"loss {kind}, {n} rows a side, shift {shift}, drift {drift} of {to}: inputs {done[cell][0]:6.1%}, relation {done[cell][1]:6.1%}  {'TOO NARROW' if low else 'held'}",
            flush=True,
        )
    print(f"{len(GRID)} cells of two parts, {missed} missed")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
