"""What does it cost to ask a model about one case (attributions against neighbours, counterfactuals, what-if), compared with the bare
libraries?

    python tests/benchmarks/bench_case_model.py [--runs 5]

In this process (processor time, the smallest of the runs): attributions of one row against 100 rows (each background row by itself),
compared with shap's interventional TreeExplainer (only their mean). Through the warm worker (wall time, the smallest of the runs): a
what-if, compared with loading the model and scoring two rows here; and the search for counterfactuals, compared with dice-ml's random
search alone, with the number of features that each counterfactual changes. Prints ratios with the machine and versions.
"""

import argparse
import contextlib
import io
import platform
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

import lightgbm
import numpy as np
import pandas as pd

from observability.worker import forest, forest_files
from observability.worker.model import Task
from observability.worker.model_lightgbm import open_lightgbm
from observability.worker.process import Worker
from observability.worker.requests import explain_contrast, find_counterfactuals, predict_scores

MODEL = ROOT / "sample_data" / "flights-late.lightgbm.txt"
CLASSES = ("0", "1")
LOCKED = ("carrier", "origin", "destination")


def least(work, runs, clock=time.perf_counter):
    """The smallest time of the runs, and the result."""
    taken, found = [], None
    for _ in range(runs):
        start = clock()
        found = work()
        taken.append(clock() - start)
    return min(taken), found


def free_of(rows, features):
    """The features that may change, as in observability/investigation/counterfactuals.py."""
    found = []
    for name in features:
        values = rows[name].dropna()
        if name in LOCKED:
            continue
        if pd.api.types.is_numeric_dtype(values.dtype):
            found.append(
                {
                    "name": name,
                    "kind": "number",
                    "low": float(values.min()),
                    "high": float(values.max()),
                    "decimals": 2,
                    "scale": float(values.std()),
                }
            )
        else:
            found.append({"name": name, "kind": "category", "levels": values.unique().tolist()})
    return found


def dice_alone(model, rows, row, features):
    """Run dice-ml as its documentation shows: missing values are filled, and the result is used unchanged. Returns how many features each
    counterfactual changes.
    """
    import dice_ml

    table = rows[features].copy()
    for name in features:
        table[name] = (
            table[name].fillna(table[name].median())
            if pd.api.types.is_numeric_dtype(table[name].dtype)
            else table[name].astype(object).fillna("none")
        )
    query = table.iloc[[row]]

    class Wrapped:
        def predict_proba(self, frame):
            given = model.score(model.encode(pd.DataFrame({each: frame[each].astype(table[each].dtype) for each in features})))
            return np.column_stack([1 - given, given])

        def predict(self, frame):
            return (self.predict_proba(frame)[:, 1] >= 0.35).astype(int)

    numbers = [each for each in features if pd.api.types.is_numeric_dtype(table[each].dtype)]
    problem = dice_ml.Data(dataframe=table.assign(goal=np.arange(len(table)) % 2), continuous_features=numbers, outcome_name="goal")
    search = dice_ml.Dice(problem, dice_ml.Model(model=Wrapped(), backend="sklearn", model_type="classifier"), method="random")
    made = search.generate_counterfactuals(
        query,
        total_CFs=3,
        desired_class=1,
        stopping_threshold=0.35,
        features_to_vary=[each for each in features if each not in LOCKED],
        random_seed=0,
    )
    found = made.cf_examples_list[0].final_cfs_df
    return [int(sum(each[name] != query[name].iloc[0] for name in features)) for each in found.to_dict("records")]


def main():
    """Reads the options and prints everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    warnings.filterwarnings("ignore")
    packages = ", ".join(f"{name} {version(name)}" for name in ("lightgbm", "shap", "dice-ml", "numpy", "pandas"))
    print(f"{platform.machine()}, {platform.system()} {platform.release()}, Python {platform.python_version()}, {packages}")
    rows = pd.read_parquet(ROOT / "sample_data" / "flights-late.predictions.parquet")
    model = open_lightgbm(MODEL, rows, Task("binary", CLASSES))
    features = list(model.columns)
    rows = rows.head(700)
    place = int(np.flatnonzero(((rows["score"] > 0.2) & (rows["score"] < 0.33)).to_numpy())[0])
    row, background = rows.iloc[[place]][features], rows.iloc[100:200][features]

    booster = lightgbm.Booster(model_file=str(MODEL))
    one, others = model.encode(row), model.encode(background)
    import shap

    ours, values = least(lambda: forest.forest_attributions(forest_files.lightgbm_trees(booster), one[0], others), runs, time.process_time)
    theirs, found = least(
        lambda: shap.TreeExplainer(booster, data=others, feature_perturbation="interventional").shap_values(one, check_additivity=False),
        runs,
        time.process_time,
    )
    print(
        f"one row against 100, 150 trees     ours by row {1e3 * ours:6.0f} ms   shap, mean only {1e3 * theirs:6.0f} ms   ratio {theirs / ours:.2f}"
    )
    outputs = np.asarray(booster.predict(np.concatenate([one, others]), raw_score=True))
    for name, bars in (("ours", values.mean(axis=0)), ("shap", np.ravel(found))):
        print(f"  {name} leaves a residual of {abs(outputs[0] - outputs[1:].mean() - bars.sum()):.1e}")

    worker = Worker()
    predict_scores(worker, MODEL, row, task="binary", classes=CLASSES)
    both = pd.concat([row, row.assign(temperature_f=20.0)], ignore_index=True)
    warm, _ = least(lambda: predict_scores(worker, MODEL, both, task="binary", classes=CLASSES), 4 * runs)
    plain, _ = least(lambda: lightgbm.Booster(model_file=str(MODEL)).predict(model.encode(both), num_threads=1), 4 * runs)
    print(
        f"what-if, two rows                  worker      {1e3 * warm:6.0f} ms   load and score  {1e3 * plain:6.0f} ms   ratio {plain / warm:.2f}"
    )
    three, _ = least(
        lambda: explain_contrast(
            worker,
            MODEL,
            row,
            {"average": background, "similar": background.head(50), "twins": background.head(30)},
            task="binary",
            classes=CLASSES,
        ),
        runs,
    )
    print(f"three backgrounds (100, 50, 30)    worker      {1e3 * three:6.0f} ms   {three / warm:.1f} times a what-if")

    free, goal = free_of(rows, features), {"kind": "above", "low": 0.35, "high": None, "place": -1}
    search, flips = least(
        lambda: find_counterfactuals(worker, MODEL, row, rows[features].head(600), free=free, goal=goal, task="binary", classes=CLASSES),
        runs,
    )
    own = row.iloc[0]
    changed = [
        sum(
            not (
                each[name] == own[name]
                or (each[name] != each[name] and own[name] != own[name])
                or (each[name] is None and own[name] is None)
            )
            for name in features
        )
        for each in flips.found.to_dict("records")
    ]
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        alone, sizes = least(lambda: dice_alone(model, rows, place, features), 2)
    print(
        f"counterfactuals                    worker      {1e3 * search:6.0f} ms   dice-ml alone   {1e3 * alone:6.0f} ms   ratio {alone / search:.2f}"
    )
    print(
        f"  features changed: {changed} (all reached: {all(flips.reached)}), dice-ml alone {sizes}; {flips.asked:,} rows scored; proposals {flips.proposals}"
    )
    worker.close()


if __name__ == "__main__":
    main()
