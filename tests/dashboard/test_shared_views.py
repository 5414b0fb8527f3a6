"""A shared view is a record that everybody can find; a browser opens first the view that its reader chose."""

import json
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from observability.core.errors import ForbiddenError
from observability.dashboard import links, palette, start_page
from observability.dashboard.boards import shared_views
from observability.dashboard.boards.boards import board_record, read_boards
from observability.dashboard.boards.shared_views import SharedView, read_shared_views
from observability.dashboard.figure_capture import WITHOUT_SHARING
from observability.dashboard.page_figures import FigurePlace
from observability.dashboard.scope import Scope
from observability.server.access import Person
from observability.server.guarded_store import guarded_store
from tests.support.dashboard_pages import opened, tables
from tests.support.dashboard_world import END, START, World

WHOLE = Scope("loan", span="dates", start=START, end=END)
AGE = FigurePlace("drift", WHOLE, (("feature", ("age",)),))


def shared(world: World, *names: str) -> list[SharedView]:
    world.store.write_records([shared_views.shared_view_record(AGE, name, "ann") for name in names])
    return read_shared_views(world.store.dashboards())


def removed(world: World, view: SharedView) -> None:
    world.store.write_records([board_record(view.id, "bob", state="withdrawn")])


def test_a_shared_view_is_listed_for_everybody_until_it_is_removed(current: World) -> None:
    (view,) = shared(current, "Age of loans")
    assert (view.name, view.author, view.place) == ("Age of loans", "ann", AGE)
    assert read_boards(current.store.dashboards()) == [], "a shared view is not a dashboard"
    (item,) = palette.shared_view_items()
    assert (item["kind"], item["t"], item["hint"]) == ("Shared views", "Age of loans", "ann")
    assert item["go"] == {"page": "drift", "parameters": {**WHOLE.parameters(), "feature": "age"}}
    cells = tables(opened("dashboards"))["Shared views by name"]["rows"][0]["cells"]
    assert cells["name"]["go"] == item["go"] and cells["page"]["t"] == "Input drift" and cells["by"]["t"] == "ann"
    removed(current, view)
    assert palette.shared_view_items() == [] and not shared_views.visible_views()


def test_the_share_dialog_suggests_a_name_and_the_dashboards_page_removes_the_view(current: World) -> None:
    app = opened("drift", model="loan", feature="age", window="Last 28 days")
    app.button("share-view").click().run()
    assert app.text_input("share-name").value.startswith("Input drift: loan · last 28 days")
    shared(current, "Loans, age")
    app = opened("dashboards")
    app.text_input("shared-view-person-box").set_value("Bob").run()
    app.button("shared-view-remove").click().run()
    assert not app.exception and shared_views.visible_views() == []


def test_a_view_of_a_hidden_model_is_not_listed_and_a_reader_cannot_share_views(current: World) -> None:
    (view,) = shared(current, "Loans")
    eve = guarded_store(current.store, Person("eve", None, (("price", "viewer"),)))
    vic = guarded_store(current.store, Person("vic", "viewer"))
    assert read_shared_views(eve.dashboards()) == [] and read_shared_views(vic.dashboards()) == [view]
    with pytest.raises(ForbiddenError):
        vic.write_records([shared_views.shared_view_record(AGE, "mine", "vic")])
    removed(current, view)


def test_pages_with_a_prediction_id_in_their_address_cannot_be_shared(current: World) -> None:
    assert {"case", "cases", "prediction_map", "query"} <= set(WITHOUT_SHARING)
    app = opened("case", id="l40", model="loan")
    assert not any(button.key == "share-view" for button in app.button)


@pytest.mark.parametrize(
    ("cookie", "target"),
    [
        (None, None),
        ("{}", None),
        ("[1", None),
        ('["drift"]', None),
        (json.dumps({"page": "gone", "parameters": {}}), None),
        (json.dumps({"page": "drift"}), None),
        (quote(json.dumps({"page": "drift", "parameters": {"model": "loan"}})), {"page": "drift", "parameters": {"model": "loan"}}),
    ],
)
def test_a_start_page_cookie_with_an_unknown_page_is_ignored(cookie: str | None, target: dict | None) -> None:
    assert start_page.read_start_page(cookie) == target


def test_the_chosen_start_view_opens_only_at_the_bare_address(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[dict] = []
    monkeypatch.setattr(palette, "page_component", lambda _name: lambda **given: drawn.append(given["data"]))
    app = opened("quality", model="loan", window="Last 28 days")
    app.button("start-page-button").click().run()
    target = {"page": "quality", "parameters": {"model": "loan", "window": "Last 28 days"}}
    assert drawn[-1]["cookies"] == {start_page.COOKIE: target}
    assert app.button("start-page-button").label == "Open Home first"
    app.button("start-page-button").click().run()
    assert drawn[-1]["cookies"] == {start_page.COOKIE: {}}

    opened_first: list[tuple[str, dict]] = []
    monkeypatch.setattr(start_page.st, "switch_page", lambda path, query_params: opened_first.append((Path(path).stem, query_params)))
    home = dict(parse_qsl(urlsplit(links.page_address("health")).query))
    for page, query, looked in (
        ("", {}, False), ("", {}, True), ("", {"window": "Live"}, False), ("drift", {}, False), ("", home, False),
    ):  # fmt: skip
        monkeypatch.setattr(start_page.st, "session_state", {start_page.HELD: target, start_page.LOOKED: looked})
        monkeypatch.setattr(start_page.st, "query_params", query)
        start_page.begin_at_start_page(page)
    assert opened_first == [("quality", target["parameters"])]
    assert home == {}, "the address bar shows the bare address of Home"
