"""Is a fault that is planted on an ever-drifting stream alerted, or does the ongoing drift hide it?

    python tests/benchmarks/bench_natural.py --streams electricity --every 1 --no-peers --to weeks.jsonl
    python tests/benchmarks/bench_drifting_faults.py weeks.jsonl --to faults.jsonl [--every 3] [--only-tell]

Each fault begins on the fourth day of a week of a model and is judged at the end of that week, after the clean weeks before it. Found: a
critical or warning finding about the changed column that the clean week does not have. Told: a message about an incident that contains such
a finding. `--only-tell` groups the findings in the file of `--to` again, with the current code.
"""

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from bench_incidents import weekly_incidents
from bench_natural import ARMS, filled_store
from natural_streams import STREAMS, fitted_scores, stream_rows, week_window

from observability.monitoring import check

FIRST_DAY_OF_FAULT = 3
OUTCOMES = ("serving/performance", "serving/calibration", "serving/slices")


def planted(rows: pd.DataFrame, hit: np.ndarray, fault: str, column: str, rng: np.random.Generator) -> pd.DataFrame:
    """The rows, with the fault planted in those in `hit`."""
    values = rows[column].astype(float).to_numpy(copy=True)
    if fault == "concept":
        return rows.assign(label=np.where(hit & (rng.random(len(rows)) < 0.2), 1 - rows["label"], rows["label"]))
    if fault == "unit":
        values[hit] *= 10
    elif fault == "mean":
        values[hit] += 0.5 * values.std()
    elif fault == "missing":
        values[hit & (rng.random(len(rows)) < 0.2)] = np.nan
    elif fault == "stuck":
        values[hit] = values[hit][0]
    return rows.assign(**{column: values})


FAULTS = ("unit", "mean", "missing", "stuck", "concept")


def faulty_weeks(folder: Path, cache: Path, every: int):
    """A line for each planted fault of a model: the week's findings in both arms (clean and faulty), the changed column, and the change."""
    about = json.loads((folder / "about.json").read_text())
    stream, served = STREAMS[about["stream"]], pd.read_parquet(folder / "served.parquet")
    first = about["start"] * stream.rows_a_day
    train = stream_rows(stream, cache).iloc[first : first + stream.train_days * stream.rows_a_day].reset_index(drop=True)
    for place, week in enumerate(range(every, about["weeks"], every)):
        start, end = week_window(week)
        known = served[served["day"] < 7 * week + 7].reset_index(drop=True)
        hit = (known["day"] >= 7 * week + FIRST_DAY_OF_FAULT).to_numpy()
        for fault in FAULTS:
            rng = np.random.default_rng([about["start"], week, FAULTS.index(fault)])
            column = about["numbers"][(place + FAULTS.index(fault)) % len(about["numbers"])]
            rows = planted(known, hit, fault, column, rng)
            if fault != "concept":
                rows.loc[hit, "score"] = fitted_scores(train, rows[hit], about["start"])
            with tempfile.TemporaryDirectory() as scratch:
                (Path(scratch) / "about.json").write_text(json.dumps(about))
                (Path(scratch) / "reference.parquet").write_bytes((folder / "reference.parquet").read_bytes())
                rows.to_parquet(Path(scratch) / "served.parquet")
                line = {"stream": stream.name, "model": folder.name, "week": week, "fault": fault, "column": column}
                with filled_store(Path(scratch), Path(scratch), list(ARMS)) as store:
                    for arm, model in ARMS.items():
                        report = check.check(store, model=model, start=start, end=end, as_of=end, now=end, with_records=False)
                        line[arm] = {"findings": [each.to_json() | {"rank": each.rank} for each in report.findings]}
            yield line


def about_fault(finding: dict, line: dict, clean: set[tuple]) -> bool:
    """Whether a finding that needs action is about the changed column and the clean week has no such finding."""
    if finding["severity"] not in ("act", "watch") or claim_of(finding) in clean:
        return False
    return finding["analyzer"] in OUTCOMES if line["fault"] == "concept" else finding["subject"] == line["column"]


def claim_of(finding: dict) -> tuple:
    """What a finding claims (analyzer, subject, metric, slice), and its severity."""
    return tuple(finding[name] for name in ("analyzer", "subject", "metric", "slice", "severity"))


def main() -> None:
    """Plants the faults, and prints how many are found and how many are told in a message."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weeks", type=Path, nargs="+", help="what bench_natural.py --every 1 --to wrote")
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--every", type=int, default=3, help="plant in every so many weeks of a model")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "natural-streams")
    parser.add_argument("--only-tell", action="store_true")
    options = parser.parse_args()
    models = defaultdict(list)
    for path in options.weeks:
        for text in path.read_text().splitlines():
            line = json.loads(text)
            models[line["model"]].append(line)
    if not options.only_tell:
        with options.to.open("w") as file:
            for model in models:
                file.writelines(
                    json.dumps(line) + "\n" for line in faulty_weeks(options.cache / "models" / model, options.cache, options.every)
                )
    counts = defaultdict(lambda: [0, 0, 0])
    for line in map(json.loads, options.to.read_text().splitlines()):
        weeks = models[line["model"]]
        before = [each for each in weeks if each["week"] < line["week"]]
        same = next(each for each in weeks if each["week"] == line["week"])
        for arm in ARMS:
            clean = {claim_of(each) for each in same[arm]["findings"]}
            found = [each for each in line[arm]["findings"] if about_fault(each, line, clean)]
            *_, (_, incidents, told) = weekly_incidents([*before, line], arm)
            claims = {claim_of(each) for each in found}
            said = any(
                claims & {claim_of(each.to_json()) for each in incident.findings} for incident in incidents if incident.sentence in told
            )
            for name in (line["fault"], "all faults"):
                counts[arm, name] = [own + more for own, more in zip(counts[arm, name], (1, bool(found), said), strict=True)]
    for (arm, name), (planted_faults, found, told) in counts.items():
        print(f"labels {arm}, {name}: {planted_faults} planted, {found} found, {told} told")


if __name__ == "__main__":
    main()
