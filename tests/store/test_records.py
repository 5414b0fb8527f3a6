"""Tests of records of other kinds against a plain loop over the tables."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pandas as pd
import pytest

from observability.core.errors import NotFoundError
from observability.core.questions import Records
from observability.core.window import Window
from observability.store.db.database import Database
from observability.store.db.record_tables import kind_tables
from observability.store.query import records
from tests.support import live_world, reference_engine

WEEK = Window("", live_world.START, live_world.END)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The live model with its training runs."""
    found = live_world.build(tmp_path_factory.mktemp("records"))
    live_world.load_later(found)
    yield found
    found.close()


@pytest.mark.parametrize("kind", kind_tables())
@pytest.mark.parametrize("window", [WEEK, replace(WEEK, model="live"), replace(WEEK, model="other"), replace(WEEK, as_of=live_world.AS_OF)])
@pytest.mark.parametrize("ever", [False, True])
def test_as_a_plain_walk_finds_them(store: Database, kind: str, window: Window, ever: bool) -> None:
    question = Records(kind, ever=ever)
    pd.testing.assert_frame_equal(records.answer_records(store, question, window), reference_engine.records(store, question, window))


def test_labels_of_a_model_and_only_some_of_them(store: Database) -> None:
    window = replace(WEEK, model="live")
    for only in ((), (("source", "human"),)):
        question = Records("label", ("at", "model", "source"), only=only)
        pd.testing.assert_frame_equal(records.answer_records(store, question, window), reference_engine.records(store, question, window))
    assert len(records.answer_records(store, Records("label", ("at", "id")), window)) > 300
    assert len(records.answer_records(store, Records("step", ("run",), only=(("rank", "2"),)), WEEK)) == 60
    several = records.answer_records(store, Records("step", ("rank",), only=(("rank", ("2", "3", "none")),)), WEEK)
    assert several["rank"].value_counts().to_dict() == {"2": 60, "3": 60}
    assert records.answer_records(store, Records("step", ("rank",), only=(("rank", ()),)), WEEK).empty


def test_there_is_something_to_find(store: Database) -> None:
    found = {kind: len(records.answer_records(store, Records(kind, ever=True), WEEK)) for kind in ("run", "step", "resource", "price")}
    assert found == {"run": 8, "step": 60 * (1 + 4 + 1) + 3, "resource": 4 * 60, "price": 3}
    assert len(records.answer_records(store, Records("step"), replace(WEEK, model="live"))) == 363
    assert len(records.answer_records(store, Records("step"), replace(WEEK, model="other"))) == 0
    losses = records.answer_records(store, Records("step", ("run", "metrics")), WEEK)["metrics"].map(lambda each: each["train_loss"])
    assert losses.isna().sum() == 20 and losses.max() < 1


def test_at_most_so_many_and_the_newest(store: Database) -> None:
    found = records.answer_records(store, Records("step", ("at", "step"), rows=7), WEEK)
    assert len(found) == 7 and found["at"].is_monotonic_increasing
    assert found["step"].tolist() == list(range(54, 61))


def test_the_newest_of_some_kinds(store: Database) -> None:
    last = live_world.START + timedelta(days=5.2, seconds=30 * 61)
    assert records.newest_record_time(store, ["run", "step"], "live", live_world.END) == last
    assert records.newest_record_time(store, ["run"], "", last) == last - timedelta(seconds=30 * 61)
    assert records.newest_record_time(store, ["run"], "other", live_world.END) is None
    assert records.newest_record_time(store, [], "", live_world.END) is None


@pytest.mark.parametrize("question", [Records("prediction"), Records("banana"), Records("run", ("run", "banana"))])
def test_what_is_not_there_is_said(store: Database, question: Records) -> None:
    with pytest.raises(NotFoundError, match=r"banana|prediction"):
        records.answer_records(store, question, WEEK)
