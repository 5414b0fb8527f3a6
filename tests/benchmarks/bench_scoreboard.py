"""Does the monitoring name a planted fault, how soon, and what else does it say? The scoreboard of the scenario lab.

    python tests/benchmarks/bench_scoreboard.py [--strength middle] [--rows 5000] [--delays 0,7,30] [--seeds tune|report] [--count 4] [--faults a,b] [--fast]

Every fault is planted on the synthetic log and on a real one (flights-late of the sample fleet) and judged day by day, each day with what had arrived by
its end. A balanced part of the grid of rows a day, label delays and seeds is drawn: `--count` scenarios of each fault and base. Odd seeds are for tuning,
even ones for reporting. Named: the lead of an incident has the right subject and area (tests/lab_key.py). By luck: the same streams scored with the key
of another fault on the same model that has no answer in common with the right one.
"""

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import numpy as np
from scipy.stats import chi2

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from observability.lab.base import Stream
from observability.lab.faults import FAULTS
from observability.lab.replay import Lab, Scenario
from observability.lab.scene import cast
from tests.lab_key import apart, first_evidence, judged, right
from tests.lab_world import credit, of_the_fleet

PLACES = ("first", "top three", "named", "missed")
HORIZON = 7
"""Days after the first evidence in which a fault has to be named."""


@dataclass
class Result:
    """One scenario: where and when it was named at best, other act incidents on that day, and whether another fault's key fits as well."""

    fault: str
    strength: str
    base: str
    rows: int
    delay: int
    place: str
    days: int | None
    others: float
    luck: bool
    said: str


def score(lab, scenario, rng):
    """Judges a scenario day by day until it is named in the top three."""
    key, amount = right(scenario), scenario.fault.amount(scenario.strength)
    evidence = first_evidence(scenario.fault, amount, scenario.stream.label_delay)
    same_scene = [Scenario(scenario.stream, scenario.scene, each) for each in FAULTS.values() if scenario.scene.lacks(each.needs) is None]
    decoys = [right(each) for each in same_scene if apart(right(each), key)]
    decoy = decoys[rng.integers(len(decoys))]
    best, when, others, luck, said = "missed", None, 0, False, ""
    for day in lab.judge(scenario, READS, first=evidence + 1):
        place = judged(day, key)
        acts = [each for each in day.incidents if each.severity == "act"]
        luck |= PLACES.index(judged(day, decoy)) < 2
        if PLACES.index(place) < PLACES.index(best):
            best, when = place, day.number - evidence
        others = len(acts) - (place in ("first", "top three"))
        said = "; ".join(
            f"{each.severity} {each.lead.analyzer} {each.lead.subject} {each.lead.metric} {each.lead.slice or ''}"
            for each in day.incidents[:3]
        )
        if place in ("first", "top three") or day.number >= evidence + HORIZON:
            break
    stream = scenario.stream
    return Result(
        scenario.fault.name,
        scenario.strength,
        stream.base.name,
        stream.rows_a_day,
        stream.label_delay,
        best,
        when,
        max(others, 0),
        luck,
        said,
    )


def clean(lab, scene):
    """False alarms of one clean week: incidents by severity at its end."""
    day = next(lab.judge(Scenario(lab.stream, scene), READS, first=HORIZON))
    return [(each.severity, each.lead.analyzer, each.lead.subject, each.lead.metric) for each in day.incidents]


def table(results, by):
    """Lines of figures by a key."""
    groups = defaultdict(list)
    for each in results:
        groups[by(each)].append(each)
    for name, mine in sorted(groups.items()):
        print(f"{name:<34} {figures(mine)}")


def figures(mine):
    """Named, top three, delay, other act incidents, luck."""
    n = len(mine)
    share = lambda *places: sum(each.place in places for each in mine) / n
    days = [each.days for each in mine if each.days is not None]
    return (
        f"n {n:4d}  named {share('first', 'top three', 'named'):5.0%}  top three {share('first', 'top three'):5.0%}  first {share('first'):5.0%}  "
        f"delay {median(days) if days else float('nan'):4.1f} d  other acts {mean(each.others for each in mine):4.1f}  by luck {mean(each.luck for each in mine):4.0%}"
    )


def main():
    """Reads the options, runs the grid, prints the board."""
    global READS
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strength", default="middle", help="weak, middle, strong, or several with commas")
    parser.add_argument("--rows", default="500,5000,50000", help="rows a day")
    parser.add_argument("--delays", default="0,7,30", help="days until labels come")
    parser.add_argument("--seeds", choices=["tune", "report"], default="tune")
    parser.add_argument("--count", type=int, default=3, help="scenarios of each fault, strength and base")
    parser.add_argument("--bases", default="credit,flights-late")
    parser.add_argument("--faults", default="")
    parser.add_argument("--fast", action="store_true", help="leave out the analyzers that read raw rows")
    parser.add_argument("--misses", action="store_true", help="print what was said about each scenario that was not in the top three")
    parser.add_argument("--json", type=Path, help="write every scenario's result there")
    options = parser.parse_args()
    READS = "counts" if options.fast else "all"
    wanted = options.faults.split(",") if options.faults else list(FAULTS)
    rows, delays = ([int(each) for each in text.split(",")] for text in (options.rows, options.delays))
    parity = 1 if options.seeds == "tune" else 0
    cells = list(itertools.product(rows, delays))
    np.random.default_rng(parity).shuffle(cells)
    results, alarms, weeks, began = [], [], 0, time.process_time()
    for base_name in options.bases.split(","):
        for turn in range(options.count):
            seed = 2 * turn + parity
            with tempfile.TemporaryDirectory() as folder:
                base = credit(seed) if base_name == "credit" else of_the_fleet(base_name, Path(folder), seed)
            a_day, delay = cells[turn % len(cells)]
            lab = Lab.of(Stream(base, seed=seed, rows_a_day=a_day, label_delay=delay, days=delay + HORIZON + 3))
            scene = cast(base, seed)
            weeks += 1
            alarms += clean(lab, scene)
            for name in wanted:
                for strength in options.strength.split(","):
                    scenario = Scenario(lab.stream, scene, FAULTS[name], strength)
                    if scenario.lacks is None:
                        results.append(score(lab, scenario, np.random.default_rng([seed, len(results)])))
            print(
                f"… {base_name} seed {seed}, {a_day} rows a day, labels {delay} days late: {time.process_time() - began:.0f} s CPU",
                file=sys.stderr,
            )
    print(f"{options.seeds} seeds, {len(results)} scenarios, {time.process_time() - began:.0f} s CPU")
    table(results, lambda each: f"{each.fault} {each.strength}")
    print()
    for by in (
        lambda each: each.strength,
        lambda each: f"{each.strength} {each.base}",
        lambda each: f"{each.strength} rows {each.rows}",
        lambda each: f"{each.strength} labels {each.delay} d",
    ):
        table(results, by)
    for severity in ("act", "watch"):
        n = sum(each[0] == severity for each in alarms)
        print(
            f"clean: {severity} {n} in {weeks} model-weeks, at most {chi2.ppf(0.95, 2 * (n + 1)) / 2 / weeks:.2f} a week (95 %) {[each[1:] for each in alarms if each[0] == severity][:8]}"
        )
    if options.misses:
        for each in results:
            if each.place not in ("first", "top three"):
                print(f"{each.place:<7} {each.fault} {each.strength} {each.base} {each.rows} {each.delay}: {each.said}")
    if options.json:
        options.json.write_text("\n".join(json.dumps(each.__dict__) for each in results) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
