"""The page of devices that serve a model: its rings are those of the version whose first report is the newest."""

import inspect
from datetime import UTC, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from observability.core.formatting import format_day, value_with_interval
from observability.core.questions import Sample
from observability.core.window import Window
from observability.dashboard import load
from observability.dashboard.charts.edge_fleet import version_shares
from observability.detection.roll_out_rings import RingCriterion
from observability.metrics.edge_fleet import devices_to_decide
from observability.metrics.late_answers import ANSWER_ROWS, FIRST_ROWS
from observability.monitoring import check
from observability.stats.difference_intervals import rate_difference_interval
from observability.stats.interval import rate_interval
from observability.store.db.database import Database
from tests.dashboard.conftest import land
from tests.support.dashboard_pages import opened, tables, words
from tests.support.edge_reports import END, START, device_reports
from tests.support.proving import differing


@pytest.fixture
def rolled_out(empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The store that this process owns. Ring 0 got version `10` two days before the week; the name sorts before `2`."""
    rows = device_reports(np.random.default_rng(1), fleet=48, before=5)
    for row in rows:
        row["version"] = "10" if row["ring"] == "ring 0" and row["at"] >= START - timedelta(days=2) else "2"
        for name in ("at", "synced_at", "oldest_at"):
            row[name] = row[name].replace(tzinfo=UTC).isoformat()
    land(empty, [{"kind": "device_report", **row} for row in rows], tmp_path)
    monkeypatch.setattr(load, "page_clock", lambda: END.replace(tzinfo=UTC))
    return empty


def test_the_newest_version_is_the_one_that_began_last_though_the_week_begins_with_both(rolled_out: Database) -> None:
    app = opened("edge_fleet")
    assert [each.value for each in app.header if each.value.startswith("Roll-out")] == ["Roll-out of version 10"]
    (ring,) = [row["cells"] for row in tables(app)["Rings of version 10"]["rows"]]
    assert (ring["ring"]["t"], ring["new"]["t"], ring["old"]["t"]) == ("ring 0", "12", "36")
    assert "48 devices" in words(app)
    assert "replaced two weeks ago" not in words(app), "the version is too young to call devices late"


def test_the_share_of_devices_on_an_old_version_is_a_figure_of_the_page(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty days before the week, three quarters of the devices got version 10."""
    rows = device_reports(np.random.default_rng(1), fleet=48, before=25)
    for row in rows:
        row["version"] = "10" if row["ring"] != "ring 0" and row["at"] >= START - timedelta(days=20) else "2"
        for name in ("at", "synced_at", "oldest_at"):
            row[name] = row[name].replace(tzinfo=UTC).isoformat()
    land(empty, [{"kind": "device_report", **row} for row in rows], tmp_path)
    monkeypatch.setattr(load, "page_clock", lambda: END.replace(tzinfo=UTC))
    share = value_with_interval(*rate_interval(12, 48).triple, "share")
    assert f"On a version replaced two weeks ago or earlier: {share} of 48 devices." in words(opened("edge_fleet"))


def test_a_ring_that_cannot_be_judged_yet_states_how_many_more_devices_it_needs() -> None:
    def ring(new: tuple[int, int], old: tuple[int, int]) -> RingCriterion:
        return RingCriterion("2", "ring 0", START, new, old, 0.05)

    more = devices_to_decide((3, 15), (3, 60), 0.05)
    row = ring((3, 15), (3, 60))
    assert row.severity == "unknown" and more is not None and more > 0
    assert row.reason.endswith(f"At these rates it needs about {more:,} more devices.")
    times = (15 + more) / 15
    gap = rate_difference_interval(3 * times, 15 * times, 3, 60)
    before = rate_difference_interval(3 * (times - 1 / 15), 15 * (times - 1 / 15), 3, 60)
    assert gap.low is not None and before.low is not None and before.low <= 0.05 < gap.low
    assert devices_to_decide((0, 2000), (0, 2000), 0.05) == 0
    assert devices_to_decide((2, 20), (3, 60), 0.05) is None, "no number of devices can decide a difference that equals the criterion"
    assert ring((3, 4), (3, 60)).reason == "4 devices; it needs about 6 more."
    assert ring((3, 15), (3, 3)).reason == "3 devices on earlier versions; it needs about 7 more."


def test_a_version_keeps_its_colour_in_every_window() -> None:
    def colours(*shown: str) -> dict[str, str]:
        rows = pd.DataFrame([{"day": START, "version": each, "devices": 1, "share": 1 / len(shown)} for each in shown])
        return {trace.name: trace.line.color for trace in version_shares(rows, ["1", "2", "3"]).data}

    every = colours("1", "2", "3")
    assert colours("3") == {"3": every["3"]} and colours("2", "3") == {name: every[name] for name in ("2", "3")}
    assert len(set(every.values())) == 3


def answers_of_phones(model: str) -> list[dict]:
    """200 answers a day for a week; on the third day, every fourth answer was sent three days later."""
    found = []
    for day in range(7):
        for number in range(200):
            at = START.replace(tzinfo=UTC) + timedelta(days=day, minutes=7 * number)
            sent = at + timedelta(days=3 if day == 2 and number % 4 == 0 else 0, minutes=1)
            about = {"kind": "prediction", "id": f"p{day}-{number}", "model": model, "version": "2", "device": "phone-1"}
            found.append({**about, "at": at.isoformat(), "synced_at": sent.isoformat(), "features": {"x": number}, "score": 0.5})
    return found


def test_more_answers_are_read_only_if_the_first_ones_state_when_they_were_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    sent = {"extra": [None, None]}

    def ask(sample: Sample, _window: Window) -> pd.DataFrame:
        asked.append(sample.rows)
        return pd.DataFrame({"at": [START] * 2, **sent})

    monkeypatch.setattr(load, "store", lambda: SimpleNamespace(ask=ask))
    uncached = inspect.unwrap(load.late_answers_in)  # a cached answer for the real store must not be used
    window = Window("cough", START.replace(tzinfo=UTC), END.replace(tzinfo=UTC))
    assert uncached(window) is None and asked == [FIRST_ROWS]
    sent["extra"][0] = f'{{"synced_at": "{START.isoformat()}Z"}}'
    assert uncached(window).unsent == 1 and asked[1:] == [FIRST_ROWS, ANSWER_ROWS]


def test_late_answers_of_devices_say_on_the_pages_which_days_they_changed(rolled_out: Database, tmp_path: Path) -> None:
    """The page of the model, the page of the devices and the finding state the same share."""
    model = "cough"
    land(rolled_out, answers_of_phones(model), tmp_path)
    span = {"window": "Chosen dates", "from": START.date().isoformat(), "to": END.date().isoformat()}
    day = format_day(START + timedelta(days=2))
    sentence = f"Late answers changed 1 of 7 days after 24 h, most {day}: 25 % came later."
    assert sentence in words(opened("requests", model=model, **span))
    rows = tables(opened("edge_fleet", model=model, **span))["Days that late answers changed"]["rows"]
    assert [(row["cells"]["day"]["t"], row["cells"]["answers"]["t"], row["cells"]["late"]["t"]) for row in rows] == [(day, "200", "25 %")]
    found = check.check(rolled_out, model=model, start=START.replace(tzinfo=UTC), end=END.replace(tzinfo=UTC)).findings
    (claim,) = [each for each in found if each.metric == "restated_share"]
    assert claim.severity == "ok" and claim.value == pytest.approx(50 / 1400) and sentence in claim.because
    assert differing(rolled_out, [claim]) == []
