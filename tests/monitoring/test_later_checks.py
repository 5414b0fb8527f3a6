"""A check in a later process computes only changed parts, and gives the same findings."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from observability.cli.execute import execute
from observability.core.finding import KEPT_FILE
from observability.monitoring import check, kept_findings
from observability.store.duck_store import DuckStore
from observability.store.types.loading import LoadDefaults
from tests.support.new_store import new_store
from tests.support.record_lines import prediction
from tests.support.sample_home import copied

END = datetime(2026, 3, 9, tzinfo=UTC)
BOTH = ["loan", "price"]


def of(model: str, number: int) -> dict[str, Any]:
    return {**prediction(number), "model": model, "id": f"{model} {number}", "at": (END - timedelta(hours=5 * number + 1)).isoformat()}


def load(store: DuckStore, *records: dict[str, Any]) -> None:
    path = store.home / "records.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in records))
    assert store.load_files([path], LoadDefaults()).rejected == 0


def label(store: DuckStore) -> None:
    load(store, {"kind": "label", "model": "loan", "id": "loan 3", "at": END.isoformat(), "value": 1})


def row(store: DuckStore) -> None:
    load(store, of("loan", 77))


def event(store: DuckStore) -> None:
    load(store, {"kind": "event", "at": (END - timedelta(days=2)).isoformat(), "what": "deploy", "text": "new weights", "model": "loan"})


def event_of_all(store: DuckStore) -> None:
    load(store, {"kind": "event", "at": (END - timedelta(days=2)).isoformat(), "what": "incident", "text": "a feed failed"})


def limit(store: DuckStore) -> None:
    settings = store.catalog().model("loan").settings
    store.update_settings("loan", replace(settings, service_level_availability=0.999))


def limit_of_batches(store: DuckStore) -> None:
    settings = store.catalog().model("loan").settings
    store.update_settings("loan", replace(settings, limits={"data/batches/batch_rejected_rate": 0.1}))


def price(store: DuckStore) -> None:
    load(store, {"kind": "price", "from": "2026-01-01T00:00:00Z", "resource": "request", "amount": 1, "currency": "EUR", "model": "loan"})


def of_no_model(store: DuckStore) -> None:
    records = [
        {"kind": "batch", "batch": "b1", "source": "clinic", "rows": 10, "rejected_rows": 9},
        {"kind": "cleaning", "rule": "r1", "rows_in": 100, "rows_changed": 90, "rows_dropped": 2},
        {"kind": "storage_report", "place": "disk", "used_bytes": 95, "total_bytes": 100},
        {"kind": "run", "run": "r-none", "event": "end", "status": "failed"},
        {"kind": "step", "run": "r-none", "step": 1, "metrics": {"loss": 1.0}},
        {"kind": "resource", "run": "r-none", "device": "gpu0", "watts": 777, "seconds": 3600},
        {"kind": "decision", "decision": "d1", "author": "ann", "statement": "keep it"},
    ]
    load(store, *({"at": (END - timedelta(days=2)).isoformat(), **each} for each in records))


def of_runs(store: DuckStore) -> None:
    records = [
        {"kind": "run", "run": "r-loan", "event": "end", "status": "failed"},
        {"kind": "step", "run": "r-loan", "step": 1, "metrics": {"loss": 1.0}},
        {"kind": "resource", "run": "r-loan", "device": "gpu0", "watts": 777, "seconds": 3600},
    ]
    load(store, *({"at": (END - timedelta(days=2)).isoformat(), **each} for each in records))


def removed(store: DuckStore) -> None:
    store.remove_model("price")


def nothing(store: DuckStore) -> None:
    store.catalog()


@pytest.fixture(scope="module")
def checked_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store with two models, checked once."""
    home = tmp_path_factory.mktemp("checked") / "home"
    with new_store(home) as store:
        load(store, *(of(model, number) for model in BOTH for number in range(30)))
        load(store, {"kind": "run", "run": "r-loan", "at": (END - timedelta(days=3)).isoformat(), "event": "start", "model": "loan"})
    assert json.loads(checked(home))
    return home


@pytest.fixture
def home(checked_once: Path, tmp_path: Path) -> Path:
    """A copy of the checked store, as found by another process."""
    return copied(checked_once, tmp_path / "home")


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the models whose findings are computed, in order."""
    names: list[str] = []
    compute = check.model_findings

    def counted(engine: Any, model: Any, *args: Any, **options: Any) -> Any:
        names.append(model.name)
        return compute(engine, model, *args, **options)

    monkeypatch.setattr(check, "model_findings", counted)
    return names


def checked(home: Path, *options: str) -> str:
    """The answer of `check --json` as in a separate process: with a newly opened store."""
    with new_store(home) as store:
        done = execute(store, ["check", "--json", *options], lambda _: None)
        assert done.exit_code == 0, done.error
        return done.out


def recomputed(home: Path, *options: str) -> str:
    """The same answer of a process without any earlier findings."""
    (home / KEPT_FILE).unlink()
    return checked(home, *options)


def test_a_check_after_no_change_gives_the_same_findings_and_computes_no_model(home: Path, computed: list[str]) -> None:
    first = checked(home)
    assert computed == []
    assert first == recomputed(home)
    assert computed == BOTH


@pytest.mark.parametrize(
    ("change", "concerned"),
    [
        (nothing, []),
        (row, ["loan"]),
        (label, ["loan"]),
        (event, ["loan"]),
        (event_of_all, BOTH),
        (price, ["loan"]),
        (of_no_model, []),
        (of_runs, ["loan"]),
        (limit, ["loan"]),
        (limit_of_batches, BOTH),
        (removed, ["loan"]),
    ],
)
def test_only_the_models_that_a_change_may_concern_are_computed_again(
    home: Path, computed: list[str], change: Callable[[DuckStore], None], concerned: list[str]
) -> None:
    with new_store(home) as store:
        change(store)
    found = checked(home)
    assert computed == concerned
    assert found == recomputed(home)


def test_a_check_of_other_dates_is_computed_once_and_then_kept(home: Path, computed: list[str]) -> None:
    dates = ("--from", "2026-03-03", "--to", "2026-03-07")
    found = checked(home, *dates)
    assert computed == BOTH
    assert checked(home, *dates) == found and computed == BOTH
    assert json.loads(checked(home, "--model", "loan")) and computed == BOTH, "the same window for one of the two models"
    assert checked(home, "--as-of", "2026-03-08T00:00:00Z") and computed == [*BOTH, *BOTH]


def test_another_program_version_computes_every_model_again(home: Path, computed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_findings, "program_digest", lambda: "another")
    checked(home)
    assert computed == BOTH


def test_a_window_that_has_not_ended_is_computed_each_time(home: Path, computed: list[str]) -> None:
    ahead = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    for _ in range(2):
        checked(home, "--from", "2026-03-02", "--to", ahead)
    assert computed == [*BOTH, *BOTH]
