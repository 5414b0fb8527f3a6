"""Pages about a small log show figures that agree with it: requests, slices, batches, cleaning, devices, datasets, labelling, cases, the
lab.
"""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from observability.server import process_lock
from observability.store.db.database import Database
from tests.support import review_world
from tests.support.dashboard_pages import opened, words
from tests.support.length import every_second


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Six weeks of a regression; in one week every morning has a batch, a cleaning and a label."""
    with review_world.build(tmp_path_factory.mktemp("log")) as store:
        review_world.load(store, review_world.deliveries())
        yield store


@pytest.mark.parametrize(("address", "sentence"), every_second(review_world.OPENED.items()))
def test_each_page_about_the_log_summarises_its_records(
    address: str, sentence: str, log: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_lock, "current_store", lambda: log)
    parts = urlsplit(address)
    app = opened(parts.path.strip("/"), **{name: value for name, (value,) in parse_qs(parts.query).items()})
    assert len(app.title) == 1
    shown = [f"{each.label} {each.value}" for each in app.metric] + [str(each.value) for each in app.dataframe]
    assert sentence.casefold() in " ".join([words(app), *shown]).replace("*", "").casefold()
