"""If a sensitive column of a flat reference is also a feature of predictions, it counts both as a feature and as a group, and fairness is
judged on it.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observability.core.questions import Aggregate, By
from observability.core.window import Window
from observability.monitoring.check import check
from observability.store.db.database import Database
from observability.store.ingest.loader import load_files
from observability.store.registry.register import register_version
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from tests.support.new_store import new_store

START = datetime(2026, 3, 2, tzinfo=UTC)
END = START + timedelta(days=7)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    with new_store(tmp_path / "home", threads=1) as opened:
        yield opened


def rows(n: int, seed: int) -> pd.DataFrame:
    """Rows of a model whose positive decisions depend on a sensitive column with codes."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"income": rng.normal(30, 8, n).round(2), "sex": rng.integers(1, 3, n)})
    frame["score"] = np.clip(rng.normal(0.5, 0.2, n) + 0.15 * (frame["sex"] == 1), 0.01, 0.99).round(3)
    frame["label"] = (rng.random(n) < frame["score"]).astype(int)
    return frame


def register(store: Database, **more: Any) -> tuple[str, ...]:
    """Register the model with `sex` as a sensitive column. Returns the printed messages."""
    path = store.home / "reference.csv"
    rows(2000, 1).to_csv(path, index=False)
    request = RegistrationRequest("loan", "1", path, "binary", "label", ("score",), sensitive=("sex",), **more)
    return register_version(store, request, now=START - timedelta(days=1)).sentences


def serve(store: Database, part: str, n: int = 700, seed: int = 2, name: str = "p", version: str = "1") -> None:
    """Load a week of predictions, with `sex` in the given part of the record."""
    path, lines = store.home / f"{name}.jsonl", []
    for place, row in enumerate(rows(n, seed).to_dict("records")):
        body: dict[str, Any] = {"features": {"income": row["income"]}, "score": row["score"], "label": row["label"]}
        body.setdefault(part, {})["sex"] = row["sex"]
        at = START + place * timedelta(days=7) / n
        lines.append(
            json.dumps({"kind": "prediction", "id": f"{name}{place}", "at": at.isoformat(), "model": "loan", "version": version} | body)
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert load_files(store, [path], LoadDefaults()).stored == n


def findings(store: Database) -> list[Any]:
    """The findings of a check of that week."""
    return list(check(store, model="loan", start=START, end=END, now=END).findings)


def test_registration_asks_once_whether_a_sensitive_column_is_a_feature(store: Database) -> None:
    said = [each for each in register(store) if "Does the model take sex?" in each]
    assert len(said) == 1 and "--features income,sex" in said[0] and "under `groups`" in said[0]


def test_fairness_and_drift_are_judged_where_the_column_arrives_as_a_feature(store: Database) -> None:
    register(store)
    serve(store, "features")
    model = store.catalog().model("loan")
    column = model.column("feature.sex")
    assert column is not None and column.sensitive and column.kind == "category" and model.column("group.sex") is None
    assert model.versions[0].features == ("income", "sex") and "feature.sex" in model.versions[0].edges
    found = findings(store)
    fairness = [each for each in found if each.analyzer == "trust/fairness" and each.subject == "sex"]
    assert fairness and fairness[0].value is not None and fairness[0].severity != "unknown"
    assert any(each.analyzer == "serving/drift" and each.subject == "sex" and each.value is not None for each in found)
    assert not [each for each in found if each.metric == "unknown_columns"]
    assert not [each for each in found if each.subject == "sex" and each.metric in ("null_rate", "absent_rate") and each.needs_action]


def test_counts_of_a_sensitive_column_equal_those_of_the_records(store: Database) -> None:
    register(store)
    serve(store, "features")
    serve(store, "features", seed=3, name="q")
    for window in (Window("loan", START, END, "1"), Window("loan", START, START + timedelta(hours=30), "1")):
        counted = store.ask(Aggregate("predictions", keys=(By("feature.sex"),)), window).set_index("feature.sex")["n"]
        raw = store.cursor().execute(
            f"""SELECT {store.catalog().model("loan").column("feature.sex").column} AS level, count(*) FROM predictions_1
            WHERE stream <> 0 AND "at" < ? GROUP BY 1""",
            [window.end.replace(tzinfo=None)],
        )
        assert {str(level): int(n) for level, n in counted.items()} == dict(raw.fetchall())


def test_a_column_that_arrives_under_groups_stays_a_group(store: Database) -> None:
    register(store)
    serve(store, "groups")
    serve(store, "features", seed=4, name="q", version="2")
    model = store.catalog().model("loan")
    assert model.column("group.sex") is not None and model.versions[0].features == ("income",)
    assert not [each for each in findings(store) if each.metric == "unknown_columns"]


def test_predictions_from_before_the_registration_decide(store: Database) -> None:
    serve(store, "features")
    said = register(store)
    column = store.catalog().model("loan").column("feature.sex")
    assert column is not None and column.sensitive
    assert any("Features as well as groups: sex (predictions carry it among their features)." in each for each in said)


def test_declared_fairness_without_groups_is_unknown_and_says_why(store: Database) -> None:
    register(store)
    path = store.home / "bare.jsonl"
    lines = [
        json.dumps(
            {"kind": "prediction", "id": f"b{k}", "at": (START + timedelta(minutes=10 * k)).isoformat(), "model": "loan", "version": "1"}
            | {"features": {"income": 30.0 + k % 7}, "score": 0.4, "label": k % 2}
        )
        for k in range(600)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    load_files(store, [path], LoadDefaults())
    fairness = [each for each in findings(store) if each.analyzer == "trust/fairness" and each.subject == "sex"]
    assert [each.severity for each in fairness] == ["unknown"] and "No prediction of this window carries `sex`" in fairness[0].because
