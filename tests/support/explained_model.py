"""A small registered model with predictions and explanations."""

import json
from datetime import UTC, datetime
from pathlib import Path

from observability.store.db.database import Database
from observability.store.ingest.loader import load_files
from observability.store.opener import open_store
from observability.store.registry.register import register_version
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from observability.worker.explanation import Explanation

START = datetime(2026, 5, 4, tzinfo=UTC)
DAYS = 4


def explain(_worker, _artifact, rows, **_options) -> Explanation:
    """A stand-in for the explaining worker: a model whose output is the sum of its two numbers plus 5."""
    values = rows[["age", "income"]].fillna(0).to_numpy(float)
    output = values.sum(axis=1) + 5
    return Explanation(
        values=values, base_value=5.0, output=output, link="identity", predictions=output, residual=output * 0, features=("age", "income"),
        method="shap linear", background="the rows given", background_rows=100, standard_error=None, seconds=0.01, note="", network_blocked=True,
    )  # fmt: skip


def prediction(name: str, at: datetime, **fields: object) -> dict:
    k = int(name[1:])
    features = {"age": k % 50, "income": (k * 7) % 100, "region": ("north", "south", None)[k % 3]}
    body = {
        "kind": "prediction",
        "id": name,
        "at": at.isoformat(),
        "model": "loan",
        "version": "1",
        "features": features,
        "received_at": at.isoformat(),
    }
    return body | {"score": float(features["age"] + features["income"] + 5)} | fields


def load(store: Database, records: list[dict]) -> None:
    path = store.home / "records.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in records), encoding="utf-8")
    assert load_files(store, [path], LoadDefaults()).rejected == 0
    path.unlink()


def registered(home: Path, artifact: str | None = "tree\nversion=v4\n", rows: int = 60) -> Database:
    store = open_store(home, threads=2)
    again(store, artifact, rows)
    return store


def again(store: Database, artifact: str | None, rows: int = 60) -> None:
    reference, model = store.home / "reference.csv", store.home / "model.txt"
    lines = [f"{k % 50},{k},{('north', 'south')[k % 2]},{k % 50 + k + 5},{k}" for k in range(rows)]
    reference.write_text("age,income,region,score,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    if artifact:
        model.write_text(artifact, encoding="utf-8")
    request = RegistrationRequest(
        model="loan", version="1", reference=reference, task="regression", label="label", score=("score",), features=("age", "income", "region"),
        artifact=model if artifact else None,
    )  # fmt: skip
    register_version(store, request)
    reference.unlink()
    model.unlink(missing_ok=True)
