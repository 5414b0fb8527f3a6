"""Rows for the independent triage key: the sample fleet's own files, and logs made from them with a planted fault.

No code of the product is used here: files are read with pandas, and models are run with their own libraries.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
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
    """A model's production rows and its reference. rows: features, `id`, `at`, `label`, `score` (for several classes `score_CLASS`)."""

    model: str
    features: list[str]
    rows: pd.DataFrame
    reference: pd.DataFrame


@dataclass(frozen=True)
class PlantedLog:
    """A log with a fault in its last days. rows: as in ModelRows, with `faulty`, `clean_*` (the model's answer to the true inputs),
    `version`, `replica`, `status`; shadow: answers of the earlier version to the same requests; inputs: features that the fault changed.
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
    """The registered file's answers to inputs: one number per row, or one column per class if there are several."""
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
    """The classes that the scores decide; for a regression the scores themselves."""
    if model == "flights-delay":
        return scores
    if model == "sentiment":
        return np.array(CLASSES[model])[scores.argmax(axis=1)]
    return np.array(CLASSES[model])[(scores.reshape(-1) >= THRESHOLDS[model]).astype(int)]


def _excerpt(model: str, start: str, days: int, every: int = 1) -> pd.DataFrame:
    """Rows of some days, with the additional columns of a planted log."""
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
    """The rows, with the model's new answers where inputs were changed."""
    rows.loc[where, score_columns(model)] = model_answers(model, rows[where]).reshape(int(where.sum()), -1)
    rows.loc[where, "faulty"] = True
    return rows


def missing_feed(start: str = "2013-10-01", origin: str = "EWR") -> PlantedLog:
    """The weather of one airport is missing for four days."""
    rows = _excerpt("flights-late", start, 24)
    where = _last_days(rows, 4) & (rows["origin"] == origin)
    rows.loc[where, list(WEATHER)] = np.nan
    return PlantedLog("missing-feed", "missing feed", "flights-late", _answered_again("flights-late", rows, where), WEATHER)


def unit_change(
    start: str = "2013-07-01", inputs: tuple[str, ...] = ("temperature_f", "dew_point_f"), zero: float = 32, factor: float = 1 / 1.8
) -> PlantedLog:
    """Numbers arrive in another unit for four days: temperatures in degrees Celsius, wind in metres per second or in tens of degrees."""
    rows = _excerpt("flights-late", start, 24)
    where = _last_days(rows, 4)
    for name in inputs:
        rows.loc[where, name] = ((rows.loc[where, name] - zero) * factor).round(2)
    return PlantedLog("unit-change", "unit change", "flights-late", _answered_again("flights-late", rows, where), inputs)


def sentinel_value(
    start: str = "2013-11-01", inputs: tuple[str, ...] = ("rain_in", "rain_3h_in"), value: float = 99.9, seed: int = 3
) -> PlantedLog:
    """In a third of the rows of three days, a gauge sends a number instead of no value (rain of 99.9, temperatures of −99.9, wind of
    999.9).
    """
    rows = _excerpt("flights-delay", start, 24)
    where = _last_days(rows, 3) & (np.random.default_rng(seed).random(len(rows)) < 1 / 3)
    rows.loc[where, list(inputs)] = value
    return PlantedLog("sentinel-value", "sentinel value", "flights-delay", _answered_again("flights-delay", rows, where), inputs)


def unseen_category(start: str = "2013-05-01", name: str = "carrier") -> PlantedLog:
    """A category arrives in lower case for three days."""
    rows = _excerpt("flights-late", start, 24)
    where = _last_days(rows, 3)
    rows.loc[where, name] = rows.loc[where, name].str.lower()
    where &= rows[name].str.lower() == rows[name]
    return PlantedLog("unseen-category", "unseen category", "flights-late", _answered_again("flights-late", rows, where), (name,))


def swapped_category(start: str = "2017-03-01", name: str = "MIL", levels: tuple[str, str] = ("under 17", "never served")) -> PlantedLog:
    """Two levels of a category are swapped for ten days."""
    rows, (one, two) = _excerpt("employment", start, 40), levels
    where = _last_days(rows, 10) & rows[name].isin(levels)
    rows.loc[where, name] = rows.loc[where, name].map({one: two, two: one})
    return PlantedLog("swapped-category", "swapped category", "employment", _answered_again("employment", rows, where), (name,))


def wrong_labels(start: str = "2016-06-01", seed: int = 5) -> PlantedLog:
    """A quarter of the labels of ten days is changed to the other class."""
    rows = _excerpt("employment", start, 40)
    where = _last_days(rows, 10) & (np.random.default_rng(seed).random(len(rows)) < 0.25)
    rows.loc[where, "label"] = rows.loc[where, "label"].map({"0": "1", "1": "0"})
    rows["faulty"] = where
    return PlantedLog("wrong-labels", "wrong labels", "employment", rows)


def _with_degree(rows: pd.DataFrame) -> pd.Series:
    return rows["SCHL"] >= 21


def _young(rows: pd.DataFrame) -> pd.Series:
    return rows["AGEP"].between(18, 29)


def _foreign_born(rows: pd.DataFrame) -> pd.Series:
    return rows["NATIVITY"] == "foreign born"


def concept_drift(start: str = "2018-09-01", whom: Callable[[pd.DataFrame], pd.Series] = _with_degree, seed: int = 7) -> PlantedLog:
    """Six in ten employed people of a group (with a degree, SCHL from 21; aged 18 to 29; or born abroad) are without work for ten days."""
    rows = _excerpt("employment", start, 40)
    where = _last_days(rows, 10) & whom(rows) & (rows["label"] == "1") & (np.random.default_rng(seed).random(len(rows)) < 0.6)
    rows.loc[where, "label"] = "0"
    rows["faulty"] = where
    return PlantedLog("concept-drift", "concept drift", "employment", rows)


def worse_version(start: str = "2013-09-01", seed: int = 9) -> PlantedLog:
    """A new version with noisy scores answers half of the requests of seven days; the earlier version answers them in shadow."""
    rows = _excerpt("flights-late", start, 24)
    rng = np.random.default_rng(seed)
    where = _last_days(rows, 7) & (rng.random(len(rows)) < 0.5)
    shadow = rows[where].assign(environment="shadow")
    logit = np.log(rows["score"] / (1 - rows["score"])) + rng.normal(0, 1.8, len(rows))
    rows.loc[where, "score"] = (1 / (1 + np.exp(-logit[where]))).round(4)
    rows.loc[where, "version"], rows.loc[where, "faulty"] = "2", True
    return PlantedLog("worse-version", "worse version", "flights-late", rows, shadow=shadow)


def fallback_score(start: str = "2013-12-05", replica: str = "worker-2") -> PlantedLog:
    """One replica answers with a fixed score and the status fallback for three days. If the fleet does not have this replica, it takes
    every third request.
    """
    rows = _excerpt("flights-late", start, 20)
    if replica not in set(rows["replica"]):
        rows.loc[::3, "replica"] = replica
    where = _last_days(rows, 3) & (rows["replica"] == replica)
    rows.loc[where, "score"], rows.loc[where, "status"], rows.loc[where, "faulty"] = 0.05, "fallback", True
    return PlantedLog("fallback-score", "degraded path", "flights-late", rows)


def empty_embedding(start: str = "2014-05-05", days: int = 28, empty: int = 8) -> PlantedLog:
    """The embedding of texts is zero for the last `empty` days (by default eight)."""
    rows = _excerpt("sentiment", start, days)
    where, inputs = _last_days(rows, empty), tuple(f"component_{number:02}" for number in range(1, 21))
    rows.loc[where, list(inputs)] = 0.0
    return PlantedLog("empty-embedding", "empty embedding", "sentiment", _answered_again("sentiment", rows, where), inputs)


PLANTS: dict[str, Callable[[], PlantedLog]] = {
    "missing-feed": missing_feed, "unit-change": unit_change, "sentinel-value": sentinel_value, "unseen-category": unseen_category,
    "swapped-category": swapped_category, "wrong-labels": wrong_labels, "concept-drift": concept_drift, "worse-version": worse_version,
    "fallback-score": fallback_score, "empty-embedding": empty_embedding,
}  # fmt: skip
"""The planted logs of the first key by name."""


def _numbered(number: int, plants: dict[str, Callable[[], PlantedLog]]) -> dict[str, Callable[[], PlantedLog]]:
    """The planted logs, with the number of their key appended to their names."""

    def named(name: str, make: Callable[[], PlantedLog]) -> Callable[[], PlantedLog]:
        return lambda: replace(make(), name=name)

    return {f"{name}-{number}": named(f"{name}-{number}", make) for name, make in plants.items()}


PLANTS_2 = _numbered(
    2,
    {
        "missing-feed": partial(missing_feed, "2013-06-03", "JFK"),
        "unit-change": partial(unit_change, "2013-11-12", ("wind_speed_mph", "wind_gust_mph"), 0.0, 0.44704),
        "sentinel-value": partial(sentinel_value, "2013-08-02", ("humidity_percent", "temperature_f", "dew_point_f"), -99.9, 13),
        "unseen-category": partial(unseen_category, "2013-12-01", "destination"),
        "swapped-category": partial(swapped_category, "2018-02-01", "MAR", ("married", "never married or under 15")),
        "wrong-labels": partial(wrong_labels, "2017-10-01", 15),
        "concept-drift": partial(concept_drift, "2016-03-10", _young, 17),
        "worse-version": partial(worse_version, "2013-04-10", 19),
        "fallback-score": partial(fallback_score, "2013-06-20", "worker-1"),
        "empty-embedding": partial(empty_embedding, "2014-05-05", 20),
    },
)
"""The planted logs of the second key: the same faults on other days, with other inputs, groups and replicas."""

PLANTS_3 = _numbered(
    3,
    {
        "missing-feed": partial(missing_feed, "2013-08-18", "LGA"),
        "unit-change": partial(unit_change, "2013-09-08", ("wind_direction_degrees",), 0.0, 0.1),
        "sentinel-value": partial(sentinel_value, "2013-06-10", ("wind_direction_degrees", "wind_speed_mph", "wind_gust_mph"), 999.9, 23),
        "unseen-category": partial(unseen_category, "2013-07-20", "weekday"),
        "swapped-category": partial(swapped_category, "2016-10-05", "DIS", ("no", "yes")),
        "wrong-labels": partial(wrong_labels, "2018-05-01", 25),
        "concept-drift": partial(concept_drift, "2017-06-15", _foreign_born, 27),
        "worse-version": partial(worse_version, "2013-10-28", 29),
        "fallback-score": partial(fallback_score, "2013-04-05", "worker-3"),
        "empty-embedding": partial(empty_embedding, "2014-05-05", 12, 5),
    },
)
"""The planted logs of the third key. No day of a fault is one of an earlier key on the same model."""
