"""Make the study of the fleet's flights-late. `python sample_data/study.py`, with Optuna installed.

Optuna's TPE sampler tries settings of LightGBM on the fleet's own reference rows: the first two and a half months are for fitting, the rest
for validation. The median pruner stops weak trials early. Then the setting that the fleet uses is fitted with twenty seeds, and the best setting
of the search with five. Each fit is a run under the product's own `track_run`. Losses repeat under the same versions of LightGBM and Optuna;
durations differ from run to run. The records are dated after those of `training.jsonl`.
"""

import json
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
MODEL, STUDY, FILE = "flights-late", "flights-late search", "study.jsonl"
METRIC = "validation_log_loss"
DATASET = f"{MODEL} 1 reference@1"
"""The dataset version that `storage.jsonl` logs. It holds the rows of the reference."""
TRIALS, SEEDS, WINNER_SEEDS = 40, 20, 5
TREES, LOG_EVERY = 120, 5
JUDGED_FROM = "2013-03-15"
STARTS = datetime(2024, 11, 26, 20, 0, tzinfo=UTC)
DEFAULT = {
    "learning_rate": 0.05,
    "num_leaves": 20,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.8,
    "lambda_l2": 0.0,
}
"""The setting that the fleet's model is fitted with (sample_data/flights.py)."""
CATEGORIES = ("carrier", "origin", "destination", "weekday")


def rows(folder: Path) -> tuple[Any, Any, Any, Any]:
    """Inputs and labels for fitting, and the inputs and labels of later days for validation."""
    table = pd.read_parquet(folder / f"{MODEL}.reference.parquet")
    inputs = table.drop(columns=["id", "at", "score", "label"])
    for name in CATEGORIES:
        inputs[name] = pd.Categorical(inputs[name].astype(str))
    later = (table["at"] >= pd.Timestamp(JUDGED_FROM, tz="UTC")).to_numpy()
    label = table["label"].astype(float).to_numpy()
    return inputs[~later], label[~later], inputs[later], label[later]


def fit(home: Path, data: tuple[Any, Any, Any, Any], name: str, params: dict[str, Any], seed: int, trial: Any = None) -> float:
    """Fits one setting as a run, logs losses every LOG_EVERY trees, and returns the last validation loss. Raises TrialPruned if pruned."""
    import lightgbm
    from sklearn.metrics import log_loss, roc_auc_score

    from observability import track_run
    from observability.client.runs import TrackedRun

    x, y, x_held, y_held = data
    fixed = {"objective": "binary", "bagging_freq": 1, "num_threads": 1, "verbosity": -1, "seed": seed, "deterministic": True}
    booster = lightgbm.Booster({**fixed, **params}, lightgbm.Dataset(x, y, free_raw_data=False))
    run: TrackedRun = track_run(
        model=MODEL, params={**params, "trees": TREES}, home=home, run=name, study=STUDY, seed=seed,
        dataset=DATASET,
        hardware={"host": "sample fleet", "cores": 1, "lightgbm": lightgbm.__version__},
    )  # fmt: skip
    pruned = False
    with run:
        for tree in range(1, TREES + 1):
            booster.update()
            if tree % LOG_EVERY:
                continue
            held = log_loss(y_held, booster.predict(x_held))
            run.step(tree, train_log_loss=round(log_loss(y, booster.predict(x)), 5), **{METRIC: round(held, 5)})
            if trial is not None:
                trial.report(held, tree)
                pruned = trial.should_prune()
            if pruned:
                break
        run.metrics(**{METRIC: round(held, 5), "validation_roc_auc": round(roc_auc_score(y_held, booster.predict(x_held)), 5)})
    if pruned:
        import optuna

        raise optuna.TrialPruned
    return float(held)


def search(home: Path, data: tuple[Any, Any, Any, Any]) -> dict[str, Any]:
    """Runs the study and returns its best setting."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=13, n_startup_trials=12)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=8, n_warmup_steps=20)
    study = optuna.create_study(sampler=sampler, pruner=pruner)

    def objective(trial: Any) -> float:
        params = {
            "learning_rate": round(trial.suggest_float("learning_rate", 0.01, 0.4, log=True), 4),
            "num_leaves": trial.suggest_int("num_leaves", 4, 64, log=True),
            "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 10, 800, log=True),
            "feature_fraction": round(trial.suggest_float("feature_fraction", 0.3, 1.0), 2),
            "bagging_fraction": round(trial.suggest_float("bagging_fraction", 0.4, 1.0), 2),
            "lambda_l2": round(trial.suggest_float("lambda_l2", 0.0, 10.0), 2),
        }
        trial.set_user_attr("params", params)
        return fit(home, data, f"{MODEL}-trial-{trial.number:02d}", params, 13, trial)

    study.optimize(objective, n_trials=TRIALS)
    best: dict[str, Any] = study.best_trial.user_attrs["params"]
    return best


def with_pruned_status(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records, shifted in time so that the first is at STARTS. Runs that ended early get the status `pruned`."""
    last: dict[str, int] = {}
    for each in records:
        if each["kind"] == "step":
            last[each["run"]] = max(last.get(each["run"], 0), each["step"])
    moved = STARTS - datetime.fromisoformat(records[0]["at"])
    for each in records:
        at = datetime.fromisoformat(each["at"]) + moved
        each["at"] = (at + timedelta(0)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if each["kind"] == "run" and each["event"] == "end" and last[each["run"]] < TREES:
            each["status"] = "pruned"
        if each["kind"] == "run" and each["event"] == "start":
            each["hardware"] = {name: each["hardware"][name] for name in ("host", "cores", "lightgbm")}
    return records


def make(out: Path) -> Path:
    """Runs the search and the seeds on the reference in a folder, and writes the logged records to that folder, one record per line."""
    from sample_data.collecting import logged

    data = rows(out)
    with tempfile.TemporaryDirectory(prefix="sample-study-") as folder:
        home = Path(folder)
        best = search(home, data)
        for seed in range(SEEDS):
            fit(home, data, f"{MODEL}-default-seed-{seed:02d}", DEFAULT, seed)
        for seed in range(WINNER_SEEDS):
            fit(home, data, f"{MODEL}-winner-seed-{seed:02d}", best, seed)
        records = with_pruned_status(sorted(logged(home), key=lambda record: record["at"]))
    path = out / FILE
    path.write_text("".join(json.dumps(each, separators=(",", ":")) + "\n" for each in records), encoding="utf-8")
    return path


def main() -> None:
    """Makes the file, with the project's root on the path."""
    sys.path.insert(0, str(HERE.parent))
    np.random.seed(13)  # LightGBM and Optuna get their own seeds
    path = make(HERE)
    print(f"{path.stat().st_size:,} bytes in {path}")


if __name__ == "__main__":
    main()
