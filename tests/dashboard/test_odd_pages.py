"""Every page runs for a model of one row, of one class, without any value or label, and of three classes served in two versions by two
replicas. One store holds all these models; their references are just as odd. Pages are found in the folder pages/, and run through the
shell. A short run opens each page for one of the four models in turn, and for one class of the last.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from observability.dashboard import load
from observability.server import process_lock
from observability.store.db.database import Database
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from tests.support.dashboard_pages import PAGES, by_name, opened, words
from tests.support.dashboard_world import END
from tests.support.length import LONG, a_third, some
from tests.support.new_store import new_store

SEVERAL, CLASSES = "several", ("a", "b", "c")
ODD = ("one row", "one class", "nothing known", SEVERAL)
DAYS, EACH_DAY = 3, 40


def lines(model: str) -> list[dict]:
    """Predictions (with their labels) of the last days before END."""
    found = []
    for i in range(1 if model == "one row" else DAYS * EACH_DAY):
        at = (END - timedelta(days=DAYS) + timedelta(hours=24 / EACH_DAY) * i).isoformat()
        features = {"size": None if model == "nothing known" else float(i % 7), "sex": None if model == "nothing known" else "FM"[i % 2]}
        record = {"kind": "prediction", "id": str(i), "model": model, "version": "1", "at": at, "received_at": at, "features": features}
        record["score"] = 0.2 if model == "one class" else (i % 10) / 10
        if model != "nothing known":
            record["label"] = 0 if model == "one class" else i % 2
        if model == SEVERAL:
            record |= {
                "version": "12"[i % 2],
                "replica": f"r{i % 3 % 2}",
                "latency_ms": 1.0 + i % 5,
                "device": f"d{i % 2}",
                "label": CLASSES[i % 3],
            }
            record["score"] = {name: 0.6 if place == i // 2 % 3 else 0.2 for place, name in enumerate(CLASSES)}
        found.append(record)
    return found


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The store with these models, filled once."""
    folder = tmp_path_factory.mktemp("odd")
    with new_store(folder / "home") as store:
        for model in ODD:
            scores = [each["score"] if isinstance(each["score"], dict) else {"score": each["score"]} for each in lines(model)]
            rows = pd.DataFrame([{**each["features"], **score, "label": each.get("label", 1)} for each, score in zip(lines(model), scores)])
            path = folder / f"{model}.parquet"
            rows.astype({"size": float, "sex": object}).to_parquet(path)
            task, score = ("multiclass", tuple(f"{each}={each}" for each in CLASSES)) if model == SEVERAL else ("binary", ("score",))
            for version in "12" if model == SEVERAL else "1":
                store.register(
                    RegistrationRequest(
                        model=model,
                        version=version,
                        task=task,
                        reference=path,
                        label="label",
                        score=score,
                        features=tuple(lines(model)[0]["features"]),
                        sensitive=("sex",),
                    ),
                )
        log = folder / "log.jsonl"
        log.write_text("\n".join(json.dumps(each) for model in ODD for each in lines(model)), encoding="utf-8")
        assert store.load_files([log], LoadDefaults()).rejected == 0
        yield store


@pytest.mark.parametrize("path", some(a_third(PAGES, 0), 10), ids=by_name)
def test_every_page_runs_for_odd_models(path: Path, odd: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_lock, "current_store", lambda: odd)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    whole = (*((each, {}) for each in ODD), (SEVERAL, {"class": "b"}))
    place = PAGES.index(path)
    for model, more in whole if LONG else (whole[place % 4], whole[4]):
        app = opened(path.stem, model=model, **more)
        said = words(app)
        assert len(app.title) == 1 and not app.error, model
        assert "nan" not in said.split(), model
