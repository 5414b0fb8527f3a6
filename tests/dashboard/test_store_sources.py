"""The page Store lists the sources: files loaded by the schedule and by hand, and the source that failed."""

import threading
from datetime import UTC, datetime

from observability.core.bundle import bundle_folder
from observability.core.version import VERSION
from observability.dashboard import load
from observability.dashboard.operations import store
from observability.lake.open_source import open_data_source
from observability.server.lake_schedule import load_due_sources
from observability.store.types.loading import LoadDefaults
from tests.support.dashboard_pages import opened, tables, words
from tests.support.dashboard_world import World
from tests.support.lake_server import parquet_bytes, predictions_table


def test_the_page_lists_what_is_new_in_the_newest_versions(current: World) -> None:
    text = "# Changelog\n\n## 0.2.0 (2026-02-01)\n\n* **b**\n* c\n\n## 0.1.0 (2026-01-01)\n\n* a\n"
    assert store.changelog_versions(text) == [("0.2.0 (2026-02-01)", "* **b**\n* c"), ("0.1.0 (2026-01-01)", "* a")]
    labels = [each.label for each in opened("store").expander]
    newest = store.changelog_versions((bundle_folder() / "CHANGELOG.md").read_text(encoding="utf-8"))[0][0]
    assert newest.startswith(VERSION) and labels.count(newest) == 1


def test_store_totals_are_the_sums_of_the_table_rows(current: World) -> None:
    """Regression: the totals did not include controllers, although the table lists them."""
    status = load.store_summary()
    steering = {**status["models"][0], "model": "valve", "predictions": 7, "labels": 3}
    status["controllers"] = [steering]
    rows = [row["cells"] for row in store.stored_model_rows(status)]
    told = [words for _, _, words in store.store_figures(status)]
    for place, column in enumerate(("predictions", "labels")):
        total = sum(int(row[column]["t"].replace(",", "")) for row in rows)
        assert told[place].startswith(f"{total:,} "), column


def test_the_page_lists_sources_with_rows_and_failures(current: World, tmp_path) -> None:
    assert "Sources" not in words(opened("store"))
    for name, content in (("good", parquet_bytes(predictions_table(0, 30, bad=2))), ("bad", b"PAR1 is no file")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.parquet").write_bytes(content)
    home = current.store.home
    (home / "lake.toml").write_text(
        "".join(
            f'[sources.{name}]\naddress = "{tmp_path / name}"\nkind = "prediction"\nmodel = "fromlake"\nversion = "1"\n'
            for name in ("good", "bad")
        ),
        encoding="utf-8",
    )
    try:
        assert load_due_sources(current.store, datetime.now(UTC), threading.Event()) == ["good"]
        current.store.load_source(open_data_source(str(tmp_path / "good")), LoadDefaults("prediction", "byhand", "2"))
        app = opened("store")
        rows = {row["cells"]["source"]["t"]: row["cells"] for row in tables(app)["Sources and their last load"]["rows"]}
        assert rows["good"]["stored"]["t"] == "28" and rows["good"]["rejected"]["t"] == "2"
        assert rows["bad"]["source"]["mark"] == "failed" and "damaged" in rows["bad"]["state"]["title"]
        assert rows[str(tmp_path / "good")]["state"]["t"] == "by hand"
        assert words(app).count("The source bad was not loaded whole") == 1
    finally:
        (home / "lake.toml").unlink()
