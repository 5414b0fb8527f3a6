"""A week is judged by the settings in force at its end. If it is computed again after a change of settings, it gives the same figures."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from observability.alerts import alarm_rules
from observability.core.questions import Aggregate, By, Sample
from observability.core.settings import ModelSettings
from observability.core.weeks import Week
from observability.core.window import Window
from observability.export import review as export_review
from observability.monitoring import check
from observability.review import freeze, sentences
from observability.review.restated import restated_since_freezing
from observability.review.snapshot import settings_from, week_snapshot
from observability.store.db import catalog_store
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from tests.support.html_rules import invalid
from tests.support.new_store import new_store

WEEK = Week.parse("2020-W10")
FROZEN = WEEK.end + timedelta(hours=7)
BEFORE = ModelSettings(threshold=0.5, limits={"serving/performance/accuracy": 0.002}, cost_false_positive=1.0, cost_false_negative=3.0)


@pytest.fixture
def store(tmp_path):
    """A binary model with a week of labelled answers; its settings were saved two months before."""
    rng = np.random.default_rng(4)
    score = rng.uniform(0, 1, 1400).round(4)
    label = (rng.uniform(0, 1, score.size) < score).astype(int)
    with new_store(tmp_path / "home", threads=2) as opened:
        reference = tmp_path / "reference.csv"
        rows = [f"{each},{each},{value}" for each, value in zip(score[:700], label[:700])]
        reference.write_text("\n".join(["x,score,label", *rows]) + "\n", encoding="utf-8")
        request = RegistrationRequest(model="m", version="1", task="binary", reference=reference, label="label", score=("score",))
        opened.register(request, now=WEEK.start - timedelta(days=70))
        with opened.write() as writer:
            key = opened.catalog().model("m").key
            catalog_store.update_model(writer, key, settings=BEFORE, now=WEEK.start - timedelta(days=60))
        lines = []
        for number in range(700):
            at = stamp(WEEK.start + timedelta(minutes=14 * number))
            lines.append(
                {
                    "kind": "prediction",
                    "id": f"p{number}",
                    "model": "m",
                    "version": "1",
                    "features": {"x": score[700 + number]},
                    "score": score[700 + number],
                    "at": at,
                    "received_at": at,
                }
            )
            lines.append(
                {"kind": "label", "id": f"p{number}", "model": "m", "value": int(label[700 + number]), "at": at, "received_at": at}
            )
        path = tmp_path / "lines.jsonl"
        path.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
        assert opened.load_files([path], LoadDefaults()).rejected == 0
        opened.by_hand = score[700:], label[700:]
        yield opened


def stamp(instant):
    return instant.isoformat().replace("+00:00", "Z")


def right(store, threshold):
    """The share of right decisions at a threshold, computed by hand."""
    score, label = store.by_hand
    return np.mean((score >= threshold) == label)


def differing(a, b, where=""):
    """The paths at which two frozen weeks differ by more than the order of addition explains."""
    if isinstance(a, dict) and isinstance(b, dict):
        return [each for name in {*a, *b} for each in differing(a.get(name), b.get(name), f"{where}/{name}")]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [each for place, (one, other) in enumerate(zip(a, b)) for each in differing(one, other, f"{where}/{place}")]
    same = a == pytest.approx(b, rel=1e-9) if isinstance(a, float) and isinstance(b, float) else a == b
    return [] if same else [(where, a, b)]


def accuracy(store):
    findings = check.check(store, model="m", start=WEEK.start, end=WEEK.end, now=WEEK.end, only=("serving/performance",)).findings
    return next(each for each in findings if each.metric == "accuracy")


def test_a_frozen_week_is_rebuilt_unchanged_after_a_change_of_settings(store):
    body = freeze.freeze(store, WEEK, author="ann", now=FROZEN)
    held = accuracy(store).limit
    limits = {"serving/performance/accuracy": 0.4}
    alarm_rules.save_settings(store, "m", replace(BEFORE, limits=limits, cost_false_negative=50.0), author="bob")
    assert accuracy(store).limit != held
    assert freeze.canonical_week(week_snapshot(store, WEEK, frozen_at=FROZEN)) == freeze.canonical_week(body)
    alarm_rules.save_settings(store, "m", replace(BEFORE, limits=limits, threshold=0.8), author="bob")
    assert accuracy(store).value == pytest.approx(right(store, 0.8)) != pytest.approx(right(store, 0.5))
    anew = week_snapshot(store, WEEK, frozen_at=FROZEN)
    assert differing(anew, body) == [], (
        "equal except for the last bits of sums, because decisions at another threshold are counted from rows"
    )
    assert settings_from(anew["models"][0]) == BEFORE
    (judged,) = [
        each for each in anew["models"][0]["findings"] if (each["analyzer"], each["metric"]) == ("serving/performance", "accuracy")
    ]
    assert judged["value"] == pytest.approx(right(store, 0.5))
    assert judged["limit"] == held
    assert restated_since_freezing(store, body, FROZEN + timedelta(days=30)) == [], "another threshold does not count as a late label"


def test_answers_under_given_settings_equal_those_of_a_store_with_these_settings(store):
    window = Window("m", WEEK.start, WEEK.end)
    asked = [
        lambda: store.ask(Aggregate("outcomes", keys=(By("decision"), By("label"))), window),
        lambda: store.ask(Aggregate("predictions", keys=(By("decision"),)), window),
        lambda: store.ask(Aggregate("outcomes", sums=("correct",)), window),
        lambda: store.ask(Aggregate("outcomes", keys=(By("score_bin"), By("decision"))), window.reference()),
        lambda: store.ask(Sample("outcomes", ("decision", "score", "label"), 50), window),
    ]
    other = replace(BEFORE, threshold=0.23)
    with store.under({"m": other}):
        under = [each() for each in asked]
        assert store.catalog().model("m").settings == other
    assert store.catalog().model("m").settings == BEFORE
    present = [each() for each in asked]
    alarm_rules.save_settings(store, "m", other, author="bob")
    for there, before, then in zip([each() for each in asked], present, under, strict=True):
        assert there.equals(then)
        assert not before.equals(then)


def test_settings_at_an_instant_are_those_valid_then_and_unrecorded_ones_are_marked(store):
    later = replace(BEFORE, limits={})
    alarm_rules.save_settings(store, "m", later, author="bob")
    alarm_rules.save_settings(store, "m", later, author="bob")
    now = datetime.now(UTC)
    start = WEEK.start
    first = store.settings_at(start - timedelta(days=65), now)["m"]
    assert (first.settings, first.known) == (ModelSettings(), True)
    assert store.settings_at(start, now)["m"].settings == BEFORE
    assert store.settings_at(now, now)["m"].settings == later
    early = store.settings_at(start - timedelta(days=90), start)["m"]
    assert (early.settings, early.known) == (BEFORE, False)
    assert store.settings_at(start - timedelta(days=90), start - timedelta(days=80))["m"].settings == ModelSettings()
    assert store.cursor().execute("SELECT count(*) FROM settings_kept").fetchall() == [(3,)], "one row per change of settings"
    body = week_snapshot(store, WEEK, frozen_at=FROZEN)
    said, since = sentences.settings_sentence(body["models"][0])
    assert "threshold 0.5" in said and "limit of serving/performance/accuracy 0.00200" in said
    assert since.startswith("In force at the week's end, since 2 Jan 2020")
    unrecorded = body["models"][0] | {"settings_known": False, "settings_since": None}
    assert sentences.settings_sentence(unrecorded)[1] == "Settings as of the freezing (earlier not recorded)."
    with store.write() as writer:
        writer.execute('UPDATE settings_kept SET "at" = ?', [now.replace(tzinfo=None)])
    store.write_records([{"kind": "event", "what": "note", "text": "x", "at": WEEK.start}])
    freeze.freeze(store, WEEK, author="ann", now=now)
    html = export_review.review_html(store, str(WEEK), now)
    assert "(earlier not recorded)" in html
    assert invalid(html) == []
    store.remove_model("m")
    assert store.cursor().execute("SELECT count(*) FROM settings_kept").fetchall() == [(0,)]


def test_an_older_store_begins_to_record_settings_when_it_is_opened(tmp_path):
    with open_store(tmp_path) as store, store.write() as writer:
        catalog_store.add_model(writer, "old", settings=BEFORE)
        writer.execute("DROP TABLE settings_kept")
        writer.execute("DELETE FROM migrations WHERE version >= 6")
    began = datetime.now(UTC)
    with open_store(tmp_path) as store:
        held = store.settings_at(began - timedelta(days=1), began)["old"]
        assert (held.settings, held.known) == (BEFORE, False)
        assert store.settings_at(datetime.now(UTC), began)["old"].known
