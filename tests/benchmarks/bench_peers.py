"""What do Evidently and NannyML, with their defaults, detect on the streams of the scoreboard, and how often do they alarm on clean weeks?

    python tests/benchmarks/bench_peers.py [--folder FOLDER] [--peer-python evidently=PATH] [--peer-python nannyml=PATH] [--bases credit] [--labs 2] [--share 1] [--varied] [--only-tell] [--ours results.jsonl]

The labs (logs with planted faults) of bench_scoreboard.py are written to a folder; the same seeds give the same days. A named folder is
kept and used again. Each peer library judges the labs in its own environment (peer_alarms.py). Its alarms are compared with the same key:
the right subject, in the right area, within seven days of the first evidence. Columns other than features (latency, energy, cost, status)
are given to the peer as well, and count as the service's metrics. It is judged at the end of days 1, 3 and 7 after the first evidence. Its
alarms are ordered by their distance beyond the limit, performance first. `--ours` prints the product's results on the same scenarios.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from statistics import mean, median

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import numpy as np
import pandas as pd
from bench_scoreboard import HORIZON, PLACES, Bases, labs, part, share_of

from observability.simulation.clean_log import CleanStream
from observability.simulation.fault_targets import column_short_name, fault_targets
from observability.simulation.faults import FAULTS
from observability.simulation.log_rows import joined_rows
from observability.simulation.replay import FaultScenario
from tests.support.simulation_key import first_evidence, right

LOOKS = (1, 3, 7)
SERVICE = {
    "latency_ms": ("serving/latency", "model", "latency_p95"),
    "energy_j": ("operations/energy", "model", "energy"),
    "cost": ("operations/cost", "model", "cost"),
    "status": ("serving/latency", "model", "error_rate"),
}
OF_MODEL = {
    "rows": ("data/quality", "model", "volume"),
    "RowCount": ("data/quality", "model", "volume"),
    "DuplicatedRowCount": ("data/quality", "model", "duplicate_rate"),
    "performance": ("serving/performance", "model", "performance"),
    "estimated": ("serving/estimated_performance", "model", "performance"),
    "together": ("serving/multivariate_drift", "inputs", "reconstruction"),
}
"""The area and subject of an alarm without a column."""
VARIANTS = {
    "Evidently: drift and classification presets": ("evidently", ("ValueDrift", "DriftedColumnsCount", "performance")),
    "Evidently: all three presets": ("evidently", None),
    "NannyML: drift, quality, performance": ("nannyml", None),
}
"""Which alarms of a peer count in each variant."""


def name_of(base, seed, rows, delay):
    """The name of a lab: its cell of the grid."""
    return f"{base}-{seed}-{rows}-{delay}"


def write_lab(bases, cell, names, folder):
    """Write one lab: its clean past, and the days of each scenario."""
    base = bases.of(cell.base, cell.seed)
    stream, scene = CleanStream(base, **cell.stream), fault_targets(base, cell.seed)
    place = folder / name_of(cell.base, cell.seed, cell.rows, cell.delay)
    if (place / "lab.json").exists():
        return
    place.mkdir(parents=True)
    rows = {number: stream.day(number) for number in range(stream.past + stream.days)}
    frame([rows[number] for number in range(stream.past)], base).to_parquet(place / "past.parquet")
    looks, keys = {}, {}
    for name in [None, *names]:
        scenario = FaultScenario(stream, scene, FAULTS[name] if name else None, "middle")
        if scenario.lacks is not None:
            continue
        evidence = first_evidence(scenario.fault, scenario.fault.amount("middle"), cell.delay) if name else 0
        if name:
            found = right(scenario)
            keys[name] = {
                "subjects": sorted(found.subjects),
                "areas": found.areas,
                "place": found.place,
                "metrics": found.metrics,
                "version": found.version,
                "evidence": evidence,
            }
            if not nameable(keys[name]):
                continue
        planted = [scenario.planted(number, rows[number]) for number in range(stream.past, stream.past + evidence + HORIZON)]
        frame(planted, base).to_parquet(place / f"{name or 'clean'}.parquet")
        looks[name or "clean"] = [evidence + each for each in (LOOKS if name else (HORIZON,))]
    past = pd.read_parquet(place / "past.parquet")
    known = [each for each in past.columns if each not in ("at", "arrived", "label_arrived", "label", "decision", "score")]
    kinds = {
        "numbers": [each for each in known if past[each].dtype.kind == "f"],
        "categories": [each for each in known if past[each].dtype.kind != "f"],
    }
    lab = {**kinds, "onset": stream.onset.replace(tzinfo=None).isoformat(), "label_delay": cell.delay, "scenarios": looks, "keys": keys}
    (place / "lab.json").write_text(json.dumps(lab))


def frame(parts, base):
    """Rows as a user would pass them to a library: one column per feature, group and service figure; text in a numeric column becomes missing; duplicate requests become rows."""
    rows = joined_rows(parts)
    columns = {}
    for name, values in rows.columns.items():
        if name.startswith(("feature.", "group.")):
            own = column_short_name(name)
            mark = rows.get(f"mark.{own}")
            columns[own] = values if mark is None else np.where(mark != 0, np.nan if values.dtype.kind == "f" else None, values)
        elif name in SERVICE:
            columns[name] = values
    for name in ("at", "arrived", "label_arrived", "score", "label"):
        columns[name] = rows[name]
    limits = rows.get("threshold")
    limits = base.settings.threshold if limits is None else np.where(np.isnan(limits), base.settings.threshold, limits)
    made = pd.DataFrame(columns).assign(decision=(rows["score"] >= limits).astype(float))
    made["status"] = "ok" if "status" not in rows else [each or "ok" for each in rows["status"]]
    copies = rows.get("copies")
    return made if copies is None else made.loc[made.index.repeat(1 + np.nan_to_num(copies).astype(int))]


def claim(alarm):
    """An alarm in the terms of the scoreboard: its area, subject and metric."""
    kind, column, _ = alarm
    if column is None or kind in ("performance", "estimated"):
        return OF_MODEL.get(kind, ("data/quality", "model", kind))
    if column in SERVICE:
        return SERVICE[column]
    return ("serving/drift" if kind in ("drift", "ValueDrift") else "data/quality", column, kind)


def claims_by_excess(alarms):
    """The distinct alarms as (area, subject), performance first, then by distance beyond the limit."""
    best = {}
    for each in alarms:
        said = claim(each)[:2]
        best[said] = max(best.get(said, 0.0), (1e9 if each[0] == "performance" else 0.0) + each[2])
    return sorted(best, key=lambda said: -best[said])


def nameable(key):
    """Whether a peer's defaults can name a fault at all. They name columns and the model, but no slice, replica, device, subject, group or
    version.
    """
    return key["place"] is None and key["version"] is None


def names_the_fault(alarm, key):
    """Whether an alarm names the fault."""
    area, subject, metric = claim(alarm)
    return nameable(key) and subject in key["subjects"] and area in key["areas"] and (not key["metrics"] or metric in key["metrics"])


def best_rank(key, said, kinds):
    """The rank, the delay in days and the number of other alarms of one scenario, on the first day on which the fault is in the top three,
    else on the best day.
    """
    best, when, others = "missed", None, 0
    for day, alarms in sorted((int(day), each) for day, each in said.items()):
        standing = [each for each in alarms if kinds is None or each[0] in kinds]
        hits, order = {claim(each)[:2] for each in standing if names_the_fault(each, key)}, claims_by_excess(standing)
        others = len(order) - len(hits)
        place = min((order.index(each) for each in hits), default=len(order) + 3)
        place = "missed" if not hits else "first" if place == 0 else "top three" if place < 3 else "named"
        if PLACES.index(place) < PLACES.index(best):
            best, when = place, day - key["evidence"]
        if place in ("first", "top three"):
            break
    return best, when, others


def print_board(folder, ours):
    """Prints the board: each variant of each peer, and the product, on the same scenarios."""
    labs_known = {place.parent.name: json.loads(place.read_text()) for place in sorted(folder.glob("*/lab.json"))}
    results = [json.loads(each) for each in ours.read_text().splitlines()] if ours else []
    product = {
        (name_of(each["base"], each["seed"], each["rows"], each["delay"]), each["fault"]): each
        for each in results
        if "fault" in each and each["strength"] == "middle"
    }
    boards, clean = {}, {}
    for variant, (name, kinds) in VARIANTS.items():
        to = folder / f"{name}.jsonl"
        for line in map(json.loads, to.read_text().splitlines()) if to.exists() else ():
            lab, scenario = line["lab"], line["scenario"]
            if scenario == "clean":
                claims = {claim(each)[:2] for alarms in line["said"].values() for each in alarms if kinds is None or each[0] in kinds}
                clean.setdefault(variant, []).append(len(claims))
            else:
                boards.setdefault(variant, {})[lab, scenario] = best_rank(labs_known[lab]["keys"][scenario], line["said"], kinds)
    for lab, each in labs_known.items():
        for scenario, key in each["keys"].items():
            for variant in boards:
                if not nameable(key):
                    boards[variant][lab, scenario] = ("missed", None, 0)
    if product:
        asked = {each for board in boards.values() for each in board}
        boards["this product"] = {place: (each["place"], each["days"], each["others"]) for place, each in product.items() if place in asked}
    for variant, board in boards.items():
        if not board:
            continue
        n, places = len(board), Counter(place for place, _, _ in board.values())
        upto = [sum(places[each] for each in PLACES[:last]) for last in (3, 2, 1)]
        days = [each for _, each, _ in board.values() if each is not None]
        said = f"{mean(clean[variant]):.1f} things alarmed about in each of {len(clean[variant])} clean weeks" if variant in clean else ""
        words = [place != "missed" for (lab, scenario), (place, _, _) in board.items() if nameable(labs_known[lab]["keys"][scenario])]
        print(
            f"{variant:<46} n {n:3d}  named {share_of(upto[0], n)}  top three {share_of(upto[1], n)}  first {share_of(upto[2], n)}  "
            f"delay {median(days) if days else float('nan'):.1f} d  other alarms {mean(each for _, _, each in board.values()):.1f}  "
            f"of faults that the peers have words for {share_of(sum(words), len(words))} of {len(words)}  {said}"
        )
    print()
    faults = sorted({scenario for board in boards.values() for _, scenario in board})
    unsaid = {scenario for each in labs_known.values() for scenario, key in each["keys"].items() if not nameable(key)}
    print(f"{'fault':<24}" + "".join(f"{each[:24]:>26}" for each in boards))
    for fault in faults:
        cells = []
        for board in boards.values():
            mine = [place for (_, scenario), (place, _, _) in board.items() if scenario == fault]
            cells.append(f"{sum(each != 'missed' for each in mine)} of {len(mine)}" if mine else "")
        print(f"{fault:<24}" + "".join(f"{each:>26}" for each in cells) + ("   peers cannot name this location" if fault in unsaid else ""))


def main():
    """Reads the options, writes the labs, runs the peers, prints the board."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="keep the labs and what was said there")
    parser.add_argument(
        "--peer-python",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="evidently=PATH or nannyml=PATH; none: this environment's Evidently",
    )
    parser.add_argument("--bases", default="credit,flights-late")
    parser.add_argument("--rows", default="500,2000,5000")
    parser.add_argument("--delays", default="0,7,30")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--labs", type=int, default=2, help="labs of each log, the first of the scoreboard's with the same options")
    parser.add_argument("--share", type=int, default=2)
    parser.add_argument("--varied", action="store_true", help="days with correlated rows, as bench_scoreboard.py --varied has them")
    parser.add_argument("--ours", type=Path, help="what bench_scoreboard.py --to wrote")
    parser.add_argument("--only-tell", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch) / "labs"
        if not options.only_tell:
            rows, delays = ([int(each) for each in text.split(",")] for text in (options.rows, options.delays))
            bases = Bases(scratch)
            for turn, cell in labs(options.bases.split(","), rows, delays, options.labs, options.first, options.varied):
                write_lab(bases, cell, part(list(FAULTS), turn, options.share), folder)
            bases.close()
            for name, python in (each.split("=", 1) for each in options.peer_python or [f"evidently={sys.executable}"]):
                command = [python, str(Path(__file__).parent / "peer_alarms.py"), name, str(folder)]
                subprocess.run(command, check=False, env={**os.environ, "DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1"})
        print_board(folder, options.ours)


if __name__ == "__main__":
    main()
