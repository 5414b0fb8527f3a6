"""The storage page shows what an audit measured, how old datasets are, and which queries the store answered."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from observability.core.formatting import format_day
from observability.core.numerals import percent
from observability.dashboard import load
from observability.store.db.database import Database
from tests.dashboard.conftest import land
from tests.support.dashboard_pages import opened, tables, words
from tests.support.storage_reports import place_reports
from tests.support.stored_forms import media_audit

END = datetime(2026, 3, 16, tzinfo=UTC)
OWN_COLUMNS = "Columns of the table that loan shares with other unregistered models, largest first"


def lines() -> list[dict]:
    """Four versions of a dataset, the last one audited, and a prediction."""
    codecs = {
        "none": {"bytes": 1000, "encode": 1.0, "decode": 1.0, "columns": {"age": 600, "name": 300}},
        "zstd": {"bytes": 400, "encode": 1.5, "decode": 0.75, "columns": {"age": 250, "name": 100}},
    }
    answers = {"name": "loan", "version": "3", "rows": 200, "largest": 0.125, "mean": 0.01, "flips": 3, "low": 0.005, "high": 0.043}
    answers["slices"] = [{"column": "sex", "level": level, "n": 100, "flips": flips} for level, flips in (("F", 3), ("M", 0))]
    storage = {
        "codecs": codecs, "forms": {"float16": {"bytes": 300, "errors": {"age": 0.5}, "lost": {}, "model": answers}}, "tags": {"age": "quasi"},
        "groups": {"columns": ["age"], "k": 2, "groups": 40, "below": {"2": [0, 0], "5": [7, 21], "10": [9, 33]}, "diversity": None},
    }  # fmt: skip
    found = [
        {
            "kind": "dataset",
            "dataset": "people",
            "version": str(version),
            "at": (END - timedelta(days=days)).isoformat(),
            "rows": 900 + version,
        }
        for version, days in enumerate((40, 30, 20, 10), start=1)
    ]
    found[-1] |= {"added": 12, "deleted": 3, "storage": storage}
    answered = {"kind": "prediction", "id": "p", "at": (END - timedelta(days=1)).isoformat(), "model": "loan", "version": "3"}
    return [*found, {**answered, "features": {"age": 41}, "score": 0.6}]


@pytest.fixture
def logged(empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The store that this process owns, with these records."""
    land(empty, lines(), tmp_path)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    return empty


def test_every_number_of_an_audit_is_shown_on_the_page(logged: Database) -> None:
    app = opened("storage")
    said, found = words(app), tables(app)
    assert "zstd is the smallest exact form: 40 % of the uncompressed size" in said
    assert (
        "k = 2 over age: 40 groups; 7 groups have fewer than 5 rows (21 rows in all); 9 groups have fewer than 10 rows (33 rows in all)."
        in said
    )
    half = found["Size and cost of each form"]["rows"][-1]["cells"]
    assert half["form"]["t"] == "float16, zstd" and (half["change"]["t"], half["flips"]["t"]) == ("0.125", "3 of 200")
    assert half["flips"]["sub"] == "0.5 % to 4.3 %"
    columns = {row["cells"]["column"]["t"]: row["cells"] for row in found["Bytes by column and codec"]["rows"]}
    assert (columns["age"]["tag"]["t"], columns["age"]["zstd"]["t"], columns["name"]["none"]["t"]) == ("quasi", "250 B", "300 B")
    (people,) = [row["cells"] for row in found["Datasets, newest first"]["rows"]]
    assert (people["versions"]["t"], people["age"]["t"], people["usual"]["t"]) == ("4", "10 days", "10 days")
    assert (people["changes"]["t"], people["audit"]["t"]) == ("12 added, 3 deleted", "yes")


def test_an_audit_that_counted_groups_opens_before_a_newer_one_without_tags(logged: Database, tmp_path: Path) -> None:
    untagged = lines()[3] | {"dataset": "reference", "version": "1", "at": (END - timedelta(days=3)).isoformat()}
    untagged["storage"] |= {"tags": {}, "groups": None}
    land(logged, [untagged], tmp_path)
    app = opened("storage")
    assert "k = 2 over age: 40 groups" in words(app) and app.selectbox(key="dataset-box").placeholder == "people"
    assert "no group was counted" in words(opened("storage", dataset="reference")), "a named dataset shows its own audit"
    untagged |= {"dataset": "people", "version": "5"}
    land(logged, [untagged], tmp_path)
    assert "no group was counted" in words(opened("storage", dataset="people")), "a named dataset shows its newest audit"


def test_decision_changes_of_the_form_in_use_are_shown_with_the_next_step(logged: Database, tmp_path: Path) -> None:
    assert "people is stored exactly; 0 of 1 lossy forms change at most 1 % of decisions." in words(opened("storage"))
    worse = lines()[3] | {"version": "5", "at": (END - timedelta(days=3)).isoformat()}
    worse["storage"] |= {"in_use": "float16"}
    worse["storage"]["forms"]["float16"]["model"] |= {"rows": 4000, "flips": 120}
    worse["storage"]["forms"]["float16"]["lost"] = {"age": 2}
    land(logged, [worse], tmp_path)
    found = tables(opened("storage"))
    first, second = [row["cells"]["because"] for row in found["Stored forms that need attention, and what to do next"]["rows"]]
    assert (first["s"], second["s"]) == ("act", "act")
    assert {each["t"].split(" of decisions")[0] for each in (first, second)} == {
        "Storing people as float16 changes 3 %",
        "Storing people as float16 loses 2 values in 904 rows (beyond the range of the form).",
    }
    assert {each["sub"].split(",")[0] for each in (first, second)} == {
        "Store the data exactly or in a form that changes fewer decisions",
        "Restore the lost values from the source",
    }
    assert found["Size and cost of each form"]["rows"][-1]["cells"]["form"]["sub"] == "in use"
    parts = [row["cells"] for row in found["Share of decisions that each lossy form flips, by slice"]["rows"]]
    assert [(each["slice"]["t"], each["n"]["t"], each["form0"]["t"]) for each in parts] == [
        ("sex F", "100", "3 %"),
        ("sex M", "100", "0 %"),
    ]


def test_a_form_is_decided_and_the_next_audit_tells_whether_it_is_in_use(
    logged: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "page_clock", lambda: datetime.now(UTC) + timedelta(minutes=1))
    app = opened("storage")
    app.text_input(key="form-author-box").set_value("Ana").run()
    app.selectbox(key="form-choice-0").set_value("float16")
    app.button(key="form-save-0").click().run()
    assert "A decision needs a reason." in " ".join(each.value for each in app.warning)
    app.selectbox(key="form-choice-0").set_value("float16")
    app.text_input(key="form-reason-0").set_value("half the bytes")
    app.button(key="form-save-0").click().run()
    (kept,) = load.store().decisions("loan")
    assert kept.fields["statement"] == "Store people in form float16: half the bytes" and kept.fields["options"] == ["exact"]
    assert "Store people in form float16: half the bytes (not audited since)" in words(app)
    land(logged, [{**lines()[3], "version": "5", "at": (kept.first.at + timedelta(seconds=1)).isoformat()}], tmp_path)
    app = opened("storage")
    assert "half the bytes (exact in use instead, audit of" in words(app)
    (step,) = [row["cells"]["because"] for row in tables(app)["Stored forms that need attention, and what to do next"]["rows"]]
    assert step["t"] == f"people is stored exactly; the decision of {format_day(kept.first.at)} was float16." and step["s"] == "watch"


def test_image_loss_is_listed_by_form_with_the_worst_group_and_a_single_report_has_no_line(logged: Database, tmp_path: Path) -> None:
    audit = media_audit(1, "JPEG 75", {"psnr": 35.0}, cats=33.0, dogs=39.0)
    lost = {"kind": "dataset", **audit, "at": (END - timedelta(days=2)).isoformat(), "storage": audit["extra"]["storage"]}
    lost["storage"]["media"]["skipped"] = {"of mode RGBA": 2}
    report = {"kind": "storage_report", "place": "lake", "at": (END - timedelta(hours=2)).isoformat(), "used_bytes": 7}
    land(logged, [{name: value for name, value in lost.items() if name != "extra"}, report], tmp_path)
    app = opened("storage", dataset="photos")
    said, found = words(app), tables(app)
    assert "60 of 60 files measured, evenly spaced; skipped: 2 of mode RGBA." in said and "Small groups" not in said
    assert not app.get("plotly_chart"), "a single report is not drawn as a line"
    rows = {row["cells"]["form"]["t"]: row["cells"] for row in found["Size and loss of each form"]["rows"]}
    assert (rows["JPEG 75"]["form"]["sub"], rows["JPEG 75"]["ssim"]["t"], rows["PNG"]["psnr"]["t"]) == ("in use", "0.95", "–")
    assert (rows["JPEG 75"]["worst"]["t"], rows["JPEG 75"]["worst"]["sub"]) == ("folder cats", "33 dB, 20 files")
    steps = [row["cells"]["because"] for row in found["Stored forms that need attention, and what to do next"]["rows"]]
    assert [(each["s"], each["t"].split(",")[0]) for each in steps] == [("act", "The PSNR of photos as JPEG 75 is 33 dB in folder cats")]


def test_columns_that_no_model_trained_on_a_data_set_reads_are_named(logged: Database, tmp_path: Path) -> None:
    at = (END - timedelta(days=2)).isoformat()
    newest = {"kind": "dataset", "dataset": "people", "version": "5", "at": at, "rows": 905, "columns": {"age": {}, "name": {}, "zip": {}}}
    land(logged, [newest], tmp_path)
    (people,) = [row["cells"] for row in tables(opened("storage"))["Datasets, newest first"]["rows"]]
    assert people["unused"]["t"] == "–"
    land(logged, [{"kind": "run", "run": "r", "at": at, "event": "start", "model": "loan", "dataset": "people@4"}], tmp_path)
    (people,) = [row["cells"] for row in tables(opened("storage"))["Datasets, newest first"]["rows"]]
    assert (people["unused"]["t"], people["unused"]["sub"]) == ("2 of 3", "name, zip")


def test_the_stores_own_columns_and_slowest_queries_are_listed(logged: Database) -> None:
    found = tables(opened("storage"))
    assert {"features", "score"} <= {row["cells"]["column"]["t"] for row in found[OWN_COLUMNS]["rows"]}
    rows = found["Slowest questions about loan in the last four weeks"]["rows"]
    assert all(row["cells"]["last"]["t"] and row["cells"]["slowest"]["t"].endswith(" ms") for row in rows)


def test_database_columns_are_listed_for_the_audited_model(logged: Database, tmp_path: Path) -> None:
    at = (END - timedelta(days=1)).isoformat()
    land(
        logged, [{"kind": "prediction", "id": "a", "at": at, "model": "aaa", "version": "1", "features": {"x": 1}, "score": 0.6}], tmp_path
    )
    assert OWN_COLUMNS in tables(opened("storage"))


def test_without_an_audit_the_command_is_shown(empty: Database, tmp_path: Path) -> None:
    assert any("audit-storage" in each.value for each in opened("storage").code)
    land(empty, lines()[:3], tmp_path)
    app = opened("storage")
    assert any("audit-storage" in each.value for each in app.code) and "Datasets, newest first" in tables(app)


def test_storage_places_show_their_findings_and_the_next_step(empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [each for name in ("lake", "features") for each in place_reports(np.random.default_rng(3), name)]
    newest = max((each for each in rows if each["place"] == "lake"), key=lambda each: each["at"])
    newest["used_bytes"] = int(newest["used_bytes"] * 1.05)  # a single report does not change the median of three
    for each in rows:
        each["duplicate_bytes"] = each["used_bytes"] // 2 if each["place"] == "lake" else 0
    land(empty, [{"kind": "storage_report", **report_line(each)} for each in rows], tmp_path)
    monkeypatch.setattr(load, "page_clock", lambda: datetime(2026, 3, 9, tzinfo=UTC))
    app = opened("storage")
    found = tables(app)
    lake, features = [row["cells"] for row in found["Places that store data, worst first"]["rows"]]
    assert (lake["place"]["t"], lake["state"]["s"], features["state"]["s"]) == ("lake", "watch", "ok")
    used = np.median([each["used_bytes"] / each["capacity_bytes"] for each in rows if each["place"] == "lake"][-3:])
    assert lake["used"]["t"] == percent(float(used)) and lake["waste"]["t"].startswith("50 % / ")
    held, room = (float(part.split()[0]) for part in lake["used"]["sub"].split(" of "))
    assert held / room == pytest.approx(float(used), rel=1e-3), "bytes and share come from the same report"
    (step,) = [row["cells"] for row in found["What needs attention, and what to do next"]["rows"]]
    assert step["because"]["t"].startswith("50 % of the bytes in lake are stored twice")
    assert step["because"]["sub"] == "Remove the copies, or store content once under its checksum."
    assert "2 places reported; 1 place needs attention. These reports are simulated." in words(app)


def report_line(row: dict) -> dict:
    """A report as a line of JSON: times become texts, and unknown fields are left out."""
    texts = {name: value.replace(tzinfo=UTC).isoformat() for name, value in row.items() if isinstance(value, datetime)}
    return {name: value for name, value in row.items() if value is not None} | texts
