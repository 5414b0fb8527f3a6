"""The watcher opens one alert and sends one message per fault, resolves the alert, and freezes last week."""

from datetime import UTC, datetime, timedelta

import pytest

from observability.alerts import alert_log
from observability.alerts.config import FILE, AlertConfig
from observability.core.catalog import RECORDED, UNNAMED
from observability.core.window import Window
from observability.monitoring import check
from observability.monitoring.kept_findings import KeptFindings
from observability.review import freeze
from observability.server import watcher
from observability.store.opener import open_store
from tests.support import review_world
from tests.support.review_world import BROKEN, MENDED

MORNING = watcher.REVIEW_HOURS


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with review_world.build(tmp_path_factory.mktemp("watch")) as opened:
        (opened.home / FILE).write_text('[channels]\nteam = "json://127.0.0.1:9"\n[alerts]\ndefault = ["team"]\n', encoding="utf-8")
        yield opened


def test_alerts_open_at_the_fault_and_are_resolved_after_its_end(store):
    sent = []
    state = watcher.Watching()
    state.started = BROKEN.end

    def look(now):
        watcher.watch_round(store, state, now, lambda _address, message: sent.append(message))

    look(BROKEN.end)
    opened = [each for each in alert_log.alerts_by_incident(store, BROKEN.end).values() if each.model == "eta"]
    assert opened
    assert all(each.state == "open" for each in opened)
    assert len(sent) == len(opened)
    first = len(sent)
    look(BROKEN.end + timedelta(minutes=1))
    look(BROKEN.end + timedelta(minutes=10))
    assert len(sent) == first
    assert not freeze.is_frozen(store, str(BROKEN))
    critical = state.models["eta"].incidents["act"]
    now = BROKEN.end + timedelta(minutes=12)
    store.write_records([{"kind": "alert", "incident": opened[0].incident, "at": now, "author": "ann", "says": "acknowledged"}])
    window = {"model": "eta", "start": BROKEN.start, "end": BROKEN.end, "now": now, "with_records": False}
    asked = {each.claim for each in check.check(store, **window).findings if each.severity == "act"}
    known = check.check(store, **window, acknowledged=alert_log.acknowledged_claims(store, now)).findings
    mine = [each for each in known if each.claim in asked and each.acknowledged]
    assert mine and {(each.severity, each.state) for each in mine} == {("watch", "critical")}
    look(BROKEN.end + timedelta(minutes=25))
    assert state.models["eta"].incidents["act"] == critical - 1, "the metric counts as Home does"
    look(BROKEN.end + MORNING)
    assert freeze.is_frozen(store, str(BROKEN))
    assert freeze.frozen_weeks(store)[0].author == watcher.DASHBOARD
    look(MENDED.end)
    after = alert_log.alerts_by_incident(store, MENDED.end)
    assert [after[each.incident].state for each in opened] == ["resolved"] * len(opened)


def test_with_unreadable_settings_no_alert_is_decided_and_the_failure_is_reported(store, monkeypatch):
    (store.home / FILE).write_text("[chanels]\n", encoding="utf-8")
    state, stopping, said = watcher.Watching(), _Stops(2), len(alert_log.alert_records(store))
    frozen = []
    monkeypatch.setattr(watcher, "freeze_last_week", lambda _store, now: frozen.append(now))
    watcher.run_watcher(store, state, stopping, wait=0.0)
    assert "unknown table" in state.failure
    assert len(alert_log.alert_records(store)) == said
    assert len(frozen) == 2, "the week before Monday is frozen, whatever the alert settings"


def test_a_new_diverging_run_is_reported_and_an_old_one_is_not(tmp_path):
    with open_store(tmp_path) as store:
        now = datetime.now(UTC).replace(microsecond=0)
        for name, end in (("old", now - timedelta(days=60)), ("new", now)):
            starts = end - timedelta(hours=3)
            lines = [{"kind": "run", "run": name, "at": starts, "event": "start"}]
            losses = [*(2.0 / (1 + step) for step in range(30)), *(["NaN"] * 10)]
            lines += [
                {"kind": "step", "run": name, "at": starts + timedelta(minutes=place), "step": place, "metrics": {"loss": loss}}
                for place, loss in enumerate(losses)
            ]
            store.write_records(lines)
            watcher.watch_round(store, watcher.Watching(), now, lambda *_: None)
            told = [each.title for each in alert_log.alerts_by_incident(store, now).values()]
            assert bool(told) is (name == "new"), told
        assert all("`new`" in each or "new" in each for each in told)


def test_a_model_without_new_rows_is_judged_once_an_hour(store, monkeypatch):
    judged = []
    monkeypatch.setattr(watcher, "_part_of_findings", lambda _store, window, _now, reads: judged.append(reads) or ())
    kept, at = KeptFindings(), BROKEN.end + timedelta(hours=1)

    def judge(now):
        judged.clear()
        report = watcher.kept_report(store, kept, "eta", now)
        assert report.windows["eta"].end == BROKEN.end + timedelta(days=1)
        return judged

    assert judge(at) == ["aggregates", "computed", "rows", "records"]
    assert judge(at + timedelta(minutes=55)) == []
    with store.write():
        store.note_changed_models(["another"])
    assert judge(at + timedelta(minutes=55)) == []
    with store.write():
        store.note_changed_models(["eta"])
    assert judge(at + timedelta(minutes=55)) == ["aggregates", "computed", "rows", "records"]
    with store.write():
        store.note_changed_models([RECORDED, UNNAMED])
    assert judge(at + timedelta(minutes=55)) == ["records"], "a record without a model affects only findings about its own rows"
    assert judge(at + timedelta(hours=1)) == ["aggregates", "computed", "records"], "silence is judged even without new rows"


def test_a_round_asks_nothing_about_a_model_without_new_rows_within_the_hour(store, monkeypatch):
    asked, state, now = [], watcher.Watching(), BROKEN.end + timedelta(hours=1)
    window = Window("eta", now - timedelta(days=7), now)
    monkeypatch.setattr(
        watcher, "kept_report", lambda _store, _kept, name, _now: asked.append(name) or check.CheckReport((), (), {name: window})
    )
    names = watcher.live_models(store, now)
    assert "eta" in names

    def round_at(instant):
        asked.clear()
        watcher.check_live_models(store, state, AlertConfig(), instant)
        assert state.reports.keys() == state.judged.keys() == set(names)
        assert all((judged.at == instant) == (name in asked) for name, judged in state.judged.items()), (
            "the time of the analysis is kept, not that of the last look"
        )
        return asked

    assert round_at(now) == names
    assert round_at(now + timedelta(minutes=5)) == []
    with store.write():
        store.note_changed_models(["eta"])
    assert round_at(now + timedelta(minutes=10)) == ["eta"]
    with store.write():
        store.note_changed_models([RECORDED, UNNAMED])
    assert round_at(now + timedelta(minutes=15)) == names, "these analyzers read records that name no model"
    assert round_at(now + timedelta(hours=1)) == names, "silence is judged even without new rows"


class _Stops:
    """An event that counts as set after a given number of waits."""

    def __init__(self, waits):
        self.left = waits

    def wait(self, _seconds):
        self.left -= 1
        return self.left < 0
