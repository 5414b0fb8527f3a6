"""An address opens the same view for everybody, and the page says which names in the address are unknown."""

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Visit
from tests.browser.pages import complete, figure, heading, link_of, settle, tables, words
from tests.support.length import some
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
VIEWS = {
    "health": "/",
    "model": "/model?model=flights-late&version=1",
    "findings": "/findings?model=flights-delay&severity=act&subject=dew_point_f",
    "quality": "/quality?model=employment&window=28d",
    "drift": "/drift?model=flights-delay&from=2013-07-01&to=2013-08-01&feature=humidity_percent",
    "performance": "/performance?model=flights-late&from=2013-07-01&to=2013-08-01&metric=roc_auc&slice=carrier%3DAA",
    "fairness": "/fairness?model=flights-late&attribute=origin&metric=demographic_parity_difference&crossed=carrier",
    "store": "/store",
    "add_model": "/add_model",
}
UNKNOWN = {
    "/drift?model=nope": "names the model nope, which is not in this store",
    "/drift?model=flights-delay&version=9": "names version 9, which does not exist",
    "/model?model=flights-delay&window=forever": "names the window forever, which does not exist",
    "/model?model=flights-delay&from=yesterday": "names yesterday as from, which is not a time",
    "/drift?model=flights-delay&feature=shoe_size": "names shoe_size, which is not among the analyzed columns",
    "/performance?model=flights-delay&metric=luck": "names the metric luck, which was not measured here",
    "/findings?model=flights-delay&finding=0123": "names the finding 0123, which is not in this list",
    "/performance?model=flights-delay&slice=shoe_size%3D44": "shoe_size",
}


def seen(page: Page) -> dict[str, object]:
    """The parts of a page that must be equal in both views: title, scope, every sentence with a figure, every table."""
    text = words(page)
    scope = figure(r"([\d]+(?: \w+)?(?: \d{4})? to [^ ]+ \w+ \d{4}) UTC", text) if "Newest record" in text else ()
    sentences = [each for each in text.replace("?", ".").split(". ") if "labelled predictions" in each or "moved" in each]
    return {"title": heading(page), "scope": scope, "sentences": [each[-160:] for each in sentences], "tables": tables(page)}


@pytest.mark.parametrize("name", some(VIEWS, 1))
def test_a_copied_link_opens_the_same_view(name: str, fleet: Dashboard, visit: Visit) -> None:
    first = visit(fleet.url + VIEWS[name])
    complete(first)
    link = link_of(first)
    assert link.startswith(fleet.url)
    again = visit(link)
    complete(again)
    before, after = seen(first), seen(again)
    for part, value in before.items():
        assert after[part] == value, part
    assert before["title"]


@pytest.mark.long  # tests/dashboard/test_pages.py::test_a_copied_link_contains_every_choice_and_opens_the_same_view
def test_a_copied_link_carries_absolute_times_and_the_choices_of_the_page(fleet: Dashboard, visit: Visit) -> None:
    link = link_of(visit(f"{fleet.url}/drift?model=flights-delay&feature=dew_point_f"))
    for part in ("model=flights-delay", "from=2013-12-26T00%3A00", "to=2014-01-02T00%3A00", "feature=dew_point_f"):
        assert part in link


@pytest.mark.long  # tests/dashboard/test_pages.py::test_pages_are_reached_by_section_address_and_the_home_page_by_name
def test_a_section_in_the_address_leads_to_the_page_with_its_query(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/serving/drift?model=flights-late&feature=dew_point_f")
    assert page.url.startswith(f"{fleet.url}/drift?") and "feature=dew_point_f" in page.url
    assert page.locator(".st-key-overlay .xtitle").text_content() == "dew_point_f"


@pytest.mark.long  # test_back.py::test_each_opened_page_adds_one_entry_to_the_browser_history
def test_browser_back_returns_to_the_previous_view(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/model?model=flights-delay")
    page.get_by_role("navigation", name="Pages of this part").get_by_role("link", name="Performance", exact=True).click()
    page.wait_for_url("**/performance?**")
    settle(page)
    page.go_back()
    page.wait_for_url("**/model?**")
    settle(page)
    assert heading(page) == "flights-delay"


@pytest.mark.long  # tests/dashboard/test_pages.py checks the same for each page about one model, without a browser
@pytest.mark.parametrize("address", UNKNOWN)
def test_a_link_to_a_missing_item_shows_a_message(address: str, fleet: Dashboard, visit: Visit) -> None:
    page = visit(fleet.url + address)
    assert UNKNOWN[address] in words(page)
