"""What do other tools report on a natural stream? bench_natural.py runs this file with the Python that has the tool.

    PATH/python natural_peers.py nannyml|evidently|domain FOLDER...

Each FOLDER belongs to one model (natural_streams.py): reference.parquet, served.parquet, about.json. Writes FOLDER/peer-NAME.json: the
version and, by week, whether there was an alarm and the value behind it. Weeks that a tool could not judge are absent. With labels, a tool
sees at the end of a week the labels of its first five days.

nannyml: realized accuracy, CBPE's accuracy, and univariate Jensen-Shannon drift of each input and the score; weeks are chunks, and it sets
its own limits. evidently: the accuracy test and the drift preset, with the tests that it generates, against the whole reference. domain:
the cross-validated AUC of a LightGBM model that separates a week's inputs from the reference's.
"""

import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

warnings.filterwarnings("ignore")

import numpy as np
import pandas as pd

LABELLED_DAYS = 5
DISTRIBUTION = {"domain": "lightgbm"}


def with_decision(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with a column for the decision at a score of one half."""
    return rows.assign(decision=(rows["score"] >= 0.5).astype(int), label=rows["label"].astype(int))


def nannyml(about, reference, served):
    """Alarms by week of realized performance, CBPE and Jensen-Shannon drift."""
    import nannyml as nml

    by_week = {"timestamp_column_name": "at", "chunk_period": "W"}
    outcomes = {
        "y_pred_proba": "score",
        "y_pred": "decision",
        "y_true": "label",
        "problem_type": "classification_binary",
        "metrics": ["accuracy"],
    }
    values = [*about["numbers"], *about["categories"], "score"]
    reference, served = (each.assign(at=each["at"].dt.tz_localize(None)) for each in (reference, served))
    labelled = served[served["day"] % 7 < LABELLED_DAYS]
    known = nml.PerformanceCalculator(**outcomes, **by_week).fit(reference).calculate(labelled)
    estimated = nml.CBPE(**outcomes, **by_week).fit(reference).estimate(served.drop(columns="label"))
    drift = nml.UnivariateDriftCalculator(
        column_names=values,
        treat_as_categorical=about["categories"],
        continuous_methods=["jensen_shannon"],
        categorical_methods=["jensen_shannon"],
        **by_week,
    )
    moved = drift.fit(reference).calculate(served)
    weeks = {}
    for name, result in (("realized", known), ("estimated", estimated)):
        for week, row in rows_by_week(result, about):
            weeks.setdefault(week, {})[name] = {"alarm": bool(row["accuracy", "alert"]), "value": float(row["accuracy", "value"])}
    for week, row in rows_by_week(moved, about):
        found = {name: (bool(row[name, "jensen_shannon", "alert"]), float(row[name, "jensen_shannon", "value"])) for name in values}
        weeks.setdefault(week, {})["drift"] = {
            "alarm": any(alarm for alarm, _ in found.values()),
            "value": max(value for _, value in found.values()),
            "columns": sum(alarm for alarm, _ in found.values()),
        }
    return weeks


def rows_by_week(result, about):
    """(week, row) of a result's analysis chunks."""
    frame = result.filter(period="analysis").to_df(multilevel=True)
    start = next(each for each in frame.columns if each[-1] == "start_date")
    first = pd.Timestamp(about["first"]).tz_localize(None)
    for place in frame.index:
        yield (pd.Timestamp(frame.loc[place, start]).normalize() - first).days // 7, frame.loc[place]


def evidently(about, reference, served):
    """Alarms by week of the accuracy test and of the drift preset."""
    from evidently import BinaryClassification, DataDefinition, Dataset, Report
    from evidently.metrics import Accuracy
    from evidently.presets import DataDriftPreset

    values = [*about["numbers"], *about["categories"], "score"]
    by_kind = DataDefinition(numerical_columns=[*about["numbers"], "score"], categorical_columns=about["categories"])
    outcomes = DataDefinition(classification=[BinaryClassification(target="label", prediction_labels="decision")])
    side = {
        "drift": lambda rows: Dataset.from_pandas(rows[values], data_definition=by_kind),
        "accuracy": lambda rows: Dataset.from_pandas(rows[["label", "decision"]], data_definition=outcomes),
    }
    reports = {"drift": Report([DataDriftPreset()], include_tests=True), "accuracy": Report([Accuracy()], include_tests=True)}
    held = {name: make(reference) for name, make in side.items()}
    weeks = {}
    for week, rows in served.groupby(served["day"] // 7):
        labelled = rows[rows["day"] % 7 < LABELLED_DAYS]
        told = {name: reports[name].run(side[name](labelled if name == "accuracy" else rows), held[name]).dict() for name in side}
        failed = {name: ["FAIL" in str(test["status"]) for test in each["tests"]] for name, each in told.items()}
        count = next(each["value"] for each in told["drift"]["metrics"] if isinstance(each["value"], dict) and "share" in each["value"])
        weeks[int(week)] = {
            "realized": {"alarm": any(failed["accuracy"]), "value": float(told["accuracy"]["metrics"][0]["value"])},
            "drift": {"alarm": failed["drift"][0], "any_column": any(failed["drift"][1:]), "value": float(count["share"])},
        }
    return weeks


def domain(about, reference, served):
    """The AUC of the domain classifier by week; above 0.6 is an alarm."""
    names = [*about["numbers"], *about["categories"]]
    coded = {name: pd.Categorical(pd.concat([reference[name], served[name]])).categories for name in about["categories"]}
    sides = [
        each[names].assign(**{name: pd.Categorical(each[name], categories=known).codes for name, known in coded.items()})
        for each in (reference, served)
    ]
    weeks = {}
    for week, rows in sides[1].groupby(served["day"].to_numpy() // 7):
        days = [each.to_numpy() for each in (reference["day"], served.loc[rows.index, "day"])]
        weeks[int(week)] = {"drift": {"value": (auc := domain_auc(sides[0], rows, days)), "alarm": auc > 0.6}}
    return weeks


def domain_auc(reference, rows, days):
    """The AUC over five folds of whole days, so that the classifier cannot recognise a day that it was fitted on."""
    from lightgbm import LGBMClassifier
    from sklearn.metrics import roc_auc_score

    inputs = pd.concat([reference, rows], ignore_index=True)
    current = np.repeat([0, 1], [len(reference), len(rows)])
    fold = np.concatenate(days) % 5
    scores = np.zeros(len(inputs))
    for each in range(5):
        model = LGBMClassifier(n_estimators=40, num_leaves=15, class_weight="balanced", random_state=0, n_jobs=1, verbose=-1)
        scores[fold == each] = model.fit(inputs[fold != each], current[fold != each]).predict_proba(inputs[fold == each])[:, 1]
    return float(roc_auc_score(current, scores))


def main(name, *folders):
    """Judges every folder."""
    judge = {"nannyml": nannyml, "evidently": evidently, "domain": domain}[name]
    for folder in map(Path, folders):
        about = json.loads((folder / "about.json").read_text())
        reference, served = (with_decision(pd.read_parquet(folder / f"{side}.parquet")) for side in ("reference", "served"))
        weeks = judge(about, reference, served)
        (folder / f"peer-{name}.json").write_text(json.dumps({"version": version(DISTRIBUTION.get(name, name)), "weeks": weeks}))
        print(name, folder.name, len(weeks), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
