"""An incident is unread until it is opened or marked as read; the marks are stored in a browser cookie."""

import json
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from observability.dashboard import figure_capture, open_tasks, palette, read_incidents
from observability.dashboard.overview import incidents
from observability.dashboard.scope import Scope
from observability.incidents.grouping import Incident
from tests.support.dashboard_pages import WHOLE, opened, tables
from tests.support.dashboard_world import World
from tests.support.one_finding_incident import of_one


def incident(name: str, severity: str = "watch") -> Incident:
    """An incident whose id repeats this letter."""
    found = of_one("m", "Nulls rose.")
    return replace(found, id=name * 16, severity=severity, lead=replace(found.lead, severity=severity))


def written(page: AppTest) -> dict[str, Any] | None:
    """The changes that the palette of a page makes to the cookie."""
    (cookies,) = [data["cookies"] for each in page.get("bidi_component") if "cookies" in (data := json.loads(each.proto.json))]
    found: dict[str, Any] | None = cookies.get(read_incidents.COOKIE)
    return found


@pytest.mark.parametrize(
    ("cookie", "marks"),
    [
        (None, ()),
        ("", ()),
        ("97971f2bf265a.0123456789abw", ("97971f2bf265a", "0123456789abw")),
        ("97971f2bf265a.97971f2bf265a", ("97971f2bf265a",)),
        ("97971f2bf265w.0123456789aba.97971f2bf265a", ("97971f2bf265w", "0123456789aba")),
        ("short.<script>abcd;.97971f2bf265a", ("97971f2bf265a",)),
    ],
)
def test_only_valid_marks_are_read_from_the_cookie(cookie: str | None, marks: tuple[str, ...]) -> None:
    assert read_incidents.marks_in_cookie(cookie) == marks


def test_what_a_full_list_writes_fits_a_cookie_and_is_read_back() -> None:
    marks = tuple(f"{place:012x}a" for place in range(read_incidents.MAX_READ))
    cookie = ".".join(marks)
    assert len(read_incidents.COOKIE) + len(cookie) < 4_000 and read_incidents.marks_in_cookie(cookie) == marks
    assert len(read_incidents.marks_in_cookie(f"{cookie}.ffffffffffffa")) == read_incidents.MAX_READ


def test_incidents_are_marked_as_read_and_unread_and_one_that_got_worse_is_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_incidents.st, "session_state", state := {read_incidents.HELD: ()})
    one, other = incident("a"), incident("b")
    assert read_incidents.changed_marks() is None
    read_incidents.mark_incidents([one, other], read=True)
    assert [change["add"] for change in palette.changed_cookies()[read_incidents.COOKIE]["changes"]] == [["a" * 12 + "w", "b" * 12 + "w"]]
    assert read_incidents.is_read(one) and read_incidents.is_read(other) and state[read_incidents.CHANGED]
    assert not read_incidents.is_read(incident("a", "act")), "an incident that got worse is unread"
    assert read_incidents.asked_marks("turn", [one.id], {one.id: one}) is False
    read_incidents.mark_incidents([one], read=False)
    assert not read_incidents.is_read(one) and read_incidents.is_read(other)
    known = {each.id: each for each in (one, other)}
    asked = [read_incidents.asked_marks(does, list(known), known) for does in ("turn", "read", "unread", "snooze")]
    assert asked == [True, True, False, None], "if one of two is unread, both become read"


def test_an_incident_that_got_better_stays_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_incidents.st, "session_state", {read_incidents.HELD: ()})
    read_incidents.mark_incidents([incident("a", "act")], read=True)
    assert all(read_incidents.is_read(incident("a", severity)) for severity in ("act", "watch", "ok", "unknown"))
    read_incidents.mark_incidents([incident("a", "watch")], read=True)
    assert read_incidents.read_marks() == ("a" * 12 + "w",), "an incident has one mark, from its last reading"
    assert not read_incidents.is_read(incident("a", "act")), "an incident that is worse than at its last reading is unread"
    read_incidents.mark_incidents([incident("a", "ok")], read=False)
    assert not read_incidents.is_read(incident("a", "watch")), "the incident stays unread at any severity"


def test_an_unread_row_has_a_dot_with_a_word_and_a_read_one_has_none() -> None:
    row, read = (incidents.inbox_row(incident("a"), ["m"], Scope(), unread=unread) for unread in (True, False))
    assert row["tone"] == "unread" and row["cells"]["what"]["dot"] == "Unread"
    assert "tone" not in read and read["cells"]["what"]["dot"] is None


def test_opening_an_incident_marks_it_read_for_later_sessions(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tables(opened("health", **WHOLE))["Incidents, most urgent first"]["rows"]
    acted = [row for row in rows if row["cells"].get("act")]
    assert acted and all(row["tone"] == "unread" for row in acted)
    name = acted[0]["cells"]["act"]["act"]

    page = opened("incident", id=name, **WHOLE)
    (mark,) = page.session_state[read_incidents.HELD]
    assert mark.startswith(name[: read_incidents.ID_LENGTH])
    changes = written(page)
    assert changes and [change["add"] for change in changes["changes"]] == [[mark]], (
        "the page itself writes the mark, because the reader may close the tab"
    )

    monkeypatch.setattr(read_incidents, "marks_in_cookie", lambda cookie: (mark,))  # the marks of the next session
    app = opened("health", **WHOLE)
    table = tables(app)["Incidents, most urgent first"]
    assert [row["cells"]["act"]["act"] for row in table["rows"] if row["cells"].get("act") and row.get("tone") != "unread"] == [name]
    assert table["keys"]["u"] == "turn" and {"read", "unread"} <= {*table["bulk"]} and "u" in {row["key"] for row in palette.key_rows()}
    assert read_incidents.CHANGED not in app.session_state, "nothing changed"


def test_marking_as_read_opens_no_dialog_but_other_actions_do(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    acts = []
    monkeypatch.setattr(open_tasks, "draw_table", lambda *given, **options: acts.append(options["on_act"]))
    monkeypatch.setattr(open_tasks, "ask_for_action", lambda named, does: asked.append(does))
    monkeypatch.setattr(read_incidents.st, "session_state", {read_incidents.HELD: ()})
    monkeypatch.setattr(open_tasks.incident_actions, "alerts_here", dict)
    monkeypatch.setattr(open_tasks.incident_actions, "incident_owner", lambda *_: None)
    one = incident("a")
    open_tasks.open_tasks_table([], open_tasks.counted_incidents([one]), Scope())
    acts[0]([one.id], "turn")
    assert read_incidents.is_read(one) and asked == []
    acts[0]([one.id], "snooze")
    assert asked == ["snooze"]


def test_marks_set_within_a_page_fragment_are_saved_once_by_the_whole_page(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(read_incidents.st, "session_state", {read_incidents.HELD: ()})
    monkeypatch.setattr(read_incidents.st, "rerun", lambda: asked.append("whole page"))
    read_incidents.write_marks()
    assert asked == [], "nothing changed"
    read_incidents.mark_incidents([incident("a")], read=True)
    read_incidents.write_marks()
    read_incidents.write_marks()
    assert asked == ["whole page"]
    read_incidents.mark_incidents([incident("b")], read=True)
    token = figure_capture.COLLECTOR.set(figure_capture.FigureCollector(("incident-days",)))
    read_incidents.write_marks()
    figure_capture.COLLECTOR.reset(token)
    assert asked == ["whole page"], "a pinned figure of an incident has no palette"
