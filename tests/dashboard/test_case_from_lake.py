"""After retention, the page of a prediction reads it from the lake, says so, and shows the same content as before."""

from datetime import timedelta

import pytest

from observability.cli.commands_case import case_lines
from observability.core.errors import NotFoundError
from observability.dashboard import load
from observability.investigation.case import case
from observability.server import process_lock
from tests.support.dashboard_pages import opened, words
from tests.support.engine_world import START, copied

NOTE = "From the lake, day 1 Mar 2026; the store keeps rows since 4 Mar 2026."


def test_a_removed_case_is_read_from_the_lake_with_the_same_content(tmp_path, monkeypatch):
    with copied(tmp_path / "home") as store:
        monkeypatch.setattr(process_lock, "current_store", lambda: store)
        monkeypatch.setattr(load, "page_clock", lambda: START + timedelta(days=6))
        with store.cursor() as cursor:
            key = store.catalog().model("eta").key
            ((name, other),) = cursor.execute(
                f"SELECT min(id), max(id) FILTER (WHERE id LIKE 'eta-%') FROM predictions_{key} WHERE \"at\"::DATE = DATE '2026-03-01'"
            ).fetchall()
        before = opened("case", id=name, model="eta")
        assert NOTE not in words(before)
        (store.home / "keeping.toml").write_text(f'[retention]\nrows = 3\n[lake_export]\nfolder = "{tmp_path / "lake"}"\n')
        assert store.nightly(START + timedelta(days=6))["failures"] == []
        after = opened("case", id=name, model="eta")
        assert NOTE in words(after)
        assert words(after).replace(NOTE, "").split() == words(before).split(), "sentences, tables and charts are equal"
        assert NOTE in list(case_lines(case(store, name, model="eta")))
        (tmp_path / "lake").rename(tmp_path / "away")
        for model in ("eta", None):
            with pytest.raises(NotFoundError, match="It may be in the lake, which cannot be read"):
                case(store, name, model=model)
        assert "It may be in the lake, which cannot be read" in words(opened("case", id=other, model="eta")), (
            "another id is opened, because the page caches the first case"
        )
