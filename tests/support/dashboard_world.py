"""A small real store for page tests: two models with references, two weeks of logs, a planted drift, hostile names."""

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
DAYS = 14
END = START + timedelta(days=DAYS)
HOSTILE = "<b>x</b> *y* https://evil.example :red[z]"
FEATURES = ("size", "age", "carrier", "sex")
CARRIERS = ["AA", "BB", "CC"]


@dataclass(frozen=True)
class World:
    """The store, and the raw rows from which every expected figure is computed."""

    store: Database
    price: pd.DataFrame
    loan: pd.DataFrame
    price_reference: pd.DataFrame
    loan_reference: pd.DataFrame


def rows(rng: np.random.Generator, n: int, shift: float = 0.0) -> pd.DataFrame:
    """Features, score and label of n rows. In the second half, values are shifted and some are missing."""
    late = np.arange(n) >= n / 2
    frame = pd.DataFrame(
        {
            "size": rng.normal(50, 10, n) + np.where(late, shift, 0.0),
            "age": rng.integers(0, 12, n).astype(float),
            "carrier": rng.choice(CARRIERS, n, p=[0.5, 0.3, 0.2]),
            "sex": rng.choice(["F", "M"], n),
        }
    )
    chance = 1 / (1 + np.exp(-(frame["size"] - 50) / 10))
    frame["score"] = np.round(np.clip(chance, 0.01, 0.99), 3)
    frame["label"] = (rng.random(n) < chance).astype(int)
    if shift:
        frame.loc[late & (rng.random(n) < 0.3), "age"] = np.nan
    return frame


def served(frame: pd.DataFrame, model: str, prefix: str) -> list[dict]:
    """Prediction and label records of a frame, spread evenly over the window. Only a tenth of the labels of the last two days have arrived."""
    records = []
    step = timedelta(days=DAYS) / len(frame)
    for i, row in enumerate(frame.to_dict("records")):
        at = START + i * step
        features = {name: (None if value != value else value) for name, value in row.items() if name in ("size", "age", "carrier", "sex")}
        common = {"id": f"{prefix}{i}", "model": model, "at": at.isoformat()}
        records.append(
            {"kind": "prediction", **common, "version": "1", "features": features, "score": row["score"], "received_at": at.isoformat()}
        )
        if row["labelled"]:
            later = (at + timedelta(hours=2)).isoformat()
            records.append({"kind": "label", "id": common["id"], "model": model, "at": later, "value": row["label"], "received_at": later})
    return records


def build(folder: Path) -> World:
    """Build the world in a folder."""
    loan_reference, loan, price_reference, price = raw_rows()
    copied_once("dashboard-world", fill, folder / "home")
    return World(open_store(folder / "home"), price, loan, price_reference, loan_reference)


def raw_rows() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """References and served rows of the two models; each call gives the same rows."""
    rng = np.random.default_rng(11)
    loan_reference, loan = rows(rng, 2000), rows(rng, 2800)
    price_reference, price = rows(rng, 2000), rows(rng, 2800, shift=12.0)
    for frame in (price_reference, price):
        frame["score"] = np.round(100 + 2 * frame["size"], 2)
        frame["label"] = np.round(frame["score"] + rng.normal(3, 8, len(frame)), 2)
    for frame in (loan, price):
        last = np.arange(len(frame)) >= len(frame) * (DAYS - 2) / DAYS
        frame["labelled"] = ~last | (rng.random(len(frame)) < 0.1)
        frame["at"] = [START + i * timedelta(days=DAYS) / len(frame) for i in range(len(frame))]
    return loan_reference, loan, price_reference, price


def fill(home: Path) -> None:
    """Fills an empty folder with the world's store."""
    loan_reference, loan, price_reference, price = raw_rows()
    store = open_store(home)
    for name, frame, task in (("loan", loan_reference, "binary"), ("price", price_reference, "regression")):
        path = home / f"{name}.parquet"
        frame.to_parquet(path)
        store.register(
            RegistrationRequest(
                model=name, version="1", task=task, reference=path, label="label", score=("score",), features=FEATURES, sensitive=("sex",)
            ),
        )
        path.unlink()
    records = served(loan, "loan", "l") + served(price, "price", "p")
    for i in range(50):
        at = (END - timedelta(hours=i)).isoformat()
        features = {HOSTILE: 1.0, "plain": "v"}
        records.append(
            {
                "kind": "prediction",
                "id": f"h{i}",
                "model": HOSTILE,
                "version": "1",
                "at": at,
                "features": features,
                "score": 1.0,
                "received_at": at,
            }
        )
    for i in range(8):
        at = (END - timedelta(days=3, hours=i)).isoformat()
        records.append(
            {
                "kind": "event",
                "at": at,
                "what": "deploy" if i == 7 else "note",
                "text": f"<i>event {i}</i>",
                "model": "price",
                "received_at": at,
            }
        )
    log = home / "log.jsonl"
    log.write_text(
        "\n".join(json.dumps(each) for each in records) + '\n{"kind": "prediction", "id": "<script>alert(1)</script>"}\n', encoding="utf-8"
    )
    report = store.load_files([log], LoadDefaults())
    assert report.rejected == 1, report.reasons
    log.unlink()
    store.close()
