"""The pages about batches and cleaning show every figure of their records, and the outcomes of a batch's predictions."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from observability.dashboard import load
from observability.dashboard.data import batches
from observability.dashboard.scope import Scope
from observability.store.db.database import Database
from tests.dashboard.conftest import land
from tests.support.dashboard_pages import opened, tables, words

END = datetime(2026, 3, 16, tzinfo=UTC)
DAYS = 60


def lines() -> list[dict]:
    """Records of one source on sixty mornings (on the last with a third of the usual rows), of a rule that drops a fifth of one group on
    the last two days, and of predictions from the last batch.
    """
    found = []
    for day in range(DAYS):
        at, last = END - timedelta(days=DAYS - day, hours=-6), day == DAYS - 1
        body = {
            "kind": "batch",
            "batch": f"b{day}",
            "source": "clinic",
            "at": at.isoformat(),
            "rows": 330 if last else 1000 + day % 3,
            "rejected_rows": 7,
        }
        span = {
            "captured_from": (at - timedelta(hours=25)).isoformat(),
            "captured_to": (at - timedelta(hours=1)).isoformat(),
            "device": "scanner 9",
        }
        found.append(body | span | {"stats": {"age": {"mean": 41.25}}})
        lost = {"F": 100 if day >= DAYS - 2 else 10, "M": 10}
        found.append(
            {
                "kind": "cleaning", "rule": "adults", "dataset": "people", "version": f"v{day}", "at": at.isoformat(), "rows_in": 1000, "rows_changed": 3,
                "rows_dropped": sum(lost.values()), "groups": {"sex": {name: {"in": 500, "dropped": n} for name, n in lost.items()}},
            }
        )  # fmt: skip
    for i in range(20):
        at = (END - timedelta(hours=17, minutes=i)).isoformat()
        found.append(
            {
                "kind": "prediction", "id": f"p{i}", "at": at, "model": "loan", "version": "1", "features": {"age": 3}, "score": 0.5, "batch": f"b{DAYS - 1}",
                "cost": 0.25, "status": "error" if i < 3 else "ok",
            }
        )  # fmt: skip
    return found


@pytest.fixture
def delivered(empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The store that this process owns, with these records."""
    land(empty, lines(), tmp_path)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    return empty


def test_a_batch_row_shows_its_logged_fields_and_the_outcome_of_its_predictions(delivered: Database) -> None:
    app = opened("batches")
    (newest, before, *_) = tables(app)["Batches of clinic, newest first"]["rows"]
    cells = newest["cells"]
    assert cells["batch"]["t"] == "b59" and cells["batch"]["s"] == "act" and cells["batch"]["sub"] == "scanner 9"
    assert (cells["rows"]["t"], cells["kept"]["t"], cells["rejected"]["t"], cells["rejected"]["sub"]) == ("330", "323", "7", "2.1 %")
    assert cells["captured"]["sub"] == "24 hours" and cells["delay"]["t"] == "1 hour"
    assert (cells["predictions"]["t"], cells["failed"]["t"], cells["cost"]["t"]) == ("20", "3", "5.00")
    assert cells["predictions"]["go"]["parameters"]["slice"] == "batch=b59" and cells["predictions"]["go"]["page"] == "cases"
    assert before["cells"]["predictions"]["t"] == "–" and "s" not in before["cells"]["batch"]
    assert "7 batches of 1 source" in words(app).replace("**", "") and "1 source needs attention" in words(app)
    assert "41.25" in words(app), "the page shows the column statistics of the batch"


def test_the_link_of_a_batch_lists_its_predictions(delivered: Database) -> None:
    target = tables(opened("batches"))["Batches of clinic, newest first"]["rows"][0]["cells"]["predictions"]["go"]["parameters"]
    assert "20 predictions" in words(opened("cases", **target)), "the page Cases lists the predictions of the batch"


def test_a_batch_that_several_models_read_has_a_link_to_the_predictions_of_each(delivered: Database, tmp_path: Path) -> None:
    answered = {
        "kind": "prediction",
        "at": (END - timedelta(hours=16)).isoformat(),
        "features": {"age": 3},
        "score": 0.5,
        "batch": f"b{DAYS - 1}",
    }
    land(delivered, [{**answered, "id": f"q{i}", "model": "churn", "version": "1"} for i in range(4)], tmp_path)
    cell = tables(opened("batches"))["Batches of clinic, newest first"]["rows"][0]["cells"]["predictions"]
    assert cell["t"] == "24" and "go" not in cell
    told = {each["t"]: (each["go"]["page"], each["go"]["parameters"]["model"], each["go"]["parameters"]["slice"]) for each in cell["more"]}
    assert told == {"churn: 4": ("cases", "churn", "batch=b59"), "loan: 20": ("cases", "loan", "batch=b59")}


def test_a_cleaning_rule_shows_the_dropped_rows_by_run_and_group(delivered: Database) -> None:
    app = opened("cleaning")
    runs = tables(app)["Runs of the rule, newest first"]["rows"]
    assert [each["cells"]["dropped"]["t"] for each in runs] == ["110", "110", *["20"] * 5]
    assert runs[0]["cells"]["kept"]["t"] == "890" and runs[0]["cells"]["version"]["t"] == "v59"
    (women, men) = tables(app)["Groups of sex before and after the rule"]["rows"]
    assert women["cells"]["group"]["t"] == "sex = F" and women["cells"]["dropped"]["t"] == "250" and women["cells"]["rate"]["t"] == "7.1 %"
    assert women["cells"]["before"]["t"] == "50 %" and women["cells"]["after"]["t"] == "48.7 %" and men["cells"]["after"]["t"] == "51.3 %"
    assert women["cells"]["gap"]["t"] == "5.1 %" and men["cells"]["gap"]["t"] == "−5.1 %"
    (rule,) = tables(app)["Cleaning rules and their effect"]["rows"]
    assert rule["cells"]["status"]["s"] == "act" and rule["cells"]["rule"]["go"]["parameters"]["rule"] == "dataset:people/rule:adults"
    assert rule["selected"] and rule["note"] is None, "the row has no note, because the section below states the same"


def test_dates_without_records_and_an_empty_store_show_a_message(delivered: Database) -> None:
    for page, nothing in (("batches", "No batches in this window"), ("cleaning", "No cleanings in this window")):
        assert nothing in words(opened(page, **{"window": "Chosen dates", "from": "2025-03-02T00:00", "to": "2025-03-09T00:00"}))


@pytest.mark.parametrize(("page", "call"), [("batches", "log.batch("), ("cleaning", "log.cleaning(")])
def test_an_empty_page_shows_the_code_that_logs_batches(empty: Database, page: str, call: str) -> None:
    app = opened(page)
    assert any(call in each.value for each in app.code)


def test_the_batch_chart_draws_the_metric_of_the_finding(empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last batch of the source comes two days after its capture but has the usual rows, so the chart shows the delay."""
    late = []
    for line in lines():
        if line["kind"] == "batch":
            captured = END - timedelta(days=3) if line["batch"] == f"b{DAYS - 1}" else datetime.fromisoformat(line["captured_to"])
            late.append(
                line | {"rows": 1000, "captured_to": captured.isoformat(), "captured_from": (captured - timedelta(hours=24)).isoformat()}
            )
    land(empty, late, tmp_path)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    rows, _ = batches.batches_in_scope(Scope(span="all"))
    delay = batches.batch_values(rows, "batch_delay_hours")
    assert list(delay.iloc[-2:]) == [1.0, 54.0] and batches.batch_values(rows, "batch_gap_hours").iloc[1] == 24.0
    assert batches.batch_values(rows, "batch_rejected_rate").iloc[0] == 0.007
    (chart,) = opened("batches").get("plotly_chart")
    drawn = json.loads(chart.proto.spec)
    assert drawn["layout"]["yaxis"]["title"]["text"] == "delay after capture, hours"
