"""Dashboards that people make: records, rights, drawing, export, summaries."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pandas as pd
import plotly.graph_objects as go
import pytest

from observability.alerts.alert_log import messages_by_key
from observability.alerts.config import AlertConfig
from observability.core.errors import ForbiddenError, NotFoundError
from observability.core.questions import Records
from observability.core.window import Window
from observability.dashboard import page_figures
from observability.dashboard.boards import board_export, board_mail, boards, pinning
from observability.dashboard.boards.boards import Board, read_boards
from observability.dashboard.page_figures import FigurePlace
from observability.dashboard.scope import Scope
from observability.incidents.daily_values import DailyLine
from observability.server.access import HERE, Person
from observability.server.guarded_store import guarded_store
from observability.server.refused_lines import refused_lines
from tests.support.dashboard_pages import opened, tables, words
from tests.support.dashboard_world import END, START, World

WHOLE = Scope(span="dates", start=START, end=END)
LOAN = FigurePlace("drift", Scope("loan", span="dates", start=START, end=END), (("feature", ("age",)),))


def write(world: World, *records: dict) -> None:
    world.store.write_records(list(records))


def board_of(world: World, name: str) -> Board:
    return next(board for board in read_boards(world.store.dashboards()) if board.name == name)


def test_a_dashboard_is_rebuilt_from_its_records_and_pins_can_be_moved(current: World) -> None:
    record = boards.board_record
    write(current, record("b1", "ann", name="Mornings", scope=boards.scope_text(WHOLE)))
    board = board_of(current, "Mornings")
    assert (board.scope, board.shared, board.author, board.pins, board.send) == (WHOLE, False, "ann", (), "never")
    for title in ("first", "second"):
        fields = {**boards.figure_fields(LOAN, "overlay"), "title": title, "follows": "dates", "width": "half"}
        write(current, boards.new_pin_record(board_of(current, "Mornings"), "b1", "ann", **fields))
    board = board_of(current, "Mornings")
    assert [pin.title for pin in board.pins] == ["first", "second"] and board.pins[0].own == LOAN
    write(current, *boards.moved_records(board, board.pins[1], -1, "bob"))
    moved = board_of(current, "Mornings")
    assert [pin.title for pin in moved.pins] == ["second", "first"]
    assert boards.moved_records(moved, moved.pins[0], -1, "bob") == []
    write(current, boards.pin_record("b1", moved.pins[0].id, "bob", state="withdrawn"))
    assert [pin.title for pin in board_of(current, "Mornings").pins] == ["first"]
    write(current, record("b1", "bob", state="withdrawn"))
    assert read_boards(current.store.dashboards()) == []


def test_a_pinned_figure_follows_the_dashboard_scope_its_dates_or_neither() -> None:
    def shown(follows: str) -> Scope:
        pin = boards.Pin("p", "", "", LOAN, "overlay", follows, "full", 1.0)
        place = pin.shown_place(Scope("price", "2", "28d"))
        assert place is not None
        return place.scope

    assert shown("none") == LOAN.scope
    assert shown("dates") == Scope("loan", span="28d")
    assert shown("dashboard") == Scope("price", "2", "28d")


def test_halves_that_follow_each_other_share_a_row() -> None:
    def pins(*widths: str) -> list[boards.Pin]:
        return [boards.Pin(str(at), "", "", None, "", "none", width, float(at)) for at, width in enumerate(widths)]

    rows = boards.rows_of_pins(pins("half", "half", "half", "full", "half"))
    assert [[pin.id for pin in row] for row in rows] == [["0", "1"], ["2"], ["3"], ["4"]]


@pytest.fixture
def board(current: World) -> Iterator[Board]:
    """A dashboard with a figure, a text, and figures whose model, page or name no longer exists."""
    write(current, boards.board_record("b2", "ann", name="Fleet", scope=boards.scope_text(WHOLE), state="standing"))

    def add(place: FigurePlace | None, figure: str = "", **fields: str) -> None:
        about = boards.figure_fields(place, figure) if place else {}
        write(current, boards.new_pin_record(board_of(current, "Fleet"), "b2", "ann", **about, **fields))

    add(LOAN, "overlay", title="Age of loans", follows="dates", width="half")
    add(None, title="Note", text="Look at *age*\nfirst.")
    add(FigurePlace("drift", Scope("gone")), "ranking", title="No model", follows="dates")
    add(FigurePlace("nowhere", Scope("loan")), "ranking", title="No page", follows="none")
    add(FigurePlace("drift", LOAN.scope), "removed", title="No figure", follows="none")
    yield (found := board_of(current, "Fleet"))
    write(current, *(boards.pin_record("b2", pin.id, "ann", state="withdrawn") for pin in found.pins))
    write(current, boards.board_record("b2", "ann", state="withdrawn"))


def test_a_dashboard_draws_its_pinned_figures_and_lists_missing_ones(current: World, board: Board) -> None:
    listed = tables(opened("dashboards"))["Dashboards by name"]["rows"]
    assert [(row["cells"]["name"]["t"], row["cells"]["figures"]["t"]) for row in listed] == [("Fleet", "4")]
    app = opened("dashboards", dashboard="b2")
    assert app.title[0].value == "Fleet"
    page = opened("drift", model="loan", feature="age", **{"from": "2026-03-02T00:00", "to": "2026-03-16T00:00", "window": "Chosen dates"})
    drawn, own = ([json.loads(each.proto.spec) for each in one.get("plotly_chart")] for one in (app, page))
    assert len(drawn) == 1 and drawn[0] == own[1]
    said = words(app)
    assert "The model gone is not in this store, or you may not see it." in said
    assert "The page “nowhere” is gone." in said
    assert "The page does not show the figure “removed” in this scope." in said
    assert "Look at *age*" in said and "loan · 2 to 15 Mar 2026" in said
    assert "not shared with you" in words(opened("dashboards", dashboard="other"))


def test_the_file_holds_the_figures_in_the_colours_of_the_theme_and_requests_nothing(current: World, board: Board) -> None:
    text = board_export.board_html(board, board.scope, HERE)
    drawn = [json.loads(found) for found in re.findall(r'<script type="application/json">(.*?)</script>', text)]
    assert len(drawn) == 1 and drawn[0]["data"] and not re.search(r"#0000[0-3]\d\b", json.dumps(drawn))
    body = text.partition("</main>")[0]
    assert "<h2>Age of loans</h2>" in body and "The page “nowhere” is gone." in body and "<p>Look at *age*</p>\n<p>first.</p>" in body
    assert not re.search(r'(src|href)="', body), "the file loads no external resources"
    assert "default-src 'none'" in text
    assert body.count("<table>") == 1 and "2 to 15 Mar 2026" in body


NOON = datetime(2026, 3, 16, 12, 30, tzinfo=UTC)
"""A Monday."""


def test_a_summary_is_queued_once_on_its_scheduled_day_and_hour(current: World, board: Board) -> None:
    (current.store.home / "alerts.toml").write_text(
        '[channels]\nteam = "json://127.0.0.1:9/x"\n[alerts]\ntimezone = "Europe/Paris"\ndashboard = "https://m.example"\n',
        encoding="utf-8",
    )
    try:
        schedule = {"send": "monday", "hour": 13, "channel": "team"}
        write(current, boards.board_record("b2", "bob", **schedule))
        for early in (NOON - timedelta(hours=1), NOON - timedelta(days=1)):
            assert board_mail.queue_due_summaries(current.store, early) == []
        key = "dashboard-b2-2026-03-16"
        assert board_mail.queue_due_summaries(current.store, NOON) == [key]
        assert board_mail.queue_due_summaries(current.store, NOON + timedelta(minutes=1)) == []
        message = messages_by_key(current.store)[key]
        figure = page_figures.figures_of_page(LOAN, ["overlay"]).found["overlay"]
        assert (message.channel, message.title, message.state) == ("team", "Dashboard: Fleet", "queued")
        assert figure.alt in message.text and "Age of loans (loan · 2 to 15 Mar 2026)" in message.text
        assert message.text.endswith("https://m.example/dashboards?dashboard=b2") and "The page “nowhere” is gone." in message.text
    finally:
        (current.store.home / "alerts.toml").unlink()


ANN, BOB = (Person(name, None, (("loan", "analyst"),)) for name in ("ann", "bob"))
CAT = Person("cat", None, (("price", "analyst"),))
ADA = Person("ada", "administrator")


def test_a_dashboard_is_private_until_shared_with_people_who_see_its_models(current: World) -> None:
    stores = {person.name: guarded_store(current.store, person) for person in (ANN, BOB, CAT, ADA)}

    def seen() -> set[str]:
        return {name for name, store in stores.items() if "b3" in {item.id for item in store.dashboards()}}

    record = boards.board_record("b3", "nobody", name="Loans", scope=boards.scope_text(WHOLE))
    pin = boards.pin_record("b3", "p3", "nobody", title="Age", place=1.0, **boards.figure_fields(LOAN, "overlay"))
    stores["ann"].write_records([record, pin])
    assert board_of(current, "Loans").author == "ann", "the author is the signed-in person"
    assert seen() == {"ann"}
    for name in ("bob", "ada"):
        with pytest.raises(NotFoundError, match="not shared with you"):
            stores[name].write_records([boards.pin_record("b3", "p3", name, title="mine")])
    stores["ann"].write_records([boards.board_record("b3", "ann", visibility="shared")])
    assert seen() == {"ann", "bob", "ada"}
    stores["bob"].write_records([boards.pin_record("b3", "p3", "bob", title="Ages")])
    assert board_of(current, "Loans").pins[0].title == "Ages"
    with pytest.raises(NotFoundError):
        stores["cat"].write_records([boards.board_record("b3", "cat", state="withdrawn")])
    other = boards.board_record("b4", "cat", name="Prices")
    with pytest.raises(NotFoundError):
        stores["cat"].write_records([other, boards.pin_record("b4", "p3", "cat")])
    with pytest.raises(NotFoundError):
        stores["ann"].write_records([pin_of_price := boards.pin_record("b3", "p4", "ann", **boards.figure_fields(PRICE, "volume"))])
    assert pin_of_price["model"] == "price", "a hidden model cannot be pinned"
    for kind in ("dashboard", "pin"):
        with pytest.raises(ForbiddenError):
            stores["bob"].ask(Records(kind, ever=True), Window("", START, END))
    stores["ada"].write_records([boards.board_record("b3", "ada", state="withdrawn")])
    assert seen() == set()


def test_a_summary_names_figures_pinned_by_others_without_showing_them(current: World, board: Board) -> None:
    scheduler = Person("bob", "administrator")
    text = board_mail.dashboard_summary(board, AlertConfig(), scheduler)[0]
    figure = page_figures.figures_of_page(LOAN, ["overlay"]).found["overlay"]
    assert figure.alt not in text and "Age of loans: not in this mail, because ann pinned it, not " in text
    text, drawn = board_mail.dashboard_summary(board, AlertConfig(), Person("ann", "administrator"))
    assert figure.alt in text
    for line in drawn:
        assert text.splitlines()[line.line - 1] in line.label


def test_a_mail_draws_only_the_first_time_line_of_a_figure() -> None:
    days = pd.date_range("2026-03-02", periods=3)
    bars = go.Figure(go.Bar(x=days, y=[1, 2, 3]))
    assert board_mail.line_of_figure(bars, "Bars.", 4) is None
    bars.add_scatter(x=["a", "b"], y=[1, 2], mode="lines").add_scatter(x=[1, 2], y=[1, 2], mode="lines").add_scatter(
        x=days, y=[0.1, None, 0.3], mode="lines", name="Accuracy"
    )
    bars.update_yaxes(tickformat=",.1%")
    line = board_mail.line_of_figure(bars, "Accuracy fell.", 4)
    points = (("2026-03-02", 0.1, None, None), ("2026-03-03", None, None, None), ("2026-03-04", 0.3, None, None))
    assert line == DailyLine("Accuracy", "Accuracy fell.", points, None, True, 4)


@pytest.fixture
def channels(current: World) -> Iterator[None]:
    """Two alert channels; analysts may use only one of them."""
    path = current.store.home / "alerts.toml"
    path.write_text(
        '[channels]\nteam = "json://127.0.0.1:9/x"\nboard = "json://127.0.0.1:9/y"\n[dashboards]\nchannels = ["team"]\n', "utf-8"
    )
    yield
    path.unlink()


def test_analysts_send_summaries_only_to_channels_that_are_open_to_them(current: World, channels: None, monkeypatch) -> None:
    stores = {person.name: guarded_store(current.store, person) for person in (ANN, ADA)}
    record = boards.board_record("b6", "ann", name="Sent", scope=boards.scope_text(WHOLE), visibility="shared")
    stores["ann"].write_records([record])
    schedule = {"send": "daily", "hour": 0, "channel": "board"}
    with pytest.raises(ForbiddenError, match="not open to analysts"):
        stores["ann"].write_records([boards.board_record("b6", "ann", **schedule)])
    stores["ada"].write_records([boards.board_record("b6", "ada", **schedule)])
    stores["ann"].write_records([boards.board_record("b6", "ann", name="Renamed")])
    assert (board_of(current, "Renamed").channel, board_of(current, "Renamed").sent_by) == ("board", "ada")
    for part in ({"channel": "board"}, {"hour": 9}, {"send": "monday"}):
        with pytest.raises(ForbiddenError):
            stores["ann"].write_records([boards.board_record("b6", "ann", **part)])
    stores["ann"].write_records([boards.board_record("b6", "ann", send="daily", hour=0, channel="team")])
    assert board_of(current, "Renamed").sent_by == "ann"
    people = {"ann": ANN, "ada": ADA}
    monkeypatch.setattr(board_mail, "person_of_name", lambda home, name: people.get(name))
    assert board_mail.queue_due_summaries(current.store, NOON) == ["dashboard-b6-2026-03-16"]
    write(current, boards.board_record("b6", "ann", channel="board"))  # as if the channel had been closed meanwhile
    assert board_mail.queue_due_summaries(current.store, NOON + timedelta(days=1)) == []
    stores["ann"].write_records([boards.board_record("b6", "ann", send="never")])
    write(current, boards.board_record("b6", "ada", state="withdrawn"))


def test_saving_other_settings_does_not_make_a_person_the_sender(current: World, channels: None, monkeypatch) -> None:
    write(current, boards.board_record("b7", "ada", name="Weekly", scope=boards.scope_text(WHOLE), send="monday", hour=7, channel="board"))
    write(current, boards.board_record("b7", "bob", name="Weekly", send="monday", hour=7, channel="board"))
    assert board_of(current, "Weekly").sent_by == "ada", "saving the same schedule again keeps its sender"
    app = opened("dashboards", dashboard="b7")
    app.text_input(key="board-settings-person-box").input("bob").run()
    app.text_input("board-name-b7").set_value("Week")
    app.button("board-settings-save").click().run()
    board = board_of(current, "Week")
    assert (board.sent_by, board.hour) == ("ada", 7)
    app.number_input("board-hour-b7").set_value(8).run()
    app.button("board-settings-save").click().run()
    board = board_of(current, "Week")
    assert (board.sent_by, board.hour) == ("bob", 8)
    write(current, boards.board_record("b7", "ada", state="withdrawn"))


def test_an_analyst_token_cannot_send_messages() -> None:
    line = json.dumps({"kind": "message", "message": "m", "at": "2026-03-16T00:00:00Z", "state": "queued", "channel": "board", "text": "x"})
    for person, refused in ((ANN, True), (Person("t", "analyst"), True), (ADA, False), (HERE, False)):
        assert bool(refused_lines(person, [line.encode()], ())) == refused


def test_a_token_cannot_change_dashboards() -> None:
    lines = [json.dumps(each).encode() for each in (boards.board_record("b9", "ada", name="x"), boards.pin_record("b9", "p", "ada"))]
    for person in (ADA, ANN, Person("t", "analyst")):
        assert set(refused_lines(person, lines, ())) == {1, 2}
    assert refused_lines(HERE, lines, ()) == {}


PRICE = FigurePlace("quality", Scope("price"))


def test_a_button_under_a_figure_asks_where_to_pin_it(current: World) -> None:
    app = opened("drift", model="loan", feature="age", **{"from": "2026-03-02T00:00", "to": "2026-03-16T00:00", "window": "Chosen dates"})
    app.button("overlay-pin").click().run()
    assert not app.exception
    assert [box.label for box in app.selectbox if box.key == "pin-board"] == ["Dashboard"]
    assert [box.value for box in app.text_input if box.label == "Title"] == ["Input drift: overlay"]
    assert not any(button.key and button.key.endswith("-pin") for button in opened("case", id="l40", model="loan").button)


def test_a_figure_is_pinned_to_a_dashboard_or_a_new_one_with_its_dates(current: World) -> None:
    records, name = pinning.pin_records(None, " Ours ", "ann", LOAN, "overlay")
    write(current, *records)
    board = board_of(current, "Ours")
    assert (name, board.scope, board.pins[0].own, board.pins[0].figure) == ("Ours", WHOLE, LOAN, "overlay")
    records, name = pinning.pin_records(board, board.id, "ann", LOAN, "ranking")
    assert len(records) == 1 and name == "Ours"
    write(current, *records)
    assert [pin.figure for pin in board_of(current, "Ours").pins] == ["overlay", "ranking"]
    write(current, boards.board_record(board.id, "ann", state="withdrawn"))
