"""How wrong are scores whose labels are not known yet? A second model learns the first one's errors on the reference (direct loss estimation).

A LightGBM regressor of the absolute error (and of the squared error where it is asked) takes the features and the score. It is fitted on all of
the reference for the rows asked about; and five times on four fifths of it for the fifth left out, so that its estimates of known errors can be
compared with the errors measured. With times the fifths are stretches of time, as those to come are. Like every estimate from inputs alone it
is blind to a change of the relation between inputs and label. Source: the method is NannyML's DLE (documentation, "How it works, direct loss
estimation").
"""

import os
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from observability.core.errors import UsageError
from observability.worker.features import canonical, numbers
from observability.worker.job import Output, Report

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FOLDS, TREES, FEWEST = 5, 100, 100
ONE_THREAD = 1
PARAMETERS: dict[str, Any] = {
    "objective": "regression", "learning_rate": 0.05, "num_leaves": 15, "feature_fraction": 0.8, "bagging_fraction": 0.8, "bagging_freq": 1,
    "lambda_l2": 1.0, "deterministic": True, "force_row_wise": True, "num_threads": ONE_THREAD, "verbosity": -1, "max_cat_threshold": 32, "cat_smooth": 20.0,
}  # fmt: skip


def estimate(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """Frames `rows` (estimates), `reference` (measured and cross-fitted), `check` (means by month); values `bias`, `skill`, `note`."""
    reference, rows = frames["reference"], frames["rows"]
    score, label, at = arguments["score"], arguments["label"], arguments["at"]
    inputs = list(dict.fromkeys((*arguments["features"], score)))
    error = np.abs(numbers(reference[label]) - numbers(reference[score]))
    known = np.isfinite(error)
    if known.sum() < FEWEST:
        raise UsageError("too few rows of the reference have a label and a score", got=int(known.sum()), expected=f"at least {FEWEST}")
    learned, asked, categorical = encoded(reference.loc[known, inputs], rows[inputs])
    folds = folds_of(reference.loc[known, at] if at else None, int(known.sum()), arguments["seed"])
    measured = {"absolute_error": error[known]} | ({"squared_error": error[known] ** 2} if arguments["squared"] else {})
    whole = pd.DataFrame(index=reference.index)
    estimates: dict[str, Floats] = {}
    for name, (crossed, expected) in fits(measured, learned, asked, categorical, folds, arguments["seed"], report).items():
        estimates[name] = expected
        for column, values in ((name, measured[name]), (f"{name}_estimated", crossed)):
            whole[column] = np.full(len(reference), np.nan)
            whole.loc[known, column] = values
    if at:
        whole["at"] = reference[at].to_numpy()
    said, guessed = measured["absolute_error"], whole["absolute_error_estimated"].to_numpy()[known]
    variance = float(np.mean((said - said.mean()) ** 2))
    skill = 1 - float(np.mean((said - guessed) ** 2)) / variance if variance > 0 else 0.0
    how = "stretches of time" if at else "random parts"
    note = f"Estimated from {known.sum():,} rows of the reference and checked on {FOLDS} {how} left out in turn; blind to a change of what the inputs mean."
    told = {"bias": float(np.mean(guessed) - np.mean(said)), "skill": skill, "note": note, "n": int(known.sum())}
    return Output(told, {"rows": pd.DataFrame(estimates), "reference": whole, "check": check(whole[known], bool(at))})


def encoded(reference: pd.DataFrame, rows: pd.DataFrame) -> "tuple[Floats, Floats, list[int]]":
    """Both tables as matrices: words and truths as places among the reference's levels (an unseen one is missing), and which columns those are."""
    learned, asked = np.empty(reference.shape), np.empty(rows.shape)
    categorical = []
    for place, name in enumerate(reference.columns):
        column = reference[name]
        if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
            learned[:, place], asked[:, place] = numbers(column), numbers(rows[name])
            continue
        levels = sorted({canonical(each) for each in column.dropna().unique()})
        place_of = {level: float(number) for number, level in enumerate(levels)}
        for matrix, frame in ((learned, reference), (asked, rows)):
            places, found = pd.factorize(frame[name])
            matrix[:, place] = np.array([*(place_of.get(canonical(each), np.nan) for each in found), np.nan])[places]
        categorical.append(place)
    return learned, asked, categorical


def folds_of(times: "pd.Series | None", rows: int, seed: int) -> "NDArray[np.int64]":
    """Which of FOLDS parts each row is in: stretches of time of equal size, else at random."""
    if times is None:
        return np.random.default_rng(seed).permutation(np.arange(rows) % FOLDS)
    rank = np.empty(rows, dtype=np.int64)
    rank[np.argsort(times.to_numpy(), kind="stable")] = np.arange(rows)
    return rank * FOLDS // rows


def fits(
    targets: "dict[str, Floats]", learned: "Floats", asked: "Floats", categorical: list[int], folds: "NDArray[np.int64]", seed: int,
    report: Report,
) -> "dict[str, tuple[Floats, Floats]]":  # fmt: skip
    """Of each target: cross-fitted estimates of the rows learned from, and estimates of the rows asked about.

    One thread a fit, several fits at once: threads that share one fit wait on each other, on a busy machine fifty times longer.
    """
    found = {name: (np.empty(len(target)), np.empty(0)) for name, target in targets.items()}
    done = 0
    with ThreadPoolExecutor(min(os.cpu_count() or 1, FOLDS + 1)) as pool:
        work: dict[Future[Floats], tuple[str, int | None]] = {}
        for name, target in targets.items():
            work[pool.submit(fitted, learned, target, asked, categorical, seed)] = (name, None)
            for fold in range(FOLDS):
                rest, out = folds != fold, folds == fold
                work[pool.submit(fitted, learned[rest], target[rest], learned[out], categorical, seed)] = (name, fold)
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


def fitted(inputs: "Floats", target: "Floats", asked: "Floats", categorical: list[int], seed: int) -> "Floats":
    """Expected errors of the rows asked about from a regressor of the target; never negative.

    One thread for the answers too: LightGBM keeps the number of threads for the whole process, and one fit that finds another number than it made room
    for writes beyond it (the process dies of SIGSEGV).
    """
    import lightgbm

    if not len(asked):
        return np.empty(0)
    data = lightgbm.Dataset(inputs, target, categorical_feature=categorical or "auto", free_raw_data=True)
    fewest = int(np.clip(len(target) // 200, 10, 500))
    booster = lightgbm.train({**PARAMETERS, "min_data_in_leaf": fewest, "seed": seed}, data, num_boost_round=TREES)
    return np.maximum(np.asarray(booster.predict(asked, num_threads=ONE_THREAD), dtype=float), 0.0)


def check(known: pd.DataFrame, dated: bool) -> pd.DataFrame:
    """Means of measured and estimated absolute error of all rows and of each month (of UTC)."""
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
