"""A small seeded store for the tests of cases. Every kind of odd input, odd label and model occurs in a row that the tests know by name.

* loan: binary, registered with a reference of 1,200 rows; 1,600 predictions over 28 days. `north` is a weak slice: half of
  its decisions are wrong.
* price: regression; the same ids `both-1`, `both-2` as loan.
* kind: multiclass; its item `k-1` was annotated by five people.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from observability.store.db.database import Database
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from tests.support.built_once import copied_once

START = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 28
END = START + timedelta(days=DAYS)
HOSTILE = "<script>alert(1)</script> *b* \u202eevil =1+1 😀"
CITIES, AREAS = ("Rome", "Oslo", "Bern"), ("north", "south", "east", "west")
SETTINGS = """[settings]
threshold = 0.5
cost_false_positive = 5
cost_false_negative = 50
cost_currency = "EUR"
projects = ["moods"]
"""


@dataclass(frozen=True)
class World:
    """The store, and the raw rows from which every expected figure is computed."""

    store: Database
    home: Path
    loan: pd.DataFrame
    loan_reference: pd.DataFrame
    price: pd.DataFrame
    price_reference: pd.DataFrame
    kind: pd.DataFrame
    kind_reference: pd.DataFrame


def people(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Features, score and label of n applicants; in the north the model is no better than chance."""
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 80, n).astype(float),
            "income": np.round(rng.normal(50, 12, n), 2),
            "debt": np.round(rng.gamma(2, 5, n), 2),
            "city": rng.choice(CITIES, n, p=[0.5, 0.3, 0.2]),
            "area": rng.choice(AREAS, n),
            "owner": rng.random(n) < 0.4,
            "sex": rng.choice(["F", "M"], n),
        }
    )
    chance = 1 / (1 + np.exp(-(frame["income"] - 50) / 6 + (frame["debt"] - 10) / 8))
    frame["score"] = np.round(np.clip(chance, 0.01, 0.99), 4)
    truth = rng.random(n) < np.where(chance > 0.5, 0.93, 0.07)
    frame["label"] = np.where(frame["area"] == "north", rng.random(n) < 0.5, truth).astype(int)
    frame.loc[rng.random(n) < 0.02, "income"] = np.nan
    return frame


def goods(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Features, score and label of n prices."""
    frame = pd.DataFrame({"size": np.round(rng.normal(100, 20, n), 1), "grade": rng.choice(["A", "B"], n)})
    frame["score"] = np.round(2 * frame["size"], 1)
    frame["label"] = np.round(frame["score"] + rng.normal(0, 5, n), 1)
    return frame


def moods(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Features, probabilities and label of n texts in three well separated classes."""
    truth = rng.integers(0, 3, n)
    frame = pd.DataFrame({"x": np.round(rng.normal(truth * 3.0, 1), 3), "y": np.round(rng.normal(truth * -2.0, 1), 3)})
    logits = -((frame["x"].to_numpy()[:, None] - np.arange(3) * 3.0) ** 2) / 2
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = np.round(odds / odds.sum(axis=1, keepdims=True), 4)
    for place, name in enumerate(("sad", "so", "glad")):
        frame[name] = shares[:, place]
    frame["label"] = np.array(["sad", "so", "glad"])[truth]
    return frame


def iso(instant: datetime) -> str:
    """An instant in the format of RFC 3339."""
    return instant.isoformat()


def moment(place: int, n: int) -> datetime:
    """The time of the prediction in row `place` of n rows, which are evenly spread over time."""
    return START + timedelta(days=DAYS) * (place / n)


def features_of(row: dict, names: tuple[str, ...]) -> dict:
    """The features as a record has them, with null instead of NaN."""
    return {name: None if row[name] != row[name] else row[name] for name in names}


def loan_records(frame: pd.DataFrame) -> list[dict]:
    """Predictions and labels of the model `loan`; odd rows have names as ids."""
    names = ("age", "income", "debt", "city", "area", "owner")
    records, n = [], len(frame)
    for place, row in enumerate(frame.to_dict("records")):
        at = moment(place, n)
        own = f"loan-{place}" if place >= 2 else f"both-{place + 1}"
        prediction = {
            "kind": "prediction", "id": own, "model": "loan", "version": "1", "at": iso(at), "received_at": iso(at),
            "features": features_of(row, names), "score": row["score"], "groups": {"sex": row["sex"]}, "replica": f"r{place % 2}",
            "subject": f"p{place % 400}", "device": f"d{place % 3}", "latency_ms": 12.5, "acted_at": iso(at + timedelta(minutes=5)),
            "feature_at": {"income": iso(at - timedelta(minutes=10 + place % 7)), "debt": iso(at - timedelta(minutes=1))},
        }  # fmt: skip
        if own == "loan-100":  # all inputs of this row are odd
            prediction["features"] |= {"city": HOSTILE, "income": None, "debt": 900.0, "age": "old"}
            del prediction["features"]["owner"]
            prediction["feature_at"] = {"debt": iso(at - timedelta(days=3))}
            prediction["status"] = "fallback"
            prediction["note"] = HOSTILE
        records.append(prediction)
        if place < n - 40 and own != "loan-200":
            later = at + timedelta(hours=2)
            records.append(
                {"kind": "label", "id": own, "model": "loan", "at": iso(later), "received_at": iso(later), "value": int(row["label"])}
            )
        if own == "loan-300":
            later = at + timedelta(days=2)
            records.append(
                {"kind": "label", "id": own, "model": "loan", "at": iso(later), "received_at": iso(later), "value": 1 - int(row["label"]),
                 "source": "correction", "annotator": "ada"}
            )  # fmt: skip
    return records


def shadow_records(frame: pd.DataFrame) -> list[dict]:
    """Version 2 of the model `loan` in shadow: the same requests 400 to 599 under different ids; for every tenth it gives the opposite
    answer.
    """
    records = []
    for place in range(400, 600):
        row = frame.iloc[place].to_dict()
        score = 1 - row["score"] if place % 10 == 0 else row["score"]
        at = moment(place, len(frame))
        records.append(
            {"kind": "prediction", "id": f"shadow-{place}", "model": "loan", "version": "2", "environment": "shadow", "at": iso(at),
             "received_at": iso(at), "features": features_of(row, ("age", "income", "debt", "city", "area", "owner")), "score": round(score, 4),
             "subject": f"p{place % 400}"}
        )  # fmt: skip
    return records


def price_records(frame: pd.DataFrame) -> list[dict]:
    """Predictions and labels of the model `price`; the label of price-50 is unlike those of all its neighbours."""
    records, n = [], len(frame)
    for place, row in enumerate(frame.to_dict("records")):
        at = moment(place, n) + timedelta(seconds=1)
        own = f"price-{place}" if place >= 2 else f"both-{place + 1}"
        records.append(
            {"kind": "prediction", "id": own, "model": "price", "version": "1", "at": iso(at), "received_at": iso(at),
             "features": features_of(row, ("size", "grade")), "score": row["score"]}
        )  # fmt: skip
        label = row["label"] + (150 if own == "price-50" else 0)
        records.append({"kind": "label", "id": own, "model": "price", "at": iso(at), "received_at": iso(at), "value": label})
    return records


def kind_records(frame: pd.DataFrame) -> list[dict]:
    """Predictions and labels of the model `kind`. The label of k-1 is the class farthest from its prediction."""
    records, n = [], len(frame)
    for place, row in enumerate(frame.to_dict("records")):
        at = moment(place, n)
        wrong = {"sad": "glad", "so": "glad", "glad": "sad"}[row["label"]] if place == 1 else row["label"]
        records.append(
            {"kind": "prediction", "id": f"k-{place}", "model": "kind", "version": "1", "at": iso(at), "received_at": iso(at),
             "features": features_of(row, ("x", "y")), "score": {name: row[name] for name in ("sad", "so", "glad")}}
        )  # fmt: skip
        records.append({"kind": "label", "id": f"k-{place}", "model": "kind", "at": iso(at), "received_at": iso(at), "value": wrong,
                        "source": "human"})  # fmt: skip
    truth = frame["label"].iloc[1]
    for place in range(5):
        records.append(
            {"kind": "annotation", "project": "moods", "item": "k-1", "annotator": f"a{place}", "at": iso(START), "received_at": iso(START),
             "label": truth if place else "sad" if truth != "sad" else "glad"}
        )  # fmt: skip
    return records


def others() -> list[dict]:
    """Events: a deploy, a complaint about one loan, and a note from last year."""
    at = moment(300, 1600)
    events = (
        (at - timedelta(days=2), "deploy", "version 1 again", {"model": "loan", "version": "1"}),
        (at + timedelta(days=3), "complaint", HOSTILE, {"model": "loan", "prediction": "loan-300", "subject": "p300"}),
        (START - timedelta(days=300), "note", "long ago", {}),
    )
    return [
        {"kind": "event", "at": iso(when), "received_at": iso(when), "what": what, "text": text, **more}
        for when, what, text, more in events
    ]


def unusual() -> list[dict]:
    """A request that failed and therefore has no score, and predictions of a model that nobody registered."""
    at = iso(START + timedelta(days=3))
    failed = {"kind": "prediction", "id": "price-failed", "model": "price", "version": "1", "at": at, "received_at": at,
              "features": {"size": 90.5, "grade": None}, "status": "timeout"}  # fmt: skip
    label = {"kind": "label", "id": "price-failed", "model": "price", "at": at, "received_at": at, "value": 180}
    stray = [
        {"kind": "prediction", "id": f"stray-{place}", "model": "stray", "version": "0", "at": at, "received_at": at, "features": {"a": place},
         "score": place / 4, "label": "yes"}
        for place in range(4)
    ]  # fmt: skip
    return [failed, label, *stray]


def build(folder: Path) -> World:
    """Build the world in a folder."""
    copied_once("case-world", fill, folder)
    loan_reference, loan, price_reference, price, kind_reference, kind = raw_rows()
    store = open_store(folder / "home", threads=2)
    return World(store, folder / "home", loan, loan_reference, price, price_reference, kind, kind_reference)


def raw_rows() -> tuple[pd.DataFrame, ...]:
    """Reference and served rows of the three models; each call gives the same rows."""
    rng = np.random.default_rng(5)
    return people(rng, 1200), people(rng, 1600), goods(rng, 400), goods(rng, 300), moods(rng, 400), moods(rng, 300)


def fill(folder: Path) -> None:
    """Fill the home of the world in a folder, and close it."""
    loan_reference, loan, price_reference, price, kind_reference, kind = raw_rows()
    store = open_store(folder / "home", threads=2)
    (folder / "loan.toml").write_text(SETTINGS)
    (folder / "kind.toml").write_text('[settings]\nprojects = ["moods"]\n')
    wanted = (
        ("loan", "binary", loan_reference, ("score",), ("sex",), "loan.toml"),
        ("price", "regression", price_reference, ("score",), (), None),
        ("kind", "multiclass", kind_reference, ("sad=sad", "so=so", "glad=glad"), (), "kind.toml"),
    )
    for name, task, frame, score, sensitive, settings in wanted:
        frame.to_csv(folder / f"{name}.csv", index=False)
        features = tuple(each for each in frame if each not in ("score", "label", "sad", "so", "glad") and each not in sensitive)
        store.register(
            RegistrationRequest(
                model=name, version="1", task=task, reference=folder / f"{name}.csv", label="label", score=score, features=features,
                sensitive=sensitive, settings=folder / settings if settings else None,
            ),
        )  # fmt: skip
    records = [*loan_records(loan), *shadow_records(loan), *price_records(price), *kind_records(kind), *others(), *unusual()]
    path = folder / "records.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in records) + "\n")
    report = store.load_files([path], LoadDefaults())
    assert report.rejected == 0, report.reasons
    store.close()
