"""Fit a model of the fleet, score rows that it was not fitted on, and compute the importance of its features. Each model has six runs under
the product's own `track_run`. Five runs leave one fold out each; their scores of the left-out folds are the reference. One run on all rows
gives the model that serves. The same seeds give the same model.
"""

import importlib.metadata
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from lightgbm.callback import CallbackEnv
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, roc_auc_score, root_mean_squared_error

from observability import Logger, track_run
from observability.client.runs import TrackedRun
from sample_data.spec import FOLDS, Rows, Spec

SEED = 13
REPEATS = {"seed": SEED, "deterministic": True, "force_row_wise": True, "num_threads": 2, "verbosity": -1}
"""Parameters with which LightGBM gives the same model again."""
Step = Callable[[int, Callable[[], dict[str, float]]], None]
"""Called after a step of training with its number and a function that returns the metrics; this function is called only if the step is
logged.
"""
NAMES = {"l1": "mae", "rmse": "rmse", "binary_logloss": "log_loss", "auc": "roc_auc"}
IMPORTANCE_ROWS = 5000
FOLD_LOGS_EVERY = 5


@dataclass(frozen=True)
class Trained:
    """booster: fitted on all training rows. scores: cross-fitted, one per training row, rounded as logged. importance: share of each
    feature.
    """

    booster: lightgbm.Booster
    scores: np.ndarray
    importance: dict[str, float]


def train(spec: Spec, rows: Rows, log: Logger) -> Trained:
    """Fits one model; its runs and their steps are logged as they happen."""
    table = rows.train
    inputs = model_input(spec, table)
    scores = np.full(len(table), np.nan)
    for fold in range(FOLDS):
        left_out = (table["fold"] == fold).to_numpy()
        with tracked(spec, log, f"fold-{fold + 1}", int((~left_out).sum())) as run:
            booster = fit(spec, inputs, table["label"], run, ~left_out, left_out)
            scores[left_out] = booster.predict(inputs[left_out])
            run.metrics(**measured(spec, table["label"][left_out], scores[left_out]))
    with tracked(spec, log, "final", len(table), spec.version) as run:
        booster = fit(spec, inputs, table["label"], run, np.ones(len(table), dtype=bool))
        run.metrics(**{f"cross_fitted_{name}": value for name, value in measured(spec, table["label"], scores).items()})
    reference = inputs[rows.in_reference.to_numpy()]
    return Trained(
        booster, scores.round(spec.digits), importance(spec, booster, reference.iloc[:: max(1, len(reference) // IMPORTANCE_ROWS)])
    )


def model_input(spec: Spec, table: pd.DataFrame) -> pd.DataFrame:
    """The features in the model's order. Categories have a categorical type, with the levels of the training rows, which LightGBM writes
    into its file.
    """
    inputs = table[list(spec.features)].copy()
    for name in spec.categories:
        inputs[name] = pd.Categorical(inputs[name].astype(object), categories=sorted(inputs[name].unique()))
    for name in set(spec.features) - set(spec.categories):
        inputs[name] = inputs[name].astype(float)
    return inputs


def tracked(spec: Spec, log: Logger, part: str, rows: int, version: str | None = None) -> TrackedRun:
    """A run under the product's `track_run`, with its own name and parameters."""
    return track_run(
        model=spec.name,
        version=version,
        run=f"{spec.name}-{part}",
        params={**spec.params, spec.round_name: spec.rounds, "rows": rows},
        dataset=spec.trained_on,
        study=f"{spec.name} cross-fitting",
        seed=SEED,
        hardware={
            "host": "sample fleet",
            "platform": f"{platform.system()} {platform.machine()}",
            spec.library: importlib.metadata.version(spec.library),
        },
        logger=log,
    )


def fit(
    spec: Spec, inputs: pd.DataFrame, label: pd.Series, run: TrackedRun, fitted: np.ndarray, left_out: np.ndarray | None = None
) -> lightgbm.Booster:
    """One booster, fitted on the rows `fitted`. Each tree is a step with the metrics on those rows and on the left-out rows. If rows are
    left out, only every fifth step is logged.
    """
    data = lightgbm.Dataset(inputs[fitted], label[fitted].astype(float), free_raw_data=False)
    seen, names, every = [data], ["train"], 1
    if left_out is not None:
        every = FOLD_LOGS_EVERY
        seen.append(lightgbm.Dataset(inputs[left_out], label[left_out].astype(float), reference=data, free_raw_data=False))
        names.append("validation")
    return lightgbm.train(
        {**spec.params, **REPEATS}, data, num_boost_round=spec.rounds, valid_sets=seen, valid_names=names, callbacks=[log_steps(run, every)]
    )


def log_steps(run: TrackedRun, every: int) -> Callable[[CallbackEnv], None]:
    """A LightGBM callback that logs a step every `every` trees."""
    step = log_every(run, every)

    def log_step(env: CallbackEnv) -> None:
        results: list[Any] = env.evaluation_result_list or []
        step(env.iteration + 1, lambda: {f"{each[0]}_{NAMES[each[1]]}": float(each[2]) for each in results})

    return log_step


def log_every(run: TrackedRun, every: int) -> Step:
    """A function that logs every `every`-th step: its metrics, and the milliseconds since the last logged step."""
    last = time.perf_counter()

    def step(number: int, metrics: Callable[[], dict[str, float]]) -> None:
        nonlocal last
        if number % every:
            return
        spent = (time.perf_counter() - last) * 1000
        found: dict[str, Any] = {name: round(value, 4) for name, value in metrics().items()}
        run.step(number, phase_ms={"compute": round(spent, 1)}, **found)
        last = time.perf_counter()

    return step


def measured(spec: Spec, label: pd.Series, scores: np.ndarray) -> dict[str, float]:
    """scikit-learn's metrics of scores against the truth. For several classes `scores` has one column per class, in the order of
    the spec.
    """
    if spec.task == "multiclass":
        right = np.array(spec.classes)[scores.argmax(axis=1)] == label.to_numpy()
        return {"log_loss": round(float(log_loss(label, scores, labels=list(spec.classes))), 5), "accuracy": round(float(right.mean()), 5)}
    truth = label.astype(float)
    if spec.task == "regression":
        found = {"mae": mean_absolute_error(truth, scores), "rmse": root_mean_squared_error(truth, scores)}
    else:
        decided = scores >= spec.settings["threshold"]
        found = {"roc_auc": roc_auc_score(truth, scores), "log_loss": log_loss(truth, scores), "accuracy": accuracy_score(truth, decided)}
    return {name: round(float(value), 5) for name, value in found.items()}


def importance(spec: Spec, booster: lightgbm.Booster, sample: pd.DataFrame) -> dict[str, float]:
    """Share of each feature in the mean absolute attribution (LightGBM's exact SHAP values), largest first; the shares add up to 1."""
    contributions = np.asarray(booster.predict(sample, pred_contrib=True))[:, :-1]
    mean = np.abs(contributions).mean(axis=0)
    shares = dict(zip(spec.features, (mean / mean.sum()).tolist()))
    return dict(sorted(shares.items(), key=lambda each: -each[1]))
