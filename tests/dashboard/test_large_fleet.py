"""The first page of many models: filters from the address, one page of rows, models that were not checked yet."""

from datetime import UTC, datetime, timedelta

import pytest

from observability.core.catalog import Model
from observability.core.settings import ModelSettings
from observability.core.window import Window
from observability.dashboard.overview.fleet import ModelStatus
from observability.dashboard.overview.large_fleet import (
    A_PAGE,
    NO_EVENTS,
    NO_ROWS,
    WHOLE,
    FleetFilter,
    fleet_filter_of,
    is_large,
    listed_page,
)  # fmt: skip

END = datetime(2026, 7, 6, tzinfo=UTC)


def status(place: int) -> ModelStatus:
    """A model without findings."""
    settings = ModelSettings(owner=f"owner {place % 2}", team="risk" if place < 30 else None, tags=("eu", f"t{place % 3}"))
    window = Window(f"Model {place:03d}", END - timedelta(days=7), END)
    return ModelStatus(Model(place, window.model, "binary", settings=settings), window, (), NO_ROWS, NO_EVENTS, (), pending=True)


FLEET = [status(place) for place in range(80)]


def test_small_fleets_are_shown_whole() -> None:
    assert not is_large(FLEET[:WHOLE]) and is_large(FLEET)


@pytest.mark.parametrize(
    ("address", "matching"),
    [({}, 80), ({"find": "model 01"}, 10), ({"owner": "owner 1"}, 40), ({"team": "risk"}, 30), ({"tag": "t0"}, 27), ({"status": "OK"}, 0),
     ({"owner": "owner 1", "team": "risk"}, 15), ({"owner": "nobody"}, 0)],
)  # fmt: skip
def test_the_address_filters_the_models(address: dict[str, str], matching: int) -> None:
    page, found = listed_page(FLEET, fleet_filter_of(address))
    assert found == matching and len(page) == min(matching, A_PAGE)


def test_every_model_is_on_one_page_and_a_page_beyond_the_last_is_the_last() -> None:
    pages = [listed_page(FLEET, FleetFilter(page=number))[0] for number in range(1, 5)]
    assert [each.model.name for page in pages for each in page] == [each.model.name for each in FLEET]
    assert listed_page(FLEET, FleetFilter(page=99))[0] == pages[-1]
    assert fleet_filter_of({"page": "-3"}) == fleet_filter_of({"page": "x"}) == FleetFilter()
