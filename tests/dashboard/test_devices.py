"""The devices page names the device behind bad rows, and saves a decision about it, shown with later results."""

import json
import threading
from datetime import UTC, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observability.core.finding import Finding
from observability.core.named_numbers import named_numbers
from observability.dashboard import background_findings, figure_capture, load, load_findings
from observability.dashboard.data import device_actions, devices
from observability.dashboard.scope import Scope
from observability.records.kinds import BATCH_STATISTICS
from observability.store.db.database import Database
from tests.dashboard.conftest import land
from tests.support.dashboard_pages import opened, tables, words
from tests.support.device_fleet import END, START, device_batches, of_device

SUBJECT = "source:greenhouse/device:d2"


def logged_fleet() -> list[dict]:
    """Batches of six devices as records; in the last three days 30 % of the temperatures of d2 are out of range."""
    batches = device_batches(np.random.default_rng(3), before=30)
    for each in of_device(batches, "d2", 4):
        each["stats"]["temperature"]["out_of_range_share"] = 0.3
    for each in batches:
        each |= {"kind": "batch"} | {name: each[name].replace(tzinfo=UTC).isoformat() for name in ("at", "captured_to")}
    return batches


def as_read(batches: list[dict]) -> pd.DataFrame:
    """The batches in the form in which the page reads them."""
    stats = [named_numbers(each["stats"], BATCH_STATISTICS) for each in batches]
    return devices.with_subjects(pd.DataFrame(batches).assign(at=lambda rows: pd.to_datetime(rows["at"]), stats=stats))


@pytest.fixture
def collected(empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The store that this process owns, with the batches of the fleet."""
    land(empty, logged_fleet(), tmp_path)
    monkeypatch.setattr(load, "page_clock", lambda: END.replace(tzinfo=UTC))
    return empty


def test_the_page_names_the_device_and_keeps_a_decision(collected: Database) -> None:
    app = opened("devices")
    found = tables(app)["Devices and what they delivered"]["rows"]
    assert found[0]["cells"]["device"]["t"] == "d2" and len(found) == 6
    assert [row["cells"]["status"]["t"] for row in found] == ["Critical", *["OK"] * 5]
    said = words(app)
    assert "1 of 6 devices explains" in said and "of out\\-of\\-range values" in said.replace("out-of-range", "out\\-of\\-range")
    assert "Proposed: quarantine device d2 of greenhouse (3 unusual batches in this window)." in said.replace("\\", "")
    app.text_input(key="device-author-box").set_value("Ana").run()
    app.radio(key="device-what-0").set_value("Recalibrate")
    app.text_input(key="device-note-0").set_value("drifted")
    app.button(key="device-submit-0").click().run()
    assert "Recalibrate device d2 of greenhouse: drifted" in words(app).replace("\\", "")
    (kept,) = load.store().actions(None, None)
    assert kept.fields["text"] == "Recalibrate device d2 of greenhouse: drifted" and kept.fields["finding"]


def test_the_devices_page_draws_at_once_and_adds_findings_later(collected: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, analyzed = load_findings.scope_record_findings, threading.Event()

    def later(scope: Scope, *names: str) -> list[Finding]:
        assert analyzed.wait(120)
        return asked(scope, *names)

    monkeypatch.setattr(load_findings, "scope_record_findings", later)
    monkeypatch.setattr(background_findings, "PATIENCE", 0.0)
    app = opened("devices", whole=False)
    first = tables(app)["Devices and what they delivered"]["rows"]
    assert [(row["cells"]["device"]["t"], row["cells"]["status"]["t"]) for row in first] == [(f"d{n}", "Pending") for n in range(6)]
    assert "**6 devices**" in words(app) and "findings pending" in words(app) and "explains" in words(app)
    assert len(app.get("plotly_chart")) == 1 and [each.value for each in app.header] == ["Devices by day"]
    analyzed.set()
    app = opened("devices")
    whole = tables(app)["Devices and what they delivered"]["rows"]
    assert [row["cells"]["status"]["t"] for row in whole] == ["Critical", *["OK"] * 5]
    assert "1 device needs attention" in words(app) and "pending" not in words(app).lower()
    assert "Findings" in [each.value for each in app.header]


def test_a_standalone_devices_figure_waits_for_findings(collected: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_findings, "PATIENCE", 0.0)
    collector = figure_capture.COLLECTOR.set(figure_capture.FigureCollector(["device-days"]))
    try:
        found, pending = devices.known_findings(Scope(), as_read(logged_fleet()))
    finally:
        figure_capture.COLLECTOR.reset(collector)
    assert found and found[0].severity == "act" and not pending


def test_the_follow_up_of_a_decision_counts_only_later_batches() -> None:
    batches = pd.DataFrame(of_device(device_batches(np.random.default_rng(3), before=1), "d2"))
    made = (START + timedelta(days=4)).replace(tzinfo=UTC)
    assert device_actions.what_came_after(made, batches, []) == "3 batches since, none unusual"
    assert device_actions.what_came_after(END.replace(tzinfo=UTC), batches, []) == "no batch since then in these dates"


def test_devices_of_two_plants_that_share_their_names_are_counted_separately() -> None:
    batches = device_batches(np.random.default_rng(3), fleet=3, before=10)
    for each in of_device(batches, "d2"):
        each["stats"]["temperature"]["out_of_range_share"] = 0.3
    quiet = [each | {"source": "field"} for each in device_batches(np.random.default_rng(4), fleet=3, before=10)]
    rows = as_read(batches + quiet)
    found = devices.device_concentrations(rows)["out-of-range values"]
    of_rows = sum(each["rows"] for each in of_device(batches, "d2", -10)) / rows["rows"].sum()
    assert found.devices == 6 and found.of_rows == pytest.approx(of_rows) and 0.15 < of_rows < 0.18
    said = devices.concentration_words("out-of-range values", found)
    assert said.startswith("1 of 6 devices explains ") and said.endswith(": d2 of greenhouse.")
    alone = devices.device_concentrations(as_read(batches))["out-of-range values"]
    assert (alone.names, alone.devices) == (("d2",), 3)


def test_the_heat_map_shows_the_largest_share_of_any_column() -> None:
    table = devices.device_days(as_read(logged_fleet()), devices.OUTSIDE)
    own = table[table["subject"] == SUBJECT]
    assert own["value"].tail(3).tolist() == [0.3] * 3 and set(own["column"]) == {"temperature"} and set(own["n"]) == {1}
    assert json.loads(table[["value"]].to_json())["value"]["0"] < 0.1


def test_a_mostly_constant_column_is_not_drawn_as_extreme() -> None:
    batches = of_device(device_batches(np.random.default_rng(3), before=20), "d2", -20)
    for day, each in enumerate(batches):
        each["stats"] = {"rain": {"std": 0.002 if day == 4 else 0.0}, "wind": {"std": 200.0 if day == 9 else 4.0 + day % 3}}
    table = devices.device_days(as_read(batches), "batch_std")
    assert set(table["column"]) == {"wind"} and table.loc[table["value"].idxmax(), "day"] == pd.Timestamp(batches[9]["at"]).floor("D")


def test_the_worst_column_of_a_measure_is_named() -> None:
    worst = pd.Series({"subject": SUBJECT, "day": pd.Timestamp("2026-03-04"), "column": "ph"})
    assert "Worst of all: column ph of device d" in devices.largest_value_words(worst, "missing values", "41 %")
    assert devices.largest_value_words(worst, "missing values", "41 %").endswith("on 4 Mar 2026, missing values 41 %.")
    assert "column" not in devices.largest_value_words(pd.Series({**worst, "column": None}), "rejected rows", "3 %")


def test_a_note_says_what_three_similar_devices_cannot_detect(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(devices, "plain_caption", said.append)
    for fleet in (3, 4):
        devices.few_peers_note(as_read(device_batches(np.random.default_rng(1), fleet=fleet, before=5)))
    assert said == ["3 devices have fewer than 3 similar devices to compare with: a seasonal change can hide a wrong mean there."]


def test_the_range_of_everything_says_why_it_finds_no_fault(collected: Database) -> None:
    """Regression: the page said that no device needs attention, and not that this range leaves nothing to compare with."""
    note = "This time range leaves no earlier batches to compare with."
    whole, week = opened("devices", window="Everything"), opened("devices")
    assert "0 devices need attention" in words(whole) and note in words(whole)
    assert note not in words(week)
