"""Items that have waited three weeks are escalated. Decisions and signatures come back on their day, and decisions are found by their
evidence.
"""

from datetime import timedelta

import pytest

from observability.alerts import alert_log, config
from observability.alerts.delivery import deliver_messages
from observability.dashboard.overview import changes
from observability.review import freeze
from observability.review.action_items import action_stage
from observability.review.agenda_items import of_promises
from observability.review.change_log import change_entries
from observability.review.escalation import action_verifications, escalation_messages, pass_up
from observability.review.snapshot import week_snapshot
from tests.support import review_world
from tests.support.review_world import WEEKS

NOW = WEEKS[-1].end + timedelta(days=7)
SETTINGS = """
[channels]
bobs = "jsons://127.0.0.1/bob"
desk = "jsons://127.0.0.1/desk"
[routes]
bob = ["bobs"]
[alerts]
default = ["desk"]
dashboard = "https://models.example.org"
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Four consecutive frozen weeks. In the first week a person promised an action whose effect no metric can show, made a decision, and
    signed.
    """
    with review_world.build(tmp_path_factory.mktemp("escalation")) as opened:
        (opened.home / config.FILE).write_text(SETTINGS, encoding="utf-8")
        freeze.freeze(opened, WEEKS[0], author="ann", now=NOW)
        common = {"at": NOW, "author": "ann", "model": "eta", "review": str(WEEKS[0])}
        opened.write_records(
            [
                {**common, "kind": "action", "action": "a1", "text": "Ask the drivers", "owner": "bob", "metric": "energy_per_thousand"},
                {
                    **common,
                    "kind": "action",
                    "action": "a2",
                    "text": "Ask them later",
                    "owner": "bob",
                    "metric": "energy_per_thousand",
                    "due": NOW,
                },
                {
                    **common,
                    "kind": "decision",
                    "decision": "d1",
                    "statement": "Keep version 1",
                    "decider": "carla",
                    "dissent": "Dan wants 2",
                    "evidence": ["2026-W06: finding f-77"],
                    "options": ["roll back"],
                    "revisit": WEEKS[2].start + timedelta(days=2),
                },
                {**common, "kind": "signature", "subject": "bias", "until": WEEKS[1].start},
            ]
        )
        for week in WEEKS[1:4]:
            freeze.freeze(opened, week, author="ann", now=NOW + (week.start - WEEKS[0].start) / 1000)
        yield opened


def promised(store, week, action="a1"):
    return next(each for each in freeze.stored_week(store, str(week))["promises"] if each["action"] == action)


def on_agenda(store, week, item):
    return next((each for each in freeze.stored_week(store, str(week))["agenda"] if each["item"].startswith(item)), None)


def test_an_action_not_done_for_three_weeks_is_escalated_automatically(store):
    found = [promised(store, week) for week in WEEKS[1:4]]
    assert [(each["moved"]["answer"], each["weeks"], each["escalated"]) for each in found] == [
        ("not done yet", 1, False),
        ("not done yet", 2, False),
        ("not done yet", 3, True),
    ]
    (action,) = [each for each in store.actions() if each.id == "a1"]
    assert (action.state, action.last.author) == ("escalated", "the dashboard")
    assert "for 3 weeks" in action.fields["reason"]
    item = on_agenda(store, WEEKS[3], "action:a1")
    assert (item["severity"], item["weeks"]) == ("act", 3)
    assert any("escalated" in each for each in item["reasons"])
    assert on_agenda(store, WEEKS[2], "action:a1") is None


def test_an_action_whose_metric_improved_after_it_was_done_is_verified():
    promise = {"action": "a1", "state": "done", "owner": "bob", "moved": {"answer": "yes"}, "stage": "verified"}
    body = {"week": "2026-W09", "promises": [promise, promise | {"action": "a2", "state": "open", "stage": "assigned"}]}
    assert [(each["action"], each["state"], each["author"]) for each in action_verifications(body, NOW)] == [
        ("a1", "verified", "the dashboard")
    ]


@pytest.mark.parametrize(
    ("state", "owner", "answer", "stage"),
    [
        ("open", None, None, "unassigned"),
        ("extended", "bob", "moved before the action", "assigned"),
        ("done", "bob", "cannot tell", "done"),
        ("done", "bob", "yes", "verified"),
        ("verified", None, None, "verified"),
        ("cancelled", "bob", "yes", "cancelled"),
    ],
)
def test_assigned_done_and_verified_are_three_stages(state, owner, answer, stage):
    assert action_stage(state, owner, {"answer": answer}) == stage


def test_a_postponed_action_is_not_escalated_before_its_new_date(store):
    assert (promised(store, WEEKS[3], "a2")["weeks"], promised(store, WEEKS[3], "a2")["escalated"]) == (3, False)


def test_an_escalation_is_sent_to_the_owner_only_once(store):
    queued = [each for each in alert_log.messages_by_key(store).values() if each.incident == "action:a1"]
    assert [(each.channel, each.state) for each in queued] == [("bobs", "queued")]
    assert "Ask the drivers" in queued[0].text
    assert f"https://models.example.org/review?review={WEEKS[3]}" in queued[0].text
    store.write_records(list(escalation_messages(freeze.stored_week(store, str(WEEKS[3])), config.read_alert_config(store.home), NOW)))
    sent = []
    deliver_messages(
        store, config.read_alert_config(store.home), NOW + timedelta(hours=1), lambda address, message: sent.append((address, message.key))
    )
    assert sent.count(("jsons://127.0.0.1/bob", queued[0].key)) == 1
    assert [address for address, _ in sent if address.endswith("desk")], "the lapsed signature has no owner with a route"


def test_the_review_of_old_logs_sends_no_message(store):
    body = freeze.stored_week(store, str(WEEKS[3]))
    assert list(escalation_messages(body, config.read_alert_config(store.home), NOW))
    before = len(alert_log.messages_by_key(store))
    pass_up(store, body, NOW + timedelta(days=400))
    assert len(alert_log.messages_by_key(store)) == before


def test_a_lapsed_signature_waits_on_the_agenda_until_somebody_decides(store):
    item = on_agenda(store, WEEKS[3], "signature:eta:bias")
    assert (item["weeks"], item["severity"]) == (3, "act")
    assert freeze.stored_week(store, str(WEEKS[3]))["agenda"][0]["weeks"] >= 3


def test_a_decision_returns_to_the_agenda_on_its_date_until_it_is_reviewed(store):
    assert [bool(on_agenda(store, week, "decision:d1")) for week in WEEKS[:4]] == [False, True, True, True]
    item = on_agenda(store, WEEKS[3], "decision:d1")
    assert "Keep version 1" in item["title"]
    assert "carla" in item["reasons"][0]
    store.write_records(
        [
            {
                "kind": "agenda",
                "review": str(WEEKS[3]),
                "item": item["item"],
                "author": "ann",
                "does": "accept",
                "at": NOW + timedelta(hours=12),
            }
        ]
    )
    freeze.freeze(store, WEEKS[4], author="ann", now=NOW + timedelta(days=1))
    assert on_agenda(store, WEEKS[4], "decision:d1") is None


def test_the_agenda_of_a_frozen_week_is_rebuilt_unchanged(store):
    body = freeze.stored_week(store, str(WEEKS[3]))
    then = NOW + (WEEKS[3].start - WEEKS[0].start) / 1000
    later = {"author": "ann", "model": "eta", "at": then + timedelta(hours=1)}
    store.write_records(
        [
            {
                **later,
                "kind": "decision",
                "decision": "d8",
                "statement": "Said after it",
                "decider": "eve",
                "model": None,
                "revisit": WEEKS[2].start,
            },
            {
                **later,
                "kind": "decision",
                "decision": "d9",
                "statement": "Of a later review",
                "decider": "eve",
                "model": None,
                "revisit": WEEKS[2].start,
                "review": str(WEEKS[4]),
                "at": NOW,
            },
            {**later, "kind": "signature", "subject": "bias", "until": NOW + timedelta(days=300)},
            {**later, "kind": "agenda", "review": str(WEEKS[2]), "item": body["agenda"][0]["item"], "does": "accept"},
        ]
    )
    anew = week_snapshot(store, WEEKS[3], frozen_at=then, earlier=freeze.earlier_weeks(store, WEEKS[3], then))
    assert anew["promises"] == body["promises"]
    assert anew["agenda"] == body["agenda"]


@pytest.mark.parametrize("words", ["keep VERSION", "carla", "dan wants", "f-77", "roll back", "eta"])
def test_a_decision_is_found_by_its_words_decider_dissent_and_evidence(store, words):
    everything = change_entries(store, WEEKS[0].start, NOW + timedelta(days=1))
    found = changes.matching_entries(everything, ["decision"], words)
    assert [each.title for each in found] == ["Keep version 1"]
    assert changes.matching_entries(everything, ["decision"], "nobody said this") == []


def test_a_verified_action_without_effect_is_named_by_its_state():
    """Regression: the agenda said `Done, but the target metric did not improve` about a verified action."""
    promise = {"action": "a1", "text": "Mend it", "owner": "bob", "since": "2026-W01", "overdue": False, "escalated": False, "weeks": 0}
    (item,) = of_promises([promise | {"model": "eta", "due": None, "state": "verified", "moved": {"answer": "no"}}], {})
    assert item.reasons[-1] == "Verified, but the target metric did not improve."
