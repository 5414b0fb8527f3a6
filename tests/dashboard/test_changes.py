"""The list of changes shows each event once, with the claim of an alert."""

from datetime import UTC, datetime

from observability.dashboard.overview import changes
from observability.dashboard.scope import Scope
from observability.review.change_log import Entry

AT = datetime(2026, 3, 2, tzinfo=UTC)


def test_an_event_of_several_models_is_one_row() -> None:
    entries = [Entry(AT, "note", "Public holiday", model) for model in ("b", "a", "a")]
    entries += [Entry(AT, "note", "Public holiday"), Entry(AT, "deploy", "Public holiday", "a")]
    rows = changes.change_rows_by_event(entries, Scope())
    assert [row["cells"]["model"]["t"] for row in rows] == ["a and b", "all", "a"]
    assert "href" not in rows[0]["cells"]["model"] and "href" in rows[2]["cells"]["model"]


def test_an_alert_event_keeps_its_full_claim() -> None:
    claim = "12 of 60 answers of `v` to set `texts` differ from the baseline since 2026-11-21"
    entry = Entry(AT, "alert", f"Alert opened: {claim}; usually 0.4.", "v", "the dashboard", (("incident", "i1"),))
    assert changes.change_row(entry, Scope())["cells"]["title"]["t"] == f"Alert opened: {claim}"
