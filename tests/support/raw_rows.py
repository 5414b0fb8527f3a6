"""Numbers from the raw Parquet files of the sample fleet, calculated by pandas and scikit-learn without any code of the product."""

import tomllib
from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from sklearn import metrics

from tests.support.sample_home import ROOT

SAMPLE = ROOT / "sample_data"
FLOOR = 1e-4
"""Smaller shares are raised to this value before the logarithm, as is usual for the PSI."""


def predictions(model: str) -> pd.DataFrame:
    """The predictions that a model of the fleet served, with their labels (NaN if there is no label)."""
    served = pd.read_parquet(SAMPLE / f"{model}.predictions.parquet")
    if "label" not in served:
        labels = pd.read_parquet(SAMPLE / f"{model}.labels.parquet")
        served = served.merge(labels[["id", "value"]].rename(columns={"value": "label"}), on="id", how="left", validate="one_to_one")
    return served


def searched() -> pd.DataFrame:
    """The requests of the made-up client to flights-late in its last week. They are in a separate file and have no labels."""
    return pd.read_parquet(SAMPLE / "clients.predictions.parquet")


def stored_rows(name: str, kind: str) -> int:
    """How many rows a file of the sample fleet has. name: the model, with its version unless it is the first; kind: predictions or
    reference.
    """
    return int(pq.ParquetFile(SAMPLE / f"{name}.{kind}.parquet").metadata.num_rows)


def reference(model: str) -> pd.DataFrame:
    """The held-out rows with which a model was registered."""
    return pd.read_parquet(SAMPLE / f"{model}.reference.parquet")


def threshold(model: str) -> float:
    """The decision threshold in a model's settings."""
    return float(tomllib.loads((SAMPLE / f"{model}.toml").read_text())["settings"]["threshold"])


def between(rows: pd.DataFrame, start: str | pd.Timestamp, end: str | pd.Timestamp) -> pd.DataFrame:
    """The rows in a half-open interval (UTC)."""
    utc = [when if isinstance(when, pd.Timestamp) else pd.Timestamp(when, tz="UTC") for when in (start, end)]
    return rows[(rows["at"] >= utc[0]) & (rows["at"] < utc[1])]


def last_week(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the default window: seven days up to the end of the last record's day."""
    end = rows["at"].max().floor("D") + timedelta(days=1)
    return between(rows, end - timedelta(days=7), end)


def regression(rows: pd.DataFrame) -> dict[str, float]:
    """Metrics of a regression on its labelled rows."""
    known = rows.dropna(subset=["label"])
    truth, score = known["label"].to_numpy(float), known["score"].to_numpy(float)
    return {
        "mae": metrics.mean_absolute_error(truth, score),
        "rmse": metrics.root_mean_squared_error(truth, score),
        "bias": float(np.mean(score - truth)),
        "r2": metrics.r2_score(truth, score),
    }


def classification(rows: pd.DataFrame, at: float) -> dict[str, float]:
    """Metrics of a binary classifier on its labelled rows. The decision is positive for scores of at least `at`."""
    known = rows.dropna(subset=["label"])
    truth, score = known["label"].to_numpy(int), known["score"].to_numpy(float)
    decision = (score >= at).astype(int)
    return {
        "accuracy": metrics.accuracy_score(truth, decision),
        "precision": metrics.precision_score(truth, decision),
        "recall": metrics.recall_score(truth, decision),
        "f1": metrics.f1_score(truth, decision),
        "log_loss": metrics.log_loss(truth, score),
        "brier": metrics.brier_score_loss(truth, score),
        "roc_auc": metrics.roc_auc_score(truth, score),
        "pr_auc": metrics.average_precision_score(truth, score),
        "selection_rate": float(decision.mean()),
    }


def psi(before: pd.Series, now: pd.Series) -> float:
    """Population stability index on the deciles of `before`. A bin includes its left edge; missing values are a bin of their own."""
    cuts = np.unique(np.quantile(before.dropna(), np.arange(1, 10) / 10, method="higher"))
    shares = []
    for values in (before, now):
        bins = np.bincount(np.searchsorted(cuts, values.dropna(), side="right"), minlength=cuts.size + 1)
        shares.append(np.maximum(np.append(bins, values.isna().sum()) / len(values), FLOOR))
    return float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))


def percent(share: float) -> str:
    """A share in the notation of the pages."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.1f}".removesuffix(".0") + " %"
