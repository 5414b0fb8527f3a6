"""The model card agrees with the tables, before and after a review, and escapes names from logs."""

from datetime import timedelta

import pytest

from observability.core.errors import NotFoundError
from observability.core.formatting import format_day
from observability.export import card as export_card
from observability.review import freeze
from tests.support import review_world
from tests.support.html_rules import invalid
from tests.support.review_world import WEEKS

NOW = WEEKS[-1].end + timedelta(days=7)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with review_world.build(tmp_path_factory.mktemp("card")) as opened:
        yield opened


def test_the_card_shows_audits_and_claims_before_and_after_a_review(store):
    headline = {"metric": "robust_accuracy", "value": 0.7, "low": 0.64, "high": 0.75, "n": 240, "at": 0.25}
    audit = {"kind": "audit", "model": "eta", "audit": "robustness", "results": {"headline": headline}}
    audit |= {"at": WEEKS[0].start, "received_at": WEEKS[0].start, "expires": NOW + timedelta(days=30)}
    forms = [{"form": "as served", "probes": 2000, "flips": 0}, {"form": "int8", "probes": 2000, "flips": 200}]
    of_forms = audit | {"audit": "precision", "results": {"in_use": "int8", "forms": forms}}
    versions = [version.name for version in store.catalog().model("eta").versions]
    store.write_records([each | {"version": name} for name in versions for each in (audit, of_forms)])
    changed = "Form <code>int8</code> changes 10 % of decisions"
    early = export_card.model_card_html(store, "eta", NOW)
    assert "Not reviewed yet" in early and "70.0 % of rows keep a correct prediction" in early and changed in early
    assert "600 held-out rows" in early
    body = freeze.freeze(store, WEEKS[2], author="ann", now=NOW)
    store.write_records(
        [{"kind": "signature", "author": "<i>ann</i>", "model": "eta", "subject": "bias", "until": NOW, "at": NOW, "note": "known"}]
    )
    late = export_card.model_card_html(store, "eta", NOW)
    assert f"As reviewed in week {WEEKS[2]}" in late and "70.0 % of rows keep a correct prediction" in late and changed in late
    mae = body["models"][0]["strip"]["performance"]
    assert f"{mae['value']:.2f}" in late
    assert "&lt;i&gt;ann&lt;/i&gt; accepts bias until" in late
    assert "<script" not in late
    assert invalid(early) == invalid(late) == []


def test_many_groups_do_not_displace_audits_and_forms_on_the_card():
    groups = [{"analyzer": "trust/fairness", "subject": f"job={place}"} for place in range(40)]
    others = [{"analyzer": name, "subject": "x"} for name in ("serving/performance", "trust/audits", "operations/trade_offs")]
    shown = list(export_card.card_findings([*groups, *others]))
    assert shown == [*groups[: export_card.MAX_OF_KIND], *others[1:]]


def test_a_card_never_names_a_small_group(store, monkeypatch):
    def about_few(store, name):
        body, part = last_review(store, name)
        few = {
            **part["findings"][0],
            "subject": "sex=quokka",
            "n": 3,
            "analyzer": "trust/fairness",
            "value": 0.5,
            "because": "of 3 quokkas",
        }
        return body, {**part, "findings": [*part["findings"], few]}

    last_review = export_card.last_review
    if last_review(store, "eta")[1] is None:
        freeze.freeze(store, WEEKS[2], author="ann", now=NOW)
    monkeypatch.setattr(export_card, "last_review", about_few)
    card = export_card.model_card_html(store, "eta", NOW)
    assert "As reviewed in week" in card and "quokka" not in card


def test_the_card_keeps_a_hold_and_open_actions_after_the_week(store):
    decision = {"kind": "decision", "author": "ann", "model": "eta", "version": "1", "decider": "carla"}
    told = decision | {"decision": "d1", "at": NOW, "statement": "Hold the <i>rollout</i>.", "choice": "hold", "review": str(WEEKS[2])}
    action = {"kind": "action", "action": "a1", "at": NOW, "author": "ann", "text": "Read metres", "model": "eta", "owner": "bob"}
    store.write_records([told, action, action | {"action": "a2", "text": "Long done", "state": "done"}])
    freeze.freeze(store, WEEKS[4], author="ann", now=NOW + timedelta(days=1))
    after = export_card.model_card_html(store, "eta", NOW + timedelta(days=2))
    assert f"As reviewed in week {WEEKS[4]}" in after
    caveats = after.partition("<h2>Caveats</h2>")[2]
    assert f"Version 1 is on hold since {format_day(NOW)}, decided by carla: Hold the &lt;i&gt;rollout&lt;/i&gt;." in caveats
    assert "Open action: Read metres" in after and "bob, no due date, assigned" in after and "Long done" not in after
    assert invalid(after) == []
    store.write_records([decision | {"decision": "d2", "at": NOW + timedelta(days=2), "statement": "Roll it out", "choice": "promote"}])
    lifted = export_card.model_card_html(store, "eta", NOW + timedelta(days=3))
    assert "on hold" not in lifted and "Roll it out" in lifted


def test_an_acknowledged_finding_stays_critical_on_the_card():
    assert export_card.shown_severity({"severity": "watch", "state": "critical"}) == "act"
    assert export_card.shown_severity({"severity": "watch"}) == "watch"


def test_a_file_name_holds_no_path():
    assert export_card.card_file_name("../../x y", NOW) == f"model-card-x-y-{NOW:%Y-%m-%d}.html"


def test_a_card_of_an_unknown_model_is_refused(store):
    with pytest.raises(NotFoundError):
        export_card.model_card_html(store, "nobody", NOW)
