"""Pages of a store whose older rows are only in a lake equal those of a store that kept its rows. While the lake cannot be reached, a page
says in one sentence what is missing.
"""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from streamlit.testing.v1 import AppTest

from observability.dashboard import load
from observability.server import process_lock
from observability.store.db.database import Database
from observability.store.opener import open_store
from tests.support.dashboard_pages import opened, words
from tests.support.engine_world import START, copied

PAGES = {
    "Home": ("health", {}),
    "Performance": ("performance", {"model": "loan"}),
    "Drift": ("drift", {"model": "loan"}),
    "Review": ("review", {"model": "loan"}),
    "a slice of Performance": ("performance", {"model": "loan", "slice": "sex=F"}),
}
OTHER_DATES = {"from": "2026-03-01T00:00", "to": "2026-03-04T00:00", "window": "Chosen dates"}
"""Dates for which no page was opened before the lake became unreachable. Answers for earlier dates are cached, so nothing is
missing there.
"""
AWAY = "Removed rows are missing in figures: the lake cannot be read."


class Pair(NamedTuple):
    """A store that kept its rows, one whose older rows are in the lake, and that lake."""

    kept: Database
    aged: Database
    lake: Path


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("lake")
    copied(folder / "kept").close()
    shutil.copytree(folder / "kept", folder / "aged")
    with open_store(folder / "kept") as kept, open_store(folder / "aged") as aged:
        (aged.home / "keeping.toml").write_text(f'[retention]\nrows = 3\n[lake_export]\nfolder = "{folder / "lake"}"\n')
        assert aged.nightly(START + timedelta(days=6))["failures"] == []
        day = f"SELECT count(*) FROM predictions_{aged.catalog().model('loan').key} WHERE \"at\"::DATE = DATE '2026-03-02'"
        counts = []
        for store in (kept, aged):
            with store.cursor() as cursor:
                counts += cursor.execute(day).fetchall()
        assert counts[0] > (0,) == counts[1]
        yield Pair(kept, aged, folder / "lake")


def over(store: Database, page: str, monkeypatch: pytest.MonkeyPatch, **parameters: str) -> AppTest:
    """A page of a store, a day after the store's newest rows."""
    monkeypatch.setattr(process_lock, "current_store", lambda: store)
    monkeypatch.setattr(load, "page_clock", lambda: START + timedelta(days=6))
    return opened(page, **parameters)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_reads_the_same_content_from_the_lake_as_from_kept_rows(pair: Pair, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    page, parameters = PAGES[name]
    kept, aged = (words(over(store, page, monkeypatch, **parameters)) for store in (pair.kept, pair.aged))
    assert aged.split() == kept.split() and len(kept) > 200


def test_while_the_lake_is_away_a_page_says_in_one_sentence_what_is_missing(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    away = pair.lake.rename(pair.lake.with_name("away"))
    try:
        assert words(over(pair.aged, "performance", monkeypatch, model="loan", **OTHER_DATES)).count(AWAY) == 1
    finally:
        away.rename(pair.lake)
