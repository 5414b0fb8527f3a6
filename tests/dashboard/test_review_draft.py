"""A draft shows what freezing the week would store, stores nothing, and accepts no entries."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from observability.core.weeks import Week
from observability.dashboard import load, sign_in
from observability.dashboard.background_job import BackgroundJob, JobSlot
from observability.dashboard.review import draft
from observability.dashboard.review.review import STEP_NAMES, usual_week
from observability.review import freeze
from observability.server import process_lock
from observability.server.access import Person
from tests.support.dashboard_pages import opened, tables, words
from tests.support.dashboard_world import END, START, World, build

WEEK = Week.of(START).back(-1)
"""The second week of the world, in which its columns have drifted."""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A separate world, whose store this process owns. No drafts exist yet."""
    monkeypatch.setattr(draft, "DRAFTS", JobSlot("draft", cancelled="cancelled", failed="failed", kept=4))
    world = build(tmp_path)
    monkeypatch.setattr(process_lock, "current_store", lambda: world.store)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    yield world
    world.store.close()


def drafted() -> AppTest:
    """The review of a week that is not frozen, after the button has made its draft."""
    app = opened("review", review=str(WEEK))
    next(each for each in app.button if each.key == "draft-now").click().run()
    until = time.monotonic() + 120
    while draft.DRAFTS.job is None or not draft.DRAFTS.job.done:
        assert time.monotonic() < until
        time.sleep(0.05)  # the draft is made in a separate thread, without an event at its end
    return opened("review", review=str(WEEK))


def test_a_draft_is_what_freezing_would_store_and_stores_nothing(mine: World) -> None:
    assert not tables(opened("review", review=str(WEEK))), "the draft is computed only on request"
    app = drafted()
    assert freeze.frozen_weeks(mine.store) == []
    assert "not stored, with the records that had arrived by the week's end" in words(app)
    shown = [each["cells"]["what"]["title"] for each in tables(app)["Agenda"]["rows"]]
    kept = freeze.freeze(mine.store, WEEK, author="ann", now=datetime.now(UTC))
    assert shown == [item["title"].replace("`", "") for item in kept["agenda"]] and shown
    made = draft.draft_of_week(str(WEEK))
    assert made is not None and {**made, "frozen_at": kept["frozen_at"]} == kept
    app = opened("review", review=str(WEEK))
    assert ", frozen " in words(app) and "draft" not in words(app), "the frozen week replaces the draft"


def test_nothing_can_be_written_in_a_draft(mine: World) -> None:
    drafted()
    for step in STEP_NAMES:
        app = opened("review", review=str(WEEK), step=step)
        assert len(app.header) == 1 and not app.text_area
        assert not {each.key for each in app.button} & {"add-item", "close-meeting", "pin", "rank"}
    assert "freeze the week to decide and to write" in words(opened("review", review=str(WEEK), step="decide"))
    item = tables(opened("review", review=str(WEEK)))["Agenda"]["rows"][0]["cells"]["what"]["go"]["parameters"]["item"]
    assert "freeze the week to decide and to write" in words(opened("review", review=str(WEEK), item=item))


def test_a_person_who_sees_only_some_models_sees_no_draft(mine: World, monkeypatch: pytest.MonkeyPatch) -> None:
    drafted()
    assert draft.drafted_weeks() == [str(WEEK)]
    draft.DRAFTS.job = BackgroundJob("x", "Draft of a week", lambda note: None, failure="price cannot be read", done=True)
    assert "price cannot be read" in words(opened("review", review=str(WEEK)))
    monkeypatch.setattr(sign_in, "current_person", lambda: Person("bob", None, (("loan", "viewer"),)))
    assert draft.draft_of_week(str(WEEK)) is None and draft.drafted_weeks() == []
    app = opened("review", review=str(WEEK))
    assert "draft-now" not in {each.key for each in app.button} and "price cannot be read" not in words(app)


@pytest.mark.parametrize(
    ("streams", "offered"),
    [
        ([("a", "2018-01-01", "2018-12-31T20:00")], "2018-W52"),
        ([("a", "2018-01-01", "2019-01-03T11:00")], "2018-W52"),
        ([("a", "2018-01-01", "2019-01-03T13:00")], "2019-W01"),
        ([("a", "2013-01-01", "2013-12-31"), ("b", "2013-05-06", "2013-05-19T23:00"), ("log", "2014-01-01", "2015-01-01")], "2013-W20"),
        ([("a", "2013-01-01", "2013-12-31"), ("b", "2013-05-06", "2026-11-29T23:00")], "2026-W48"),
        ([], "2026-W48"),
    ],
)
def test_the_suggested_week_is_one_with_records_of_most_models(streams: list[tuple[str, str, str]], offered: str) -> None:
    """Regression: a sample of 2013 opened on a week of 2025 that had only a log of calls."""
    rows = [
        {"environment": "production", "model": name, "first": pd.Timestamp(first), "last": pd.Timestamp(last)}
        for name, first, last in streams
    ]
    rows.append({"environment": "reference", "model": "a", "first": pd.Timestamp("2020-01-01"), "last": pd.Timestamp("2020-02-01")})
    assert str(usual_week(pd.DataFrame(rows), ["a", "b"], Week.parse("2026-W48"))) == offered
