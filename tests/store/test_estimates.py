"""Stored error estimates are compared with a plain loop over the rows; also tests of days that get more rows."""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observability.core.catalog import Model, Version
from observability.core.questions import EstimatedErrors
from observability.core.window import Slice, Window
from observability.enrichment import expected_errors
from observability.store import removal
from observability.store.db.database import Database
from observability.store.ingest.loader import load_files
from observability.store.query import estimates
from observability.store.registry.register import register_version
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from observability.worker.requests import ErrorEstimate
from tests.support import reference_engine
from tests.support.new_store import new_store

START = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 3
WINDOW = Window("house", START, START + timedelta(days=DAYS), version="1")


def rows(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Features (one is called score), a prediction, and a label whose error grows with size."""
    frame = pd.DataFrame({"size": rng.uniform(1, 9, n).round(2), "score_": rng.normal(0, 1, n).round(3), "town": rng.choice(["a", "b"], n)})
    return frame.assign(guess=(10 * frame["size"]).round(2), label=(10 * frame["size"] + rng.normal(0, frame["size"])).round(2))


def records(frame: pd.DataFrame, prefix: str, *, late: timedelta = timedelta(0), start: datetime = START, days: int = DAYS) -> list[dict]:
    """Predictions spread over the days; two thirds of them get a label an hour later."""
    found = []
    for i, row in enumerate(frame.to_dict("records")):
        at = start + timedelta(days=days) * i / len(frame)
        common = {"id": f"{prefix}{i}", "model": "house", "received_at": (at + late).isoformat()}
        features = {"size": row["size"], "score": row["score_"], "town": row["town"]}
        one = {"kind": "prediction", **common, "at": at.isoformat(), "version": "1", "features": features, "score": row["guess"]}
        found.append(one | ({"weight": 3.0} if i % 5 == 0 else {}) | ({"status": "error", "score": None} if i % 50 == 49 else {}))
        if i % 3:
            found.append({"kind": "label", **common, "at": (at + timedelta(hours=1)).isoformat(), "value": row["label"]})
    return found


def load(store: Database, lines: list[dict]) -> None:
    path = store.home / "lines.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in lines) + "\n", encoding="utf-8")
    report = load_files(store, [path], LoadDefaults())
    assert report.rejected == 0, report.reasons
    path.unlink()


@pytest.fixture
def store(tmp_path: Path):
    opened = new_store(tmp_path / "home", threads=2)
    rng = np.random.default_rng(1)
    path = tmp_path / "reference.parquet"
    rows(rng, 400).rename(columns={"score_": "score", "guess": "prediction"}).to_parquet(path)
    register_version(
        opened,
        RegistrationRequest(
            model="house",
            version="1",
            task="regression",
            reference=path,
            label="label",
            score=("prediction",),
            features=("size", "score", "town"),
        ),
    )
    load(opened, records(rows(rng, 120), "p"))
    yield opened
    opened.close()


def known(store: Database) -> tuple[Model, Version]:
    model = store.catalog().model("house")
    return model, model.versions[0]


@pytest.fixture
def teacher(monkeypatch: pytest.MonkeyPatch) -> list[pd.DataFrame]:
    """A stand-in for the worker, which estimates an error of 0.8 × size. Returns the list of the rows that it is asked about."""
    asked: list[pd.DataFrame] = []

    def estimate(worker, reference, rows, *, features, label, at, squared, progress):
        asked.append(rows)
        assert features == ("feature.size", "feature.score", "feature.town") and label == "label_value" and squared
        expected = [0.8 * frame["feature.size"].to_numpy(float) for frame in (reference, rows)]
        table = pd.DataFrame({"absolute_error_estimated": expected[0], "squared_error_estimated": expected[0] ** 2})
        return ErrorEstimate(expected[1], expected[1] ** 2, table, table, 0.01, 0.3, 0.1, "A note.")

    monkeypatch.setattr("observability.worker.requests.estimate_unlabelled_errors", estimate)
    return asked


def step(store: Database) -> int:
    return expected_errors.estimate_expected_errors(store, None, known(store)[0], lambda share, said: None, threading.Event())


def stored(store: Database) -> set[str]:
    """The ids of the served predictions that have an estimate."""
    held = store.cursor().execute(f"SELECT id FROM estimates_{known(store)[0].key} WHERE NOT starts_with(id, 'reference/')").fetchall()
    return {each for (each,) in held}


def same(store: Database, window: Window) -> pd.DataFrame:
    """The store's answer, after a check that it equals that of the plain loop."""
    got, wanted = store.ask(EstimatedErrors(), window), reference_engine.answer(store, EstimatedErrors(), window)
    pd.testing.assert_frame_equal(got, wanted, rtol=1e-12)
    return got


def test_error_estimates_equal_those_of_a_plain_loop(store: Database, teacher: list) -> None:
    assert len(same(store, WINDOW)) == 0
    assert step(store) > 0 and step(store) == 0
    whole = same(store, WINDOW)
    assert set(whole["measure"]) == {"absolute_error", "squared_error"} and whole["period"].nunique() == DAYS
    assert whole.loc[whole["measure"] == "absolute_error", "n"].sum() == 118
    one = whole[(whole["measure"] == "absolute_error") & (whole["labelled"] == 1)]
    assert 0.7 < one["estimated"].sum() / one["measured"].sum() < 1.4 and (one["w"] > one["n"]).all()
    reference = same(store, WINDOW.reference())
    assert list(reference["n"]) == [400, 400] and reference["period"].iloc[0] == pd.Timestamp(0)
    hour = timedelta(hours=1)
    same(store, Window("house", START + 5 * hour, START + 31 * hour, version="1", slice=Slice((("town", "a"),))))
    early = same(store, Window("house", START, WINDOW.end, version="1", as_of=START + 26 * hour))
    assert early["n"].sum() < whole["n"].sum() and early["period"].max() == pd.Timestamp("2026-03-03")


def test_a_sample_of_each_day_is_estimated_and_late_rows_join_it(store: Database, teacher: list, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "ESTIMATES_A_DAY", 20)
    model, version = known(store)
    assert len(estimates.days_to_estimate(store, model, version)) == DAYS
    step(store)
    first = stored(store)
    assert len(first) == len(teacher[0]) == 60 and estimates.days_to_estimate(store, model, version) == []
    before = store.ask(EstimatedErrors(), WINDOW)
    assert before.loc[before["measure"] == "absolute_error"].groupby("period")["n"].sum().eq(20).all()
    load(store, records(rows(np.random.default_rng(2), 60), "q", late=timedelta(days=9)))
    assert len(estimates.days_to_estimate(store, model, version)) == DAYS
    assert 0 < step(store) <= 60 and step(store) == 0
    joined = stored(store) - first
    assert joined and all(each.startswith("q") for each in joined)
    cursor = store.cursor()
    chosen = cursor.execute(
        f"""SELECT id FROM predictions_{model.key} WHERE id[1] IN ('p', 'q') AND score IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY CAST("at" AS DATE) ORDER BY sample_hash, id) <= 20"""
    ).fetchall()
    assert {each for (each,) in chosen} <= first | joined and len(chosen) == 60
    after = store.ask(EstimatedErrors(), WINDOW)
    assert after.loc[after["measure"] == "absolute_error"].groupby("period")["n"].sum().eq(20).all()
    then = Window("house", WINDOW.start, WINDOW.end, version="1", as_of=WINDOW.end + timedelta(days=1))
    pd.testing.assert_frame_equal(store.ask(EstimatedErrors(), then), before)


def test_the_newest_day_waits_until_it_has_grown_by_a_tenth(store: Database, teacher: list) -> None:
    step(store)
    model, version = known(store)
    assert estimates.days_to_estimate(store, model, version) == []
    last = START + timedelta(days=DAYS - 1)
    load(store, records(rows(np.random.default_rng(3), 3), "r", start=last, days=1))
    assert estimates.days_to_estimate(store, model, version) == []
    load(store, records(rows(np.random.default_rng(4), 15), "s", start=last, days=1))
    assert [each.day for each in estimates.days_to_estimate(store, model, version)] == [last.date()]


def test_another_registration_discards_the_estimates(store: Database, teacher: list, tmp_path: Path) -> None:
    step(store)
    path = tmp_path / "again.parquet"
    rows(np.random.default_rng(5), 300).rename(columns={"score_": "score", "guess": "prediction"}).to_parquet(path)
    register_version(
        store,
        RegistrationRequest(
            model="house",
            version="1",
            task="regression",
            reference=path,
            label="label",
            score=("prediction",),
            features=("size", "score", "town"),
        ),
    )
    assert len(same(store, WINDOW)) == 0 and estimates.stored_estimation_state(store, *known(store)) is None
    assert step(store) > 0
    assert list(same(store, WINDOW.reference())["n"]) == [300, 300]
    state = estimates.stored_estimation_state(store, *known(store))
    assert state is not None and (state.rows, state.bias, state.note) == (300, 0.01, "A note.")


def test_removing_a_model_drops_its_estimates(store: Database, teacher: list) -> None:
    step(store)
    model, _ = known(store)
    removal.remove_model(store, "house")
    tables = {name for (name,) in store.cursor().execute("SELECT table_name FROM information_schema.tables").fetchall()}
    assert not {each for each in tables if each.endswith(f"_{model.key}")}


def test_a_reference_that_cannot_be_learned_from_is_not_tried_again(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    from observability.core.errors import UsageError

    calls = []

    def refuse(*_, **__):
        calls.append(1)
        raise UsageError("too few rows of the reference have a label and a score")

    monkeypatch.setattr("observability.worker.requests.estimate_unlabelled_errors", refuse)
    assert step(store) == 0 and step(store) == 0 and len(calls) == 1
    assert len(same(store, WINDOW)) == 0


def test_the_worker_learns_that_errors_grow_with_an_input(store: Database) -> None:
    """With the real worker, the estimate depends on `size`, as the errors do, even for left-out rows of the reference."""
    from observability.worker.process import Worker

    worker = Worker()
    try:
        assert expected_errors.estimate_expected_errors(store, worker, known(store)[0], lambda share, said: None, threading.Event()) > 0
    finally:
        worker.close()
    found = (
        store.cursor()
        .execute(f"SELECT p.f1, e.absolute FROM estimates_{known(store)[0].key} e JOIN predictions_{known(store)[0].key} p USING (id)")
        .fetchall()
    )
    size, guess = np.array(found).T
    assert np.corrcoef(size, guess)[0, 1] > 0.6
    reference = store.ask(EstimatedErrors(), WINDOW.reference())
    row = reference[reference["measure"] == "absolute_error"].iloc[0]
    assert row["estimated"] == pytest.approx(row["measured"], rel=0.1)
