"""Estimate the errors of scores without labels, with a second model that is fitted on the reference's errors (direct loss estimation).

A LightGBM regressor predicts the absolute error (on request also the squared error) from the features and the score. One fit on all of the
reference estimates the requested rows. Five more fits, each on four fifths of the reference, estimate the fifth left out, so that these
estimates can be compared with the measured errors. If times are given, the fifths are consecutive periods. Like every estimate from inputs
alone it cannot detect concept drift. Source: the method is NannyML's DLE (documentation, "How it works, direct loss estimation").
"""

import os
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observability.core.errors import UsageError
from observability.stats.arrays import Floats, Integers
from observability.worker.features import canonical_scalar, category_codes, numeric_column
from observability.worker.job import Output, Report

FOLDS, TREES, MIN_TRAINING_ROWS = 5, 100, 100
ONE_THREAD = 1
PARAMETERS: dict[str, Any] = {
    "objective": "regression",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": ONE_THREAD,
    "verbosity": -1,
    "max_cat_threshold": 32,
    "cat_smooth": 20.0,
}


def estimate_row_errors(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """Estimate the errors of the frame `rows`. Output frames: `rows` (estimates), `reference` (measured and cross-fitted), `check` (means
    by month); values: `bias`, `skill`, `note`.
    """
    reference, rows = frames["reference"], frames["rows"]
    score, label, at = arguments["score"], arguments["label"], arguments["at"]
    inputs = list(dict.fromkeys((*arguments["features"], score)))
    error = np.abs(numeric_column(reference[label]) - numeric_column(reference[score]))
    known = np.isfinite(error)
    if known.sum() < MIN_TRAINING_ROWS:
        raise UsageError(
            "too few rows of the reference have a label and a score", got=int(known.sum()), expected=f"at least {MIN_TRAINING_ROWS}"
        )
    train, requested, categorical = encode_error_features(reference.loc[known, inputs], rows[inputs])
    folds = assign_folds(reference.loc[known, at] if at else None, int(known.sum()), arguments["seed"])
    measured = {"absolute_error": error[known]} | ({"squared_error": error[known] ** 2} if arguments["squared"] else {})
    whole = pd.DataFrame(index=reference.index)
    estimates: dict[str, Floats] = {}
    for name, (crossed, expected) in cross_fit_errors(measured, train, requested, categorical, folds, arguments["seed"], report).items():
        estimates[name] = expected
        for column, values in ((name, measured[name]), (f"{name}_estimated", crossed)):
            whole[column] = np.full(len(reference), np.nan)
            whole.loc[known, column] = values
    if at:
        whole["at"] = reference[at].to_numpy()
    actual, estimated = measured["absolute_error"], whole["absolute_error_estimated"].to_numpy()[known]
    variance = float(np.mean((actual - actual.mean()) ** 2))
    skill = 1 - float(np.mean((actual - estimated) ** 2)) / variance if variance > 0 else 0.0
    parts = "consecutive periods" if at else "random folds"
    note = f"Fitted on {known.sum():,} rows of the reference and cross-validated on {FOLDS} {parts}; concept drift is not visible to it."
    summary = {"bias": float(np.mean(estimated) - np.mean(actual)), "skill": skill, "note": note, "n": int(known.sum())}
    return Output(summary, {"rows": pd.DataFrame(estimates), "reference": whole, "check": monthly_error_check(whole[known], bool(at))})


def encode_error_features(reference: pd.DataFrame, rows: pd.DataFrame) -> tuple[Floats, Floats, list[int]]:
    """Both tables as matrices, and the indices of the categorical columns.

    Texts and booleans become the index of the reference's level; an unseen level is missing.
    """
    train, requested = np.empty(reference.shape), np.empty(rows.shape)
    categorical = []
    for place, name in enumerate(reference.columns):
        column = reference[name]
        if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
            train[:, place], requested[:, place] = numeric_column(column), numeric_column(rows[name])
            continue
        levels = sorted({canonical_scalar(value) for value in column.dropna().unique()})
        train[:, place], requested[:, place] = category_codes(column, levels), category_codes(rows[name], levels)
        categorical.append(place)
    return train, requested, categorical


def assign_folds(times: "pd.Series | None", rows: int, seed: int) -> Integers:
    """Fold of each row: consecutive periods of equal size if times are given, else at random."""
    if times is None:
        return np.random.default_rng(seed).permutation(np.arange(rows) % FOLDS)
    rank = np.empty(rows, dtype=np.int64)
    rank[np.argsort(times.to_numpy(), kind="stable")] = np.arange(rows)
    return rank * FOLDS // rows


def cross_fit_errors(
    targets: dict[str, Floats], train: Floats, requested: Floats, categorical: list[int], folds: Integers, seed: int, report: Report
) -> dict[str, tuple[Floats, Floats]]:
    """For each target: cross-fitted estimates of the training rows, and estimates of the requested rows.

    Several fits run at once with one thread each. Several threads in one fit would wait for each other, which takes fifty times as long on
    a busy machine.
    """
    found = {name: (np.empty(len(target)), np.empty(0)) for name, target in targets.items()}
    done = 0
    with ThreadPoolExecutor(min(os.cpu_count() or 1, FOLDS + 1)) as pool:
        work: dict[Future[Floats], tuple[str, int | None]] = {}
        for name, target in targets.items():
            work[pool.submit(fit_error_regressor, train, target, requested, categorical, seed)] = (name, None)
            for fold in range(FOLDS):
                rest, out = folds != fold, folds == fold
                work[pool.submit(fit_error_regressor, train[rest], target[rest], train[out], categorical, seed)] = (name, fold)
        for future in as_completed(work):
            name, part = work[future]
            crossed, expected = found[name]
            if part is None:
                expected = future.result()
            else:
                crossed[folds == part] = future.result()
            found[name] = (crossed, expected)
            done += 1
            report(done / len(work), f"{done} of {len(work)} fits")
    return found


def fit_error_regressor(inputs: Floats, target: Floats, requested: Floats, categorical: list[int], seed: int) -> Floats:
    """Expected errors of the requested rows from a regressor of the target; never negative.

    Prediction uses one thread too. LightGBM keeps the number of threads for the whole process. If a fit meets a larger number than it
    allocated buffers for, it writes beyond them (SIGSEGV).
    """
    import lightgbm

    if not len(requested):
        return np.empty(0)
    data = lightgbm.Dataset(inputs, target, categorical_feature=categorical or "auto", free_raw_data=True)
    fewest = int(np.clip(len(target) // 200, 10, 500))
    booster = lightgbm.train({**PARAMETERS, "min_data_in_leaf": fewest, "seed": seed}, data, num_boost_round=TREES)
    return np.maximum(np.asarray(booster.predict(requested, num_threads=ONE_THREAD), dtype=float), 0.0)


def monthly_error_check(known: pd.DataFrame, dated: bool) -> pd.DataFrame:
    """Means of measured and estimated absolute error of all rows and of each month (UTC)."""
    month = pd.to_datetime(known["at"]).dt.strftime("%Y-%m") if dated else pd.Series(index=known.index, dtype=str)
    groups = [("all", known), *known.groupby(month, sort=True)] if dated else [("all", known)]
    return pd.DataFrame(
        {
            "month": [str(name) for name, _ in groups],
            "n": [len(part) for _, part in groups],
            "measured": [part["absolute_error"].mean() for _, part in groups],
            "estimated": [part["absolute_error_estimated"].mean() for _, part in groups],
        }
    )
