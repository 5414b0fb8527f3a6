"""A suspected input is repaired and the model runs again. Its answer to sound inputs shows whether the fault caused the error. Three
stations report a level that changes slowly; the model predicts whether a river floods. Some readings are lost or wrong; the label agrees
with the true level, or contradicts it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest

from observability.investigation.case import open_case
from observability.investigation.case_parts import CaseInProgress
from observability.store.db.database import Database
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from observability.worker.process import Worker
from tests.support.new_store import new_store

START = datetime(2026, 3, 2, tzinfo=UTC)
STEP = timedelta(minutes=20)
STATIONS = ("east", "north", "west")
LOST, LOST_AND_RIGHT, WRONG, HARMLESS = 601, 604, 607, 610
"""Rows with a fault: the level is lost and the label fits the true level; the level is lost and the label does not fit; the level is out of
range; `wind` is lost, which the model does not use.
"""


@dataclass(frozen=True)
class River:
    """The store, the fitted model and the rows' true values."""

    store: Database
    booster: lightgbm.Booster
    truth: pd.DataFrame


def rows(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """The true values, station by station in turn. The level of each station is its own slow wave."""
    place = np.arange(n)
    station = place % 3
    level = 5 + 3 * np.sin(place / 90 + 2.1 * station) + rng.normal(0, 0.05, n)
    frame = pd.DataFrame({"station": np.array(STATIONS)[station], "level": level.round(2), "wind": rng.normal(5, 2, n).round(1)})
    return frame.assign(label=(level > 6).astype(int))


def encoded(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows in the model's input format."""
    return frame.assign(station=pd.Categorical(frame["station"], categories=list(STATIONS)))[["station", "level", "wind"]]


@pytest.fixture(scope="module")
def river(tmp_path_factory: pytest.TempPathFactory) -> Iterator[River]:
    """The store with the river data."""
    folder, rng = tmp_path_factory.mktemp("river"), np.random.default_rng(5)
    reference, truth = rows(900, rng), rows(900, rng)
    given = {"objective": "binary", "verbosity": -1, "num_threads": 1, "num_leaves": 8, "seed": 1}
    booster = lightgbm.train(given, lightgbm.Dataset(encoded(reference), reference["label"]), 40)
    booster.save_model(folder / "river.txt")
    reference.assign(score=booster.predict(encoded(reference))).to_csv(folder / "reference.csv", index=False)
    sent = truth.copy()
    sent.loc[[LOST, LOST_AND_RIGHT], "level"] = np.nan
    sent.loc[WRONG, "level"] = -400.0
    sent.loc[HARMLESS, "wind"] = np.nan
    scores = booster.predict(encoded(sent))
    labels = truth["label"].copy()
    labels[[LOST_AND_RIGHT, HARMLESS]] = (scores[[LOST_AND_RIGHT, HARMLESS]] < 0.5).astype(int)  # the answer is wrong, whatever the level
    labels[[LOST, WRONG]] = (scores[[LOST, WRONG]] < 0.5).astype(int)
    store = new_store(folder / "home", threads=2)
    store.register(
        RegistrationRequest(
            model="river", version="1", task="binary", reference=folder / "reference.csv", label="label", score=("score",),
            features=("station", "level", "wind"), artifact=folder / "river.txt",
        ),
    )  # fmt: skip
    records: list[dict[str, Any]] = []
    for place, row in enumerate(sent.to_dict("records")):
        at = (START + place * STEP).isoformat()
        features = {name: None if row[name] != row[name] else row[name] for name in ("station", "level", "wind")}
        records.append(
            {"kind": "prediction", "id": f"r-{place}", "model": "river", "version": "1", "at": at, "received_at": at, "features": features,
             "score": float(scores[place]), "label": int(labels[place])}
        )  # fmt: skip
    path = folder / "records.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in records) + "\n")
    report = store.load_files([path], LoadDefaults())
    assert report.rejected == 0, report.reasons
    yield River(store, booster, truth)
    store.close()


def opened(river: River, place: int, worker: Worker | None) -> CaseInProgress:
    """The case of a row."""
    return open_case(river.store, f"r-{place}", worker=worker, now=START + timedelta(days=30))


def would_have_been(river: River, place: int) -> float:
    """The model's score for the true values."""
    return float(river.booster.predict(encoded(river.truth.iloc[[place]]))[0])


def sources(case: CaseInProgress) -> dict[str, float]:
    """Weights by source."""
    return {each.source: each.score for each in case.part("triage")}


@pytest.mark.parametrize("place", [LOST, WRONG])
def test_a_fault_whose_repair_makes_the_answer_right_is_the_first_source(river: River, place: int, model_worker: Worker) -> None:
    case = opened(river, place, model_worker)
    label = int(case.row.label.value)
    truth = would_have_been(river, place)
    found = case.part("repair")
    assert found is not None, case.why
    assert found.features == ("level",) and "good values of station" in found.source
    if (truth >= 0.5) == (label == 1):  # the true level agrees with the label
        assert found.cause == 1 and found.low <= truth + 0.1 and found.high >= truth - 0.1
        assert case.part("triage")[0].source == "input"
        assert "right in 10 of 10 repairs" in case.part("triage")[0].because
    else:
        assert found.cause == 0 and "that did not cause this error" in found.because


def test_the_cases_include_repairs_that_make_the_answer_right(river: River) -> None:
    right = [(would_have_been(river, place) >= 0.5) == (opened(river, place, None).row.label_code == 1) for place in (LOST, WRONG)]
    assert any(right)


def test_a_missing_value_whose_repair_changes_nothing_is_no_source_and_no_failed_feed(river: River, model_worker: Worker) -> None:
    case = opened(river, HARMLESS, model_worker)
    found = case.part("repair")
    assert found is not None and found.features == ("wind",), case.why
    assert found.cause == 0
    assert sources(case)["input"] == 0
    assert "The value is missing; that did not cause this error." in found.because
    assert case.part("triage")[0].source != "input"


def test_without_a_worker_an_input_is_suspected_and_not_tested(river: River) -> None:
    case = opened(river, LOST_AND_RIGHT, None)
    (found,) = (each for each in case.part("triage") if each.source == "input")
    assert 0 < found.score <= 0.85 and "No repair was tried" in found.because


def test_a_tried_repair_is_kept_for_a_page_without_a_worker(river: River, model_worker: Worker) -> None:
    tried = opened(river, LOST_AND_RIGHT, model_worker).part("repair")
    assert tried is not None and opened(river, LOST_AND_RIGHT, None).part("repair") == tried


def test_a_case_without_suspected_inputs_has_nothing_to_repair(river: River) -> None:
    case = opened(river, 500, None)
    assert case.part("repair") is None and "repair" not in case.why
