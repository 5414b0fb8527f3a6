"""The page of an incident shows its findings within a budget of words. People's actions on an incident are stored as records."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from observability.alerts import alert_log
from observability.alerts.alert_state import alerts_from_records
from observability.core.finding import Finding, acknowledged_finding
from observability.core.settings import ModelSettings, parse_settings
from observability.core.time import naive_utc
from observability.dashboard import load, load_findings, open_tasks
from observability.dashboard.charts.incident import incident_line
from observability.dashboard.overview import incident_actions, incident_page
from observability.dashboard.scope import Scope
from observability.incidents.action_counts import action_counts, counted_incidents
from observability.incidents.daily_values import comparison_band
from observability.incidents.grouping import Incident, most_urgent_first
from observability.incidents.next_steps import general_steps, is_about_predictions, pipeline_chain, runbook_of
from observability.review import incident_stakes
from observability.server import process_lock
from observability.server.access import Person
from tests.support.dashboard_pages import WHOLE, opened, tables, words
from tests.support.dashboard_world import END, START, World, build
from tests.support.signed_in import sign

WORDS, ABOVE_FIGURE = 250, 60


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The world in a separate store, because other tests read the shared store."""
    made = build(tmp_path)
    monkeypatch.setattr(process_lock, "current_store", lambda: made.store)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    yield made
    made.store.close()


def worst(model: str = "price") -> Incident:
    """The worst incident of a model of the world over its whole window."""
    return load_findings.scope_report(Scope(model=model).at(START, END)).incidents[0]


def page_of(incident: Incident) -> AppTest:
    return opened("incident", id=incident.id, model=str(incident.model), **WHOLE)


def visible_words(app: AppTest) -> str:
    """The unfolded text of the page's own area: headings, texts and cells of tables, without popovers and expanders."""
    parts: list[str] = []
    for each in app.main.children.values():
        parts += unfolded(each)
    return " ".join(parts)


def unfolded(block) -> list[str]:
    if getattr(block, "type", "") in ("popover", "expander", "expandable"):
        return []
    if hasattr(block, "children"):
        return [text for child in block.children.values() for text in unfolded(child)]
    if block.type == "bidi_component":
        import json

        table = json.loads(block.proto.json)
        cells = [cell for row in table.get("rows", []) for cell in row["cells"].values()]
        return [f"{cell.get('t') or ''} {cell.get('sub') or ''}" for cell in cells]
    return [str(block.value)] if block.type in ("title", "header", "subheader", "markdown", "caption") else []


def test_an_incident_page_shows_facts_findings_and_actions(current: World) -> None:
    incident = worst()
    app = page_of(incident)
    shown, found = words(app), tables(app)
    assert incident.lead.subject in shown
    facts = {row["cells"]["name"]["t"]: row["cells"]["value"] for row in found["Facts of the incident"]["rows"]}
    assert facts["Value"]["t"] and f"n = {incident.lead.n:,}" in facts["How sure"]["t"]
    assert "predictions" in facts["Affected"]["t"]
    sources = found["Suspected source and what follows from it"]["rows"]
    assert sources[0]["cells"]["stage"]["sub"] == "suspected source"
    (related,) = [int(each.label.split()[0]) for each in app.expander if "related finding" in each.label]
    assert sum(int(row["cells"]["n"]["t"]) for row in sources) == 1 + related >= 1 + len(incident.collateral), (
        "each related finding is counted once"
    )
    cases = found[next(caption for caption in found if caption.startswith("Example predictions"))]["rows"]
    assert cases and cases[0]["cells"]["case"]["go"]["page"] == "case"
    assert len(app.get("plotly_chart")) == 1
    assert len(visible_words(app).split()) <= WORDS, visible_words(app)


def test_a_missing_incident_shows_a_message_and_lists_the_others(current: World) -> None:
    app = opened("incident", id="0123456789abcdef", model="price", **WHOLE)
    assert "is not in this window, in a frozen week or among the alerts" in words(app)
    assert "Incidents, most urgent first" in tables(app)


def test_an_incident_is_found_by_the_subject_and_metric_in_a_case_link(current: World) -> None:
    lead = worst().lead
    app = opened("incident", id="of-that-day", analyzer=lead.analyzer, subject=lead.subject, metric=lead.metric, model="price", **WHOLE)
    assert "Facts of the incident" in tables(app)


def test_the_figure_begins_a_window_earlier(current: World) -> None:
    """Regression: an onset on the first day of the window could not be seen as a step."""
    week = {"from": "2026-03-09T00:00", "to": "2026-03-16T00:00", "window": "Chosen dates"}
    found = load_findings.scope_report(Scope(model="price").at(END - timedelta(days=7), END)).incidents
    incident = next(each for each in found if incident_page.drawn_finding(each))
    app = opened("incident", id=incident.id, model="price", **week)
    (days,) = (each.value for each in app.dataframe if "period" in each.value)
    assert days["period"].min() == naive_utc(START) and days["period"].max() == naive_utc(END - timedelta(days=1))
    assert days["period"].is_monotonic_increasing and days["period"].is_unique


def test_the_figure_marks_the_events_of_the_model(own: World) -> None:
    incident = worst()
    days = incident_page.finding_days(incident_page.drawn_finding(incident))["period"]
    at = (days.max() - timedelta(hours=1)).tz_localize("UTC").isoformat()
    told = {"kind": "event", "at": at, "what": "deploy"}
    events = [{"model": "price", "text": "New weights"}, {"model": "loan", "text": "Other model"}]
    own.store.write_records([told | each for each in events])
    figures = [json.loads(each.proto.spec) for each in page_of(incident).get("plotly_chart")]
    (marks,) = [trace for figure in figures for trace in figure["data"] if trace.get("name") == "events"]
    assert "deploy: New weights" in " ".join(marks["customdata"]) and "Other model" not in " ".join(marks["customdata"])


def test_who_signed_in_comments_under_that_name_and_a_viewer_cannot(own: World, monkeypatch: pytest.MonkeyPatch) -> None:
    incident = worst()
    for person, kept in ((Person("vic", "viewer"), []), (Person("ada", "administrator"), [("ada", "note")])):
        sign(monkeypatch, person)
        app = page_of(incident)
        app.text_area(key="incident-comment-0").input("The depot changed its scanner")
        app.button(key="incident-comment-save-0").click().run()
        said = [(each["author"], each["says"]) for each in alert_log.alert_records(own.store, incident.id)]
        assert [each for each in said if each[1] == "note"] == kept


def test_actions_on_an_incident_are_saved_and_found_by_its_alert(own: World) -> None:
    incident = worst()
    app = page_of(incident)
    assert "Enter your name to assign." in words(app), "before a name is entered, the form says what the name is for"
    app.text_input(key="incident-assign-0-to").input("Bob").run()
    app.button(key="incident-assign-0-save").click().run()
    assert "Enter your name to assign." in words(app) and "assigned to Bob" not in words(app), "nothing is saved without a name"
    app.text_input(key="incident-assign-0-person-box").input("Ann")
    app.button(key="incident-assign-0-save").click().run()  # one press: it also leaves the box of the name
    assert "assigned to Bob" in words(app), "the page must state the assignment, because the name alone may also be the model owner's"
    app.text_area(key="incident-comment-0").input("The <b>depot</b> changed its scanner")
    app.button(key="incident-comment-save-0").click().run()
    assert "The <b>depot</b> changed its scanner" in words(app)
    assert app.button(key="incident-resolve-1-save").disabled, "the resolve button is disabled until a reason is chosen"
    app.button_group(key="incident-resolve-1-reason").set_value("expected_change").run()
    app.button(key="incident-resolve-1-save").click().run()
    (alert,) = [each for each in alert_log.alerts_by_incident(own.store, END).values() if each.incident == incident.id]
    assert (alert.state, alert.reason, alert.assignee, alert.useful) == ("resolved", "expected_change", "Bob", False)
    said = [(each["author"], each["says"]) for each in alert_log.alert_records(own.store, incident.id)]
    assert said == [("Ann", "opened"), ("Ann", "assigned"), ("Ann", "note"), ("Ann", "resolved")]
    later = opened("incident", id=incident.id, **WHOLE)
    assert "Resolved: expected change" in words(later)
    assert "Opened" not in words(later), "an alert that an assignment opened does not show the entry `Opened`"
    home = opened("health", **WHOLE)
    (row,) = [row for row in tables(home)["Incidents that are snoozed or resolved"]["rows"] if row["cells"]["act"]["act"] == incident.id]
    assert (row["cells"]["owner"]["t"], row["cells"]["state"]["t"]) == ("Bob", "Resolved: expected change")
    listed = tables(home).get("Incidents, most urgent first", {"rows": []})["rows"]
    assert incident.id not in {row["cells"].get("act", {}).get("act") for row in listed}
    assert "precision is shown after" in words(home) and "1 expected change" in words(home)


def finding(subject="age", analyzer="data/quality", metric="null_rate", severity="act", **more) -> Finding:
    about = (analyzer, "m", "1", subject, metric, more.pop("value", 0.4), more.pop("n", 500), severity, "…")
    return Finding(*about, START, END, "reference", unit="share", **more)


def incident_of(lead: Finding, *beside: Finding, source="input", standing=False) -> Incident:
    return Incident("i1", "m", source, lead, beside, "act", START, None, "…", standing)


def test_the_incident_facts_name_the_worst_part_and_the_total_excess_error(current: World) -> None:
    """Regression: the page hid both. The affected part was folded among related findings, and the cost of a regression read "binary
    models only"."""
    lead = finding("model", "serving/performance", "mae", low=0.3, high=0.5, evidence={"baseline": 0.2})
    part = replace(finding("model", "serving/slices", "mae", severity="watch", value=0.9, n=101), slice="carrier=AA")
    here = incident_page.OpenIncident(incident_of(lead, finding(), part), Scope("m"), None, None)
    said = incident_stakes.excess_error_words(here.incident, None)
    assert said == "100 units of the label of absolute error beyond the reference (50.0 to 150), on 500 labelled predictions."
    assert incident_page.worst_part(here.incident) is part and incident_page.worst_part(incident_of(part, lead)) is None
    assert incident_stakes.excess_error_words(incident_of(finding()), None) == ""


def test_the_chain_begins_at_the_suspected_source() -> None:
    fall = finding("model", "serving/performance", "accuracy")
    made = pipeline_chain(incident_of(finding(), fall, finding("income", severity="watch"), finding("model", "trust/fairness", "accuracy")))
    assert [(stage, len(own)) for stage, own in made] == [("input", 2), ("outcome", 1), ("fairness", 1)]
    assert made[0][1][0].subject == "age"


@pytest.mark.parametrize(
    ("runbooks", "text"),
    [({}, None), ({"all": "Call Ann"}, "Call Ann"), ({"all": "x", "input": "y"}, "y"), ({"input": "y", "data/quality": "z"}, "z")],
)
def test_the_runbook_that_fits_best_is_shown(runbooks, text) -> None:
    assert runbook_of(incident_of(finding()), runbooks) == text


def test_every_kind_of_fault_has_steps() -> None:
    for source in ("input", "label", "model", "system"):
        for lead in (finding(), finding("model", "serving/drift", "psi")):
            assert len(general_steps(incident_of(lead, source=source))) == 3
    slow = finding("run:r1/rank:2", "training/runs", "straggler_score")
    assert "Open the run" in general_steps(incident_of(slow, source="system"))[0]
    suspects = finding("dataset:loan 1 reference", "data/cleaning", "audited_suspects")
    assert "the audit found" in general_steps(incident_of(suspects))[0], "the step must name the audit, not a feed"
    assert not is_about_predictions(incident_of(slow)), "a slow rank affects no prediction"
    assert is_about_predictions(incident_of(finding()))
    assert "`age`" in general_steps(incident_of(finding()))[0]
    assert "acceptable" in general_steps(incident_of(finding(), standing=True))[0]
    compare, _, change = general_steps(incident_of(finding(), source="model"), "regression")
    assert "if there is one" in compare and change == "Roll back or retrain.", (
        "the steps must not assume another version or, for a regression, a threshold"
    )
    assert "change the threshold" in general_steps(incident_of(finding(), source="model"), "binary")[2]


def test_an_onset_from_a_related_finding_is_not_called_undated() -> None:
    lead = replace(finding(), onset=None)
    assert "onset not found" in incident_page.how_sure(lead)
    assert "onset from a related finding" in incident_page.how_sure(lead, START)


def test_runbooks_are_settings() -> None:
    made = parse_settings({"settings": {"runbooks": {"input": "Call the weather desk."}}}, ModelSettings())
    assert made.runbooks == {"input": "Call the weather desk."}


def test_days_and_band_of_a_finding_are_read_from_its_evidence() -> None:
    days = [["2026-03-02", 0.1, 200], ["2026-03-03", 0.3, 180]]
    lead = finding(evidence={"by_day": days, "baseline": 0.05, "past": 0.02, "varies_up_to": 0.09})
    frame = incident_page.finding_days(lead)
    assert frame["value"].tolist() == [0.1, 0.3] and frame["low"].isna().all()
    assert comparison_band(lead.analyzer, lead.evidence) == (0.02, 0.09, "range of its own past")
    measured = finding("model", "serving/performance", "accuracy", evidence={"by_day": [["2026-03-02", 0.8, 0.7, 0.9, 90, 100]], "baseline_low": 0.78, "baseline_high": 0.82})  # fmt: skip
    assert incident_page.finding_days(measured)[["low", "high"]].to_numpy().tolist() == [[0.7, 0.9]]
    assert comparison_band(measured.analyzer, measured.evidence) == (0.78, 0.82, "95 % interval of the baseline")
    money = finding("model", "operations/cost", "cost_per_thousand", evidence={"by_day": [["2026-03-02", 100.0, 4.0]]})
    assert incident_page.finding_days(money).empty, "the days contain rows and amounts, but no values of the metric"
    assert incident_page.drawn_finding(incident_of(money, measured)) is measured


def test_an_acknowledged_incident_of_a_run_is_counted_as_acknowledged(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = finding("run:r1/rank:2", "training/runs", "straggler_score")
    monkeypatch.setattr(load_findings, "acknowledged_claims", lambda: frozenset({("m", slow.claim)}))
    assert action_counts(load_findings.incidents_of_findings([slow], ())).words == "1 acknowledged"


def test_the_figure_draws_an_onset_only_where_the_days_hold_it() -> None:
    series = incident_page.days_frame([(f"2026-03-0{day}", day / 10, None, None) for day in range(2, 8)])
    style = {"name": "Null rate", "unit": "share", "band": (0.1, 0.2, "range of its own past"), "limit": 0.3, "baseline": 0.15}
    style |= {"baseline_name": "own past"}
    for onset, drawn in ((START + timedelta(days=2), 1), (START, 0), (None, 0)):
        layout = incident_line(series, onset=onset, **style).layout
        assert [each.text for each in layout.annotations].count("onset") == drawn
        assert [each.name for each in layout.shapes if each.showlegend] == ["range of its own past", "own past", "Warning limit"]


def test_an_onset_before_the_analyzed_days_is_not_drawn_in_their_middle() -> None:
    onset = START + timedelta(days=3)
    for known, drawn in ((None, onset), ("open", None)):
        lead = finding(onset=onset, evidence={"onset_known": known})
        assert incident_page.drawn_onset(replace(incident_of(lead), onset=onset)) == drawn


def test_an_incident_is_folded_while_it_is_snoozed(current: World) -> None:
    lead = finding()
    incident, other = (
        incident_of(lead),
        Incident("i2", "n", "model", finding("plan", severity="watch"), (), "watch", None, None, "`plan` fell."),
    )
    opening = {"kind": "alert", "incident": "i0", "at": START, "author": "bob", "says": "opened", "model": "m", "claims": [lead.claim]}
    snooze = {"kind": "alert", "incident": "i0", "at": START, "author": "bob", "says": "snoozed", "until": END}
    for now, folded in ((END - timedelta(days=1), ["i1"]), (END, [])):
        alerts = alerts_from_records([opening, snooze], now)
        listed, settled = open_tasks.incident_inbox_rows(counted_incidents([incident, other]), Scope(), alerts, now)
        assert [row["cells"]["act"]["act"] for row in settled] == folded, "an alert for the same claim applies even if the onset differs"
        assert len(listed) + len(settled) == 2
    assert incident_actions.incident_state_words(alerts_from_records([opening, snooze], START)["i0"]) == "Snoozed until 16 Mar 2026"
    assert incident_actions.incident_state_words(None) == "Open"


def test_an_acknowledged_incident_stays_visible_with_the_persons_name_below_open_ones(current: World) -> None:
    """Regression: an acknowledged incident left the first rows of Home, so its assignee was not visible."""
    open_ones = [
        replace(incident_of(finding(f"f{place}")), id=f"o{place}", sentence=f"{place}.") for place in range(open_tasks.MAX_TASKS + 1)
    ]
    taken = replace(incident_of(acknowledged_finding(finding("taken"))), id="t", severity="watch", sentence="Taken.")
    warning = replace(incident_of(finding("late", severity="watch")), id="w", severity="watch", sentence="Late.")
    opening = {"kind": "alert", "incident": "t", "at": START, "author": "bob", "says": "opened", "model": "m"}
    said = opening | {"says": "acknowledged", "author": "Ann"}
    alerts = alerts_from_records([opening, said, said | {"says": "note", "author": "Eve"}], START)
    found = [warning, taken, *open_ones]
    rows = open_tasks.first_inbox_rows(open_tasks.incident_inbox_rows(counted_incidents(found), Scope(), alerts, START)[0])
    assert len(rows) == open_tasks.MAX_TASKS + 1, "the last open incident and the warning are folded under `show all`"
    cells = rows[-1]["cells"]
    assert (cells["act"]["act"], cells["state"]["t"], cells["severity"]["t"]) == ("t", "Acknowledged by Ann", "Critical")
    assert [incident.id for incident in most_urgent_first(found)][-2:] == ["t", "w"]
