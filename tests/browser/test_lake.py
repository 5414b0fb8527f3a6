"""Pages of a store whose older rows are only in a lake equal those of a store that kept its rows: figures, sentences and cases. While the
lake cannot be reached, every page says in one sentence what is missing.
"""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Page

from observability.store.opener import open_store
from tests.browser.conftest import Visit
from tests.browser.pages import complete, said, tables, words
from tests.support.engine_world import START, copied
from tests.support.running import Dashboard, dashboard

pytestmark = [pytest.mark.browser, pytest.mark.long]  # tests/dashboard/test_pages_from_lake.py checks the same without a browser
KEPT_FROM = "4 Mar 2026"
PAGES = {
    "Home": "/?",
    "Performance": "/performance?model=loan",
    "Drift": "/drift?model=loan",
    "Review": "/review?model=loan",
    "a slice of Performance": "/performance?model=loan&slice=sex%3DF",
}
OTHER_DATES = "from=2026-03-01T00:00&to=2026-03-04T00:00&window=Chosen%20dates"
"""Dates for which no page was opened before. Dates that were answered before the lake became unreachable still show complete answers."""
AWAY = "Removed rows are missing in figures: the lake cannot be read."


class Pair(NamedTuple):
    """A dashboard over a store that kept its rows, one over a store whose older rows are in the lake, that lake, and two
    predictions in it.
    """

    kept: Dashboard
    aged: Dashboard
    lake: Path
    ids: tuple[str, str]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("lake")
    with copied(folder / "kept") as store:
        key = store.catalog().model("loan").key
    shutil.copytree(folder / "kept", folder / "aged")
    with open_store(folder / "aged") as store:
        day = f"FROM predictions_{key} WHERE \"at\"::DATE = DATE '2026-03-02'"
        with store.cursor() as cursor:
            (ids,) = cursor.execute(f"SELECT min(id), max(id) FILTER (WHERE id LIKE 'loan-%') {day}").fetchall()
        (store.home / "keeping.toml").write_text(f'[retention]\nrows = 3\n[lake_export]\nfolder = "{folder / "lake"}"\n')
        assert store.nightly(START + timedelta(days=6))["failures"] == []
        with store.cursor() as cursor:
            assert cursor.execute(f"SELECT count(*) {day}").fetchall() == [(0,)]
    with dashboard(folder / "kept") as kept, dashboard(folder / "aged") as aged:
        yield Pair(kept, aged, folder / "lake", ids)


def shown(page: Page, origin: str) -> tuple[str, dict[str, object]]:
    """All words and tables of a page, with addresses without their host."""
    complete(page)
    return words(page).replace(origin, ""), dict(tables(page))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_reads_the_same_figures_from_the_lake_as_from_kept_rows(pair: Pair, visit: Visit, name: str) -> None:
    kept, aged = (shown(visit(each.url + PAGES[name]), each.url) for each in (pair.kept, pair.aged))
    assert aged[0].split() == kept[0].split() and aged[1] == kept[1]
    assert len(kept[0]) > 200


def test_a_case_of_a_removed_day_is_opened_by_its_id(pair: Pair, visit: Visit) -> None:
    kept, aged = (shown(visit(f"{each.url}/case?id={pair.ids[0]}"), each.url) for each in (pair.kept, pair.aged))
    note = f"From the lake, day 2 Mar 2026; the store keeps rows since {KEPT_FROM}."
    assert aged[0].count(note) == 1 and aged[0].replace(note, "").split() == kept[0].split() and aged[1] == kept[1]


def test_while_the_lake_is_away_pages_say_in_one_sentence_what_is_missing(pair: Pair, visit: Visit) -> None:
    away = pair.lake.rename(pair.lake.with_name("away"))
    try:
        page = visit(f"{pair.aged.url}/performance?model=loan&{OTHER_DATES}")
        said(page, AWAY)
        assert words(page).count(AWAY) == 1
        said(visit(f"{pair.aged.url}/case?id={pair.ids[1]}&model=loan"), "It may be in the lake, which cannot be read")
    finally:
        away.rename(pair.lake)
    said(visit(f"{pair.aged.url}/case?id={pair.ids[1]}&model=loan"), "From the lake")
