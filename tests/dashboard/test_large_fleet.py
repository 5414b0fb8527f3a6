"""The first page with many models: filters from the address, one page of rows at a time, and models that have not been checked yet."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from observability.core.catalog import Model
from observability.core.settings import ModelSettings
from observability.core.window import Window
from observability.dashboard.overview.large_fleet import (
    A_PAGE,
    NO_EVENTS,
    NO_ROWS,
    WHOLE,
    FleetFilter,
    fleet_filter_of,
    is_large,
    listed_page,
    oldest_check,
)  # fmt: skip
from observability.dashboard.overview.model_status import ModelStatus

END = datetime(2026, 7, 6, tzinfo=UTC)


def status(place: int) -> ModelStatus:
    """The status of a model without findings."""
    settings = ModelSettings(owner=f"owner {place % 2}", team="risk" if place < 30 else None, tags=("eu", f"t{place % 3}"))
    window = Window(f"Model {place:03d}", END - timedelta(days=7), END)
    return ModelStatus(Model(place, window.model, "binary", settings=settings), window, (), NO_ROWS, NO_EVENTS, (), pending=True)


FLEET = [status(place) for place in range(80)]


def test_small_fleets_are_shown_whole() -> None:
    assert not is_large(FLEET[:WHOLE]) and is_large(FLEET)


@pytest.mark.parametrize(
    ("address", "matching"),
    [({}, 80), ({"find": "model 01"}, 11), ({"find": "RISK t1"}, 10), ({"find": "unknown"}, 80), ({"find": "amount"}, 0), ({"owner": "owner 1"}, 40), ({"team": "risk"}, 30), ({"tag": "t0"}, 27), ({"status": "OK"}, 0),
     ({"owner": "owner 1", "team": "risk"}, 15), ({"owner": "nobody"}, 0)],
)  # fmt: skip
def test_the_address_filters_the_models(address: dict[str, str], matching: int) -> None:
    page = listed_page(FLEET, fleet_filter_of(address))
    assert page.models == matching and len(page.rows) == min(matching, A_PAGE)


def test_the_search_includes_incident_claims_of_all_models() -> None:
    incident: Any = SimpleNamespace(sentence="The input `amount` drifted.", shown_severity="act")
    fleet = [*FLEET[:-1], replace(FLEET[-1], incidents=(incident,))]
    found = listed_page(fleet, FleetFilter(find="Amount drifted"))
    assert [each.model.name for _, each in found.rows] == ["Model 079"], "a search finds a model of the last page"
    assert listed_page(fleet, FleetFilter(find="drifted", status="Critical")).models == 1


def test_pages_divide_all_models_and_a_page_number_beyond_the_last_gives_the_last() -> None:
    pages = [listed_page(FLEET, FleetFilter(page=number)).rows for number in range(1, 5)]
    assert [each.model.name for page in pages for _, each in page] == [each.model.name for each in FLEET]
    assert listed_page(FLEET, FleetFilter(page=99)).rows == pages[-1]
    assert fleet_filter_of({"page": "-3"}) == fleet_filter_of({"page": "x"}) == FleetFilter()


def test_groups_cover_all_models_and_their_pages_contain_every_row() -> None:
    whole = listed_page(FLEET, FleetFilter(), "tag")
    pages = [listed_page(FLEET, FleetFilter(page=number), "tag").rows for number in range(1, whole.pages + 1)]
    rows = [(group, each.model.name) for page in pages for group, each in page]
    assert whole.models == 80 and whole.pages == len(pages) == 7, "all rows are on the pages; a model with two tags has two rows"
    assert [group for group, _ in whole.rows] == ["eu (80)"] * A_PAGE, (
        "the group states the number of all its models, not only of those on the page"
    )
    assert len(rows) == len(set(rows)) == 160
    assert Counter(group for group, _ in rows) == {"eu (80)": 80, "t0 (27)": 27, "t1 (27)": 27, "t2 (26)": 26}
    assert [name for group, name in rows if group == "eu (80)"] == [each.model.name for each in FLEET]


def test_the_age_of_the_oldest_check_is_told() -> None:
    now = datetime.now(UTC)
    checked = [replace(each, checked_at=now - timedelta(minutes=place)) for place, each in enumerate(FLEET[:8], start=1)]
    assert oldest_check([*checked, *FLEET[8:]]) == "; the oldest check was 8 minutes ago"
    assert oldest_check(FLEET) == ""
