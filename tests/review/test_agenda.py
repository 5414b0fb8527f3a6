import json
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from observability.core.formatting import format_day
from observability.core.weeks import Week
from observability.monitoring import check as run
from observability.review.agenda import MAX_ITEMS, Item, arranged_agenda, incident_change, ranked_agenda
from observability.review.agenda_items import of_audits
from observability.review.snapshot import week_snapshot
from observability.store.types.loading import LoadDefaults
from tests.support.new_store import new_store


def item(name, severity="act", change="new", exposure=0.5, weeks=1):
    return Item(name, "incident", f"{name}.", severity, change, exposure, "m", weeks=weeks)


def said(does, name, text=None):
    return {"item": name, "does": does, "author": "ann", "text": text}


def test_critical_items_come_before_warnings_and_new_items_before_standing_ones():
    items = [item("watch", severity="watch"), item("old", change="as before"), item("small", exposure=0.01), item("new")]
    assert [each.item for each in ranked_agenda(items)] == ["new", "small", "old", "watch"]
    by_name = {each.item: each.score for each in ranked_agenda(items)}
    assert by_name["new"] == pytest.approx(0.5)
    assert by_name["old"] == pytest.approx(0.3 * 0.5)
    assert by_name["watch"] == pytest.approx(0.35 * 0.5)
    assert by_name["small"] == pytest.approx(0.05)  # the smallest exposure applies


def test_a_promised_action_weighs_as_much_however_small_the_traffic():
    items = [item("busy", change="as before", exposure=0.9), item("promise", change="due", exposure=0.0), item("soon", "watch", "due", 0.0)]
    ordered = ranked_agenda(items)
    assert [each.item for each in ordered] == ["promise", "busy", "soon"]
    assert ordered[0].score == pytest.approx(0.8 * 0.5)


def test_a_standing_critical_item_is_below_new_warnings_only_if_it_is_acknowledged():
    stands, news = item("stands", change="as before", exposure=0.01), item("news", severity="watch", exposure=0.9)
    assert [each.item for each in ranked_agenda([news, stands])] == ["stands", "news"]
    answered = replace(stands, severity="watch", acknowledged=True)
    assert [each.item for each in ranked_agenda([answered, news])] == ["news", "stands"]
    assert (answered.state, answered.shown_severity) == ("critical", "act")


def test_items_undecided_for_three_weeks_come_first_among_those_of_the_same_severity():
    """Regression: a waiting warning was listed above a critical item without an action."""
    items = [item("new"), item("warns", "watch"), item("waits", "watch", "as before", weeks=3), item("stands", change="as before", weeks=3)]
    ordered = ranked_agenda(items)
    assert [each.item for each in ordered] == ["stands", "new", "waits", "warns"]
    assert [each.overdue for each in ordered] == [True, False, True, False]


@pytest.mark.parametrize(
    ("severity", "value", "before", "higher_is_worse", "expected"),
    [
        ("act", 1.0, None, None, "new"),
        ("act", 1.0, {"severity": "watch", "value": 1.0}, None, "worse"),
        ("watch", 1.0, {"severity": "act", "value": 1.0}, None, "better"),
        ("act", 1.05, {"severity": "act", "value": 1.0}, True, "as before"),
        ("act", 1.5, {"severity": "act", "value": 1.0}, True, "worse"),
        ("act", 1.5, {"severity": "act", "value": 1.0}, False, "better"),
        ("act", 1.5, {"severity": "act", "value": 1.0}, None, "as before"),
    ],
)
def test_the_change_of_an_incident_is_judged_against_last_week(severity, value, before, higher_is_worse, expected):
    assert incident_change(severity, value, before, higher_is_worse) == expected


def test_the_agenda_has_at_most_seven_items_and_folds_the_rest():
    items = ranked_agenda([item(f"i{n}", exposure=0.9 - n / 100) for n in range(10)])
    found = arranged_agenda(items, [])
    assert [each.item for each in found.items] == [f"i{n}" for n in range(MAX_ITEMS)]
    assert [each.item for each in found.folded] == ["i7", "i8", "i9"]


def test_an_overdue_item_is_not_folded_below_seven_critical_items():
    """Regression: a warning that waited three weeks for a decision, and an overdue action, were folded."""
    late = item("late", "watch", "as before", weeks=3)
    due = [replace(item(name, severity, "due", exposure=0.0), sort="action") for name, severity in (("over", "act"), ("soon", "watch"))]
    items = ranked_agenda([*(item(f"i{n}", exposure=0.9 - n / 100) for n in range(9)), late, *due, item("calm", "watch")])
    found = arranged_agenda(items, [])
    assert [each.item for each in found.items] == [*(f"i{n}" for n in range(MAX_ITEMS)), "over", "late"]
    assert {each.item for each in found.folded} == {"i7", "i8", "soon", "calm"}
    removed = arranged_agenda(items, [said("unpin", "late")])
    assert "late" in [each.item for each in removed.folded], "people can still fold it by hand"


def test_people_pin_unpin_and_add():
    items = ranked_agenda([item(f"i{n}", exposure=0.9 - n / 100) for n in range(10)])
    found = arranged_agenda(
        items, [said("pin", "i9"), said("unpin", "i0"), said("add", "note-1", "Talk about the budget"), said("pin", "nobody")]
    )
    names = [each.item for each in found.items]
    assert names[:2] == ["i9", "note-1"]
    assert "i0" not in names
    assert "i0" in [each.item for each in found.folded]
    assert len(names) == MAX_ITEMS
    assert found.items[1].title == "Talk about the budget"
    back = arranged_agenda(items, [said("unpin", "i0"), said("pin", "i0")])
    assert back.items[0].item == "i0"
    for first, last in (("pin", "i9"), ("unpin", "i0")):
        undone = arranged_agenda(items, [said(first, last), said("rank", last), said("rank", last)])
        assert [each.item for each in (*undone.items, *undone.folded)] == [f"i{n}" for n in range(10)]
        assert not undone.pinned | undone.removed


def test_an_agenda_item_is_read_back_from_json_unchanged():
    one = replace(item("x"), reasons=("New this week.",), about={"incident": "x"})
    assert Item.from_json(one.to_json()) == one


def test_audits_that_expired_or_soon_expire_are_due(tmp_path):
    week = Week(2026, 10)
    lines = [
        {"kind": "audit", "model": "loan", "version": "1", "audit": audit, "at": week.start, "received_at": week.start, "results": {}}
        | {"expires": week.end + timedelta(days=days)}
        for audit, days in (("robustness", -1), ("membership", 5), ("explanations", 60))
    ]
    with closing(new_store(tmp_path / "home", threads=1)) as store:
        store.write_records(lines)
        found = {each.title: each for each in of_audits(store, week, {"loan": 0.5}, week.end)}
    assert set(found) == {
        f"The robustness audit of loan version 1 expired on {format_day(week.end - timedelta(days=1))}.",
        f"The membership audit of loan version 1 expires on {format_day(week.end + timedelta(days=5))}.",
    }


@pytest.mark.parametrize("late", [0, 2])
@pytest.mark.parametrize("days", [-1, 0, 1])
def test_the_agenda_and_a_check_of_the_same_end_agree_whether_an_audit_has_expired(tmp_path, days, late):
    """Regression: an audit that arrived two days after the week was on the week's agenda, although a check as of its end did not
    know it.
    """
    week, noon = Week(2026, 10), Week(2026, 10).start + timedelta(hours=12)
    results = {"headline": {"value": 0.8, "low": 0.7, "high": 0.9, "n": 100}}
    audit = {"kind": "audit", "model": "loan", "version": "1", "audit": "robustness", "at": week.start, "results": results}
    about = {"kind": "prediction", "model": "loan", "version": "1", "score": 0.5, "features": {"km": 1}}
    log = tmp_path / "log.jsonl"
    log.write_text(json.dumps({**about, "id": "a", "at": noon.isoformat(), "received_at": noon.isoformat()}))
    with closing(new_store(tmp_path / "home", threads=1)) as store:
        store.load_files([log], LoadDefaults())
        arrived = week.start + timedelta(days=9 if late else 1)
        store.write_records([audit | {"received_at": arrived, "expires": week.end + timedelta(days=days)}])
        items = list(of_audits(store, week, {}, week.end + timedelta(days=3)))
        asked = {"model": "loan", "start": week.start, "end": week.end, "as_of": week.end, "now": week.end + timedelta(days=10)}
        found = run.check(store, **asked, only=("trust/audits",), with_records=False).findings
        known = week_snapshot(store, week, frozen_at=week.end + timedelta(days=3))["audits"]
    expired = any(each.metric == "audit_days_left" and each.value is not None for each in found)
    assert expired is any(item.severity == "act" for item in items) is (days <= 0 and not late)
    assert len(items) == len(known) == (0 if late else 1)


def test_an_audit_is_due_while_its_version_serves(tmp_path):
    week = Week(2026, 10)
    expired, start = week.end - timedelta(days=1), week.start

    def audited(model, version, audit, back):
        at = start - timedelta(days=back)
        about = {"kind": "audit", "model": model, "version": version, "audit": audit, "results": {}}
        return about | {"at": at, "received_at": at, "expires": expired}

    audits = [
        audited("loan", "9", "robustness", 30),
        audited("loan", "10", "robustness", 20),
        audited("loan", "9", "membership", 30),
        audited("rate", "1", "robustness", 30),
        audited("rate", "2", "membership", 20),
        audited("fare", "1", "robustness", 30),
        audited("seat", "1", "robustness", 30),
        audited("rate", "3", "membership", 10),
        audited("desk", "1", "robustness", 30),
        audited("desk", "2", "robustness", 20),
    ]
    # loan: both versions serve. rate: version 2 replaced version 1, version 3 never served. fare: serves once a month. seat: has not served
    # for months. desk: logs no predictions.
    served = [("loan", "9", 1), ("loan", "10", 1), ("rate", "1", -6), ("rate", "2", 2), ("fare", "1", -15), ("seat", "1", -90)]
    log = tmp_path / "log.jsonl"
    rows = []
    for model, version, days in served:
        at = (start + timedelta(days=days)).isoformat()
        row = {"kind": "prediction", "id": f"{model}{version}", "model": model, "version": version, "score": 0.5, "features": {"km": 1}}
        rows.append(row | {"at": at, "received_at": at})
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with closing(new_store(tmp_path / "home", threads=1)) as store:
        assert store.load_files([log], LoadDefaults()).stored == len(rows)
        store.write_records(audits)
        found = {each.item for each in of_audits(store, week, {}, week.end)}
        before = {each.item for each in of_audits(store, week.back(), {}, week.back().end)}
    assert found == {
        *("audit:loan:10:robustness", "audit:loan:9:robustness", "audit:loan:9:membership", "audit:rate:2:membership"),
        *("audit:rate:3:membership", "audit:fare:1:robustness", "audit:desk:2:robustness"),
    }
    assert "audit:rate:1:robustness" in before - found
