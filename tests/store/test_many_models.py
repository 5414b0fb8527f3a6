"""Work does not take more statements with more models: for fifty models as many as for five, and none for unchanged models."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pytest

from observability.core.settings import ModelSettings
from observability.store.db.catalog_store import add_model, read_catalog
from observability.store.db.database import Database
from observability.store.duck_store import DuckStore
from observability.store.ingest.loader import compact_large_rollups, load_landing
from tests.support.landing import land
from tests.support.new_store import new_store
from tests.support.record_lines import prediction

FEW, MANY = 5, 50


class CountedCursor:
    """A cursor that records its statements."""

    def __init__(self, cursor: Any, said: list[str]) -> None:
        self._cursor, self._said = cursor, said

    def execute(self, statement: str, *values: Any) -> Any:
        self._said.append(statement)
        return self._cursor.execute(statement, *values)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._cursor.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


@contextmanager
def statements(store: DuckStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements that a store executes within the context."""
    said: list[str] = []
    plain = Database.cursor
    with monkeypatch.context() as patch:
        patch.setattr(Database, "cursor", lambda self: CountedCursor(plain(self), said))
        yield said


def log_names(store: DuckStore, names: int) -> None:
    """Log one prediction for each of these unregistered names."""
    land(store, *(prediction(place, model=f"name {place:02d}") for place in range(names)))
    load_landing(store)


@pytest.fixture(scope="module", params=["tables of their own", "shared tables"])
def stores(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[DuckStore]:
    """One store with few models and one with many."""
    found, folder = [], tmp_path_factory.mktemp("many-models")
    for models in (FEW, MANY):
        store = new_store(folder / f"home-{models}")
        if request.param == "shared tables":
            log_names(store, models)
        else:
            with store.write() as writer:
                for place in range(models):
                    add_model(writer, f"name {place:02d}")
        found.append(store)
    return found


@pytest.mark.parametrize("ask", ["status", "activity", "catalog", "sizes of rollups"])
def test_a_question_about_all_models_needs_as_many_statements_for_fifty_models_as_for_five(
    stores: list[DuckStore], ask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, sources = [], []
    for store in stores:
        shared = all(model.shared for model in store.catalog().models)
        store._catalog, store.compacted = None if ask == "catalog" else store._catalog, (None, -1)
        work = (lambda: compact_large_rollups(store)) if ask == "sizes of rollups" else getattr(store, ask)
        with statements(store, monkeypatch) as said:
            work()
        counted.append(len(said))
        sources.append(sum(text.count("FROM") for text in said))
    assert counted[0] == counted[1] > 0
    assert not shared or sources[0] == sources[1], "one query to the tables shared by all models"


def test_after_a_load_only_its_models_are_counted_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = new_store(tmp_path / "home")
    log_names(store, FEW)
    before, status = store.catalog(), store.status()
    land(store, prediction(99, model="name 01", version="2"))
    load_landing(store)
    after = store.catalog()
    assert [model.name for model in after.models if model is not before.model(model.name)] == ["name 01"]
    with store.cursor() as cursor:
        assert after == read_catalog(cursor)
    assert [version.name for version in after.model("name 01").versions] == ["1", "2"]
    told = {model["model"]: model["predictions"] for model in store.status(most_age=600.0)["models"]}
    assert told == {model["model"]: model["predictions"] + (model["model"] == "name 01") for model in status["models"]}


def test_a_new_model_name_does_not_change_the_commit_number_of_other_models(tmp_path: Path) -> None:
    store = new_store(tmp_path / "home")
    log_names(store, FEW)
    known = store.model_commit("name 01")
    land(store, prediction(0, model="another"))
    load_landing(store)
    assert store.model_commit("name 01") == known < store.model_commit("another")
    assert [model.name for model in store.catalog().models] == ["another", *(f"name {place:02d}" for place in range(FEW))]


def test_names_that_differ_in_case_keep_their_names_in_sql(tmp_path: Path) -> None:
    store = new_store(tmp_path / "home")
    for place, name in enumerate(("loan", "LOAN", "Loan")):
        land(store, prediction(place, model=name))
        load_landing(store)
    land(store, prediction(9, model="LOAN", version="2"))
    load_landing(store)
    with store.cursor() as cursor:
        assert store.catalog() == read_catalog(cursor)
    assert sorted(model.name_in_sql for model in store.catalog().models) == ["", "LOAN (2)", "Loan (3)"]


@pytest.mark.parametrize(
    ("changed", "stale"),
    [
        ({}, False),
        ({"threshold": 0.3}, False),
        ({"projects": ("moods",)}, True),
        ({"limits": {"data/batches/batch_rejected_rate": 0.1}}, True),
        ({"budget_per_month": 10.0}, True),
    ],
)
def test_settings_of_a_model_concern_others_where_records_are_judged_by_them(tmp_path: Path, changed: dict[str, Any], stale: bool) -> None:
    store = new_store(tmp_path / "home")
    log_names(store, FEW)
    known = store.model_commit("name 01")
    store.update_settings("name 02", ModelSettings(owner="Ann", **changed))
    assert (store.model_commit("name 01") > known) == stale
    assert store.catalog().model("name 02").settings.owner == "Ann"


def test_only_models_that_changed_are_looked_at_for_compaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from observability.store.ingest import loader

    store, asked = new_store(tmp_path / "home"), list[str]()
    log_names(store, FEW)
    monkeypatch.setattr(loader, "wants_compaction", lambda cursor, models, now: asked.extend(model.name for model in models) or [])
    land(store, prediction(99, model="name 03", at=datetime.now(UTC).isoformat()))
    load_landing(store)
    assert asked == ["name 03"]
    asked.clear()
    store.compacted = datetime.now(UTC).date() - timedelta(days=1), store.generation
    compact_large_rollups(store)
    assert len(asked) == FEW, "the first look of a day covers all models, so that models that stopped are compacted too"
