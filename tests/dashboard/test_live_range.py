"""The time range Live ends at the current time and states the time of the newest record; the page reruns only after a change."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from observability.core.time import aware_utc
from observability.dashboard import live_range, load, state_cache
from observability.dashboard.scope import Scope
from observability.server import process_lock
from observability.store.db.database import Database
from observability.store.opener import open_store
from tests.dashboard.conftest import land
from tests.support.dashboard_pages import opened, words
from tests.support.dashboard_world import END, World
from tests.support.record_lines import OTHERS

LIVE = Scope("loan", span="live")
RECORD = {"kind": "prediction", "model": "m", "version": "1", "score": 0.5, "features": {"x": 1.0}}


def live_text(app: AppTest) -> str | None:
    """The text of the time range; None if it is not drawn."""
    found = [data["said"] for each in app.get("bidi_component") if "said" in (data := json.loads(each.proto.json))]
    return found[0] if found else None


def test_the_live_window_is_the_hour_up_to_now_and_not_to_the_newest_record(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for clock in (END + timedelta(minutes=25), END + timedelta(days=400)):
        monkeypatch.setattr(load, "page_clock", lambda clock=clock: clock)
        found = load.window(LIVE, "loan")
        assert (found.start, found.end) == (clock - timedelta(hours=1), clock)
        assert load.moved_window_note(LIVE, "loan") is None
    assert load.moved_window_note(Scope("loan", span="1h"), "loan") is not None, "other ranges move back to the newest record"


def test_live_pages_show_the_newest_record_to_the_second(current: World) -> None:
    newest = aware_utc(max(at for at in current.loan["at"]))
    assert load.newest_live_record(LIVE) == newest
    for page, parameters, every in (("health", {}, 15), ("performance", {"model": "loan"}, 5)):
        app = opened(page, window="Live", **parameters)
        said = live_text(app)
        assert said is not None and said.startswith(f"Live, every {every} s. Newest record "), page
        assert app.session_state[live_range.DRAWN] == live_range.shown_state(Scope(parameters.get("model"), span="live"))
    assert live_text(opened("performance", model="loan", window="Last hour")) is None


def test_a_live_hour_without_records_says_when_the_last_one_arrived(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "page_clock", lambda: END + timedelta(days=90))
    assert load.newest_live_record(LIVE) == load.newest_record("loan"), "without reading rows, only the hour of the newest record is known"
    app = opened("performance", model="loan", window="Live")
    assert "Newest record 15 Mar 2026 23:00 UTC" in (live_text(app) or "")
    assert "Newest record" not in words(app), "the time of the newest record is not stated twice"


def test_the_overview_of_an_hour_without_records_says_so_once(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: each of the six answers on the page repeated "no predictions"."""
    monkeypatch.setattr(load, "page_clock", lambda: END + timedelta(days=2))
    shown = words(opened("model", model="loan", window="Live"))
    assert "Is it up?" in shown and "What changed?" in shown
    assert len(re.findall("(no|0) predictions", shown, re.IGNORECASE)) == 1, shown


def test_live_text_states_the_time_of_the_newest_record() -> None:
    now = datetime(2026, 3, 2, 12, 0, 30, tzinfo=UTC)
    assert live_range.live_words(None, now) == "Live, every 5 s. No record yet."
    assert live_range.live_words(now - timedelta(seconds=7), now) == "Live, every 5 s. Newest record 12:00:23 UTC, just now."
    assert "Newest record 28 Feb 2026 12:00 UTC, 2 days ago." in live_range.live_words(now - timedelta(days=2), now)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A separate store, which pages show without delay."""
    store = open_store(tmp_path / "home")
    monkeypatch.setattr(process_lock, "current_store", lambda: store)
    monkeypatch.setattr(state_cache, "FRESH", 0.0)
    yield store
    store.close()


def test_a_live_page_reruns_if_its_model_has_new_rows_or_the_window_moved(
    own: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, reruns, drawn = load.page_clock(), [], {}
    monkeypatch.setattr(load, "page_clock", lambda: clock)
    monkeypatch.setattr(live_range.st, "rerun", lambda: reruns.append(1))
    monkeypatch.setattr(live_range, "page_component", lambda *_: lambda **_: None)
    look = live_range._live_line.__wrapped__

    def looks_again(scope: Scope) -> bool:
        reruns.clear()
        monkeypatch.setattr(live_range.st, "session_state", {live_range.DRAWN: drawn.get(scope)})
        look(scope)
        drawn[scope] = live_range.shown_state(scope)
        return bool(reruns)

    at = (clock - timedelta(minutes=10)).isoformat()
    land(own, [RECORD | {"id": "a", "at": at}, RECORD | {"id": "b", "at": at, "model": "other"}], tmp_path)
    one, fleet = Scope("m", span="live"), Scope(span="live")
    for scope in (one, fleet):
        assert looks_again(scope) and not looks_again(scope)
    land(own, [RECORD | {"id": "c", "at": at, "model": "other"}], tmp_path)
    assert looks_again(fleet) and not looks_again(one), "rows of another model do not refresh a page of one model"
    land(own, [RECORD | {"id": "d", "at": at}], tmp_path)
    assert looks_again(one) and not looks_again(one)
    own.write_records([{"kind": "verdict", **OTHERS["verdict"]}])
    assert looks_again(one) and not looks_again(one), "a record by another person refreshes the page once"
    clock += timedelta(minutes=5)
    assert looks_again(one)
