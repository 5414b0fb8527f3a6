"""The review page with two simultaneous users: no entry is lost, each has its author, every step is drawn, and alert settings are saved."""

from collections.abc import Iterator
from datetime import timedelta

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from observability.alerts import config, edit_config
from observability.core.finding import iso
from observability.core.formatting import format_day
from observability.core.weeks import Week
from observability.dashboard import load
from observability.dashboard.review.review import STEP_NAMES, week_of_dates, weeks_to_freeze
from observability.dashboard.scope import Scope
from observability.export import review as export_review
from observability.records.values import AFTER_LAST
from observability.review import freeze
from observability.review.change_log import change_entries
from observability.server import process_lock
from observability.server.access import Person
from observability.store.db.database import Database
from observability.store.types.decision_items import DecisionItem
from tests.support import review_world
from tests.support.dashboard_pages import opened, tables, words
from tests.support.html_rules import invalid
from tests.support.length import LONG
from tests.support.review_world import BETTER, BROKEN, MENDED
from tests.support.signed_in import sign

NOW = BETTER.end + timedelta(days=7)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Three frozen weeks. An action of the first week is open in the second; in the third the old version runs in shadow next to the new
    one.
    """
    with review_world.build(tmp_path_factory.mktemp("room")) as made:
        audit = {"kind": "audit", "model": "eta", "version": "1", "audit": "robustness"}
        earlier, later = (BROKEN.start - timedelta(days=days) for days in (70, 20))
        found = [(earlier, {"mae_with_noise": 9.5, "note": "wind"}), (later, {"mae_with_noise": 8.25, "flipped": 3})]
        made.write_records([audit | {"at": at, "received_at": at, "results": results, "expires": NOW + timedelta(days=300)} for at, results in found])  # fmt: skip
        freeze.freeze(made, BROKEN, author="ann", now=NOW)
        action = {"kind": "action", "action": "a1", "at": NOW, "author": "ann", "text": "Log kilometres again", "model": "eta", "metric": "mae", "review": str(BROKEN)}  # fmt: skip
        made.write_records([action])
        freeze.freeze(made, MENDED, author="ann", now=NOW + timedelta(minutes=1))
        freeze.freeze(made, BETTER, author="ann", now=NOW + timedelta(minutes=2))
        yield made


@pytest.fixture(autouse=True)
def owned(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_lock, "current_store", lambda: store)
    monkeypatch.setattr(load, "page_clock", lambda: NOW + timedelta(hours=1))


def enter(name: str, review: object, **parameters: str) -> AppTest:
    """The review of a week, opened by a person with a name."""
    app = opened("review", review=str(review), **parameters)
    app.text_input(key="person-box").input(name).run()
    return app


def press(app: AppTest, label: str) -> AppTest:
    next(each for each in app.button if each.label == label).click().run()
    assert not app.exception, [each.message for each in app.exception]
    return app


@pytest.mark.parametrize("step", STEP_NAMES)
def test_every_step_draws(step: str) -> None:
    """The steps of two weeks are drawn; a short run draws each step for one of the weeks in turn."""
    for week in (MENDED, BETTER) if LONG else (MENDED, BETTER)[list(STEP_NAMES).index(step) % 2 :][:1]:
        assert len(opened("review", review=str(week), step=step).header) == 1


def test_remarks_of_two_people_on_the_same_item_are_all_saved(store: Database) -> None:
    item = freeze.stored_week(store, str(BROKEN))["agenda"][0]["item"]
    ann, bob = (enter(name, BROKEN, item=item) for name in ("Ann", "Bob"))
    for app, text in ((ann, "It began on Monday"), (bob, "Only trucks")):
        app.text_area(key=f"remark-{BROKEN}-{item}-0").input(text)
    press(ann, "Add")
    press(bob, "Add")
    ended = [(ann, "accept", "A known fault"), (bob, "watch", "Not yet mended")]
    for app, does, text in ended:
        app.button_group(key=f"does-finish-{BROKEN}-{item}-0").set_value(does).run()
        app.text_area(key=f"text-finish-{BROKEN}-{item}-0").input(text)
    for app, _, _ in ended:
        press(app, "Save")
    found = [(each["author"], each["does"], each["text"]) for each in freeze.said_about(store, str(BROKEN))]
    assert found == [
        ("Ann", "note", "It began on Monday"), ("Bob", "note", "Only trucks"), ("Ann", "accept", "A known fault"), ("Bob", "watch", "Not yet mended"),
    ]  # fmt: skip
    shown = words(enter("Carla", BROKEN, item=item))
    for author, _, text in found:
        assert author in shown
        assert text in shown


def test_pinned_or_removed_items_can_be_restored_to_their_place(store: Database) -> None:
    def shown(app: AppTest) -> list[tuple[str, bool]]:
        cells = [each["cells"]["what"] for each in tables(app)["Agenda"]["rows"]]
        return [(each["go"]["parameters"]["item"], each["sub"].startswith("Pinned.")) for each in cells]

    (ranked,) = [each["item"] for each in freeze.stored_week(store, str(BROKEN))["agenda"]]
    app = enter("Ann", BROKEN, item=ranked)
    key = next(each.key for each in app.text_input if each.label == "Topic")
    app.text_input(key=key).input("The budget").run()
    ((added, _), *_) = shown(app.button(key=key.removesuffix("-words")).click().run())
    before = len(freeze.said_about(store, str(BROKEN)))
    assert shown(app) == [(added, True), (ranked, False)] and added.startswith("added:")
    assert shown(press(app, "Pin")) == [(added, True), (ranked, True)]
    assert shown(press(app, "Rank again")) == [(added, True), (ranked, False)]
    assert shown(press(app, "Remove from the agenda")) == [(added, True)]
    assert shown(press(app, "Rank again")) == [(added, True), (ranked, False)]
    assert [each["does"] for each in freeze.said_about(store, str(BROKEN))[before:]] == ["pin", "rank", "unpin", "rank"]
    app.selectbox(key="item-box").set_value(added).run()
    assert shown(press(app, "Remove from the agenda")) == [(ranked, False)]


def test_fairness_is_not_called_fine_if_models_were_not_fully_judged(store: Database) -> None:
    assert freeze.stored_week(store, str(BETTER))["models"][0]["judged"].get("trust/fairness", {}).get("ok", 0) == 0
    shown = words(opened("review", review=str(BETTER), step="fairness"))
    assert "not fully judged: 1 of 1 model" in shown
    assert "No new difference between groups" not in shown


def test_the_calendar_marks_weeks_whose_meeting_was_held_and_closed(store: Database) -> None:
    held = freeze.meetings_closed(store)
    rows = tables(opened("review", review=str(BETTER)))[f"Weeks of {BETTER.year}"]["rows"]
    cells = {cell["go"]["parameters"]["review"]: cell for row in rows for cell in row["cells"].values() if "go" in cell}
    for week in (BROKEN, MENDED, BETTER):
        said = freeze.said_about(store, str(week))
        assert (str(week) in held) == bool(said)
        assert cells[str(week)]["sub"] == ("Frozen" if not said else "Closed" if held[str(week)] else "Held")
    assert "open" in cells[str(BETTER)]["week"] and "open" not in cells[str(BROKEN)]["week"]


def test_a_review_link_accepts_the_week_parameter_and_offers_to_freeze_an_unfrozen_week(store: Database) -> None:
    assert f"Week {MENDED}" in words(opened("review", week=str(MENDED)))
    app = opened("review", week="2026-W01")
    assert "not frozen here" in words(app)
    assert str(app.selectbox(key="freeze-week-2026-W01").value) == "2026-W01"


def test_an_action_item_can_be_postponed_with_a_reason_escalated_and_closed(store: Database) -> None:
    app = enter("Bob", MENDED, step="promises")
    (promise,) = tables(app)["Action items"]["rows"]
    assert promise["cells"]["moved"]["t"] == "Moved before the action"
    assert (promise["cells"]["who"]["t"], promise["cells"]["stage"]["t"]) == ("unassigned", "unassigned")
    app.selectbox(key="promise").set_value("a1").run()
    app.button_group(key="promise-does-a1-0").set_value("extended").run()
    press(app, "Save")
    assert "Enter a reason." in words(app)
    app.text_input(key="promise-reason-a1-0").input("The depot is closed")
    press(app, "Save")
    (action,) = store.actions()
    assert (action.state, action.last.author, action.fields["reason"]) == ("extended", "Bob", "The depot is closed")
    assert action.fields["due"] > MENDED.end
    app.button_group(key="promise-does-a1-1").set_value("done").run()
    press(app, "Save")
    (action,) = store.actions()
    assert (action.state, len(action.entries)) == ("done", 3)
    assert "Since: done by Bob" in words(app)
    assert action.said("state").fields["review"] == str(MENDED), "the entry names the week in which the action was done"
    assert "The depot is closed" in words(app)


def test_a_postmortem_form_is_prefilled_and_saved(store: Database) -> None:
    app = enter("Ann", BROKEN, step="incidents")
    item = next(each["item"] for each in freeze.stored_week(store, str(BROKEN))["agenda"] if each["sort"] == "incident")
    app.selectbox(key="postmortem-item").set_value(item).run()
    assert app.text_input(key=f"postmortem-{BROKEN}-{item}-Impact-0").value
    assert "no alert" in app.text_input(key=f"postmortem-{BROKEN}-{item}-Detection-0").value
    app.text_input(key=f"postmortem-{BROKEN}-{item}-Trigger-0").input("A <b>firmware</b> update")
    press(app, "Save")
    assert "A <b>firmware</b> update" in words(app)
    assert "Ann" in words(app)
    html = export_review.review_html(store, str(BROKEN), NOW)
    assert "Trigger: A &lt;b&gt;firmware&lt;/b&gt; update" in html
    assert invalid(html) == []


def test_a_risk_owner_signs_at_the_step_about_fairness(store: Database) -> None:
    app = enter("Rita", BETTER, step="fairness")
    press(app, "Sign")
    assert "Choose a model, a state and a date." in words(app)
    app.selectbox(key=f"sign-{BETTER}-model-0").set_value("eta").run()
    assert {"calibration", "performance"} <= set(app.selectbox(key=f"sign-{BETTER}-subject-0").options)
    app.selectbox(key=f"sign-{BETTER}-subject-0").set_value("performance").run()
    press(app, "Sign")
    (standing,) = tables(app)["Accepted by a risk owner"]["rows"]
    assert (standing["cells"]["what"]["t"], standing["cells"]["who"]["t"]) == ("performance", "Rita")
    from observability.review.agenda_items import records_until

    assert [(each["author"], each["subject"], each["model"]) for each in records_until(store, "signature")] == [
        ("Rita", "performance", "eta")
    ]
    for until, expired in ((NOW, {}), (BETTER.end, {"s": "watch", "sub": "expired"})):
        store.write_records([{"kind": "signature", "author": "Rita", "model": "eta", "subject": " PERFORMANCE ", "until": until}])
        (standing,) = tables(opened("review", review=str(BETTER), step="fairness"))["Accepted by a risk owner"]["rows"]
        assert standing["cells"]["until"] == {"t": format_day(until), **expired}, (
            "the state is as of the week's end; case and spaces of the name do not matter"
        )


def test_an_audit_is_shown_with_the_result_of_the_previous_one(store: Database) -> None:
    app = opened("review", review=str(BROKEN), step="fairness")
    (row,) = tables(app)["Audits and their results"]["rows"]
    assert row["cells"]["results"]["t"] == "flipped 3.00, mae_with_noise 8.25 (previously 9.50)"
    assert row["cells"]["expires"] == {"t": format_day(NOW + timedelta(days=300))}
    html = export_review.review_html(store, str(BROKEN), NOW)
    assert "flipped 3.00, mae_with_noise 8.25 (previously 9.50)" in html
    assert invalid(html) == []


def test_the_old_version_in_shadow_is_compared_with_the_serving_version(store: Database) -> None:
    (card,) = freeze.stored_week(store, str(BETTER))["challengers"]
    assert (card["model"], card["version"], card["serves"]) == ("eta", "1", "2")
    lines = review_world.records()
    label = {
        each["id"]: each["value"] for each in lines if each["kind"] == "label" and each["received_at"] <= review_world.stamp(BETTER.end)
    }
    score = {each["id"]: each["score"] for each in lines if each["kind"] == "prediction"}
    pairs = [(abs(score[f"{name}-old"] - value), abs(score[name] - value)) for name, value in label.items() if name.startswith(str(BETTER))]
    assert card["pairs"]["labelled"] == len(pairs)
    assert card["headline"]["new"] == pytest.approx(sum(new for new, _ in pairs) / len(pairs))
    assert card["headline"]["then"] == pytest.approx(sum(then for _, then in pairs) / len(pairs))
    assert card["pairs"]["only_a"] == sum(new < then for new, then in pairs)
    html = export_review.review_html(store, str(BETTER), NOW)
    assert "eta: candidate version 1, production version 2" in html
    assert invalid(html) == []
    app = opened("review", review=str(BETTER), step="changes")
    assert "version 1 compared with version 2" in words(app)
    assert "differs" in words(app)


def test_a_decision_about_a_version_must_name_the_version(store: Database) -> None:
    app = enter("Ann", BETTER, step="decide")
    app.text_input(key=f"decision-{BETTER}-statement-0").input("Keep version 2")
    app.multiselect(key=f"decision-{BETTER}-evidence-0").set_value(["challenger:eta:1"])
    app.selectbox(key=f"decision-{BETTER}-choice-0").set_value("hold")
    press(app, "Save")
    assert "needs a model and a version" in words(app)
    app.selectbox(key=f"decision-{BETTER}-model-0").set_value("eta")
    app.text_input(key=f"decision-{BETTER}-version-0").input("1")
    press(app, "Save")
    (cell,) = [each["cells"]["rests"] for each in tables(app)["Decisions"]["rows"]]
    assert cell["go"]["parameters"] == {"review": str(BETTER), "step": "changes"}
    (decision,) = store.decisions()
    assert decision.fields["evidence"] == [f"{BETTER}: eta: version 1 compared with version 2 [challenger:eta:1]"]
    assert (decision.fields["version"], decision.fields["choice"]) == ("1", "hold")
    (mark,) = [each for each in store.events("eta", decision.first.at, AFTER_LAST).to_dict("records") if each["what"] == "decision"]
    assert (mark["text"], mark["version"]) == ("Keep version 2", "1"), "the decision is a mark on the timeline of its model"
    told = change_entries(store, decision.first.at, AFTER_LAST, model="eta")
    assert [(each.sort, each.title) for each in told if "Keep version 2" in each.title] == [("decision", "Keep version 2")]
    assert store.query_views("SELECT text FROM events WHERE model = 'eta' AND version = '1'").rows == [("Decided: Keep version 2",)]
    app.selectbox(key="withdraw-choice").select_index(0).run()
    press(app, "Withdraw")
    assert "decision" not in set(store.events("eta", decision.first.at, AFTER_LAST)["what"]), "a withdrawn decision is no mark"
    told = change_entries(store, decision.first.at, AFTER_LAST, model="eta")
    assert "A decision was withdrawn: Keep version 2" in [each.title for each in told]


def test_every_action_is_listed_with_owner_due_date_and_state(store: Database) -> None:
    store.write_records(
        [{"kind": "action", "action": "b1", "author": "zoe", "text": "Ask <i>them</i>", "owner": "bob", "model": "eta", "due": BROKEN.end}]
    )
    app = opened("actions")
    (table,) = [found for caption, found in tables(app).items() if caption.startswith("Action items, open ones first")]
    rows = {row["cells"]["what"]["t"]: row["cells"] for row in table["rows"]}
    assert set(rows) == {str(action.fields.get("text")) for action in store.actions()}
    assert (rows["Ask <i>them</i>"]["who"]["t"], rows["Ask <i>them</i>"]["stage"]["t"]) == ("bob", "assigned")
    assert rows["Ask <i>them</i>"]["due"] == {
        "t": format_day(BROKEN.end),
        "k": iso(BROKEN.end),
        "s": "act",
        "sub": "overdue",
    }
    assert rows["Log kilometres again"]["what"]["go"]["parameters"] == {"review": str(BROKEN), "step": "promises"}


def test_an_action_without_a_review_can_be_assigned_and_closed_in_the_list_of_all_actions(store: Database) -> None:
    alone = {"kind": "action", "author": "zoe", "model": "eta", "due": BROKEN.end}
    store.write_records([alone | {"action": "b1", "text": "Ask them"}, alone | {"action": "b2", "text": "Ask us", "due": None}])

    def alone_now() -> DecisionItem:
        return next(action for action in store.actions() if action.id == "b1")

    app = opened("actions")
    assert app.button_group(key="stage").options[0] == "1 overdue"
    app.button_group(key="stage").set_value(["overdue"]).run()
    assert app.selectbox(key="promise").options == ["Ask them"]
    app.selectbox(key="promise").set_value("b1").run()
    assert "Enter your name to save." in words(app)
    app.text_input(key="actions-box").set_value("Ann").run()
    app.button_group(key="promise-does-b1-0").set_value("open").run()
    press(app, "Save")
    assert "Enter an owner." in words(app)
    app.text_input(key="promise-owner-b1-0").input("Bob")
    press(app, "Save")
    assert (alone_now().state, alone_now().fields["owner"], alone_now().last.author) == ("open", "Bob", "Ann")
    assert "owner Bob" in words(app)
    app.button_group(key="promise-does-b1-1").set_value("done").run()
    app.text_input(key="promise-reason-b1-1").input("They answered")
    press(app, "Save")
    assert (alone_now().state, alone_now().fields["reason"], alone_now().fields["owner"]) == ("done", "They answered", "Bob")
    assert "review" not in alone_now().fields


def test_an_action_is_overdue_in_its_own_review_by_the_current_time(store: Database) -> None:
    late = {"kind": "action", "author": "zoe", "owner": "bob", "model": "eta", "review": str(BETTER)}
    dues = {"Due the day before": NOW - timedelta(days=1), "Due today": NOW}
    store.write_records([late | {"action": f"late-{place}", "text": text, "due": due} for place, (text, due) in enumerate(dues.items())])
    for step, caption in (("promises", "Agreed in this review"), ("agenda", "Actions of this review")):
        rows = [row["cells"] for row in tables(opened("review", review=str(BETTER), step=step))[caption]["rows"]]
        assert {row["what"]["t"]: row["due"].get("sub") for row in rows} == {"Due the day before": "overdue", "Due today": None}, step


def test_a_closed_meeting_accepts_no_entries_until_it_is_opened_again(store: Database) -> None:
    app = enter("Ann", BROKEN, step="decide")
    press(app, "Close the meeting")
    assert "The meeting was closed by Ann" in words(app) and not [each for each in app.text_input if each.label == "Decision"]
    item = freeze.stored_week(store, str(BROKEN))["agenda"][0]["item"]
    there = opened("review", review=str(BROKEN), item=item)
    assert not [each for each in there.text_input if each.key == "person-box"], "the page has no form to save"
    assert "The meeting is closed." in words(there) and not [each for each in there.button if each.label == "Pin"]
    listed = tables(there)["Agenda"]
    assert listed["keys"] is None and "act" not in {each["key"] for each in listed["columns"]}, "the table offers no decision"
    assert "Add an item" not in {each.label for each in there.expander}
    press(enter("Ann", BROKEN, step="decide"), "Open the meeting again")
    assert "The meeting was closed" not in words(enter("Bob", BROKEN, item=item))


def test_a_signed_in_administrator_can_close_a_meeting_and_a_viewer_cannot(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for person, closes in ((Person("vic", "viewer"), False), (Person("ada", "administrator"), True)):
        sign(monkeypatch, person)
        app = opened("review", review=str(BROKEN), step="decide")
        (button,) = [each for each in app.button if each.label == "Close the meeting"]
        assert button.disabled is not closes
    assert "The meeting was closed by ada" in words(button.click().run())
    press(app, "Open the meeting again")


def test_an_agenda_item_shows_its_chart_and_links_to_its_incident(store: Database) -> None:
    item = freeze.stored_week(store, str(BROKEN))["agenda"][0]
    app = opened("review", review=str(BROKEN), item=item["item"])
    assert len(app.get("plotly_chart")) == 1 and "this week" in words(app)
    assert [each.label for each in app.button if each.label == "Open the incident"] == ["Open the incident"]
    known = item["about"]["incident"]
    page = opened("incident", id=known, model="eta")
    assert "where it was found" in words(page) or "Suspected source and what follows from it" in tables(page)


def test_an_alert_is_snoozed_until_it_gets_worse_and_judged_once(store: Database) -> None:
    alert = {"kind": "alert", "incident": "i9", "at": NOW, "author": "the dashboard", "says": "opened", "model": "eta", "severity": "act"}
    store.write_records([alert | {"title": "km is odd", "source": "input", "rule": "serving/drift/psi", "value": 0.4}])
    app = opened("alerts", incident="i9")
    app.text_input(key="person-box").input("Bob").run()
    app.toggle(key="snooze-worse").set_value(True).run()
    app.button(key="snooze").click().run()
    (state,) = [each["cells"]["state"] for each in tables(app)["Alerts, open ones first"]["rows"]]
    assert state == {"t": "Snoozed", "sub": "until it gets worse, by Bob"}
    app.button(key="not-useful").click().run()
    assert not app.exception
    assert "Was this alert useful?" not in words(app)
    assert "0 of 1 rated alerts were useful" in words(app)


def test_alert_settings_are_saved_without_losing_an_external_edit(store: Database) -> None:
    path = store.home / config.FILE
    app = opened("alerts")
    assert "Never fired" in " ".join(each.label for each in app.expander)
    turn = next(each.key for each in app.text_input if each.key and each.key.startswith("alerts-name-")).removeprefix("alerts-name-")
    app.text_input(key="alerts-settings-box").input("Ann").run()
    app.text_input(key=f"alerts-name-{turn}").input("team")
    app.text_input(key=f"alerts-address-{turn}").input("slack://secret_a/secret_b/secret_c")
    press(app, "Save")
    assert config.read_alert_config(store.home).channels == {"team": "slack://secret_a/secret_b/secret_c"}
    assert "secret_a" not in words(app)
    turn = next(each.key for each in app.text_input if each.key and each.key.startswith("alerts-quiet-")).removeprefix("alerts-quiet-")
    app.text_input(key=f"alerts-quiet-{turn}").input("10 at night")
    press(app, "Save")
    assert "22:00-07:00" in words(app)
    path.write_text(path.read_text() + '\n[alerts]\nleast = "watch"\n', encoding="utf-8")
    app.text_input(key=f"alerts-quiet-{turn}").input("22:00-07:00")
    press(app, "Save")
    assert "was changed elsewhere" in words(app)
    assert config.read_alert_config(store.home).least == "watch"
    press(app, "Reload")
    turn = next(each.key for each in app.text_input if each.key and each.key.startswith("alerts-quiet-")).removeprefix("alerts-quiet-")
    app.text_input(key=f"alerts-quiet-{turn}").input("22:00-07:00")
    press(app, "Save")
    assert edit_config.alert_tables(store.home)["alerts"] == {"least": "watch", "quiet": "22:00-07:00"}
    assert [each["text"] for each in said_events(store) if "alerts" in each["text"]] == [
        "Ann changed the alerts: channel team added.", "Ann changed the alerts: quiet: 22:00-07:00.",
    ]  # fmt: skip


def said_events(store: Database) -> list[dict]:
    from observability.review.agenda_items import records_until

    return [each for each in records_until(store, "event") if each["what"] == "note"]


def test_the_week_of_the_chosen_dates_is_offered_first() -> None:
    weeks = [Week.parse("2013-W26"), Week.parse("2013-W27")]
    start, end = weeks[0].start, weeks[0].end
    for shown in (Scope().at(start, end), Scope().at(start, end - timedelta(days=1)), Scope().at(start - timedelta(days=28), end)):
        assert week_of_dates(shown, weeks) == weeks[0]
    assert week_of_dates(Scope().at(start - timedelta(days=28), start), weeks) is None, "a week without predictions has no review"
    assert week_of_dates(Scope(span="28d"), weeks) is None


def test_the_weeks_to_freeze_are_the_complete_ones_with_predictions() -> None:
    streams = [
        ("production", "2019-01-01T12:00", "2019-01-20T00:00"),
        ("shadow", "2018-01-01", "2018-06-01"),
        ("production", "2013-07-01", "2013-07-02"),
    ]
    seen = pd.DataFrame([{"environment": name, "first": pd.Timestamp(first), "last": pd.Timestamp(last)} for name, first, last in streams])
    assert [str(week) for week in weeks_to_freeze(seen, Week.parse("2019-W02"))] == ["2013-W27", "2019-W01", "2019-W02"]


def test_typed_text_survives_a_step_change_and_a_second_click_adds_no_second_action(store: Database) -> None:
    item = freeze.stored_week(store, str(BROKEN))["agenda"][0]["item"]
    form = f"finish-{BROKEN}-{item}"
    app = enter("Ann", BROKEN, item=item)
    app.button_group(key=f"does-{form}-0").set_value("act").run()
    app.text_area(key=f"text-{form}-0").input("Ask the depot").run()
    press(press(app, "Next"), "Back")
    assert app.button_group(key=f"does-{form}-0").value == "act"
    assert app.text_area(key=f"text-{form}-0").value == "Ask the depot"
    press(app, "Save")
    assert not [each for each in app.button if each.label == "Save"], "the form is empty, so no entry can be saved twice"
    (action,) = [each for each in store.actions() if each.fields.get("text") == "Ask the depot"]
    assert action.state == "open"
    (row,) = [each for each in tables(app)["Actions of this review"]["rows"] if each["cells"]["what"]["t"] == "Ask the depot"]
    due = format_day(load.page_clock() + timedelta(days=7))  # counted from today, so that it is not overdue at once
    assert (row["cells"]["due"]["t"], row["cells"]["stage"]["t"]) == (due, "unassigned")
    assert any(f"due {due}" in (each["cells"]["end"].get("sub") or "") for each in tables(app)["Agenda"]["rows"])
    press(app, "Reopen")
    app.button_group(key=f"does-{form}-1").set_value("accept").run()
    press(app, "Save")
    (action,) = [each for each in store.actions() if each.id == action.id]
    assert (action.state, action.last.author, action.fields["reason"]) == ("cancelled", "Ann", "The item was reopened.")


def test_a_second_postmortem_author_starts_with_the_first_ones_text(store: Database) -> None:
    item = next(each["item"] for each in freeze.stored_week(store, str(BROKEN))["agenda"] if each["sort"] == "incident")
    form = f"postmortem-{BROKEN}-{item}"
    ann, bob = (enter(name, BROKEN, step="incidents") for name in ("Ann", "Bob"))
    for app in (ann, bob):
        app.selectbox(key="postmortem-item").set_value(item).run()
    ann.text_input(key=f"{form}-Trigger-0").input("A firmware update").run()
    press(ann, "Save")
    bob.run()
    assert bob.text_input(key=f"{form}-Trigger-1").value == "A firmware update"
    bob.text_input(key=f"{form}-Trigger-1").input("Two firmware updates").run()
    press(bob, "Save")
    assert [each.label for each in bob.expander if "Earlier" in each.label] == ["Earlier versions: 2"], (
        "one of the two earlier versions is from the previous test"
    )
    shown = words(bob)
    assert "Two firmware updates" in shown
    assert "] A firmware update" in shown
