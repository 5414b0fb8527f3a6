"""The review programme by month: figures agree with counts by hand."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from observability.core.weeks import Week
from observability.dashboard import load
from observability.dashboard.charts.programme import hour_ticks, programme_panels
from observability.dashboard.review import load_review
from observability.dashboard.review.programme import FEW, latest_month_sentence, month_rows, programme_frame
from observability.review.programme import MEASURES, MonthValue, frozen_onsets, programme_by_month, promise_of_action
from observability.server import process_lock
from observability.store.db.database import Database
from observability.store.types.decision_items import DecisionEntry, DecisionItem
from observability.store.types.loading import LoadDefaults
from tests.support.dashboard_pages import opened, tables, words
from tests.support.new_store import new_store
from tests.support.record_lines import prediction

MARCH, APRIL = (datetime(2026, month, 1, tzinfo=UTC) for month in (3, 4))
TODAY = date(2026, 5, 20)


def action(name: str, due: datetime | None, *later: tuple[datetime, dict]) -> DecisionItem:
    """An action agreed in February, and its later entries."""
    said = [(datetime(2026, 2, 1, tzinfo=UTC), {"text": name, "due": due} if due else {"text": name}), *later]
    return DecisionItem("action", name, tuple(DecisionEntry(at, "ann", fields) for at, fields in said))


def on(day: int, month: int = 3, hour: int = 12) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def entry(incident: str, says: str, at: datetime, **more: str) -> dict:
    return {"incident": incident, "says": says, "at": at, "author": "ann", "model": "eta", "severity": "act", **more}


ACTIONS = [
    action("on its day", on(10, hour=0), (on(10, hour=23), {"state": "done"})),
    action("verified early", on(12), (on(2), {"state": "verified"})),
    action("a day late", on(10), (on(11), {"state": "done"})),
    action("extended, then done", on(5), (on(4), {"state": "extended", "due": on(20)}), (on(18), {"state": "done"})),
    action("done, reopened in time", on(30), (on(6), {"state": "done"}), (on(7), {"state": "open"})),
    action("cancelled in time", on(15), (on(14), {"state": "cancelled"})),
    action("cancelled too late", on(15), (on(16), {"state": "cancelled"})),
    action("still to come", on(20, 5)),
    action("done before its day", on(31, 5), (on(1, 5), {"state": "done"})),
    action("without a date", None, (on(3), {"state": "done"})),
]
ALERTS = [
    entry("a", "opened", on(1)),
    entry("b", "opened", on(2)),
    entry("c", "opened", on(3)),
    entry("d", "opened", on(4)),
    entry("a", "acknowledged", on(1, hour=13)),
    entry("b", "acknowledged", on(2, hour=15)),
    entry("b", "acknowledged", on(3)),
    entry("c", "acknowledged", on(4)),
    entry("a", "resolved", on(2), reason="real_fault"),
    entry("b", "resolved", on(6), reason="false_alarm"),
    entry("c", "resolved", on(4, hour=20)),
    entry("c", "reopened", on(5)),
    entry("c", "resolved", on(2, 4), reason="expected_change"),
    entry("e", "opened", on(20, 4)),
    entry("e", "resolved", on(21, 4), reason="real_fault"),
    entry("f", "opened", on(22, 4)),
    entry("f", "resolved", on(23, 4), reason="real_fault"),
    entry("g", "opened", on(24, 4)),
    entry("g", "resolved", on(25, 4)),
]
ONSETS = {"a": on(1, hour=6), "b": on(1), "c": on(1), "d": None, "e": on(28, 4), "never an alert": on(1)}


def test_the_values_of_each_month_equal_those_counted_by_hand() -> None:
    found = {(each.month, each.measure): each for each in programme_by_month(ACTIONS, ALERTS, ONSETS, TODAY)}
    assert len(found) == 2 * len(MEASURES)
    told = {key: (each.n, each.words) for key, each in found.items()}
    assert [told[MARCH, name] for name in MEASURES] == [
        (6, "33.3 % (2 of 6)"),  # in time: on its day, verified early; not in time: late, extended, reopened, cancelled too late
        (2, "1 of 2"),  # a and b were resolved in March; c was reopened
        (3, "24 hours (3 of 4)"),  # 6, 24 and 48 hours; d has no onset
        (3, "3 hours (3 of 4)"),  # 1, 3 and 24 hours; the second acknowledgement of b does not count
        (3, "4 days (3 of 4)"),  # 1, 4 and 30 days
    ]
    assert [told[APRIL, name] for name in MEASURES] == [
        (0, "–"),
        (3, "66.7 % (2 of 3)"),  # c, e and f count; g was resolved without a reason
        (0, "0 of 1"),  # the onset of e is after its alert
        (0, "0 of 3"),
        (3, "24 hours (3 of 3)"),
    ]
    values = {key: each.value for key, each in found.items() if each.value is not None}
    assert values == {
        (MARCH, "kept"): pytest.approx(2 / 6),
        (MARCH, "detect"): 24,
        (MARCH, "acknowledge"): 3,
        (MARCH, "resolve"): 96,
        (APRIL, "useful"): pytest.approx(2 / 3),
        (APRIL, "resolve"): 24,
    }
    assert found[APRIL, "useful"].left == "1 not rated" and found[MARCH, "useful"].left == ""


@pytest.mark.parametrize(("day", "known"), [(date(2026, 5, 20), None), (date(2026, 5, 21), (on(20, 5), False))])
def test_an_action_counts_from_the_day_after_its_date(day: date, known: object) -> None:
    assert promise_of_action(ACTIONS[7], day) == known
    assert promise_of_action(ACTIONS[8], day) is None, "the day is not over, so actions done later on it would be missing"


def test_empty_months_between_others_are_listed_and_an_empty_store_has_no_months() -> None:
    assert programme_by_month([], [], {}, TODAY) == []
    found = programme_by_month([action("old", datetime(2025, 11, 3, tzinfo=UTC))], [entry("a", "opened", on(1, 2))], {}, TODAY)
    assert [f"{each.month:%Y-%m}" for each in found if each.measure == "kept"] == ["2025-11", "2025-12", "2026-01", "2026-02"]


def test_chart_and_table_show_the_same_values() -> None:
    found = programme_by_month(ACTIONS, ALERTS, ONSETS, TODAY)
    rows = programme_frame(found)
    figure = programme_panels(rows, MEASURES, few=FEW)
    assert [trace.name for trace in figure.data] == list(MEASURES.values())
    drawn = {name: list(trace.customdata) for name, trace in zip(MEASURES, figure.data, strict=True)}
    listed = month_rows(found)
    assert [row["cells"]["month"]["t"] for row in listed] == ["Apr 2026", "Mar 2026"]
    assert {name: [row["cells"][name]["t"] for row in reversed(listed)] for name in MEASURES} == drawn
    assert set(figure.data[0].marker.symbol) == {"circle-open"}
    assert latest_month_sentence(found) == (
        "Apr 2026. Alerts that were useful: 66.7 % (2 of 3); Time to resolve, median: 24 hours (3 of 3)."
    )
    assert latest_month_sentence(found[5:6]) == "No month has 3 values of a measure yet."


def test_a_value_of_enough_items_has_a_filled_marker() -> None:
    values = [MonthValue(MARCH, "kept", 0.5, n, "half") for n in (FEW - 1, FEW)]
    assert list(programme_panels(programme_frame(values), {"kept": "Kept"}, few=FEW).data[0].marker.symbol) == ["circle-open", "circle"]


@pytest.mark.parametrize(
    ("top", "last"), [(0.5, ("20 min", 1 / 3)), (30, ("20 h", 20)), (240, ("10 d", 240))], ids=["minutes", "hours", "days"]
)
def test_ticks_of_times_are_round_in_their_unit(top: float, last: tuple[str, float]) -> None:
    ticks = hour_ticks(top)
    assert (ticks["ticktext"][-1], ticks["tickvals"][-1]) == (last[0], pytest.approx(last[1]))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    made = new_store(tmp_path / "home")
    monkeypatch.setattr(process_lock, "current_store", lambda: made)
    monkeypatch.setattr(load, "page_clock", lambda: on(20, 5))
    yield made
    made.close()


def freeze_incidents(store: Database, week: Week, **onsets: str | None) -> None:
    """Store a frozen week of one model that has only the onsets of its incidents."""
    head = {"kind": "review", "review": str(week), "week": str(week), "at": week.end, "author": "ann"}
    incidents = [{"incident": name, "onset": onset} for name, onset in onsets.items()]
    store.write_records([{**head, "body": {"models": []}}, {**head, "model": "eta", "body": {"model": "eta", "incidents": incidents}}])


def test_an_incident_is_dated_by_the_earliest_frozen_week(store: Database) -> None:
    week = Week.parse("2026-W10")
    freeze_incidents(store, week, a="2026-03-01T00:00:00Z", b=None)
    freeze_incidents(store, week.back(-1), a="2026-03-02T00:00:00Z", c="2026-03-09T00:00:00Z")
    assert frozen_onsets(store, week.start) == {"a": on(1, hour=0), "b": None, "c": on(9, hour=0)}
    assert frozen_onsets(store, week.end) == {"a": on(2, hour=0), "c": on(9, hour=0)}


def test_the_programme_page_shows_the_values_of_the_records(store: Database) -> None:
    assert "Programme" in [each.value for each in opened("programme").title] and "No predictions yet." in words(opened("programme"))
    done = [{"kind": "action", "author": "ann", "text": "Do it", "model": "eta", "action": f"x{place}"} for place in range(3)]
    store.write_records([each | {"at": on(1), "due": on(10)} for each in done])
    store.write_records([each | {"at": on(9), "state": "done"} for each in done[:2]])
    store.write_records([{"kind": "alert", **{name: value for name, value in each.items() if value}} for each in ALERTS])
    freeze_incidents(store, Week.parse("2026-W10"), a="2026-03-01T06:00:00Z", b="2026-03-01T12:00:00Z", c="2026-03-01T12:00:00Z", d=None)
    app = opened("programme")
    listed = tables(app)["Months, newest first"]["rows"]
    assert [row["cells"]["month"]["t"] for row in listed] == ["Apr 2026", "Mar 2026"]
    assert [listed[1]["cells"][name]["t"] for name in MEASURES] == [
        "66.7 % (2 of 3)",
        "1 of 2",
        "24 hours (3 of 4)",
        "3 hours (3 of 4)",
        "4 days (3 of 4)",
    ]
    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    assert len(figure["data"]) == len(MEASURES)
    assert load_review.programme_values("eta") and not load_review.programme_values("another")


def test_months_without_a_value_are_a_table_alone(store: Database) -> None:
    store.write_records([{"kind": "action", "author": "ann", "text": "Do it", "model": "eta", "action": "x", "at": on(1), "due": on(10)}])
    app = opened("programme")
    assert "No month has 3 values of a measure yet." in words(app) and not app.get("plotly_chart")
    (row,) = tables(app)["Months, newest first"]["rows"]
    assert row["cells"]["kept"]["t"] == "0 of 1"


def test_with_predictions_only_the_programme_page_suggests_the_next_step(store: Database, tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text(json.dumps(prediction(id="a1", model="loan", at=on(1).isoformat())) + "\n", encoding="utf-8")
    store.load_files([path], LoadDefaults())
    assert store.catalog().models
    shown = opened("programme")
    assert "No month to show yet." in words(shown) and "Agree an action with a due date in a review" in words(shown)
    assert not shown.get("plotly_chart")
