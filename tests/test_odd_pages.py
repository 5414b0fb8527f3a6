"""Does every page run for a model of one row, of one class, and without any value or label?

One store holds all three, registered on a reference that is as odd. Pages are found by walking pages/, and run through the shell.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from observability import owner
from observability.store.database import Store
from observability.store.loader import load_files
from observability.store.parse_types import Defaults
from observability.store.register import Request, register
from observability.views import load
from tests.test_pages import PAGES, by_name, opened, words
from tests.views.world import END

ODD = ("one row", "one class", "nothing known")
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
        found.append(record)
    return found


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The store, filled once."""
    folder = tmp_path_factory.mktemp("odd")
    with Store.open(folder / "home") as store:
        for model in ODD:
            rows = pd.DataFrame([{**each["features"], "score": each["score"], "label": each.get("label", 1)} for each in lines(model)])
            path = folder / f"{model}.parquet"
            rows.astype({"size": float, "sex": object}).to_parquet(path)
            request = Request(model=model, version="1", task="binary", reference=path, label="label", score=("score",), sensitive=("sex",))
            register(store, request)
        log = folder / "log.jsonl"
        log.write_text("\n".join(json.dumps(each) for model in ODD for each in lines(model)), encoding="utf-8")
        assert load_files(store, [log], Defaults()).rejected == 0
        yield store


@pytest.mark.parametrize("path", PAGES, ids=by_name)
def test_every_page_runs_for_odd_models(path: Path, odd: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "current_store", lambda: odd)
    monkeypatch.setattr(load, "now", lambda: END)
    for model in ODD:
        app = opened(path.stem, model=model)
        said = words(app)
        assert len(app.title) == 1 and not app.error, model
        assert "nan" not in said.split(), model
