"""Tests of samples, tables of rows, single predictions, events and activity."""

from datetime import datetime, timedelta
from hashlib import md5

import numpy as np
import pandas as pd
import pytest

from observability.core.errors import NotFoundError
from observability.core.questions import Aggregate, By, Sample
from observability.core.window import Slice, Window
from observability.store.query import aggregates, listing
from tests.support import reference_engine, reference_rows
from tests.support.engine_world import DAYS, HOSTILE, START, copied

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with copied(tmp_path_factory.mktemp("world")) as opened:
        yield opened


def window(model="loan", **fields):
    return Window(model, START, START + DAYS * DAY, **fields)


SAMPLES = [
    (
        "loan",
        Sample("predictions", ("id", "at", "subject", "score", "feature.income", "feature.vip", "feature.sex", f"feature.{HOSTILE}"), 40),
    ),
    ("loan", Sample("outcomes", ("id", "label", "decision", "score_bin", "log_loss", "version", "status"), 1000)),
    ("eta", Sample("outcomes", ("id", "error", "label_value", "absolute_error", "label"), 30)),
    ("kind", Sample("outcomes", ("id", "score.1", "brier", "latency_ms", "replica"), 30)),
    ("stray", Sample("predictions", ("id", "feature.colour", "arrived", "score_bin"), 7)),
]


@pytest.mark.parametrize(("model", "sample"), SAMPLES)
@pytest.mark.parametrize("fields", [{}, {"as_of": START + 2 * DAY}, {"environment": "reference"}, {"slice": Slice.parse("device=d1")}])
def test_a_sample_is_the_same_on_both_engines(world, model, sample, fields):
    rows = window(model, **fields)
    got, wanted = listing.answer_sample(world, sample, rows), reference_engine.sample(world, sample, rows)
    assert list(got.columns) == list(sample.columns) and len(got) <= sample.rows
    pd.testing.assert_frame_equal(got, wanted, rtol=1e-9, check_dtype=len(wanted) > 0)


def test_a_sample_holds_the_rows_with_the_smallest_md5_of_their_id(world):
    every = listing.answer_sample(world, Sample("predictions", ("id",), 10_000), window())["id"].tolist()
    hashes = {each: int.from_bytes(md5(each.encode()).digest()[:8], "little") for each in every}
    assert every == sorted(every, key=hashes.__getitem__)
    assert listing.answer_sample(world, Sample("predictions", ("id",), 9), window())["id"].tolist() == every[:9]


@pytest.mark.parametrize("surely", [listing.SURELY, 0.0, -0.9])
def test_a_sample_is_the_same_however_many_hashes_are_looked_at_first(world, monkeypatch, surely):
    monkeypatch.setattr(listing, "SURELY", surely)  # if SURELY is far below 0, the first read gives too few rows
    every = listing.answer_sample(world, Sample("predictions", ("id",), 10_000), window())["id"].tolist()
    for rows in (1, 2, 5, len(every) // 2, len(every) - 1, len(every)):
        assert listing.answer_sample(world, Sample("predictions", ("id",), rows), window())["id"].tolist() == every[:rows]


def test_rows_come_in_the_order_asked_with_missing_values_last(world):
    worst = listing.list_rows(world, window("eta"), ["id", "absolute_error"], 10_000, "-absolute_error")
    errors = worst["absolute_error"].to_numpy()
    known = errors[~np.isnan(errors)]
    assert 0 < len(known) < len(errors) and np.isnan(errors[len(known) :]).all() and (np.diff(known) <= 0).all()
    first = listing.list_rows(world, window(), ["id", "at"], 5, "at", outcomes=False)
    everything = reference_engine.sample(world, Sample("predictions", ("id", "at"), 10_000), window())
    assert first["at"].tolist() == sorted(everything["at"])[:5]


def test_the_rows_of_a_slice_are_listed_and_an_unknown_column_is_refused(world):
    frame = listing.list_rows(world, window(slice=Slice.parse("sex=F&device=d2")), ["id", "feature.sex", "device"], 1000)
    assert set(frame["feature.sex"]) == {"F"} and set(frame["device"]) == {"d2"}
    count = aggregates.answer_aggregate(world, Aggregate("predictions"), window(slice=Slice.parse("sex=F&device=d2")))
    assert len(frame) == count["n"].sum()
    with pytest.raises(NotFoundError):
        listing.list_rows(world, window(), ["feature.nobody"])


def test_the_record_of_a_prediction_has_every_revision_of_its_label(world):
    several = reference_rows.stored(world, world.catalog().model("loan"))[1]
    id_, revisions = max(((key, held) for key, held in several.items() if key.startswith("loan-")), key=lambda each: len(each[1]))
    record = listing.prediction_record(world, "loan", id_)
    assert record["id"] == id_ and len(record["labels"]) == len(revisions) >= 3
    (current,) = [each for each in record["labels"] if each["current"]]
    assert (current["at"], current["arrived"], current["value"]) == max((each["at"], each["arrived"], each["value"]) for each in revisions)
    assert set(record["features"]) == {"income", HOSTILE, "sex", "vip", "city", "score"} and set(record["groups"]) == {"race"}
    assert all(name.startswith(("feature.", "group.")) for name in record["absent"] + record["wrong"])
    with pytest.raises(NotFoundError):
        listing.prediction_record(world, "loan", "nobody")


def test_a_record_that_is_read_in_parts_is_the_record(world, monkeypatch):
    """If a record has thousands of columns, a part of them is read at a time. An id may belong to several answers."""
    stored = listing.list_rows(world, window(), ["id"], 200, "at", outcomes=False)["id"]
    whole = [listing.prediction_record(world, "loan", each) for each in stored[:20]]
    monkeypatch.setattr(listing, "NAMES_A_QUERY", 3)
    parts = [listing.prediction_record(world, "loan", each) for each in stored[:20]]
    assert list(map(repr, parts)) == list(map(repr, whole)), "compared as text, because NaN differs from itself"
    assert len(whole[0]["features"]) > 3


def test_events_are_those_of_the_model_and_those_of_all(world):
    loan = listing.list_events(world, "loan", START, START + DAYS * DAY)
    assert loan[["what", "model"]].to_numpy().tolist() == [["note", None], ["deploy", "loan"]]
    assert loan["at"].tolist() == [pd.Timestamp(START.replace(tzinfo=None)) + pd.Timedelta(hours=hours) for hours in (5, 30)]
    assert listing.list_events(world, None, START, START + DAYS * DAY)["what"].tolist() == ["note", "incident", "deploy"]
    assert listing.list_events(world, None, START, START).empty


def test_activity_counts_every_row_once(world):
    frame = listing.version_activity(world)
    assert set(frame["model"]) == {"loan", "eta", "kind", "stray"}
    for row in frame.itertuples():
        asked = Window(row.model, START, START + DAYS * DAY, version=row.version, environment=row.environment)
        held = reference_engine.sample(world, Sample("predictions", ("at",), 10_000), asked)["at"]
        assert row.rows == len(held)
        if row.environment == "reference":
            assert pd.isna(row.first) and pd.isna(row.last)
        else:
            assert (row.first, row.last) == (held.min().floor("h"), held.max().floor("h"))
            assert row.last_arrived >= held.max() and isinstance(row.last.to_pydatetime(), datetime)


def test_activity_as_of_an_instant_knows_only_what_had_arrived(world):
    as_of = START + 2 * DAY
    frame = listing.version_activity(world, as_of.replace(minute=59))
    assert 0 < frame["rows"].sum() < listing.version_activity(world)["rows"].sum()
    for row in frame[frame["environment"] != "reference"].itertuples():
        asked = Window(row.model, START, START + DAYS * DAY, version=row.version, environment=row.environment, as_of=as_of)
        held = reference_engine.sample(world, Sample("predictions", ("at",), 10_000), asked)["at"]
        assert (row.rows, row.last) == (len(held), held.max().floor("h"))


def test_the_activity_of_an_empty_store_is_empty(store):
    assert listing.version_activity(store).empty
    assert By("version") not in Aggregate("predictions").keys
