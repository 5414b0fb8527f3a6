"""A live sample: real records, with their times moved by whole weeks, arrive exactly once as the given clock passes their times."""

import argparse
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observability.cli import commands, demo_fleet, live_sample
from observability.cli.live_sample import LiveSample, MovedPeriod, Moves, Period
from observability.core.errors import UsageError
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.store.db.catalog_store import add_model
from observability.store.duck_store import DuckStore
from tests.support.length import some
from tests.support.new_store import new_store

LAST = datetime(2013, 3, 29, 12, tzinfo=UTC)
"""A Friday."""
NOW = datetime(2026, 11, 28, 10, 30, tzinfo=UTC)
WEEK, DAY = timedelta(weeks=1), timedelta(days=1)
FLEET = """
[[period]]
years = "2013"
since = 2013-01-01
ends = "predictions.parquet"
weeks_ahead = 4

[[model]]
name = "tide"
version = "1"
task = "binary"
reference = "reference.parquet"
label = "label"
score = "score"
at = "at"
features = ["x"]

[[file]]
path = "predictions.parquet"
kind = "prediction"
model = "tide"
version = "1"
features = ["x"]

[[file]]
path = "labels.parquet"
kind = "label"
model = "tide"

[[file]]
path = "records.jsonl"

[[file]]
path = "prices.jsonl"
moved = false
"""
RECORDS = [
    {"kind": "event", "at": (LAST - 40 * DAY).isoformat(), "what": "deploy", "text": "tide 1 deployed", "model": "tide"},
    {"kind": "event", "at": (LAST - 20 * DAY).isoformat(), "what": "note", "text": "gauge replaced", "model": "tide"},
    {
        "kind": "audit", "at": "2013-02-01T06:00:00Z", "model": "tide", "version": "1", "audit": "robustness", "results": {},
        "expires": "2013-05-01T06:00:00Z",
    },
    {"kind": "batch", "batch": "b1", "at": LAST.isoformat(), "source": "gauge", "rows": 5},
]  # fmt: skip


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    """A small sample: one prediction every six hours over sixty days, its label a day later, four other records, and a price."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "sample"
    folder.mkdir()
    at = pd.DatetimeIndex([LAST - timedelta(hours=6 * back) for back in range(240)][::-1]).as_unit("ms")
    score = rng.uniform(size=240)
    served = pd.DataFrame({"id": [f"p{n}" for n in range(240)], "at": at, "score": score, "x": rng.normal(size=240), "received_at": at})
    served.to_parquet(folder / "predictions.parquet")
    labels = pd.DataFrame(
        {"id": served["id"], "value": (rng.uniform(size=240) < score).astype(int), "at": at + DAY, "received_at": at + DAY}
    )
    labels.to_parquet(folder / "labels.parquet")
    before = pd.DatetimeIndex([datetime(2013, 1, 2, tzinfo=UTC) + timedelta(minutes=n) for n in range(300)]).as_unit("ms")
    score = rng.uniform(size=300)
    reference = pd.DataFrame(
        {"at": before, "x": rng.normal(size=300), "score": score, "label": (rng.uniform(size=300) < score).astype(int)}
    )
    reference.to_parquet(folder / "reference.parquet")
    (folder / "records.jsonl").write_text("".join(json.dumps(each) + "\n" for each in RECORDS), encoding="utf-8")
    price = {"kind": "price", "from": "2013-01-01T00:00:00Z", "resource": "request", "amount": 0.25, "currency": "USD"}
    (folder / "prices.jsonl").write_text(json.dumps(price) + "\n", encoding="utf-8")
    (folder / "fleet.toml").write_text(FLEET, encoding="utf-8")
    return folder / "fleet.toml"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckStore]:
    """An empty store."""
    found = new_store(tmp_path / "home")
    yield found
    found.close()


def no_progress(_text: str) -> None:
    """A progress callback for deliveries that does nothing."""


def counts(store: DuckStore) -> dict[str, int]:
    """How many records of each kind the store has."""
    status = store.status()
    return {name: n for name, n in status["records"].items() if n} | {
        "prediction": sum(model["predictions"] for model in status["models"]),
        "label": sum(model["labels"] for model in status["models"]),
    }


def test_times_move_by_whole_weeks_to_an_end_about_four_weeks_ahead() -> None:
    for days in range(14):
        now = NOW + days * DAY
        weeks = Period("a", "2013", EPOCH, LAST, 4).weeks_until(now)
        moved = LAST + weeks * WEEK
        assert abs(moved - (now + 4 * WEEK)) <= timedelta(days=3, hours=12)
        assert moved.weekday() == LAST.weekday() and moved.time() == LAST.time()
        ended = LAST + Period("a", "2026", EPOCH, LAST, 0).weeks_until(now) * WEEK
        assert now - WEEK < ended <= now


def test_a_sample_record_moves_by_the_shift_of_its_years() -> None:
    early = Period("a", "2013", datetime(2013, 1, 1, tzinfo=UTC), LAST, 4)
    late = Period("b", "2016", datetime(2016, 1, 1, tzinfo=UTC), datetime(2016, 12, 1, tzinfo=UTC), 4)
    own = Period("c.jsonl", "2016", late.since, late.last, 2, only=("c.jsonl",))
    moves = Moves((early, late, own), {"a": 700, "b": 500, "c.jsonl": 498})
    assert moves.shift("x.jsonl", LAST) == 700 * WEEK
    assert moves.shift("x.jsonl", late.last) == 500 * WEEK
    assert moves.shift("c.jsonl", late.last) == 498 * WEEK
    assert moves.shift("x.jsonl", datetime(2012, 1, 1, tzinfo=UTC)) == 700 * WEEK
    record = {
        "kind": "audit",
        "at": "2013-02-01T06:00:00Z",
        "model": "m",
        "results": {"made": "2013-02-01"},
        "expires": "2013-05-01T06:00:00Z",
    }
    moved = live_sample.moved_record(record, "x.jsonl", moves)
    assert moved["at"] == "2026-07-03T06:00:00+00:00" and moved["expires"] == "2026-09-30T06:00:00+00:00"
    assert moved["results"] == record["results"], "only the record's own times are moved"


def test_past_sample_records_load_at_once_and_future_ones_as_the_clock_passes_them(store: DuckStore, listing: Path) -> None:
    lines = live_sample.begin_live_sample(store, listing, NOW, no_progress)
    state = live_sample.read_live_sample(store.home)
    assert state is not None and state.delivered == NOW and state.periods["predictions.parquet"].models == ("tide",)
    assert "Sample data, moved from 2013 to today" in lines[-1]
    shift = state.periods["predictions.parquet"].weeks * WEEK
    model = store.catalog().model("tide")
    activity = store.activity(model="tide")
    newest = activity["last"].max().to_pydatetime().replace(tzinfo=UTC)
    assert NOW - timedelta(hours=6) < newest <= NOW and (newest - shift).weekday() == newest.weekday()
    past = sum(1 for back in range(240) if LAST - timedelta(hours=6 * back) + shift <= NOW)
    labelled = sum(1 for back in range(240) if LAST - timedelta(hours=6 * back) + DAY + shift <= NOW)
    assert 100 < labelled < past < 200
    assert counts(store) == {"prediction": past, "label": labelled, "event": 1, "audit": 1, "price": 1}
    assert model.sample and all(column.name != "at" for column in model.columns)

    assert live_sample.deliver_live_sample(store, listing, NOW + timedelta(minutes=20), no_progress).lines == 0
    one = live_sample.deliver_live_sample(store, listing, NOW + timedelta(hours=6, minutes=20), no_progress)
    assert (one.stored, one.duplicates) == (2, 0), "a prediction and a label"
    assert live_sample.deliver_live_sample(store, listing, NOW + timedelta(hours=6, minutes=20), no_progress).lines == 0
    rest = live_sample.deliver_live_sample(store, listing, NOW + 30 * WEEK, no_progress)
    assert rest.duplicates == 0
    assert counts(store) == {"prediction": 240, "label": 240, "event": 2, "audit": 1, "batch": 1, "price": 1}
    last = store.ask(Records("event", ("at", "text"), ever=True), Window("tide", EPOCH, NOW + 30 * WEEK))
    assert sorted(pd.to_datetime(last["at"], utc=True)) == [LAST - 40 * DAY + shift, LAST - 20 * DAY + shift]


def test_an_interrupted_delivery_is_completed_exactly_once(store: DuckStore, listing: Path) -> None:
    live_sample.begin_live_sample(store, listing, NOW, no_progress)
    state = live_sample.read_live_sample(store.home)
    assert state is not None
    later, stopping = NOW + 3 * DAY, threading.Event()

    def stop_after_predictions(text: str) -> None:
        if text.startswith("predictions.parquet") and text.endswith(" 12 lines"):
            stopping.set()

    part = live_sample.deliver_live_sample(store, listing, later, stop_after_predictions, stopping)
    assert part.stored == 12 and live_sample.read_live_sample(store.home) == state, "it stopped before the labels"
    whole = live_sample.deliver_live_sample(store, listing, later, no_progress)
    assert (whole.stored, whole.duplicates) == (12, 12), "the labels are new, the predictions are already stored"
    live_sample.write_live_sample(store.home, state)  # the same state as after a kill between the load and the note
    again = live_sample.deliver_live_sample(store, listing, later, no_progress)
    assert (again.stored, again.duplicates) == (0, 24)


def test_a_removed_sample_does_not_come_back(store: DuckStore, listing: Path, tmp_path: Path) -> None:
    live_sample.begin_live_sample(store, listing, NOW, no_progress)
    done = commands.demo(store, argparse.Namespace(remove=True, if_empty=False, live=False, large=False), no_progress)
    assert done.exit_code == 0 and counts(store) == {"prediction": 0, "label": 0}
    assert live_sample.read_live_sample(store.home) is None
    assert live_sample.deliver_live_sample(store, listing, NOW + WEEK, no_progress).lines == 0

    live_sample.begin_live_sample(store, listing, NOW, no_progress)
    store.remove_model("tide")
    assert live_sample.deliver_live_sample(store, listing, NOW + WEEK, no_progress).lines == 0
    assert counts(store) == {"prediction": 0, "label": 0} and live_sample.read_live_sample(store.home) is None


def test_a_second_live_command_catches_up_and_live_excludes_remove(store: DuckStore, listing: Path) -> None:
    both = argparse.Namespace(remove=True, if_empty=False, live=True, large=False)
    with pytest.raises(UsageError, match="exclude each other"):
        commands.demo(store, both, no_progress)
    live_sample.begin_live_sample(store, listing, NOW, no_progress)
    with pytest.raises(UsageError, match=r"holds the sample already.*Run demo --remove, then demo again"):
        commands.demo(store, argparse.Namespace(remove=False, if_empty=False, live=False, large=False), no_progress)
    state = live_sample.read_live_sample(store.home)
    assert state is not None
    live_sample.write_live_sample(store.home, replace(state, delivered=datetime.now(UTC) + DAY))
    said = commands.demo(store, argparse.Namespace(remove=False, if_empty=True, live=True, large=False), no_progress)
    assert said.out == "The sample is live; 0 records arrived since the last delivery."


def test_listed_settings_are_applied_with_the_first_delivery_and_can_be_changed(store: DuckStore, listing: Path) -> None:
    (listing.parent / "tide.toml").write_text("[settings]\nbudget_per_month = 30.0\n", encoding="utf-8")
    listing.write_text(FLEET + '\n[[settings]]\nmodel = "tide"\nsettings = "tide.toml"\n', encoding="utf-8")
    live_sample.begin_live_sample(store, listing, NOW, no_progress)
    settings = store.catalog().model("tide").settings
    assert settings.budget_per_month == 30.0
    store.update_settings("tide", replace(settings, budget_per_month=50.0))
    assert live_sample.deliver_live_sample(store, listing, NOW + WEEK, no_progress).stored > 0
    assert store.catalog().model("tide").settings.budget_per_month == 50.0


@pytest.mark.parametrize(("live", "if_empty"), some([(True, False), (True, True), (False, True), (False, False)], 2))
def test_a_load_killed_during_registration_is_repaired_by_the_next_load(
    tmp_path: Path, store: DuckStore, listing: Path, monkeypatch: pytest.MonkeyPatch, live: bool, if_empty: bool
) -> None:
    monkeypatch.setattr(commands, "SAMPLE", listing.parent)
    args = argparse.Namespace(remove=False, if_empty=if_empty, live=live, large=False)

    def killed(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(live_sample, "write_live_sample", killed)
        patch.setattr(type(store), "load_files", killed)
        with pytest.raises(KeyboardInterrupt):
            commands.demo(store, args, no_progress)
    assert [model.name for model in store.catalog().models] == ["tide"] and live_sample.read_live_sample(store.home) is None
    said: list[str] = []
    done = commands.demo(store, args, said.append)
    assert done.exit_code == 0 and "records stored" in done.out and any("was stopped" in line for line in said)
    assert (live_sample.read_live_sample(store.home) is not None) == live and counts(store)["prediction"] > 0
    assert not (store.home / demo_fleet.MARK).exists()
    with demo_fleet.sample_loading(store), pytest.raises(UsageError, match="holds the sample already"):
        commands.demo(store, argparse.Namespace(remove=False, if_empty=False, live=False, large=False), no_progress)


def test_a_model_registered_by_a_person_beside_a_half_loaded_sample_is_kept(store: DuckStore, listing: Path) -> None:
    live_sample.begin_live_sample(store, listing, NOW, no_progress)
    (store.home / demo_fleet.MARK).touch()
    with store.write() as writer:
        add_model(writer, "mine")
    assert not demo_fleet.remove_half_sample(store, no_progress)
    assert [model.name for model in store.catalog().models] == ["mine", "tide"]


def test_a_removed_model_gets_no_more_records_while_others_do(tmp_path: Path, listing: Path) -> None:
    moves = Moves((Period("a", "2013", EPOCH, LAST, 4),), {"a": 0}, gone=("tide",))
    target = tmp_path / "copy.jsonl"
    assert live_sample.moved_copy(listing.parent / "records.jsonl", target, None, moves) == 1
    assert json.loads(target.read_text(encoding="utf-8"))["kind"] == "batch"
    frame = pd.DataFrame({"id": ["a", "b"], "model": ["tide", "wind"], "at": pd.DatetimeIndex([LAST, LAST]).as_unit("ms")})
    frame.to_parquet(tmp_path / "two.parquet")
    assert live_sample.moved_copy(tmp_path / "two.parquet", tmp_path / "copy.parquet", "prediction", moves) == 1
    assert list(pd.read_parquet(tmp_path / "copy.parquet")["model"]) == ["wind"]


def test_a_delivery_is_due_once_an_hour_has_begun() -> None:
    hour = NOW.replace(minute=0)
    assert not live_sample.is_delivery_due(None, NOW)
    assert live_sample.is_delivery_due(LiveSample(NOW), NOW)
    assert live_sample.is_delivery_due(LiveSample(NOW, hour - timedelta(seconds=1)), NOW)
    assert not live_sample.is_delivery_due(LiveSample(NOW, hour), NOW)


def test_the_sample_note_states_the_original_years_and_the_end() -> None:
    ahead = NOW + 4 * WEEK
    state = LiveSample(
        NOW,
        NOW,
        {
            "a": MovedPeriod("2013", 676, ahead, ("flights",)),
            "b": MovedPeriod("2016–2018", 415, ahead, ("employment",)),
            "c": MovedPeriod("2026", 2, NOW + 2 * WEEK, ("vendor",)),
        },
    )
    assert live_sample.sample_note(state, None, NOW) == "Sample data, moved from 2013 and 2016–2018 to today"
    assert live_sample.sample_note(state, "flights", NOW) == "Sample data, moved from 2013 to today"
    assert live_sample.sample_note(state, "vendor", NOW) == "Sample data, moved by 2 weeks"
    assert "It ended on 2026-12-12" in live_sample.sample_note(state, "vendor", NOW + 3 * WEEK)
    assert "ended" not in live_sample.sample_note(state, None, NOW + 3 * WEEK)


def test_an_unreadable_sample_state_is_refused_naming_the_file(store: DuckStore) -> None:
    (store.home / live_sample.STATE).write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match=r"live_sample\.json"):
        live_sample.read_live_sample(store.home)
