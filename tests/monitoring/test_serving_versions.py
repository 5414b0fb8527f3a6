"""If no version of an unregistered model served in the window, the version that was logged last counts as the newest."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from observability.core.window import Window
from observability.monitoring import check
from tests.support.new_store import new_store

DAY = datetime(2025, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(("order", "newest"), [(("9", "10"), "10"), (("10", "9"), "9"), (("1.10", "1.9", "1.10"), "1.10")])
def test_the_newest_unregistered_version_is_the_one_that_the_log_saw_last(tmp_path: Path, order: tuple[str, ...], newest: str) -> None:
    body = {"kind": "prediction", "model": "chat", "features": {"input_tokens": 3.0}, "prediction": "stop"}
    with new_store(tmp_path / "home", threads=1) as store:
        store.write_records(
            [
                body | {"id": f"c{day}", "version": name, "at": (at := DAY + timedelta(days=day)), "received_at": at}
                for day, name in enumerate(order)
            ]
        )
        store.load_landing()
        model = store.catalog().model("chat")
        later = Window("chat", DAY + timedelta(days=90), DAY + timedelta(days=97))
        assert [each.name for each in check.serving_versions(store, model, later)] == [newest]
        assert [each.name for each in model.versions] == sorted(set(order), key=lambda name: [int(part) for part in name.split(".")])
        early = Window("chat", DAY + timedelta(days=90), DAY + timedelta(days=97), as_of=DAY + timedelta(hours=12))
        assert [each.name for each in check.serving_versions(store, model, early)] == [order[0]], "a later version is not known yet"
