"""The entries of the command palette lead to known pages, and keep the parts of the scope that the page uses."""

import pytest

from observability.core.errors import UsageError
from observability.dashboard import links, palette, recent_views
from observability.dashboard.review import load_review
from observability.dashboard.scope import Scope
from tests.support.dashboard_pages import opened
from tests.support.dashboard_world import END, START, World

WEEKS = Scope("loan", span="dates", start=START, end=END)


def test_the_palette_lists_every_page_and_every_entry_opens_a_page(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(palette, "page_component", lambda name: lambda **given: drawn.append(given["data"]))
    opened("drift", model="loan", window="28d")
    (data,) = drawn
    assert {item["go"]["page"] for item in data["items"] if item["kind"] == "Pages"} == set(links.page_files())
    assert {item["go"]["page"] for item in (*data["items"], *data["shortcuts"])} <= set(links.page_files())
    assert not data["full"] and not any(item["kind"] in ("Features", "Incidents") for item in data["items"])
    assert data["summary"].startswith("loan · Last 28 days · ")


def test_models_viewed_last_come_first_and_keep_the_page(current: World) -> None:
    items = palette.model_items("drift", WEEKS, ["loan"])
    assert (items[0]["t"], items[0]["hint"], items[0]["go"]["page"]) == ("loan", "viewed recently", "drift")
    price = next(item for item in items if item["t"] == "price")
    assert price["go"]["parameters"]["window"] == "Chosen dates" and price["hint"] == ""
    assert {item["go"]["page"] for item in palette.model_items("health", WEEKS, [])} == {"model"}


def test_palette_features_belong_to_the_model_and_incidents_to_the_window(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    features = {item["t"]: item["go"] for item in palette.feature_items(WEEKS)}
    assert features["age"] == {"page": "drift", "parameters": {**WEEKS.parameters(), "feature": "age"}}
    assert palette.feature_items(Scope()) == []
    incidents = palette.incident_items(WEEKS.about("price"))
    assert incidents and {item["hint"] for item in incidents} == {"price"} and incidents[0]["go"]["parameters"]["model"] == "price"

    def fails(_scope: Scope) -> None:
        raise UsageError("the window ends before it starts")

    monkeypatch.setattr(palette.load_findings, "scope_report", fails)
    assert palette.incident_items(WEEKS) == []


def test_time_ranges_keep_the_page_and_the_model(current: World) -> None:
    ranges = {item["t"]: item["go"] for item in palette.time_range_items("drift", WEEKS)}
    assert ranges["Last 7 days"] == {"page": "drift", "parameters": {"model": "loan"}}
    assert ranges["Last 24 hours"] == {"page": "drift", "parameters": {"model": "loan", "window": "Last 24 hours"}}


def test_shared_views_do_not_wait_for_incidents(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: they came only together with the incidents, after the palette was opened; on a busy machine that took minutes."""
    drawn = []
    monkeypatch.setattr(palette, "page_component", lambda name: lambda **given: drawn.append(given["data"]))
    monkeypatch.setattr(palette, "shared_view_items", lambda: [{"kind": "Shared views", "t": "Age", "hint": "", "go": {}}])
    opened("drift", model="loan", window="28d")
    assert [item["t"] for item in drawn[0]["items"] if item["kind"] == "Shared views"] == ["Age"] and not drawn[0]["full"]


def test_palette_actions_open_the_same_page_as_the_action_list_without_computing_findings(
    current: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = {"kind": "action", "at": END, "author": "ann", "text": "Retrain", "model": "loan"}
    targets = {"p1": {"review": "2026-W09"}, "p2": {"incident": "abc", "owner": "Bo"}, "p3": {}}
    current.store.write_records([{**action, **target, "action": name, "text": f"Retrain {name}"} for name, target in targets.items()])

    def fails(*_given: object) -> None:
        raise AssertionError("findings were computed")

    for name in ("scope_report", "findings_and_incidents"):
        monkeypatch.setattr(palette.load_findings, name, fails)
    found = {item["t"]: item for item in palette.action_items() if item["t"].startswith("Retrain p")}
    assert {text: item["go"]["page"] for text, item in found.items()} == {
        "Retrain p1": "review", "Retrain p2": "incident", "Retrain p3": "actions",
    }  # fmt: skip
    assert found["Retrain p1"]["go"]["parameters"] == {"review": "2026-W09", "step": "promises"}
    assert found["Retrain p2"]["go"]["parameters"]["id"] == "abc" and found["Retrain p2"]["hint"].startswith("loan · Bo · ")
    assert {item["kind"] for item in found.values()} == {"Actions"}

    monkeypatch.setattr(palette, "MAX_ACTIONS", 1)
    assert len(palette.action_items()) == 1


def test_palette_actions_are_sent_with_the_page_and_omitted_if_unreadable(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(palette, "page_component", lambda name: lambda **given: drawn.append(given["data"]))
    current.store.write_records([{"kind": "action", "at": END, "author": "ann", "text": "Ask the vendor", "action": "p4"}])
    opened("drift", model="loan", window="28d")
    assert "Ask the vendor" in [item["t"] for item in drawn[0]["items"] if item["kind"] == "Actions"]

    def fails() -> None:
        raise UsageError("busy")

    monkeypatch.setattr(load_review, "all_actions", fails)
    assert palette.action_items() == []


def test_recent_views_come_first_without_duplicates_or_the_current_view(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[dict] = []
    monkeypatch.setattr(palette, "page_component", lambda name: lambda **given: drawn.append(given["data"]))
    app = opened("drift", model="loan", window="28d")
    assert not any(item["kind"] == "Recent" for item in drawn[-1]["items"])
    (here,) = app.session_state[recent_views.HELD]
    others = [("performance", {"model": "loan"}), ("drift", {"model": "price"}), ("case", {"model": "loan", "id": "p7"}), ("gone", {})]
    app.session_state[recent_views.HELD] = [{"page": page, "parameters": own} for page, own in others] + [here]
    app.run()
    recent = [item for item in drawn[-1]["items"] if item["kind"] == "Recent"]
    assert [(item["t"], item["hint"]) for item in recent] == [("Performance", "loan"), ("Input drift", "price"), ("Case", "loan · p7")]
    assert drawn[-1]["items"][0] is recent[0] and recent[2]["go"]["parameters"] == {"model": "loan", "id": "p7"}
    assert recent_views.place_of_view(app.session_state[recent_views.HELD][0]) == recent_views.place_of_view(here)


def test_a_new_view_replaces_an_earlier_view_of_the_same_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_views.st, "session_state", {})
    for number in range(20):
        recent_views.note_view({"page": "drift", "parameters": {"model": f"m{number % 12}", "feature": str(number)}})
    assert [view["parameters"]["feature"] for view in recent_views.recent_views()] == [str(number) for number in range(19, 10, -1)]
