"""The tour of the sample has five steps, each on its own page, and is offered only if the sample is loaded."""

from observability.core.catalog import Model
from observability.dashboard import links
from observability.dashboard.tour import tour_steps
from observability.store.db.database import Database
from tests.support.dashboard_pages import opened


def test_the_tour_has_five_steps_on_pages_that_exist() -> None:
    steps = tour_steps([Model(name="tide", key=1, task="binary")])["steps"]
    assert [each["go"]["page"] for each in steps] == ["health", "model", "incident", "cases", "review"]
    assert all(each["go"]["page"] in links.page_files() and each["t"] and len(each["text"].split()) <= 25 for each in steps)
    assert [each["go"]["parameters"].get("model") for each in steps] == [None, "tide", None, "tide", None]


def test_no_tour_is_offered_without_the_sample(empty: Database) -> None:
    assert not [each for each in opened("health").get("bidi_component") if "Tour of the sample" in each.proto.json]
