"""The list of changes shows each event once, with the claim of an alert."""

from datetime import UTC, datetime

import pandas as pd

from observability.dashboard.overview import changes
from observability.dashboard.scope import Scope
from observability.review.change_log import Entry, signature_entries

AT = datetime(2026, 3, 2, tzinfo=UTC)


def test_an_event_of_several_models_is_one_row() -> None:
    entries = [Entry(AT, "note", "Public holiday", model) for model in ("b", "a", "a")]
    entries += [Entry(AT, "note", "Public holiday"), Entry(AT, "deploy", "Public holiday", "a")]
    rows = changes.change_rows_by_event(entries, Scope())
    shown = [row["cells"]["model"] for row in rows]
    assert [cell["t"] for cell in shown[1:]] == ["all", "a"] and "href" in shown[2]
    assert [(link["t"], link["go"]["parameters"]["model"]) for link in shown[0]["more"]] == [("a", "a"), ("b", "b")], "each model is a link"


def test_an_alert_event_keeps_its_full_claim() -> None:
    claim = "12 of 60 answers of `v` to set `texts` differ from the baseline since 2026-11-21"
    entry = Entry(AT, "alert", f"Alert opened: {claim}; usually 0.4.", "v", "the dashboard", (("incident", "i1"),))
    assert changes.change_row(entry, Scope())["cells"]["title"]["t"] == f"Alert opened: {claim}"


def test_the_description_of_a_signature_begins_with_a_capital() -> None:
    row = {"subject": "robustness audit of version 1", "until": AT, "note": None, "model": "a", "author": "Mara", "review": None}
    (entry,) = signature_entries(pd.DataFrame([{**row, "kind": "signature", "at": AT}]))
    assert entry.title.startswith("Robustness audit of version 1 accepted until 2 Mar 2026"), entry.title
