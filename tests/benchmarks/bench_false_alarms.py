"""How many alarms does a clean stream raise per model-week?

    python tests/benchmarks/bench_false_alarms.py [--weeks 312] [--stream iid|varied|small|all] [--rows-every 4] [--to weeks.jsonl] [--show 5]

Each stream of tests/support/clean_streams.py is loaded into a real store and checked at the end of every week. The streams have independent
rows, or rows with a weekly pattern, day effects (intra-day correlation 0.05) and a slow season, of a binary model and a regression, at 500
rows a day; and 60 rows a day. Each stream has `--weeks` model-weeks in blocks of 26; each block has its own reference and seed, and half of
the blocks belong to either model. Analyzers that read counts judge every week; those that read samples of raw rows judge one week in
`--rows-every`. Findings are counted, not incidents, so one fault may count several times. The bound is the 95 % upper bound of a Poisson
count. `--to` saves a line per week; saved weeks are not judged again, and all of them are reported at the end.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from datetime import timedelta
from itertools import product
from pathlib import Path

from scipy.stats import chi2

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from observability.monitoring import check
from tests.support.clean_streams import START, WARM_UP, build

STREAMS = {"iid": {"varied": False, "a_day": 500}, "varied": {"varied": True, "a_day": 500}, "small": {"varied": False, "a_day": 60}}
TASKS = ("binary", "regression")
GOALS = {"iid": {"act": 0.1, "watch": 0.5}, "varied": {"act": 0.2}, "small": {"act": 0.0}}
BLOCK = 26


def upper(count, weeks, confidence=0.95):
    """Upper bound of a Poisson rate (Garwood 1936), one-sided."""
    return float(chi2.ppf(confidence, 2 * (count + 1))) / 2 / weeks


def said(findings):
    """The findings that need action, as plain values."""
    return [
        [each.severity, each.analyzer, each.subject, each.metric, each.because] for each in findings if each.severity in ("act", "watch")
    ]


def judge(stream, task, seed, wanted):
    """Build one block, and yield (week, reads, findings) for the wanted weeks."""
    with tempfile.TemporaryDirectory() as folder:
        store = build(Path(folder), weeks=max(week for week, _ in wanted) + 1, seed=seed, task=task, **STREAMS[stream])
        for week, reads in wanted:
            start = START + timedelta(weeks=WARM_UP + week)
            end = start + timedelta(weeks=1)
            report = check.check(store, model="clean", start=start, end=end, now=end, with_records=False, reads=reads)
            yield week, reads, said(report.findings)
        store.close()


def tell(lines, show):
    """Print the figures of each stream."""
    for stream in dict.fromkeys(each["stream"] for each in lines):
        for reads in ("counts", "rows"):
            mine = [each for each in lines if (each["stream"], each["reads"]) == (stream, reads)]
            if not mine:
                continue
            weeks, by_task = len(mine), Counter(each["task"] for each in mine)
            print(
                f"{stream}, {STREAMS[stream]['a_day']} rows a day, analyzers that read {reads}: {weeks} model-weeks ({dict(by_task)}, {len({(each['task'], each['seed']) for each in mine})} references)"
            )
            for severity in ("act", "watch"):
                found = [(each, one) for each in mine for one in each["said"] if one[0] == severity]
                rate, goal = len(found) / weeks, GOALS[stream].get(severity)
                verdict = "no goal" if goal is None else f"goal at most {goal:g}: {'held' if rate <= goal else 'MISSED'}"
                by = Counter(one[1] for _, one in found)
                print(
                    f"  {severity:<5} {len(found):4d}  {rate:.3f} a model-week, at most {upper(len(found), weeks):.3f} (95 %); {verdict}  {dict(by) or ''}"
                )
                for each, one in found[: show if severity == "act" else show // 3]:
                    print(f"      {each['task']} seed {each['seed']} week {each['week']}: {one[1]} {one[2]}/{one[3]}: {one[4]}")


def main():
    """Reads the options, judges the missing weeks, and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weeks", type=int, default=312)
    parser.add_argument("--stream", choices=[*STREAMS, "all"], default="all")
    parser.add_argument("--rows-every", type=int, default=4, help="one week in so many is judged by what reads raw rows; 0: none")
    parser.add_argument("--rows-only", action="store_true", help="leave out the analyzers that are answered from counts")
    parser.add_argument("--seed", type=int, default=31_000)
    parser.add_argument("--to", type=Path, help="keep each week there")
    parser.add_argument("--show", type=int, default=0, help="print so many of the alarms")
    options = parser.parse_args()
    lines = [json.loads(each) for each in options.to.read_text().splitlines()] if options.to and options.to.exists() else []
    done = {(each["stream"], each["task"], each["seed"], each["week"], each["reads"]) for each in lines}
    blocks = -(-options.weeks // (BLOCK * len(TASKS)))
    for block, stream, task in product(range(blocks), STREAMS, TASKS):
        if options.stream not in (stream, "all"):
            continue
        seed = options.seed + block
        asked = [(week, "counts") for week in range(BLOCK)] if not options.rows_only else []
        asked += [(week, "rows") for week in range(0, BLOCK, options.rows_every)] if options.rows_every else []
        wanted = [(week, reads) for week, reads in asked if (stream, task, seed, week, reads) not in done]
        for week, reads, found in judge(stream, task, seed, wanted) if wanted else ():
            lines.append({"stream": stream, "task": task, "seed": seed, "week": week, "reads": reads, "said": found})
            if options.to:
                with options.to.open("a") as file:
                    file.write(json.dumps(lines[-1]) + "\n")
    tell(lines, options.show)


if __name__ == "__main__":
    main()
