"""The page Audits: people who may change settings set the schedule and read the outcome of its last run there, and the page stays short."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.finding import Finding
from observability.core.formatting import format_day
from observability.core.questions import Records
from observability.core.settings import ModelSettings
from observability.core.small_groups import finding_without_few
from observability.core.window import EPOCH, Window
from observability.dashboard import load
from observability.dashboard.trust import scheduled_audits
from observability.dashboard.trust.audit_figures import attack_terms_words, gap_words
from observability.dashboard.trust.audits import audit_state, model_audits, signed_subject
from observability.dashboard.trust.leakage_figures import known_label_rows, later_words, model_note
from observability.dashboard.trust.live_guard import block_list, compared_words, far_sender_words, request_bursts, usual_subjects
from observability.dashboard.trust.shift_figures import shift_gap_rows
from observability.detection.live_guard import GuardedRequests
from observability.enrichment.audit_curves import generalisation_gap
from observability.enrichment.audit_steps import audit_headline
from observability.enrichment.canary_rows import canary_results
from observability.enrichment.leakage_audit import leakage_headline, leakage_results, overlap_shares
from observability.export.card import latest_signatures
from observability.review.agenda_items import records_until
from observability.server import process_lock
from observability.server.access import Person
from observability.server.access_settings import Role
from observability.server.audit_schedule import FOLDER, STATE, ScheduledAudit
from observability.store.db.database import Database
from tests.dashboard.conftest import land
from tests.support.audited_model import register_with_file
from tests.support.dashboard_pages import opened, tables, unfolded_words, words
from tests.support.form_audits import audit_row, clean_form
from tests.support.raw_rows import SAMPLE
from tests.support.signed_in import sign

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def audited(empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A store with one model, the sample's audits of this model, and its model file."""
    register_with_file(empty, tmp_path, "employment")
    lines = [json.loads(line) for line in (SAMPLE / "audits.jsonl").read_text(encoding="utf-8").splitlines()]
    land(empty, [line for line in lines if (line["model"], line["version"]) == ("employment", "1")], tmp_path)
    monkeypatch.setattr(process_lock, "current_store", lambda: empty)
    monkeypatch.setattr(load, "page_clock", lambda: NOON)
    return empty


def settings_of(store: Database) -> ModelSettings:
    return store.catalog().model("employment").settings


def choose(app: AppTest, label: str, value: str) -> None:
    next(box for box in app.selectbox if box.label == label).set_value(value)


@pytest.mark.parametrize(
    ("kind", "more", "told"),
    [
        ("robustness", {}, "have no `epsilon`"),
        ("robustness", {"epsilon": 7, "flips": "none"}, "have another form"),
        ("fairness", {"worst": {"rate": "unheard_of"}}, "have no `shifts`"),
    ],
)
def test_an_audit_with_only_a_headline_still_shows_its_table_and_sign_off(
    audited: Database, kind: str, more: dict[str, object], told: str
) -> None:
    results = {"headline": {"value": 0.61, "low": 0.52, "high": 0.7, "n": 120}, **more}
    about = {"kind": "audit", "model": "employment", "version": "1", "audit": kind, "results": results}
    audited.write_records([about | {"at": NOON - timedelta(days=1), "expires": NOON + timedelta(days=90)}])
    app = opened("audits", model="employment", kind={"robustness": "Robustness", "fairness": "Fairness under shift"}[kind])
    assert not app.exception and told in words(app)
    shown = [row["cells"]["value"]["t"] for row in tables(app)["Audits of this model"]["rows"]]
    assert len(shown) > 1 and "61 %" in shown and "Sign" in [button.label for button in app.button]


def test_the_audit_schedule_is_saved_on_the_page_under_a_name(audited: Database) -> None:
    app = opened("audits", model="employment")
    assert "Scheduled audits" not in tables(app) and "--schedule" not in words(app)
    save = next(button for button in app.button if button.label == "Save the schedule")
    assert save.disabled, "the save button is disabled until something changes"
    choose(app, "Robustness", "30 days")
    choose(app, "Explanations", "new version")
    next(box for box in app.text_input if box.label == "Your name").set_value("Ada")
    app.run()
    next(button for button in app.button if button.label == "Save the schedule").click()
    app.run()
    assert not app.exception
    assert settings_of(audited).audit_schedule == {"robustness": "30 days", "explanations": "new version"}
    rows = {row["cells"]["kind"]["t"]: row["cells"] for row in tables(app)["Scheduled audits"]["rows"]}
    assert rows["Robustness"]["when"]["t"] == "Every 30 days" and rows["Robustness"]["next"]["t"] == "now, once nothing waits"
    assert rows["Explanations"]["when"]["t"] == "With each new version"
    notes = audited.ask(Records("event", ever=True), Window("employment", EPOCH, NOON.replace(year=2100)))
    assert any("audit schedule: explanations" in text and "Ada" in text for text in notes["text"]), list(notes["text"])
    choose(app, "Robustness", "never")
    app.run()
    next(button for button in app.button if button.label == "Save the schedule").click()
    app.run()
    assert settings_of(audited).audit_schedule == {"explanations": "new version"}


def test_a_failed_audit_shows_its_date_and_reason(audited: Database) -> None:
    audited.update_settings("employment", replace(settings_of(audited), audit_schedule={"robustness": "45 days"}))
    folder = audited.home / FOLDER
    folder.mkdir(exist_ok=True)
    key = ScheduledAudit("employment", "1", "robustness", "45 days", None, None).key
    ran = datetime.now(UTC) - timedelta(hours=1)
    (folder / STATE).write_text(json.dumps({key: {"ran": ran.isoformat(), "failure": "the model file is damaged"}}), encoding="utf-8")
    app = opened("audits", model="employment")
    (row,) = tables(app)["Scheduled audits"]["rows"]
    assert row["cells"]["last"] == {"s": "watch", "t": f"failed {format_day(ran)}", "sub": "the model file is damaged"}
    assert (row["cells"]["next"]["t"], row["cells"]["when"]["t"]) == ("a day after the failure", "Every 45 days")
    assert next(box for box in app.selectbox if box.label == "Robustness").value == "45 days", "the box keeps the period from the settings"


def test_form_audits_are_offered_and_the_schedule_shows_their_last_run(audited: Database) -> None:
    audited.update_settings("employment", replace(settings_of(audited), audit_schedule={"precision": "new version"}))
    assert tables(opened("audits", model="employment"))["Scheduled audits"]["rows"][0]["cells"]["last"]["t"] == "not run yet"
    results = {"forms": [{"form": "as served", "probes": 200, "flips": 0}]}
    about = {"kind": "audit", "model": "employment", "version": "1", "audit": "precision", "results": results}
    audited.write_records([about | {"at": NOON, "expires": NOON + timedelta(days=90)}])
    app = opened("audits", model="employment")
    (row,) = tables(app)["Scheduled audits"]["rows"]
    assert [row["cells"][name]["t"] for name in ("kind", "next", "last")] == ["Forms", "with a new version", f"done {format_day(NOON)}"]
    (kind,) = [box for box in app.radio if box.label == "Kind"]
    assert "Forms" in kind.options
    kind.set_value("precision")
    app.run()
    assert not app.exception and "slices and budgets are on Trade-offs" in words(app)


def test_a_form_audit_is_listed_with_its_table_and_a_link_to_all_figures(audited: Database) -> None:
    rng = np.random.default_rng(1)
    row = audit_row([clean_form(rng, "int8", 0.05), clean_form(rng, "fp16")], in_use="int8")
    dates = {"at": NOON - timedelta(days=1), "expires": NOON + timedelta(days=90)}
    audited.write_records([{**row, "kind": "audit", "model": "employment", "version": "1", **dates}])
    app = opened("audits", model="employment", kind="Forms")
    assert not app.exception
    rows = {each["cells"]["kind"]["t"]: each["cells"] for each in tables(app)["Audits of this model"]["rows"]}
    share = row["results"]["forms"][1]["flips"] / 4000
    assert rows["Forms"]["value"]["t"] == f"{100 * share:.1f} %" and "int8" in rows["Forms"]["kind"]["sub"]
    assert rows["Forms"]["status"]["t"] == "Critical", rows["Forms"]["status"]
    listed = [each["cells"]["form"]["t"] for each in tables(app)["Forms and what they change"]["rows"]]
    assert listed == ["as served", "int8", "fp16"] and "changes" in words(app)
    assert "nothing needs attention" not in words(app), "the finding behind the status is listed at the bottom of the page"
    assert any("trade_offs" in str(link.proto) for link in app.get("page_link"))


def test_leakage_is_drawn_by_feature_and_reused_training_rows_are_counted(audited: Database, tmp_path: Path) -> None:
    alone = {"told": (0.99, 0.97, 0.995, 800.0), "age": (0.3, 0.2, 0.4, 800.0)}
    counts = {"in_training": 40, "near": 8, "same_label": 39, "training_repeated": 10, "training_rows": 900, "rows": 400}
    overlap = overlap_shares(counts, "served", "rows of the reference of version 1", "labelled rows of production")
    body = leakage_results(alone, (0.8, 0.75, 0.85, 800.0), {"told": (0.6, 0.5, 0.7, 500.0)}, [overlap], "roc_auc")
    facts = {"from": "reference", "n": 800, "served": 500, "in_sample": True}
    results = {"headline": leakage_headline(body, None), **body, "rows": facts}
    about = {"kind": "audit", "model": "employment", "version": "1", "audit": "leakage", "results": results}
    dates = {"at": "2018-12-20T06:00:00Z", "received_at": "2018-12-20T06:00:00Z", "expires": (NOON + timedelta(days=90)).isoformat()}
    land(audited, [about | dates], tmp_path)
    app = opened("audits", model="employment", kind="Data leakage")
    assert not app.exception
    (cells,) = [each["cells"] for each in tables(app)["Training rows among held-out rows"]["rows"]]
    assert (cells["exact"]["t"], cells["near"]["t"], cells["same"]["t"]) == ("10 %", "2 %", "39 of 40")
    said = words(app)
    assert "the label is predicted significantly worse by told 60 %, before 99 %." in said and "fitted on these rows" in said
    assert known_label_rows(results)["name"].tolist() == ["told", "the model", "age"]
    without = leakage_results(alone, None, {"told": (0.985, 0.96, 0.99, 500.0)}, [], "roc_auc")
    assert (
        later_words(without | {"rows": facts})
        == "On 500 served rows, told predicts the label about as well as before (no significant loss)."
    )
    assert "cannot be compared" in model_note(without)


@pytest.mark.parametrize(("role", "starts", "sets"), [("viewer", False, False), ("analyst", True, False), ("administrator", True, True)])
def test_an_audit_is_started_by_analysts_and_the_schedule_is_set_by_administrators(
    audited: Database, monkeypatch: pytest.MonkeyPatch, role: Role, starts: bool, sets: bool
) -> None:
    sign(monkeypatch, Person("ann", role))
    app = opened("audits", model="employment")
    assert ("Save the schedule" in [button.label for button in app.button]) is sets
    assert ("audit-go" in [button.key for button in app.button]) is starts


def test_prediction_flipping_changes_link_to_the_case_with_changed_values(audited: Database) -> None:
    flips = [audit.results for audit in model_audits("employment") if audit.kind == "robustness"][-1]["flips"]
    cells = [row["cells"]["changes"] for row in tables(opened("audits", model="employment"))["Cheapest changes"]["rows"]]
    assert len(cells) == 8 and all(cell["t"].count("→") == len(flip["changes"]) for cell, flip in zip(cells, flips, strict=False))
    for cell, flip in zip(cells, flips, strict=False):
        asked = {name: value for name, (value,) in parse_qs(urlsplit(cell["href"]).query).items()}
        assert asked.pop("id") == flip["id"] and asked.pop("model") == "employment"
        assert json.loads(asked.pop("what_if")) == {name: after for name, (_, after) in flip["changes"].items()} and not asked


def test_the_audit_figure_appears_after_few_words(audited: Database) -> None:
    app = opened("audits", model="employment")
    assert unfolded_words(app, before="plotly_chart") <= 60
    assert tables(app)["Cheapest changes"]["columns"][1]["label"] == "Cost", "the newest audit states its own costs"
    assert "One direction: SCHL only rises. Cost of a change: DIS 3, MAR 3, MIL 4, RELP 2, SCHL 2; 1 for any other feature." in words(app)
    assert scheduled_audits.when_words("7 days") == "Every 7 days"


def test_an_acceptance_that_ended_or_was_given_for_an_earlier_run_says_so(audited: Database) -> None:
    (audit,) = [each for each in model_audits("employment") if each.kind == "robustness"][-1:]
    said = []
    for hours, until in ((-24, NOON + timedelta(days=30)), (1, NOON + timedelta(days=30)), (2, NOON - timedelta(days=1))):
        signed = {"kind": "signature", "author": "Ada", "model": "employment", "subject": signed_subject(audit)}
        audited.write_records([signed | {"at": audit.at + timedelta(hours=hours), "until": until}])
        rows = tables(opened("audits", model="employment"))["Audits of this model"]["rows"]
        said += [row["cells"]["signed"]["sub"] for row in rows if (row["cells"].get("signed") or {}).get("t") == "Ada"]
    assert said == ["until 1 Apr 2026, of an earlier run", "until 1 Apr 2026", "ended on 1 Mar 2026"]
    past = {"window": "Chosen dates", "from": "2026-02-01T00:00", "to": "2026-02-20T00:00"}
    rows = tables(opened("audits", model="employment", **past))["Audits of this model"]["rows"]
    said = [row["cells"]["signed"]["sub"] for row in rows if (row["cells"].get("signed") or {}).get("t") == "Ada"]
    assert said == ["until 1 Mar 2026"], "the expiry is judged at the end of the window"


def test_an_audit_of_another_version_is_not_expired(audited: Database) -> None:
    """Regression: audits that were valid for months were shown as `Expired` if the shown version had no audit."""
    audit = model_audits("employment")[-1]
    told = Finding(
        "trust/audits", audit.model, "2", audit.kind, "audit_days_left", -5.0, 1, "watch", "Version 2 has none.", NOON, NOON, "level",
        evidence={"audited_version": audit.version},
    )  # fmt: skip
    assert audit_state(audit, [told]) == ("unknown", "Other version")
    assert audit_state(audit, [replace(told, version=audit.version)]) == ("watch", "Expired")
    replaced = replace(told, version=audit.version, evidence=told.evidence | {"file_replaced": True})
    assert audit_state(audit, [replaced]) == ("watch", "Other model file")


def test_the_costs_and_limits_of_an_attack_are_stated() -> None:
    terms = {"locked": ["age"], "costs": {"income": 2.0, "job": 3.5}, "directions": {"tenure": "up", "debt": "down"}}
    assert attack_terms_words(terms) == (
        "Locked: age. One direction: debt only falls, tenure only rises. Cost of a change: income 2, job 3.5; 1 for any other feature."
    )
    assert attack_terms_words({"locked": [], "costs": {}, "directions": {}}) == "" == attack_terms_words({})


def test_only_a_risk_owner_accepts_an_audit(audited: Database) -> None:
    """Anybody may sign if `risk_owners` is empty. Otherwise the signature of anybody else is stored but does not count, and hides no valid
    signature.
    """
    settings = ModelSettings(owner="credit desk")
    for name, risk_owners, saved in (("Eve", ("Ada", "Ben"), 0), ("ada ", ("Ada", "Ben"), 1), ("Eve", (), 2)):
        audited.update_settings("employment", replace(settings, risk_owners=risk_owners))
        app = opened("audits", model="employment")
        assert ("Risk owner: Ada" if risk_owners else "anybody may sign") in words(app)
        app.text_input(key="audit-author-box").set_value(name).run()
        app.button(key="audit-submit-0").click().run()
        audited.load_landing()
        assert len(records_until(audited, "signature")) == saved
        assert bool(app.error) == (not saved)

    def signed() -> list[dict[str, str]]:
        rows = tables(opened("audits", model="employment"))["Audits of this model"]["rows"]
        return [cell for row in rows if (cell := row["cells"]["signed"])["t"] != "–"]

    assert [cell["t"] for cell in signed()] == ["Eve"] and next(iter(latest_signatures(audited, "employment"))).startswith("Eve accepts")
    audited.update_settings("employment", replace(settings, risk_owners=("Ada",)))
    assert [cell["t"].strip() for cell in signed()] == ["ada"] and next(iter(latest_signatures(audited, "employment"))).startswith(
        "ada accepts"
    )
    audited.update_settings("employment", replace(settings, risk_owners=("Ben",)))
    assert signed() == [{"t": "Eve", "sub": "not a risk owner"}] and list(latest_signatures(audited, "employment")) == []


def test_fairness_under_shift_is_drawn_by_shift_with_the_rates_of_groups(audited: Database) -> None:
    app = opened("audits", model="employment", kind="Fairness under shift")
    assert not app.exception
    said, rates = words(app), tables(app)["False positive rate by AGEP: more MAR married"]["rows"]
    assert "under the worst shift within 0.1 nats: more MAR married" in said and "chosen on one half of the rows" in said
    assert {row["cells"]["group"]["t"] for row in rates} >= {"below 20", "35 to below 50"}
    assert all(row["cells"]["shifted"]["sub"] for row in rates)
    results = next(audit.results for audit in model_audits("employment") if audit.kind == "fairness")
    drawn = shift_gap_rows(dict(results), "SEX", "true_positive_rate")
    assert {"as in the reference", "all inputs as served", "more positive"} <= set(drawn["name"]) and drawn["value"].is_monotonic_decreasing


def test_membership_without_known_training_rows_shows_the_exposure_of_canaries(audited: Database, tmp_path: Path) -> None:
    found = canary_results(("c1", "c2"), np.array([9.0, 3.0]), np.arange(7.0))
    results = {"headline": audit_headline("membership", None, "Cannot tell: no training rows."), "canaries": found}
    body = {"kind": "audit", "model": "employment", "version": "1", "audit": "membership", "results": results}
    dates = {"at": NOON.isoformat(), "received_at": NOON.isoformat(), "expires": (NOON + timedelta(days=90)).isoformat()}
    land(audited, [body | dates], tmp_path)
    app = opened("audits", model="employment", kind="Membership")
    assert not app.exception
    rows = [row["cells"] for row in tables(app)["Canaries by exposure"]["rows"]]
    assert [(row["name"]["t"], row["rank"]["t"], row["bits"]["t"]) for row in rows] == [("c1", "1", "3.00"), ("c2", "5", "0.68")]
    assert "Mean exposure 1.84 bits, 1.44 expected without memorisation (p = 0.28); at most 3.0 among 7 candidates." in words(app)


def test_the_loss_gap_is_stated_with_what_an_attacker_gains_from_it() -> None:
    rng, members = np.random.default_rng(2), np.repeat([True, False], 500)
    gap = generalisation_gap(np.concatenate([rng.normal(2, 1, 500), rng.normal(1, 1, 500)]), members, "binary")
    said, gain = gap_words(gap), gap["advantage"]
    assert (
        said.startswith(f"Loss gap {gap['difference']['value']:.3g} (")
        and f"more often on training records, by {100 * gain['value']:.2g} points" in said
    )
    assert "more often on training records" not in gap_words({name: part for name, part in gap.items() if name != "advantage"})
    none = gap_words(generalisation_gap(rng.normal(1, 1, 1000), members, "binary"))
    assert ", not significant). That is the advantage of an attacker" in none


def test_the_most_different_group_is_named_and_missing_canaries_are_reported(audited: Database) -> None:
    easiest = "RELP=child outside differs most clearly: at cost 0.25, 24.2 % of 190 rows are wrong or changed, 4 % in the other groups of RELP=child."
    assert easiest in words(opened("audits", model="employment"))
    said = words(opened("audits", model="employment", kind="Membership"))
    found = "2.2 % of 1,483 training records are found at 1 % false positives, 0.7 % in the other groups of class."
    assert f"class 0 differs most clearly: {found}" in said and "Exposure of canaries is unknown" not in said
    results = next(dict(audit.results) for audit in model_audits("employment") if audit.kind == "membership")
    del results["canaries"]
    about = {"kind": "audit", "model": "employment", "version": "1", "audit": "membership", "results": results}
    audited.write_records([about | {"at": NOON, "expires": NOON + timedelta(days=90)}])
    assert "Exposure of canaries is unknown" in words(opened("audits", model="employment", kind="Membership"))


def test_the_block_list_has_a_row_for_each_subject_with_its_reasons() -> None:
    base = Context(EVERY_MODEL, NO_VERSION, Window("", EPOCH, NOON), NOON).undecided("trust/live_guard", "model", "input_coverage", 1, "")
    claims = [
        replace(base, evidence={"check": check, "subjects": subjects})
        for check, subjects in (("extraction", ["s1"]), ("boundary", ["s1", "s2"]), ("boundary", ["s2"]))
    ]
    rows = block_list(claims).set_index("subject")["reasons"]
    assert list(rows.index) == ["s1", "s2"] and rows["s1"].count(";") == 1 and ";" not in rows["s2"]
    # Counting subjects does not need the input space, so none is computed.
    view = GuardedRequests(None, np.empty((0, 0)), np.empty(0), (), 500, frozenset({"s1", "s3", "s4"}))  # type: ignore[arg-type]
    assert usual_subjects(view, claims) == 2, "s2 has too few requests to count as a usual subject"
    assert compared_words(view).endswith("compared with all others.")
    lone = replace(view, lone="s1")
    assert compared_words(lone).startswith("s1 sends nearly all requests. Its coverage and margins are compared with the reference, ")
    assert "Its coverage is compared with the reference" in compared_words(replace(lone, margins_known=False))
    senders = replace(base, evidence={"check": "prompt", "subjects": ["s3", "s9"], "blocked": ["s9"]})
    assert usual_subjects(view, [senders]) == 2 and list(block_list([senders])["subject"]) == ["s9"], (
        "s3 does not send more requests than the others"
    )
    senders = [{"subject": "s7", "far": 30, "n": 40, "share": 0.6}, {"subject": "s8", "far": 2, "n": 8, "share": 0.04}]
    senders += [{"subject": "s9", "far": 1, "n": 4, "share": 0.02}]
    far = replace(base, n=4000, evidence={"senders": senders})
    said = "Subjects that sent the most requests far from the reference (of their requests in the sample): s7 (30 of 40)"
    assert far_sender_words([far]) == f"{said}, s8 (2 of 8) and s9 (1 of 4)."
    assert far_sender_words([finding_without_few(far)]) == f"{said}." and far_sender_words([base]) == ""
    bursts = [replace(base, metric="near_duplicate_share", subject=subject) for subject in ("subject=s3", "model")]
    assert block_list([*claims, *request_bursts(bursts)]).values.tolist()[2:] == [["s3", "near-identical requests"]]
    assert request_bursts(bursts)[0].evidence["baseline"] is None, "the first week has nothing to compare with"
