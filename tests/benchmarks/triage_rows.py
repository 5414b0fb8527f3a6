"""Rows for the independent triage key: the sample fleet's own files, and logs of it into which a fault is planted.

Nothing of the product is used here: files are read with pandas, and models are run with their own libraries.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

DATA = Path(__file__).resolve().parents[2] / "sample_data"
MODELS = ("flights-delay", "flights-late", "employment", "sentiment")
CLASSES = {"flights-late": ("0", "1"), "employment": ("0", "1"), "sentiment": ("negative", "neutral", "positive")}
THRESHOLDS = {"flights-late": 0.35, "employment": 0.5}
SOURCES = {"flights-delay": "origin", "flights-late": "origin"}
WEATHER = (
    "temperature_f", "dew_point_f", "humidity_percent", "wind_direction_degrees", "wind_speed_mph", "wind_gust_mph", "rain_in",
    "pressure_mb", "visibility_miles", "pressure_change_3h_mb", "rain_3h_in",
)  # fmt: skip


@dataclass(frozen=True)
class ModelRows:
    """A model's production rows and its reference. rows: features, `id`, `at`, `label`, `score` (of several classes `score_CLASS`)."""

    model: str
    features: list[str]
    rows: pd.DataFrame
    reference: pd.DataFrame


@dataclass(frozen=True)
class PlantedLog:
    """A log with a fault in its last days. rows as of ModelRows, with `faulty`, `clean_*` (what the model says of the true inputs), `version`,
    `replica`, `status`; shadow: answers of the earlier version to the same requests; inputs: features that the fault changed.
    """

    name: str
    fault: str
    model: str
    rows: pd.DataFrame
    inputs: tuple[str, ...] = ()
    shadow: pd.DataFrame = field(default_factory=pd.DataFrame)


@cache
def features_of_model(model: str) -> list[str]:
    """Names of a model's features, in the order of its file."""
    spec = tomllib.loads((DATA / "fleet.toml").read_text(encoding="utf-8"))
    return next(list(entry["features"]) for entry in spec["model"] if entry["name"] == model)


@cache
def fleet_rows(model: str) -> ModelRows:
    """Labelled production rows of a model, in order of time, and its reference."""
    rows = pd.read_parquet(DATA / f"{model}.predictions.parquet")
    if "environment" in rows:
        rows = rows[rows["environment"].isna() | (rows["environment"] == "production")]
    if "label" not in rows:
        labels = pd.read_parquet(DATA / f"{model}.labels.parquet").rename(columns={"value": "label", "at": "label_at"})
        rows = rows.merge(labels.drop(columns=["model", "source", "received_at"]), on="id")
    else:
        rows["label_at"] = rows["at"]
    reference = pd.read_parquet(DATA / f"{model}.reference.parquet")
    if model == "sentiment":
        for name in CLASSES[model]:
            rows[f"score_{name}"] = [each[name] for each in rows["score"]]
    if model != "flights-delay":
        rows["label"], reference["label"] = rows["label"].astype(str), reference["label"].astype(str)
    return ModelRows(model, features_of_model(model), rows.sort_values("at", kind="stable").reset_index(drop=True), reference)


def model_answers(model: str, inputs: pd.DataFrame) -> np.ndarray:
    """The registered file's answers to inputs: one number a row, or of several classes one column each."""
    if model == "sentiment":
        return np.asarray(_sentiment_model().predict_proba(inputs[features_of_model(model)].astype(float))).round(4)
    booster = _booster(model)
    frame = inputs[booster.feature_name()].copy()
    texts = [name for name in frame if not pd.api.types.is_numeric_dtype(fleet_rows(model).reference[name])]
    for name, levels in zip(texts, booster.pandas_categorical, strict=True):
        frame[name] = pd.Categorical(frame[name], categories=levels)
    for name in frame.columns.difference(texts):
        frame[name] = pd.to_numeric(frame[name])
    return np.asarray(booster.predict(frame, num_threads=1)).round(2 if model == "flights-delay" else 4)


@cache
def _booster(model: str) -> Any:
    import lightgbm

    return lightgbm.Booster(model_file=str(DATA / f"{model}.lightgbm.txt"))


@cache
def _sentiment_model() -> Any:
    import skops.io

    path = DATA / "sentiment.skops"
    return skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))


def score_columns(model: str) -> list[str]:
    """The columns of a model's answer."""
    return [f"score_{name}" for name in CLASSES[model]] if model == "sentiment" else ["score"]


def decisions(model: str, scores: np.ndarray) -> np.ndarray:
    """The class that scores decide; of a regression the scores themselves."""
    if model == "flights-delay":
        return scores
    if model == "sentiment":
        return np.array(CLASSES[model])[scores.argmax(axis=1)]
    return np.array(CLASSES[model])[(scores.reshape(-1) >= THRESHOLDS[model]).astype(int)]


def _excerpt(model: str, start: str, days: int, every: int = 1) -> pd.DataFrame:
    """Rows of some days, with the columns of a planted log."""
    found = fleet_rows(model).rows
    begin = pd.Timestamp(start, tz="UTC")
    rows = found[(found["at"] >= begin) & (found["at"] < begin + pd.Timedelta(days=days))].iloc[::every].copy().reset_index(drop=True)
    for name in score_columns(model):
        rows[f"clean_{name}"] = rows[name]
    rows["faulty"], rows["status"] = False, "ok"
    return rows


def _last_days(rows: pd.DataFrame, days: int) -> pd.Series:
    return rows["at"] >= rows["at"].max().normalize() - pd.Timedelta(days=days - 1)


def _answered_again(model: str, rows: pd.DataFrame, where: pd.Series) -> pd.DataFrame:
    """The rows, with the model's answers to the changed inputs."""
    rows.loc[where, score_columns(model)] = model_answers(model, rows[where]).reshape(int(where.sum()), -1)
    rows.loc[where, "faulty"] = True
    return rows


def missing_feed() -> PlantedLog:
    """The weather of one airport is missing for four days."""
    rows = _excerpt("flights-late", "2013-10-01", 24)
    where = _last_days(rows, 4) & (rows["origin"] == "EWR")
    rows.loc[where, list(WEATHER)] = np.nan
    return PlantedLog("missing-feed", "missing feed", "flights-late", _answered_again("flights-late", rows, where), WEATHER)


def unit_change() -> PlantedLog:
    """Temperatures arrive in degrees Celsius for four days."""
    rows = _excerpt("flights-late", "2013-07-01", 24)
    where, inputs = _last_days(rows, 4), ("temperature_f", "dew_point_f")
    for name in inputs:
        rows.loc[where, name] = ((rows.loc[where, name] - 32) / 1.8).round(2)
    return PlantedLog("unit-change", "unit change", "flights-late", _answered_again("flights-late", rows, where), inputs)


def sentinel_value() -> PlantedLog:
    """A rain gauge sends 99.9 instead of the rain in a third of the rows of three days."""
    rows, inputs = _excerpt("flights-delay", "2013-11-01", 24), ("rain_in", "rain_3h_in")
    where = _last_days(rows, 3) & (np.random.default_rng(3).random(len(rows)) < 1 / 3)
    rows.loc[where, list(inputs)] = 99.9
    return PlantedLog("sentinel-value", "sentinel value", "flights-delay", _answered_again("flights-delay", rows, where), inputs)


def unseen_category() -> PlantedLog:
    """Carriers arrive in lower case for three days."""
    rows = _excerpt("flights-late", "2013-05-01", 24)
    where = _last_days(rows, 3)
    rows.loc[where, "carrier"] = rows.loc[where, "carrier"].str.lower()
    where &= rows["carrier"].str.lower() == rows["carrier"]
    return PlantedLog("unseen-category", "unseen category", "flights-late", _answered_again("flights-late", rows, where), ("carrier",))


def swapped_category() -> PlantedLog:
    """Two levels of a category trade places for ten days."""
    rows = _excerpt("employment", "2017-03-01", 40)
    where = _last_days(rows, 10) & rows["MIL"].isin(["under 17", "never served"])
    rows.loc[where, "MIL"] = rows.loc[where, "MIL"].map({"under 17": "never served", "never served": "under 17"})
    return PlantedLog("swapped-category", "swapped category", "employment", _answered_again("employment", rows, where), ("MIL",))


def wrong_labels() -> PlantedLog:
    """A quarter of the labels of ten days is the other class."""
    rows = _excerpt("employment", "2016-06-01", 40)
    where = _last_days(rows, 10) & (np.random.default_rng(5).random(len(rows)) < 0.25)
    rows.loc[where, "label"] = rows.loc[where, "label"].map({"0": "1", "1": "0"})
    rows["faulty"] = where
    return PlantedLog("wrong-labels", "wrong labels", "employment", rows)


def concept_drift() -> PlantedLog:
    """Six in ten employed people with a degree (SCHL from 21) lose their work for ten days."""
    rows = _excerpt("employment", "2018-09-01", 40)
    where = _last_days(rows, 10) & (rows["SCHL"] >= 21) & (rows["label"] == "1") & (np.random.default_rng(7).random(len(rows)) < 0.6)
    rows.loc[where, "label"] = "0"
    rows["faulty"] = where
    return PlantedLog("concept-drift", "concept drift", "employment", rows)


def worse_version() -> PlantedLog:
    """A new version with noisy scores answers half of the requests of seven days; the earlier one answers them in the shadow."""
    rows = _excerpt("flights-late", "2013-09-01", 24)
    rng = np.random.default_rng(9)
    where = _last_days(rows, 7) & (rng.random(len(rows)) < 0.5)
    shadow = rows[where].assign(environment="shadow")
    logit = np.log(rows["score"] / (1 - rows["score"])) + rng.normal(0, 1.8, len(rows))
    rows.loc[where, "score"] = (1 / (1 + np.exp(-logit[where]))).round(4)
    rows.loc[where, "version"], rows.loc[where, "faulty"] = "2", True
    return PlantedLog("worse-version", "worse version", "flights-late", rows, shadow=shadow)


def fallback_score() -> PlantedLog:
    """One replica answers with a fixed score and the status fallback for three days."""
    rows = _excerpt("flights-late", "2013-12-05", 20)
    where = _last_days(rows, 3) & (rows["replica"] == "worker-2")
    rows.loc[where, "score"], rows.loc[where, "status"], rows.loc[where, "faulty"] = 0.05, "fallback", True
    return PlantedLog("fallback-score", "degraded path", "flights-late", rows)


def empty_embedding() -> PlantedLog:
    """The embedding of texts is zero for eight days."""
    rows = _excerpt("sentiment", "2014-05-05", 28)
    where, inputs = _last_days(rows, 8), tuple(f"component_{number:02}" for number in range(1, 21))
    rows.loc[where, list(inputs)] = 0.0
    return PlantedLog("empty-embedding", "empty embedding", "sentiment", _answered_again("sentiment", rows, where), inputs)


PLANTS: tuple[Callable[[], PlantedLog], ...] = (
    missing_feed, unit_change, sentinel_value, unseen_category, swapped_category,
    wrong_labels, concept_drift, worse_version, fallback_score, empty_embedding,
)  # fmt: skip
