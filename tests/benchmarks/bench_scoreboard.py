"""Does the monitoring name a planted fault, how soon, and which other alarms does it raise? The scoreboard of the scenario lab.

    python tests/benchmarks/bench_scoreboard.py [--strength middle] [--rows 500,2000,5000] [--delays 0,7,30] [--seeds tune|report] [--labs 6] [--share 2]
        [--faults a,b] [--varied] [--fast] [--to results.jsonl] [--only-tell] [--misses]

Every fault is planted in the synthetic log and in a real one (flights-late of the sample fleet), and judged day by day with what had
arrived by the end of each day. A lab is a log, a seed, and a cell of the grid of rows a day and label delays. From each log, `--labs` labs
are drawn, with the cells in a shuffled order. Each lab takes one `--share`th of the faults, so that `--share` consecutive labs cover every
fault. Odd seeds are for tuning, even ones for reporting.

Named: a finding (`act` or `watch`) has the right subject and area (tests/support/simulation_key.py) within seven days of the first
evidence. First, top three: this finding leads one of the first incidents. Delay: days from the first evidence to the end of the day of the
finding, so that 1 is the soonest. Other acts: incidents other than the right one. Clean weeks: standing findings are counted separately,
because they are true of the log (such as a criterion that its reference also fails). By luck: the same streams, scored with the key of
another fault on the same model that shares no answer with the right key. State and news: those of the finding that names the fault, on the
day on which it ranks best; the truth is bad and new. `--to` saves a line per scenario; saved scenarios are not judged again, and all are
reported at the end.
"""

import argparse
import itertools
import json
import sys
import tempfile
import time
import zlib
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from statistics import mean, median

import numpy as np
from scipy.stats import binomtest, chi2

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from observability.core.finding import news_of
from observability.simulation.clean_log import CleanStream
from observability.simulation.fault import STRENGTHS
from observability.simulation.fault_targets import fault_targets
from observability.simulation.faults import FAULTS
from observability.simulation.log_from_store import simulation_base
from observability.simulation.replay import FaultScenario, ReplayLab
from tests.support.simulation_key import apart, first_evidence, judged, leads, right
from tests.support.simulation_world import credit, fleet_store

PLACES = ("first", "top three", "named", "missed")
HORIZON = 7
"""Days after the first evidence within which a fault has to be named."""
VARIED = 0.05**0.5
"""Standard deviation that all rows of a day share; it gives an intra-day correlation of 0.05."""


@dataclass(frozen=True)
class Cell:
    """A lab: one cell of the grid, with its log and seed."""

    base: str
    seed: int
    rows: int
    delay: int
    varied: bool = False

    @property
    def stream(self):
        """The days of the lab. Days after the horizon are not drawn."""
        own = {"day_effect": VARIED, "weekly": 0.3} if self.varied else {}
        return {"seed": self.seed, "rows_a_day": self.rows, "label_delay": self.delay, "days": self.delay + HORIZON + 3} | own


@dataclass(frozen=True)
class Result:
    """One scenario: the best rank and its day, the number of other `act` incidents on that day, and the best rank by the key of another
    fault.
    """

    fault: str
    strength: str
    base: str
    seed: int
    rows: int
    delay: int
    place: str
    days: int | None
    others: int
    luck: str
    said: str
    varied: bool = False
    state: str = ""
    news: str = ""


class Bases:
    """The logs by name; the fleet is loaded only once."""

    def __init__(self, folder):
        self.folder, self.stores = Path(folder), {}

    def of(self, name, seed):
        """The base of one log."""
        if name == "credit":
            return credit(seed)
        if name not in self.stores:
            self.stores[name] = fleet_store(name, self.folder / name)
        return simulation_base(self.stores[name], name, source="reference", seed=seed)

    def close(self):
        """Closes the stores that were opened."""
        for each in self.stores.values():
            each.close()


def labs(bases, rows, delays, count, first, varied=False):
    """The labs in the order in which they are judged, each with its number. Seeds increase by two."""
    cells = list(itertools.product(rows, delays))
    np.random.default_rng(4).shuffle(cells)
    for turn in range(count):
        for shift, base in enumerate(bases):
            a_day, delay = cells[(turn + 4 * shift) % len(cells)]
            yield turn, Cell(base, first + 2 * turn, a_day, delay, varied)


def part(names, turn, share):
    """The faults of one lab. `share` consecutive labs together cover all faults."""
    order = [str(each) for each in np.random.default_rng([turn // share, 17]).permutation(names)]
    return order[turn % share :: share]


def score(lab, cell, scenario, reads):
    """Judge a scenario day by day until the fault is named in the top three."""
    key, amount = right(scenario), scenario.fault.amount(scenario.strength)
    evidence = first_evidence(scenario.fault, amount, scenario.stream.label_delay)
    same_scene = [
        FaultScenario(scenario.stream, scenario.scene, each) for each in FAULTS.values() if scenario.scene.lacks(each.needs) is None
    ]
    decoys = [right(each) for each in same_scene if apart(right(each), key)]
    rng = np.random.default_rng([cell.seed, zlib.crc32(f"{scenario.fault.name} {scenario.strength}".encode())])
    decoy = decoys[rng.integers(len(decoys))]
    best, when, others, luck, said, state, news = "missed", None, 0, "missed", "", "", ""
    for day in lab.judge(scenario, reads, first=evidence + 1):
        place = judged(day, key)
        luck = min(luck, judged(day, decoy), key=PLACES.index)
        if PLACES.index(place) < PLACES.index(best):
            best, when = place, day.number - evidence
            named = next(each for each in (*(of.lead for of in day.incidents), *day.findings) if key.holds(each))
            state, news = named.state, news_of(named) or "none"
        acts = [each for each in day.incidents if each.severity == "act"]
        others = len(acts) - any(leads(each, key) for each in acts)
        said = "; ".join(
            f"{each.severity} {each.lead.analyzer} {each.lead.subject} {each.lead.metric} {each.lead.slice or ''}"
            for each in day.incidents[:3]
        )
        if place in ("first", "top three") or day.number >= evidence + HORIZON:
            break
    told = {"place": best, "days": when, "others": others, "luck": luck, "said": said, "state": state, "news": news}
    return Result(scenario.fault.name, scenario.strength, **asdict(cell) | told)


def clean(lab, scene, reads):
    """Incidents of one clean week by severity at its end. Each states whether it is ongoing (the reference, or the past, is as bad)."""
    day = next(lab.judge(FaultScenario(lab.stream, scene), reads, first=HORIZON))
    return [
        [each.severity, each.lead.analyzer, each.lead.subject, each.lead.metric, each.standing]
        for each in day.incidents
        if each.severity in ("act", "watch")
    ]


def share_of(hits, n):
    """A share with its Wilson interval."""
    low, high = binomtest(hits, n).proportion_ci(method="wilson")
    return f"{hits / n:4.0%} ({low:3.0%} to {high:4.0%})"


def figures(mine):
    """Named, top three, first, delay, other `act` incidents, luck."""
    n, places = len(mine), Counter(each.place for each in mine)
    upto = [sum(places[each] for each in PLACES[:last]) for last in (1, 2, 3)]
    days = [each.days for each in mine if each.days is not None]
    by_luck = [sum(PLACES.index(each.luck) < last for each in mine) / n for last in (2, 3)]
    others = [each.others for each in mine]
    return (
        f"n {n:4d}  named {share_of(upto[2], n)}  top three {share_of(upto[1], n)}  first {share_of(upto[0], n)}  delay {median(days) if days else float('nan'):3.1f} d  "
        f"other acts {mean(others):4.2f}, above one {mean(each > 1 for each in others):4.0%}  by luck {by_luck[0]:4.1%} in the top three, {by_luck[1]:4.1%} anywhere"
    )


def table(results, by):
    """Print lines of figures, grouped by a key."""
    for name, mine in sorted(by_kind(results, by).items()):
        print(f"{name:<34} {figures(mine)}")
    print()


STATE, NEWS = attrgetter("state"), attrgetter("news")


def by_kind(results, kind):
    """Results by strength."""
    groups = defaultdict(list)
    for each in results:
        groups[kind(each)].append(each)
    return groups


def tell(results, weeks, misses):
    """Prints the board."""
    kind = lambda each: f"{each.strength}{', varied days' if each.varied else ''}"
    table(results, lambda each: f"{kind(each)} {each.fault}")
    for by in (
        kind,
        lambda each: f"{kind(each)} {each.base}",
        lambda each: f"{kind(each)} {each.rows:6,} rows a day",
        lambda each: f"{kind(each)} labels {each.delay:2} d",
    ):
        table(results, by)
    for name, mine in sorted(by_kind(results, kind).items()):
        told = [each for each in mine if each.state]
        shares = [
            ", ".join(f"{word} {n / max(len(told), 1):.0%}" for word, n in Counter(map(of, told)).most_common()) for of in (STATE, NEWS)
        ]
        print(
            f"{name}: when named, state {shares[0]}; news {shares[1]} (the fault is bad, and new: it began at most {HORIZON} days before its evidence)"
        )
    for severity in ("act", "watch"):
        alarms = [one for each in weeks for one in each["alarms"] if one[0] == severity]
        found = [one for one in alarms if not any(one[4:])]
        bound = chi2.ppf(0.95, 2 * (len(found) + 1)) / 2 / max(len(weeks), 1)
        print(
            f"clean: {severity} {len(found)} in {len(weeks)} model-weeks, at most {bound:.2f} a week (95 %) {[each[1:4] for each in found][:8] or ''}; "
            f"{len(alarms) - len(found)} more stand, as in the reference or the past"
        )
    for each in results if misses else ():
        if each.place not in ("first", "top three"):
            print(
                f"{each.place:<7} {each.fault} {kind(each)} {each.base} seed {each.seed}, {each.rows} rows, labels {each.delay} d: {each.said}"
            )


def main():
    """Reads the options, judges the missing scenarios, and prints the board."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strength", default="middle", help="weak, middle, strong, or several with commas")
    parser.add_argument("--rows", default="500,2000,5000", help="rows a day")
    parser.add_argument("--delays", default="0,7,30", help="days until labels come")
    parser.add_argument("--seeds", choices=["tune", "report"], default="tune")
    parser.add_argument("--first", type=int, default=0, help="the first seed is the next odd (tune) or even (report) one from here")
    parser.add_argument("--labs", type=int, default=6, help="labs of each log")
    parser.add_argument("--share", type=int, default=2, help="each lab takes one such part of the faults")
    parser.add_argument("--bases", default="credit,flights-late")
    parser.add_argument("--faults", default="")
    parser.add_argument("--fast", action="store_true", help="leave out the analyzers that read raw rows")
    parser.add_argument(
        "--varied",
        action="store_true",
        help="rows of a day share its luck (simulation/day_correlation.py; intra-day correlation 0.05 of every number) and weekends are quieter",
    )
    parser.add_argument("--misses", action="store_true", help="print what was said about each scenario that was not in the top three")
    parser.add_argument("--to", type=Path, help="keep each scenario there")
    parser.add_argument("--only-tell", action="store_true", help="judge nothing, print what is there")
    options = parser.parse_args()
    names = options.faults.split(",") if options.faults else list(FAULTS)
    rows, delays = ([int(each) for each in text.split(",")] for text in (options.rows, options.delays))
    reads = "counts" if options.fast else "all"
    kept = [json.loads(each) for each in options.to.read_text().splitlines()] if options.to and options.to.exists() else []
    weeks = [each for each in kept if "alarms" in each]
    results = [Result(**each) for each in kept if "alarms" not in each]
    first = options.first + (options.first % 2 != (options.seeds == "tune"))

    def keep(line):
        if options.to:
            with options.to.open("a") as file:
                file.write(json.dumps(line) + "\n")

    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        bases = Bases(folder)
        for turn, cell in () if options.only_tell else labs(options.bases.split(","), rows, delays, options.labs, first, options.varied):
            done = {
                (each.fault, each.strength) for each in results if all(getattr(each, name) == value for name, value in asdict(cell).items())
            }
            asked = [
                (name, strength) for name in part(names, turn, options.share) for strength in STRENGTHS if strength in options.strength
            ]
            asked = [each for each in asked if each not in done]
            if not asked:
                continue
            base = bases.of(cell.base, cell.seed)
            lab, scene = ReplayLab.of(CleanStream(base, **cell.stream)), fault_targets(base, cell.seed)
            if not any({"varied": False} | each["cell"] == asdict(cell) for each in weeks):
                weeks.append({"cell": asdict(cell), "alarms": clean(lab, scene, reads)})
                keep(weeks[-1])
            for name, strength in asked:
                scenario = FaultScenario(lab.stream, scene, FAULTS[name], strength)
                if scenario.lacks is None:
                    results.append(score(lab, cell, scenario, reads))
                    keep(asdict(results[-1]))
            print(f"… {cell}: {time.process_time() - began:.0f} s CPU", file=sys.stderr, flush=True)
        bases.close()
    tell(results, weeks, options.misses)


if __name__ == "__main__":
    main()
