"""The fleet table shows the columns and groups that its address names, and the list of incidents can act on several at once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from observability.core.catalog import Model
from observability.core.finding import Finding
from observability.core.settings import ModelSettings, parse_settings
from observability.dashboard import frame, open_tasks
from observability.dashboard.overview import fleet, fleet_view, incident_actions
from observability.dashboard.overview.fleet_view import FleetView, fleet_view_of, model_groups
from observability.dashboard.scope import Scope, Span
from observability.incidents.grouping import Incident, group_findings
from observability.server.access import Person
from tests.support.dashboard_pages import opened, tables, words
from tests.support.dashboard_world import END, World
from tests.support.signed_in import sign

MODEL = Model(1, "loan", "binary", settings=ModelSettings(owner="credit desk", tags=("risk", "retail")))


def of_one(model: str, because: str) -> Incident:
    """The incident that one finding of a model forms."""
    found = Finding(
        "data/quality",
        model,
        "1",
        because.split("`")[1],
        "null_rate",
        0.85,
        1819,
        "watch",
        because,
        END - timedelta(days=7),
        END,
        "reference",
    )
    return group_findings([found], {})[1][0]


def test_the_address_sets_table_columns_and_grouping() -> None:
    view = fleet_view_of({"column": ["drift", "nonsense", "latency"], "group": ["owner"]})
    assert view == FleetView(("latency", "drift"), "owner"), "columns keep the order of the table, and unknown columns are left out"
    assert [each["key"] for each in view.shown_columns()] == ["model", "status", "latency", "drift"]
    assert FleetView().shown_columns() == list(fleet.COLUMNS)
    assert fleet_view_of({"group": ["planet"]}) == FleetView()


def test_models_are_grouped_by_status_owner_team_or_tag() -> None:
    assert [model_groups(MODEL, "act", group) for group in fleet_view.GROUPS] == [
        ["Critical"], ["credit desk"], ["Without a team"], ["risk", "retail"],
    ]  # fmt: skip
    assert model_groups(replace(MODEL, settings=ModelSettings()), "ok", "tag") == ["Without a tag"]


def test_team_and_tags_are_read_from_settings() -> None:
    made = parse_settings({"settings": {"team": "pricing", "tags": ["risk"]}}, ModelSettings())
    assert (made.team, made.tags) == ("pricing", ("risk",))


def test_rows_are_listed_below_their_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "fleet_table_row", lambda status, scope, shared: {"cells": {"model": {"t": status.model.name}}})
    statuses: list[Any] = [Standing(MODEL), Standing(replace(MODEL, name="price", settings=ModelSettings(tags=("risk",))))]
    rows = fleet_view.grouped_fleet_rows(fleet_view.grouped_statuses(statuses, "tag"), Scope())
    assert [(row["group"], row["cells"]["model"]["t"]) for row in rows] == [
        ("risk (2)", "loan"), ("risk (2)", "price"), ("retail (1)", "loan"),
    ]  # fmt: skip
    assert all("group" not in row for row in fleet_view.grouped_fleet_rows(fleet_view.grouped_statuses(statuses, None), Scope()))


class Standing:
    """A model and its severity."""

    severity = "act"

    def __init__(self, model: Model) -> None:
        self.model = model


def test_the_home_page_table_view_is_kept_in_the_address(current: World) -> None:
    found = tables(opened("health", window="Everything", column="drift", group="status"))["Models, most severe first"]
    assert [each["key"] for each in found["columns"]] == ["model", "status", "drift"]
    assert {row["group"].split(" (")[0] for row in found["rows"]} >= {"Critical"}


def test_a_refreshing_page_says_that_another_time_range_is_being_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: until all figures were computed, those of the previous time range stayed under the new dates, as black as current
    ones.
    """
    said: list[str] = []
    state: dict[str, Any] = {}
    cases: tuple[tuple[Span, int], ...] = (("7d", 0), ("7d", 0), ("28d", 1), ("28d", 1))
    monkeypatch.setattr(frame.st, "session_state", state)
    monkeypatch.setattr(frame.st, "caption", said.append)
    for span, told in cases:
        with frame.scope_change_note("health", Scope(span=span)):
            pass
        assert len(said) == told
    with pytest.raises(RuntimeError), frame.scope_change_note("health", Scope(span="1y")):
        raise RuntimeError
    with frame.scope_change_note("health", Scope(span="1y")):
        assert len(said) == 3, "a page that was not drawn to its end is not the page that the reader sees"


def test_an_action_on_several_incidents_includes_equal_incidents_of_other_models() -> None:
    late, delay, rain = (
        of_one(*each) for each in (("late", "`wind` is null."), ("delay", "`wind` is null."), ("delay", "`rain` is null."))
    )
    assert open_tasks.equal_incidents([late, rain], [late, delay, rain]) == [delay]


def acting() -> None:
    """The script of a page on which somebody acknowledges an incident that two models share."""
    from observability.dashboard import open_tasks
    from tests.support.one_finding_incident import of_one

    both = [of_one(model, "`wind` is null.") for model in ("loan", "price")]
    open_tasks._incident_dialog(both[:1], both[1:], "acknowledge")


def test_an_action_on_a_shared_incident_is_saved_for_the_models_that_the_role_writes_about(
    current: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str | None] = []
    monkeypatch.setattr(incident_actions, "save_incident_entry", lambda incident, *_about, **_more: said.append(incident.model) or True)
    for role, models, kept in (
        (None, (("loan", "viewer"), ("price", "analyst")), ["price"]),
        ("analyst", (("price", "viewer"),), ["loan"]),
        ("analyst", (), ["loan", "price"]),
    ):
        said.clear()
        sign(monkeypatch, Person("ann", role, models))
        app = AppTest.from_function(acting).run(timeout=30)
        assert not app.exception and ("your role only reads" in words(app)) is (len(kept) == 1)
        next(each for each in app.button if each.label == "Acknowledge").click().run()
        assert said == kept


def test_merging_incidents_resolves_the_others_as_duplicates_and_names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[Any, ...]] = []
    save = lambda incident, alert, author, says, **more: said.append((incident.model, says, more.get("reason"), more["text"])) or True
    monkeypatch.setattr(incident_actions, "save_incident_entry", save)
    kept, other = of_one("late", "`wind` is null."), of_one("delay", "`rain` is null.")
    assert incident_actions.merge_incidents((kept, None), [(other, None)], "ann", "`wind` is null")
    assert said == [
        ("delay", "resolved", "duplicate", "Merged into: `wind` is null"), ("late", "note", None, f"Merged with: {other.sentence}"),
    ]  # fmt: skip
