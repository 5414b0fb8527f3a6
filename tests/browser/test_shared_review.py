"""Two people write about one item of a week. Each sees the other's text within seconds, and text that is still being typed is kept."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Locator, Page

from observability.review import freeze
from tests.browser.conftest import Visit
from tests.browser.pages import settle
from tests.support import review_world
from tests.support.review_world import BETTER, BROKEN
from tests.support.running import Dashboard, dashboard

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def meeting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Dashboard, str]]:
    """A dashboard with one frozen week, and the first item of its agenda."""
    home = tmp_path_factory.mktemp("shared") / "home"
    home.mkdir()
    with review_world.build(home, shadow=False) as store:
        freeze.freeze(store, BROKEN, author="Ann", now=BETTER.end + timedelta(days=7))
        item = freeze.stored_week(store, str(BROKEN))["agenda"][0]["item"]
    with dashboard(home) as running:
        yield running, item


def enter(visit: Visit, meeting: tuple[Dashboard, str], name: str) -> tuple[Page, Locator]:
    """The item, opened by a person, and the text box of a note."""
    running, item = meeting
    page = visit(f"{running.url}/review?review={BROKEN}&item={item}")
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Your name").press("Enter")
    settle(page)
    page.get_by_text("Add a note").click()
    note = page.get_by_label("Note", exact=True)
    note.wait_for()
    return page, note


@pytest.mark.long  # tests/dashboard/test_review.py::test_remarks_of_two_people_on_the_same_item_are_all_saved
def test_two_people_see_each_others_text_and_keep_what_they_are_typing(visit: Visit, meeting: tuple[Dashboard, str]) -> None:
    ann, anns = enter(visit, meeting, "Ann")
    anns.press_sequentially("It began ")
    bob, bobs = enter(visit, meeting, "Bob")
    bob.get_by_text("Ann has this open now.").first.wait_for()
    bobs.fill("Only trucks")
    bob.get_by_role("button", name="Add", exact=True).first.click()
    ann.get_by_text("Only trucks").wait_for()
    ann.get_by_text("Bob has this open now.").first.wait_for()
    assert anns.input_value() == "It began " and anns.evaluate("box => box === document.activeElement")
    ann.keyboard.type("on Monday")
    assert anns.input_value() == "It began on Monday"
    ann.get_by_role("button", name="Add", exact=True).first.click()
    bob.get_by_text("It began on Monday").wait_for()
    assert bob.get_by_text("Only trucks").is_visible()
