"""Models in one block are staged and counted together; the stored rows equal those of loading each model by itself."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observability.store.db.schema import MODEL_TABLES
from observability.store.duck_store import DuckStore
from observability.store.ingest import stage
from observability.store.ingest.loader import load_landing
from observability.store.rollup import grouped_outcomes
from observability.store.types.registration import RegistrationRequest
from tests.store.conftest import query, rollups
from tests.support.landing import land
from tests.support.new_store import new_store

START = datetime(2026, 3, 2, tzinfo=UTC)
BINARY, CLASSES, NUMBERS = ("fraud", "loan", "churn"), ("moods", "topics"), ("delay", "price")
ROWS = 24


def reference(folder: Path, task: str) -> Path:
    """The file of a reference for the given task, with one plain column and two sensitive columns, one of them numeric."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"age": rng.normal(40, 9, 240), "sex": rng.choice(["f", "m"], 240), "income": rng.normal(5, 1, 240)})
    if task == "multiclass":
        scores = rng.dirichlet([1, 1, 1], 240)
        for place, name in enumerate("abc"):
            frame[f"score_{name}"] = scores[:, place]
        frame["label"] = rng.choice(list("abc"), 240)
    else:
        frame["score"] = rng.random(240) if task == "binary" else rng.normal(10, 3, 240)
        frame["label"] = rng.integers(0, 2, 240) if task == "binary" else frame["score"] + rng.normal(0, 1, 240)
    frame.to_parquet(folder / f"{task}.parquet")
    return folder / f"{task}.parquet"


def records(model: str, seed: int, task: str) -> list[dict[str, Any]]:
    """Predictions of two versions with labels (inside predictions and as separate records), revisions, repeated lines and contradictions.
    All models have the same ids.
    """
    rng, found = np.random.default_rng(seed), list[dict[str, Any]]()
    for number in range(ROWS):
        at = START + timedelta(hours=3 * number)
        score: Any = float(rng.random()) if task == "binary" else float(rng.normal(10, 3))
        label: Any = int(rng.integers(0, 2)) if task == "binary" else float(rng.normal(10, 3))
        if task == "multiclass":
            shares = rng.dirichlet([1, 1, 1]).tolist()
            score, label = dict(zip("abc", shares, strict=True)), str(rng.choice(list("abc")))
        record = {
            "kind": "prediction", "id": f"p{number}", "at": at.isoformat(), "received_at": at.isoformat(), "model": model,
            "version": "1" if number % 3 else "2", "score": score, "latency_ms": float(rng.normal(20, 3)),
            "features": {"age": float(rng.normal(40, 9)), "sex": str(rng.choice(["f", "m"])), "income": None if number % 7 == 0 else 4.0},
        }  # fmt: skip
        if number % 2 and seed % 2:
            record |= {"replica": f"r{number % 3}", "weight": 1.5}
        if number % 4 == 0:
            record["label"] = label
        found.append(record)
        if number % 4 == 1:
            late = (at + timedelta(days=2)).isoformat()
            found.append({"kind": "label", "id": f"p{number}", "at": late, "received_at": late, "model": model, "value": label})
        if number % 10 == 5:
            found.append(record)
        if number % 10 == 6:
            found.append({**record, "latency_ms": 1.0})
    return found


def revisions(model: str, task: str) -> list[dict[str, Any]]:
    """Later labels for stored predictions: some change a label, one is repeated, and one belongs to no prediction."""
    value = {"binary": 1, "multiclass": "b", "regression": 7.5}[task]
    at = (START + timedelta(days=9)).isoformat()
    return [
        {"kind": "label", "id": f"p{number}", "at": at, "received_at": at, "model": model, "value": value}
        for number in (0, 1, 2, 3, 2, 999)
    ]


@pytest.fixture(scope="module")
def tasks() -> dict[str, str]:
    """The task of each model."""
    return {name: task for names, task in ((BINARY, "binary"), (CLASSES, "multiclass"), (NUMBERS, "regression")) for name in names}


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory, tasks: dict[str, str]) -> Path:
    """A closed store with registered models but no records."""
    folder = tmp_path_factory.mktemp("grouped")
    files = {task: reference(folder, task) for task in set(tasks.values())}
    with new_store(folder / "home") as store:
        for name, task in tasks.items():
            score = tuple(f"{each}=score_{each}" for each in "abc") if task == "multiclass" else ("score",)
            store.register(RegistrationRequest(name, "1", files[task], task, label="label", score=score, sensitive=("sex", "age")))
    return folder / "home"


def contents(store: DuckStore) -> dict[str, Any]:
    """Everything stored for all models, in an order that does not depend on the loads; and the rejected lines."""
    found: dict[str, Any] = {}
    for model in store.catalog().models:
        for table in MODEL_TABLES:
            if table not in ("counts", "sums"):
                left_out = "EXCLUDE (arrived)" if table in ("predictions", "labels") else ""
                found[f"{model.name} {table}"] = sorted(map(repr, query(store, f"SELECT * {left_out} FROM {table}_{model.key}")))
        found[f"{model.name} rollups"] = rollups(store, model.key)
    found["rejected"] = sorted(map(repr, query(store, "SELECT reason, message, model, raw FROM rejected")))
    found["arrivals"] = sorted(map(repr, query(store, "SELECT model, kind, hour, stored, duplicates, rejected FROM arrivals")))
    return found


def loaded(home: Path, blocks: list[list[dict[str, Any]]]) -> tuple[dict[str, Any], list[tuple[int, ...]]]:
    """The contents of a store after it has loaded some blocks, and the line counts of each load."""
    with new_store(home) as store:
        outcomes = []
        for block in blocks:
            land(store, *block)
            report = load_landing(store)
            outcomes.append((report.lines, report.stored, report.duplicates, report.rejected))
        assert store.verify()["problems"] == []
        return contents(store), outcomes


def test_models_that_are_loaded_together_are_stored_as_if_each_came_alone(
    registered: Path, tasks: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = {name: records(name, seed, task) for seed, (name, task) in enumerate(tasks.items())}
    second = {name: revisions(name, task) for name, task in tasks.items()}
    for road in ("alone", "together"):
        shutil.copytree(registered, tmp_path / road)
    alone, outcomes = loaded(tmp_path / "alone", [*first.values(), *second.values()])
    groups = list[int]()
    count = grouped_outcomes.grouped_outcome_counts
    monkeypatch.setattr(grouped_outcomes, "MOST_STREAMS", 6)  # the number of streams of two models, so that the group of three is split
    monkeypatch.setattr("observability.store.rollup.rollup.grouped_outcome_counts", lambda *a: groups.append(len(a[1])) or count(*a))
    mixed = [list(first.values()), list(second.values())]
    blocks = [[record for places in zip(*_padded(block), strict=True) for record in places if record] for block in mixed]
    together, sums = loaded(tmp_path / "together", blocks)
    assert groups == [3, 2, 2, 3, 2, 2], "binary models, multiclass models and regressions, in each of two loads"
    assert [sum(each) for each in zip(*outcomes, strict=True)] == [sum(each) for each in zip(*sums, strict=True)]
    assert sum(outcome[3] for outcome in outcomes) == len(tasks) * 2 and sum(outcome[2] for outcome in outcomes) > 0
    for name, held in alone.items():
        assert together[name] == held, name


def _padded(lists: list[list[dict[str, Any]]]) -> list[list[dict[str, Any] | None]]:
    """The lists, padded with None to the length of the longest."""
    longest = max(map(len, lists))
    return [[*each, *[None] * (longest - len(each))] for each in lists]


def test_outcomes_of_two_models_and_of_three_are_counted_once(
    registered: Path, tasks: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(registered, tmp_path / "home")
    """Labels without a prediction give no outcome, and stop nothing."""
    asked, count = list[int](), grouped_outcomes.add_outcome_counts
    monkeypatch.setattr(grouped_outcomes, "add_outcome_counts", lambda *a: asked.append(1) or count(*a))
    with new_store(tmp_path / "home") as store:
        for names in (BINARY[:2], BINARY):
            asked.clear()
            land(store, *(each | {"id": f"{len(names)} {each['id']}"} for name in names for each in records(name, 1, "binary")))
            assert load_landing(store).stored > 0
            assert len(asked) == 1
        land(store, *({**each, "id": f"of none {place}"} for name in BINARY for place, each in enumerate(revisions(name, "binary"))))
        assert load_landing(store).stored == 6 * len(BINARY)


def test_labels_of_unregistered_names_that_come_before_any_prediction_are_stored(tmp_path: Path) -> None:
    """Names with so many labels get their own tables, but no stream, because without predictions there is nothing to count yet."""
    at, names = START.isoformat(), ("early", "earlier")
    labels = [{"kind": "label", "id": f"p{number}", "at": at, "model": name, "value": 1} for name in names for number in range(1001)]
    with new_store(tmp_path / "home") as store:
        for _ in range(2):  # the second time, the names have their own tables
            land(store, *labels)
            report = load_landing(store)
            assert (report.set_aside, report.rejected) == (0, 0)
            labels = [{**each, "id": f"{each['id']}-later"} for each in labels]
        predictions = [
            {"kind": "prediction", "id": "p1", "at": at, "model": name, "version": "1", "features": {}, "score": 0.5} for name in names
        ]
        land(store, *predictions)
        assert load_landing(store).stored == 2
        for model in store.catalog().models:
            assert query(store, f"SELECT count(*) FROM labels_{model.key}") == [(2002,)]
            assert query(store, f"SELECT count(*) FROM predictions_{model.key}") == [(1,)]


def test_only_streams_of_the_block_are_given_to_the_statement_and_parts_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are three names with a hundred versions each. A part contains a limited number of streams, and none from earlier blocks."""
    monkeypatch.setattr(stage, "MOST_STREAMS", 3)
    seen: list[int] = []
    staged = stage.staged_predictions

    def noted(writer: Any, model: Any, table: Any, streams: Any, now: Any, own_id: str = "id") -> Any:
        streams = list(streams)
        seen.append(len(streams))
        return staged(writer, model, table, streams, now, own_id)

    monkeypatch.setattr(stage, "staged_predictions", noted)
    at = START.isoformat()
    with new_store(tmp_path / "home") as store:
        for versions in (range(100), (5,)):
            seen.clear()
            land(
                store,
                *(
                    {
                        "kind": "prediction",
                        "id": f"p{version}-{turn}",
                        "at": at,
                        "model": name,
                        "version": str(version),
                        "features": {},
                        "score": 0.5,
                    }
                    for name in ("one", "two", "three")
                    for version in versions
                    for turn in range(1001 if len(versions) == 1 else 11)
                ),
            )
            report = load_landing(store)
            assert report.set_aside == 0 and report.rejected == 0
        assert seen and max(seen) <= 3
