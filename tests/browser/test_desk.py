"""Pages for daily work show the counts of a small log: alerts, changes, rules, the lab, labelling. A long run opens more of them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from observability.alerts import alarm_rules
from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.pages import heading, said, settle, tables, until, words
from tests.support import review_world
from tests.support.review_world import DATES, WEEKS
from tests.support.running import Dashboard, dashboard

pytestmark = pytest.mark.browser
NOW = WEEKS[-1].end + timedelta(days=7)
ACTS: dict[str, int] = {}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard over the small log, with one alert. ACTS holds the number of `act` findings of each rule in the log's weeks, counted
    before the dashboard starts.
    """
    home = tmp_path_factory.mktemp("desk") / "home"
    with review_world.build(home) as store:
        review_world.load(store, review_world.deliveries())
        alert = {
            "kind": "alert",
            "incident": "i1",
            "at": NOW,
            "author": "the dashboard",
            "says": "opened",
            "model": "eta",
            "severity": "act",
        }
        store.write_records([alert | {"title": "`km` is a thousand times as large", "source": "input", "rule": "serving/drift/psi"}])
        settings = replace(store.catalog().model("eta").settings, owner="Bob", immutable=("km",))
        weeks = alarm_rules.preview_settings(store, "eta", settings, now=NOW)
        ACTS["act"], ACTS["weeks"] = sum(each.before.critical for each in weeks), len(weeks)
    with dashboard(home) as running:
        yield running


@pytest.mark.long  # tests/dashboard/test_labelling.py
def test_the_labelling_page_shows_accuracy_time_and_acceptance_of_suggestions(desk: Dashboard, visit: Visit) -> None:
    page = visit(f"{desk.url}/labelling?{DATES}&confidence=90")
    (ann,) = tables(page)["Annotators"]
    assert (ann["Gold accuracy"]["text"], ann["Time per label"]["text"], ann["Suggestions accepted"]["text"]) == ("85.7 %", "40.0 s", "0 %")
    facts = {each["Figure"]["text"]: each["Value"]["text"] for each in tables(page)["Effect of accepting suggestions"]}
    assert facts["Error rate of accepted suggestions"] == "85.7 %measured" and facts["Annotator time saved"] == "5 minutesmeasured"
    said(page, "7 of 7 suggestions (100 %) reach 90 %; 85.7 % of them are wrong")


def test_an_alert_can_be_acknowledged_on_the_alerts_page(desk: Dashboard, visit: Visit) -> None:
    page = visit(f"{desk.url}/alerts?incident=i1")
    (row,) = tables(page)["Alerts, open ones first"]
    assert (row["Model"]["text"], row["State"]["text"]) == ("eta", "Open")
    name = page.get_by_test_id("stMain").get_by_role("textbox", name="Your name")
    name.fill("Bob")
    name.press("Enter")
    settle(page)
    page.get_by_role("button", name="Acknowledge").click()
    (row,) = until(page, "Alerts, open ones first", lambda rows: rows[0]["State"]["text"] == "Acknowledged")
    assert (row["State"]["text"], row["State"]["sub"]) == ("Acknowledged", "by Bob")
    page.get_by_role("button", name="Yes").click()
    said(page, "1 of 1 rated alerts were useful")
    accessible(page)


def test_an_incident_can_be_resolved_by_keyboard_and_its_own_page_shows_it(desk: Dashboard, visit: Visit) -> None:
    page = visit(f"{desk.url}/?{DATES}")
    before = until(page, "Incidents, most urgent first", lambda rows: len(rows) > 0)
    page.keyboard.press("j")
    page.keyboard.press("e")
    dialog = page.get_by_role("dialog")
    name = dialog.get_by_role("textbox", name="Your name")
    name.fill("Bob")
    name.press("Enter")
    dialog.get_by_text("False alarm").click()
    settle(page)
    dialog.get_by_role("button", name="Resolve").last.click()
    page.get_by_text("1 incident snoozed or resolved").click()
    (row,) = until(page, "Incidents that are snoozed or resolved", lambda rows: len(rows) == 1)
    assert (row["State"]["text"], row["Incident"]["text"]) == ("Resolved: false alarm", before[0]["Incident"]["text"])
    page.get_by_role("table", name="Incidents that are snoozed or resolved").get_by_role("link").click()
    page.wait_for_url("**/incident?**id=**")
    settle(page)
    said(page, "Resolved: false alarm")
    assert page.locator(".st-key-incident-days .js-plotly-plot").count() == 1
    accessible(page)
    page = visit(f"{desk.url}/actions")
    said(page, "No action items yet.")
    accessible(page)


@pytest.mark.long  # tests/dashboard/test_changes.py
def test_the_changes_page_lists_the_deploy(desk: Dashboard, visit: Visit) -> None:
    page = visit(f"{desk.url}/changes?window=Everything")
    changes = until(page, "Changes, newest first", lambda rows: len(rows) > 0)
    deploys = [each for each in changes if each["What"]["text"] == "Deploy"]
    assert [each["Description"]["text"] for each in deploys] == ["version 2"]


@pytest.mark.long  # tests/alerts/test_alarm_rules.py
def test_changed_settings_preview_the_affected_weeks_before_saving(desk: Dashboard, visit: Visit) -> None:
    page = visit(f"{desk.url}/rules?model=eta")
    page.get_by_text("Owner, costs, service level, budget, slices").click()
    owner = page.get_by_role("textbox", name="Owner", exact=True)
    owner.fill("Bob")
    owner.press("Enter")
    said(page, "Owner: not set becomes Bob")
    said(page, "No rule depends on this: no finding changes.")
    fixed = page.get_by_role("textbox", name="Immutable features (one per line)", exact=True)
    fixed.fill("km")
    fixed.press("Control+Enter")
    said(page, "Immutable features (one per line): not set becomes km")
    settle(page)
    page.get_by_role("button", name="Preview").click()
    said(page, f"Critical findings in {ACTS['weeks']} weeks: {ACTS['act']:,} now, {ACTS['act']:,} after the change")


@pytest.mark.long  # tests/simulation/test_labelling_replay.py
def test_a_planted_labelling_fault_is_reported_day_by_day(desk: Dashboard, visit: Visit) -> None:
    page = visit(f"{desk.url}/lab?model=eta&of=labelling&fault=dearer_label")
    page.get_by_role("button", name="Plant").click()
    said(page, "First detected 1 day after the onset: Label price rose to 0.8 EUR")
    settle(page)
    days = tables(page)["Findings at each checked day"]
    assert [each["Day"]["text"] for each in days] == [str(day) for day in range(1, 8)]
    assert {each["Status"]["text"] for each in days} == {"Critical"}


@pytest.mark.long
@pytest.mark.parametrize(("address", "sentence"), review_world.OPENED.items())
def test_each_page_about_the_log_summarises_its_records(address: str, sentence: str, desk: Dashboard, visit: Visit) -> None:
    """tests/dashboard/test_log_pages.py checks the same without a browser, and test_accessible.py opens all of these pages on the sample in
    every run.
    """
    page = visit(f"{desk.url}{address}")
    assert heading(page)
    everything = words(page) + " ".join(cell["text"] for rows in tables(page).values() for row in rows for cell in row.values())
    assert sentence.casefold() in everything.casefold()
