"""The window of an analyzer of records ends with the records that it judges, and not with a later price."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from observability.monitoring import check
from observability.store.opener import open_store

DAY = datetime(2025, 3, 2, tzinfo=UTC)


def test_a_later_price_moves_no_window_of_storage_reports(tmp_path: Path) -> None:
    with open_store(tmp_path / "home", threads=1) as store:
        reports = [
            {"kind": "storage_report", "place": "lake", "at": DAY + timedelta(days=day), "used_bytes": 96, "capacity_bytes": 100}
            for day in range(5)
        ]
        price = {"kind": "price", "from": DAY + timedelta(days=90), "resource": "gb_month", "amount": 0.02, "currency": "EUR"}
        store.write_records([*reports, price])
        store.load_landing()
        found = check.check(store, now=DAY + timedelta(days=400), only=("data/storage",)).findings
    assert "storage_used_share" in {each.metric for each in found if each.severity == "watch"}
