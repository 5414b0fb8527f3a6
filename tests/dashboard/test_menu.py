"""Every page can be reached from the menu, and the address of a link keeps the parts of the scope that the page uses."""

from pathlib import Path

import pytest

from observability.dashboard import links, menu
from tests.support.dashboard_pages import opened
from tests.support.dashboard_world import World


def test_the_menu_has_at_most_twelve_entries_and_lists_every_page() -> None:
    assert len(menu.ENTRIES) <= 12
    listed = {page for entry in menu.ENTRIES for pages in menu.entry_tabs(entry).values() for page in pages}
    assert listed == set(links.page_files())


@pytest.mark.parametrize(
    ("page", "fleet", "model"),
    [("health", "Home", "Home"), ("findings", "Home", "Models"), ("runs", "Training", "Models"), ("drift", "Models", "Models")],
)
def test_some_pages_belong_to_the_model_menu_if_a_model_is_chosen(page: str, fleet: str, model: str) -> None:
    assert [menu.entry_of_page(page, chosen).label for chosen in (None, "loan")] == [fleet, model]


def test_a_new_page_is_a_tab_of_the_entry_of_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "serving" / "novel.py"
    file.parent.mkdir()
    file.write_text('"""A novel page :material/star:\nIts help."""\n')
    monkeypatch.setattr(links, "page_files", lambda known=links.page_files(): {**known, "novel": file})
    monkeypatch.setattr(menu, "entry_tabs", menu.entry_tabs.__wrapped__)
    assert menu.entry_of_page("novel", None).label == "Models" and menu.entry_tabs(menu.ENTRIES[1])["A novel page"] == ("novel",)


def test_the_tabs_of_a_model_fit_one_line_of_a_laptop() -> None:
    tabs = menu.entry_tabs(next(entry for entry in menu.ENTRIES if entry.label == menu.MODELS))
    assert len(tabs) <= 14 and sum(len(label) for label in tabs) <= 105


def test_menu_links_keep_the_parts_of_the_scope_they_use(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {}
    monkeypatch.setattr(menu, "_draw", lambda key, caption, lists: drawn.update({key: lists}))
    opened("drift", model="loan", window="28d", slice="sex=F")
    entries = {each["t"]: each for each in drawn["menu"][0]}
    assert entries["Home"]["href"] == "./?window=Last%2028%20days"
    assert entries["Investigate"]["href"] == "./cases?model=loan&window=Last%2028%20days&slice=sex%3DF"
    assert [each["t"] for each in drawn["menu"][0] if each["current"]] == ["Models"]
    tabs, pages = drawn["tabs"]
    assert [each["t"] for each in (*tabs, *pages) if each["current"]] == ["Drift", "Input drift"]
    assert tabs[0]["go"] == {"page": "model", "parameters": {"model": "loan", "window": "Last 28 days", "slice": "sex=F"}}
    drawn.clear()
    opened("lab")
    assert set(drawn) == {"menu"}, "a section with one page has no tabs"
