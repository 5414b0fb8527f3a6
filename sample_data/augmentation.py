"""Make the audits of augmentations of the sample fleet. `python sample_data/augmentation.py`

Two augmentations of texts, two of table rows and one of a regression are run for real, with several seeds each, on the rows that the fleet
ships. Each seed trains with and without the augmentation on the same rows, and both are judged on the same validation rows. None of the
shipped models was trained with an augmentation; the audits state this. All random draws use the seeds that the audits name.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
FILE = "augmentation.jsonl"
AT = datetime(2024, 11, 28, 9, tzinfo=UTC)
SEEDS = tuple(range(8))
TRAINED = 1680
"""Number of texts to train on: the earliest ones, which the shipped model also learned from."""
PEOPLE, VALIDATED = 2_000, 6_000
"""Number of rows of the 2015 survey that each training gets, and number of rows to validate on; no row is in both."""
FLIGHTS, LANDED = 4_000, 6_000
"""The same numbers for flights of January to March 2013. No day occurs in both parts, because flights of one day share its weather."""
SHARE = 0.8
"""Share of the training texts that the model of one seed learns from."""
DROPPED = 0.15
SUMS = ("gained", "lost", "error", "error_with", "copies_error")
NEGATION = r"(?i)\b(?:not?|never|nothing|nobody|none|cannot|without|[a-z]+n'?t)\b"
Text = Callable[[str, np.random.Generator], str]
Table = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


def without_some_words(text: str, rng: np.random.Generator) -> str:
    """The text without 15 % of its words, drawn at random."""
    words = text.split()
    kept = [word for word in words if rng.random() >= DROPPED]
    return " ".join(kept or words)


def without_negations(text: str, rng: np.random.Generator) -> str:
    """The text without "not", "never", "n't" and the like, as after a careless removal of stop words."""
    return re.sub(NEGATION, " ", text)


def noisy_ages(people: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The people with ages and schooling off by a few years."""
    ages = (people["AGEP"] + rng.normal(0, 3, len(people)).round()).clip(0, 99)
    return people.assign(AGEP=ages, SCHL=(people["SCHL"] + rng.integers(-1, 2, len(people))).clip(0, 24))


def mixed_households(people: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The people, with the place in the household, the disability and the parents each shuffled separately among them."""
    drawn = {name: people[name].to_numpy()[rng.permutation(len(people))] for name in ("RELP", "DIS", "ESP")}
    return people.assign(**drawn)


def noisy_weather(flights: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The flights with changed weather (temperature, humidity, wind, pressure and visibility); the changes are as large as an hour's
    variation.
    """
    off = {
        "temperature_f": 2.0,
        "dew_point_f": 2.0,
        "humidity_percent": 5.0,
        "wind_speed_mph": 3.0,
        "pressure_mb": 1.0,
        "visibility_miles": 1.0,
    }
    moved = {name: flights[name] + rng.normal(0, spread, len(flights)) for name, spread in off.items()}
    limits = {"humidity_percent": (0.0, 100.0), "wind_speed_mph": (0.0, np.inf), "visibility_miles": (0.0, 10.0)}
    return flights.assign(**{name: values.clip(*limits.get(name, (-np.inf, np.inf))) for name, values in moved.items()})


TEXTS: dict[str, Text] = {"random word removal": without_some_words, "negations removed": without_negations}
TABLES: dict[str, Table] = {"noise on age and schooling": noisy_ages, "household columns shuffled": mixed_households}


def text_predictions(augment: Text) -> pd.DataFrame:
    """A line for each text and seed: logistic regression on TF-IDF of the words, trained with one augmented copy of each text and
    without.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.pipeline import make_pipeline

    texts = pd.read_parquet(HERE / "sentiment.predictions.parquet", columns=["id", "at", "text"])
    labels = pd.read_parquet(HERE / "sentiment.labels.parquet", columns=["id", "value"]).drop_duplicates("id", keep="last")
    rows = texts.merge(labels, on="id").sort_values("at", kind="stable", ignore_index=True)
    train, valid = rows[:TRAINED], rows[TRAINED:]
    found = []
    for seed in SEEDS:
        rng = np.random.default_rng([41, seed])
        own = train.iloc[rng.permutation(TRAINED)[: int(SHARE * TRAINED)]]
        more = pd.concat([own, own.assign(text=[augment(text, rng) for text in own["text"]])])
        copies = [augment(text, rng) for text in valid["text"]]
        models = {}
        for key, each in (("without", own), ("with", more)):
            models[key] = make_pipeline(TfidfVectorizer(min_df=2), LogisticRegression(C=2.0, max_iter=400))
            models[key].fit(each["text"], each["value"])
        table = pd.DataFrame({"row": valid["id"], "seed": seed, "label": valid["value"], "words": word_counts(valid["text"])})
        table = table.assign(**{key: model.predict(valid["text"]) for key, model in models.items()})
        losses = {"loss_without": loss(models["without"], own, log_loss), "loss_with": loss(models["with"], more, log_loss)}
        found.append(table.assign(copy=models["without"].predict(copies), **losses))
    return pd.concat(found)


def word_counts(texts: "pd.Series[str]") -> list[str]:
    """Whether a text has fewer than ten words, ten to nineteen, or more."""
    return ["under 10" if count < 10 else "10 to 19" if count < 20 else "20 or more" for count in (len(text.split()) for text in texts)]


def loss(model: Any, rows: pd.DataFrame, log_loss: Any) -> float:
    """The log loss of a model on the texts that it learned from."""
    return round(float(log_loss(rows["value"], model.predict_proba(rows["text"]), labels=model.classes_)), 5)


def table_predictions(augment: Table) -> pd.DataFrame:
    """A line for each person and seed: LightGBM on a few thousand people of 2015, trained with one augmented copy of each person and
    without.
    """
    import lightgbm
    from sklearn.metrics import log_loss

    from sample_data.employment import EMPLOYMENT

    people = pd.read_parquet(HERE / "employment.reference.parquet")
    features = list(EMPLOYMENT.features)
    kinds = {name: pd.CategoricalDtype(sorted(people[name].unique())) for name in EMPLOYMENT.categories}
    drawn = people.iloc[np.random.default_rng(43).permutation(len(people))]
    valid, rest = drawn[:VALIDATED], drawn[VALIDATED:]
    races = valid["RAC1P"].value_counts()
    about = {
        "SEX": valid["SEX"],
        "RAC1P": valid["RAC1P"].where(valid["RAC1P"].map(races) >= 200, "others"),
        "age": age_bands(valid["AGEP"]),
    }
    params = {**EMPLOYMENT.params, "metric": "binary_logloss", "verbosity": -1, "num_threads": 1, "deterministic": True}
    found = []
    for seed in SEEDS:
        rng = np.random.default_rng([47, seed])
        own = rest.iloc[rng.choice(len(rest), PEOPLE, replace=False)]
        more = pd.concat([own, augment(own, rng)])
        models = {}
        for key, each in (("without", own), ("with", more)):
            data = lightgbm.Dataset(each[features].astype(kinds), each["label"])
            models[key] = lightgbm.train({**params, "seed": seed}, data, EMPLOYMENT.rounds)
        score = {key: np.asarray(model.predict(valid[features].astype(kinds))) for key, model in models.items()}
        copies = np.asarray(models["without"].predict(augment(valid, rng)[features].astype(kinds)))
        decided = {key: (values >= 0.5).astype(int) for key, values in {**score, "copy": copies}.items()}
        losses = {
            f"loss_{key}": round(float(log_loss(rows["label"], models[key].predict(rows[features].astype(kinds)))), 5)
            for key, rows in (("without", own), ("with", more))
        }
        found.append(pd.DataFrame({"row": valid["id"], "seed": seed, "label": valid["label"], **about}).assign(**decided, **losses))
    return pd.concat(found)


def delay_predictions(augment: Table) -> pd.DataFrame:
    """A line for each flight and seed, in minutes of delay: LightGBM on a few thousand flights, trained with one augmented copy of each and
    without.
    """
    import lightgbm

    from sample_data.flights import DELAY

    flights = pd.read_parquet(HERE / "flights-delay.reference.parquet")
    features = list(DELAY.features)
    kinds = {name: pd.CategoricalDtype(sorted(flights[name].astype(str).unique())) for name in DELAY.categories}
    flights = flights.astype(dict.fromkeys(DELAY.categories, str))
    day = flights["at"].dt.date
    days = pd.Series(np.random.default_rng(53).permutation(sorted(day.unique())))
    late = day.isin(set(days[len(days) // 2 :]))
    valid, rest = flights[late].sample(LANDED, random_state=53), flights[~late]
    params = {**DELAY.params, "metric": "l1", "verbosity": -1, "num_threads": 1, "deterministic": True}
    found = []
    for seed in SEEDS:
        rng = np.random.default_rng([59, seed])
        own = rest.iloc[rng.choice(len(rest), FLIGHTS, replace=False)]
        more = pd.concat([own, augment(own, rng)])
        models = {}
        for key, each in (("without", own), ("with", more)):
            data = lightgbm.Dataset(each[features].astype(kinds), each["label"])
            models[key] = lightgbm.train({**params, "seed": seed}, data, DELAY.rounds)
        minutes = {key: np.asarray(model.predict(valid[features].astype(kinds))).round(2) for key, model in models.items()}
        copies = np.asarray(models["without"].predict(augment(valid, rng)[features].astype(kinds))).round(2)
        losses = {
            f"loss_{key}": round(float(np.abs(rows["label"] - models[key].predict(rows[features].astype(kinds))).mean()), 4)
            for key, rows in (("without", own), ("with", more))
        }
        table = pd.DataFrame({"row": valid["id"], "seed": seed, "label": valid["label"], "origin": valid["origin"]})
        found.append(table.assign(**minutes, copy=copies, **losses))
    return pd.concat(found)


def age_bands(ages: "pd.Series[int]") -> "pd.Series[Any]":
    """Four bands of age."""
    return pd.cut(ages, [-1, 24, 44, 64, 120], labels=["under 25", "25 to 44", "45 to 64", "65 and over"]).astype(str)


def audits() -> Iterator[dict[str, Any]]:
    """The audit of each augmentation, as `audit-augmentation --tried` makes it from the same predictions."""
    from observability.metrics.augmentation import augmentation_results

    made: list[tuple[str, str, pd.DataFrame, tuple[str, ...]]]
    made = [("sentiment", name, text_predictions(each), ("words",)) for name, each in TEXTS.items()]
    made += [("employment", name, table_predictions(each), ("SEX", "RAC1P", "age")) for name, each in TABLES.items()]
    made += [("flights-delay", "noise on the weather", delay_predictions(noisy_weather), ("origin",))]
    for model, name, table, groups in made:
        results = augmentation_results(table, name, groups, regression=model == "flights-delay") | {"in_use": False}
        for each in (results, *results["slices"]):
            each["row_variance"] = round(each["row_variance"], 6)
            each |= {name: [round(value, 4) for value in each[name]] for name in SUMS if name in each}
        body = {"kind": "audit", "model": model, "version": "1", "at": AT.isoformat(), "received_at": AT.isoformat()}
        yield {**body, "audit": "augmentation", "results": results}


def make(out: Path) -> None:
    """Write the audits."""
    lines = [json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in audits()]
    (out / FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    make(HERE)
