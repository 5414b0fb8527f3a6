"""Alarms of another library's defaults on the planted streams. bench_peers.py runs this file with that library's own Python.

    PATH/python peer_alarms.py evidently|nannyml FOLDER

FOLDER has one folder per lab: lab.json (features by kind, first day of the fault, label delay, days), past.parquet (28 clean days) and a Parquet file for each
scenario. The script prints the library's version and appends a line for each scenario to FOLDER/NAME.jsonl: for each day, the alarms at its end as [kind,
column, value relative to its limit]. Scenarios that are already in the file are skipped. The clean ones run first, the others in the order of a hash, so that
an interrupted run is a random sample.

Evidently: DataDriftPreset, DataSummaryPreset and ClassificationPreset with their default tests; the last seven days against the clean week before the
fault. NannyML: univariate drift, missing and unseen values, row count, multivariate reconstruction, CBPE and realised performance by day, with the default
methods and thresholds, fitted on the 28 clean days.
"""

import json
import sys
import warnings
import zlib
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
WEEK = timedelta(days=7)
OUTCOME = ["label", "decision", "score"]


def evidently(lab, past):
    """A function that returns the alarms in a scenario's rows, by day."""
    from evidently import BinaryClassification, DataDefinition, Dataset, Report
    from evidently.presets import ClassificationPreset, DataDriftPreset, DataSummaryPreset

    values = [*lab["numbers"], *lab["categories"], "score"]
    by_kind = DataDefinition(numerical_columns=[*lab["numbers"], "score"], categorical_columns=lab["categories"])
    outcomes = DataDefinition(
        numerical_columns=["score"],
        classification=[BinaryClassification(target="label", prediction_labels="decision", prediction_probas="score")],
    )
    onset = pd.Timestamp(lab["onset"])
    week = past[past["at"] >= onset - WEEK]
    sides = Dataset.from_pandas(week[values], data_definition=by_kind), Dataset.from_pandas(labelled(week), data_definition=outcomes)

    def of_day(rows, end):
        known = rows[(rows["at"] >= end - WEEK) & (rows["at"] < end) & (rows["arrived"] <= end)]
        with_labels = labelled(rows[(rows["label_arrived"] > end - WEEK) & (rows["label_arrived"] <= end)])
        found = []
        if len(known):
            current = Dataset.from_pandas(known[values], data_definition=by_kind)
            found += failed(Report([DataDriftPreset(), DataSummaryPreset()], include_tests=True).run(current, sides[0]).dict())
        if with_labels["label"].nunique() == 2:
            current = Dataset.from_pandas(with_labels, data_definition=outcomes)
            found += failed(Report([ClassificationPreset()], include_tests=True).run(current, sides[1]).dict(), "performance")
        return found

    def judged(rows, days):
        every = pd.concat([past, rows])
        return {day: of_day(every, onset + timedelta(days=day)) for day in days}

    return judged


def failed(told, kind=None):
    """The failed tests of a report: the kind, the column, and for drift the value relative to its limit."""
    by_id = {each["id"]: each for each in told["metrics"]}
    found = []
    for test in told["tests"]:
        if "FAIL" not in str(test["status"]):
            continue
        config = test["metric_config"] if isinstance(test["metric_config"], dict) else vars(test["metric_config"])
        params = config.get("params", config)
        name = str(params.get("type", "")).rpartition(":")[2]
        column, beyond = params.get("column"), 1.0
        if name == "ValueDrift":
            used = by_id[config["metric_id"]]["config"] if config.get("metric_id") in by_id else params
            value = by_id[config["metric_id"]]["value"] if config.get("metric_id") in by_id else None
            if value is not None:
                limit = used["threshold"]
                beyond = float(limit / max(value, 1e-12) if "p_value" in str(used["method"]) else value / limit)
        found.append([kind or name, column, beyond])
    return found


def labelled(rows):
    """The rows that have labels, with decisions and labels as classes."""
    known = rows.loc[rows["label"].notna() & rows["score"].notna(), OUTCOME].copy()
    return known.assign(label=known["label"].astype(int), decision=known["decision"].astype(int))


def nannyml(lab, past):
    """A function that returns the alarms in a scenario's rows, by day."""
    import nannyml as nml

    values, categories = [*lab["numbers"], *lab["categories"], "score"], lab["categories"]
    by_day = {"timestamp_column_name": "at", "chunk_period": "D"}
    about_outcomes = {
        "y_pred_proba": "score",
        "y_pred": "decision",
        "y_true": "label",
        "problem_type": "classification_binary",
        "metrics": ["roc_auc", "f1", "accuracy"],
    }
    onset = pd.Timestamp(lab["onset"])
    reference = past.assign(decision=past["decision"].astype(int))
    parts = {
        "drift": nml.UnivariateDriftCalculator(column_names=values, treat_as_categorical=categories, **by_day),
        "missing": nml.MissingValuesCalculator(column_names=values, **by_day),
        "rows": nml.SummaryStatsRowCountCalculator(**by_day),
        "together": nml.DataReconstructionDriftCalculator(column_names=values, **by_day),
        "estimated": nml.CBPE(**about_outcomes, **by_day),
        "performance": nml.PerformanceCalculator(**about_outcomes, **by_day),
    }
    if categories:
        parts["unseen"] = nml.UnseenValuesCalculator(column_names=categories, **by_day)
    for name, each in parts.items():
        each.fit(reference[reference["label"].notna()] if name in ("estimated", "performance") else reference)

    def judged(rows, days):
        rows = rows[rows["at"] >= onset].assign(decision=lambda each: each["decision"].astype(int))
        seen = rows[rows["arrived"] <= rows["at"].dt.normalize() + timedelta(days=1)]
        found = {day: [] for day in days}
        for name, each in parts.items():
            late = lab["label_delay"] if name == "performance" else 0
            used = rows[rows["label"].notna()] if name == "performance" else seen
            used = used[used["score"].notna()] if name in ("estimated", "performance") else used
            try:
                answer = (each.estimate if name == "estimated" else each.calculate)(used)
            except Exception as error:  # a failure of the library is printed and counts as no alarm
                print(f"{name}: {type(error).__name__}: {str(error)[:120]}", file=sys.stderr)
                continue
            for start, column, beyond in alarms(answer.filter(period="analysis").to_df(multilevel=True), name):
                day = (start - onset).days + 1 + late
                if day in found:
                    found[day].append([name, column, beyond])
        return found

    return judged


def alarms(frame, name):
    """For each chunk with an alarm: start, column, and value relative to its limit."""
    starts = pd.to_datetime(frame[next(each for each in frame.columns if each[-1] == "start_date")]).dt.normalize()
    for keys in frame.columns:
        if keys[-1] != "alert":
            continue
        column = keys[0] if name in ("drift", "missing", "unseen") else None
        part = frame[keys[:-1]] if len(keys) > 1 else frame
        for place in frame.index[frame[keys].fillna(False).astype(bool)]:
            row = part.loc[place]
            value, high, low = (
                float(row.get(each) if row.get(each) is not None else "nan") for each in ("value", "upper_threshold", "lower_threshold")
            )
            beyond = max(
                (each for each in (value / high if high else np.nan, low / value if value else np.nan) if np.isfinite(each)), default=1.0
            )
            yield starts[place], column, beyond


def main(name, folder):
    """Run every scenario that is not in the file yet."""
    folder = Path(folder)
    to = folder / f"{name}.jsonl"
    done = {(each["lab"], each["scenario"]) for each in map(json.loads, to.read_text().splitlines())} if to.exists() else set()
    print(name, version(name), flush=True)
    labs = {place.parent.name: json.loads(place.read_text()) for place in sorted(folder.glob("*/lab.json"))}
    asked = {(lab, scenario) for lab, each in labs.items() for scenario in each["scenarios"]} - done
    judges = {}
    for lab, scenario in sorted(asked, key=lambda each: (each[1] != "clean", zlib.crc32("/".join(each).encode()))):
        if lab not in judges:
            judges[lab] = {"evidently": evidently, "nannyml": nannyml}[name](labs[lab], pd.read_parquet(folder / lab / "past.parquet"))
        said = judges[lab](pd.read_parquet(folder / lab / f"{scenario}.parquet"), labs[lab]["scenarios"][scenario])
        with to.open("a") as file:
            file.write(json.dumps({"lab": lab, "scenario": scenario, "said": said}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
