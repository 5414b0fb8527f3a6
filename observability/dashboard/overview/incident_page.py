"""One incident on one screen: the claim, its place, onset and certainty, affected predictions, suspected source, changes, examples and next
steps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pandas as pd
import streamlit as st

from observability.alerts.alert_state import Alert
from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.core.finding import Finding, claim_period
from observability.core.standing_since import standing_since
from observability.core.time import aware_utc
from observability.core.weeks import Week
from observability.core.window import Slice, Window
from observability.dashboard import clicks, frame, links, load, load_findings, read_incidents, time_zone
from observability.dashboard.case import cases
from observability.dashboard.charts import incident as charts_incident
from observability.dashboard.data import lineage_view
from observability.dashboard.overview import findings, incidents
from observability.dashboard.overview.incident_actions import alert_of_incident, alerts_here, incident_owner_words, incident_state_words
from observability.dashboard.review import load_review
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import link_button, plain_caption
from observability.incidents.daily_values import DayValue, comparison_band, daily_values, first_daily_finding
from observability.incidents.grouping import Incident
from observability.incidents.grouping_rules import onset_certainty
from observability.incidents.next_steps import STAGE_WORDS, general_steps, is_about_predictions, pipeline_chain, runbook_of
from observability.incidents.since_words import incident_onset_certainty, incident_since, news_since
from observability.review import incident_stakes, sentences

AROUND = timedelta(days=7)
MAX_CHANGES, MAX_EXAMPLES, MAX_WEEKS = 4, 3, 8
MAX_TITLE = 80
"""Maximum number of characters of a change's title on this page; the page Changes shows the whole title."""
CERTAINTY = {"dated": "onset found in the daily values", "open": "began before these days", "vague": "onset not found"}
FACTS = (column("name", "Fact", width="7.5rem"), column("value", "Value", wide=True))
CHAIN = (
    column("stage", "Stage", width="10rem"),
    column("evidence", "Evidence", wide=True),
    column("n", "Findings", align="right", width="5rem", phone=False),
)
CHANGES = (column("at", "When (UTC)", width="9rem"), column("what", "Change", wide=True))


@dataclass(frozen=True)
class OpenIncident:
    """An incident as it is shown on its page. scope: the scope in which it was found. window: the window of its model; None if it is about
    other records. alert: the entries of people about it. moved: a sentence if it was found in other dates than the reader's.
    """

    incident: Incident
    scope: Scope
    window: Window | None
    alert: Alert | None
    moved: str | None = None

    @property
    def lead(self) -> Finding:
        """The finding that leads the incident."""
        return self.incident.lead


def open_incident(scope: Scope) -> OpenIncident:
    """Return the incident that the address names. If it names none, or if the incident is not found, draw the incidents of the scope and
    stop.
    """
    named = st.query_params.get("id")
    with frame.loading_skeleton(320):
        here = frame.answer_or_stop(lambda: find_incident(named, scope) if named else None)
    if here is None:
        if named:
            words = "is not in this window, in a frozen week or among the alerts."
            st.warning(formatting.escape_markdown(f"The incident {named[:40]} {words}"), icon=":material/link_off:")
        incidents.incidents_table(
            "incidents", "Incidents, most urgent first", load_findings.scope_report(scope).incidents, scope, once=True
        )
        st.stop()
    read_incidents.mark_incidents([here.incident], read=True)
    read_incidents.write_marks()
    return here


def find_incident(named: str, scope: Scope) -> OpenIncident | None:
    """The incident with an id in the scope, else in the dates in which it was found; None if it is not found."""
    found = load_findings.scope_report(scope).incidents
    chosen = _same_incident(found, named, None) or _incident_of_address(found)
    if chosen is not None:
        return _opened(chosen, scope)
    for place, claim in _places_of(named):
        chosen = _same_incident(load_findings.scope_report(place).incidents, named, claim)
        if chosen is not None and place.start and place.end:
            span = time_zone.named_span(place.start, place.end)
            return _opened(chosen, place, f"Not in the chosen window; shown for {span}, where it was found.")
    return None


def _opened(incident: Incident, scope: Scope, moved: str | None = None) -> OpenIncident:
    """Return the incident with its window and its alert."""
    known = incident.model in {model.name for model in load.catalog().models}
    window = load.window(scope, incident.model) if known and incident.model else None
    alert = alert_of_incident(incident, alerts_here(), datetime.now(UTC))
    return OpenIncident(incident, scope.about(incident.model), window, alert, moved)


def _places_of(named: str) -> Iterator[tuple[Scope, str | None]]:
    """Yield the dates at which an incident was seen, from frozen weeks and from its alert, each with the claim of the incident's lead."""
    for frozen in load_review.frozen_reviews()[:MAX_WEEKS]:
        body = load_review.frozen_review(frozen.review)
        for part in (body or {}).get("models", ()):
            for incident in part["incidents"]:
                if incident["incident"] == named:
                    week = Week.parse(frozen.review)
                    claim = "|".join([incident["analyzer"], incident["subject"], incident["metric"], incident["slice"] or ""])
                    yield Scope(model=part["model"]).at(week.start, week.end), claim
    alert = load_review.current_alerts().get(named)
    if alert is not None:
        end = load.midnight_after(alert.opened_at)
        yield Scope(model=alert.model).at(end - AROUND, end), next(iter(alert.claims), None)


def _same_incident(found: Sequence[Incident], named: str, claim: str | None) -> Incident | None:
    """Return the incident with an id, else the incident with a claim. New labels may change the estimated onset, on which
    the id depends.
    """
    by_id = next((incident for incident in found if incident.id == named), None)
    return by_id or next((incident for incident in found if claim in [finding.claim for finding in incident.findings]), None)


def _incident_of_address(found: Sequence[Incident]) -> Incident | None:
    """Return the incident with the finding that the address names by analyzer, subject and metric, which is how links from a case name it;
    None if there is none.
    """
    named = tuple(st.query_params.get(key) for key in ("analyzer", "subject", "metric"))
    claims = ((incident, (each.analyzer, each.subject, each.metric)) for incident in found for each in incident.findings)
    return next((incident for incident, claim in claims if claim == named), None)


def incident_heading(here: OpenIncident) -> None:
    """Draw the claim in one line, with model, start, state and owner."""
    incident = here.incident
    headline = formatting.sentence_markdown(incidents.incident_headline(incident))
    st.subheader(f"{formatting.status_label(incident.shown_severity)} {headline}", anchor=False)
    since = incident_since(incident)
    parts = [incident.model, *news_since(incident.news, since), None if since or incident.standing else "onset unknown"]
    parts += [incident_state_words(here.alert), incident_owner_words(incident, here.alert)]
    st.markdown(f":gray[{formatting.escape_markdown(' · '.join(filter(None, parts)))}]")
    if here.moved:
        plain_caption(here.moved)


def drawn_finding(incident: Incident) -> Finding | None:
    """Return the finding whose days the figure shows: the lead, else the worst related finding that has days; None if none has days."""
    return first_daily_finding(incident.findings)


def drawn_onset(incident: Incident) -> datetime | None:
    """Return the onset if it is dated by day, else None. An incident that began before the analyzed days has no date, and the figure may
    show earlier days of it.
    """
    return incident.onset if incident_onset_certainty(incident) == "dated" else None


def finding_days(finding: Finding) -> pd.DataFrame:
    """Return a finding's metric by day: period, value, low, high; empty if its evidence has no values by day."""
    return days_frame(daily_values(finding.analyzer, finding.evidence))


def days_frame(values: Sequence[DayValue]) -> pd.DataFrame:
    """Values by day as a frame for the figure: period, value, low, high."""
    days = pd.DataFrame(values, columns=["period", "value", "low", "high"])
    days["period"] = pd.to_datetime(days["period"])
    return days.astype({"value": float, "low": float, "high": float})


def incident_figure(here: OpenIncident) -> None:
    """Draw the chart of the leading metric, also over the previous window, with onset, event marks and comparison band; nothing if no
    values by day are known.
    """
    finding = drawn_finding(here.incident)
    if finding is None:
        return
    before = load_findings.same_claim_before(here.window, finding) if here.window else None
    title = formatting.metric_title(finding.metric)
    days = pd.concat([finding_days(each) for each in (before, finding) if each]).drop_duplicates("period", keep="last")
    evidence = finding.evidence
    name = title if finding.subject in ("model", "score") else f"{title} of {finding.subject}"
    marks = (
        load.model_events(here.incident.model, days["period"].min(), days["period"].max() + timedelta(days=1))
        if here.incident.model
        else None
    )
    figure = charts_incident.incident_line(
        days,
        name=name,
        unit=finding.unit,
        of_label=load.label_unit(here.incident.model),
        limit=finding.limit if isinstance(finding.limit, int | float) else None,
        severity=finding.shown_severity,
        baseline=evidence.get("baseline"),
        baseline_name=findings.BASELINES[finding.against],
        band=comparison_band(finding.analyzer, evidence),
        onset=drawn_onset(here.incident),
        marks=marks,
    )
    target = None
    if here.window is not None:
        period = clicks.ChartPeriod(here.scope, min(here.window.start, aware_utc(days["period"].min())), here.window.end)
        of = partial(clicks.cases_of_period, period, periods=days["period"], q=clicks.EVERY)
        target = clicks.cases_on_click("incident-days", of, days["period"])
    alt = finding.because.replace("`", "")
    frame.chart_with_table(figure, days, key="incident-days", alt=alt, metrics=(finding.metric,), on_select=target)


def incident_facts_table(here: OpenIncident) -> None:
    """Draw where the incident occurs, its value, how sure it is, what is affected, its cost, and its suspected source."""
    lead, incident = here.lead, here.incident
    where = formatting.slice_in_words(lead.slice) if lead.slice else "all predictions" if is_about_predictions(incident) else lead.subject
    rows: list[tuple[str, Cell | str]] = [("Where", where)]
    if part := worst_part(incident):
        value = formatting.format_value(part.value, part.unit, load.label_unit(part.model))
        words = f"{formatting.metric_title(part.metric)} {value}, n = {part.n:,}"
        rows.append(("Worst part", {"t": formatting.slice_in_words(str(part.slice)), "sub": words}))
    rows.append(("Value", {**findings.finding_value_cell(lead), "sub": _compared_with(lead)}))
    rows.append(("How sure", how_sure(lead, here.incident.onset)))
    rows += [(name, words) for name, words in zip(("Affected", "Cost", "Groups"), incident_stake_words(here)) if words]
    rows.append(("Source", {**incidents.source_cell(incident), "t": f"{incident.source} (suspected)"}))
    draw_table("facts", "Facts of the incident", FACTS, [table_row(name=name, value=value) for name, value in rows], compact=True)


def worst_part(incident: Incident) -> Finding | None:
    """The worst related finding about a slice, if the incident is about all predictions; None if there is none."""
    if incident.lead.slice:
        return None
    return next((finding for finding in incident.collateral if finding.slice and finding.value is not None and finding.needs_action), None)


def _compared_with(lead: Finding) -> str:
    """Return the baseline and the limit of the lead, and the days that the lead is about."""
    baseline = lead.evidence.get("baseline")
    parts = [
        f"{findings.BASELINES[lead.against]} {formatting.format_value(baseline, lead.unit)}" if isinstance(baseline, int | float) else None
    ]
    parts += [f"limit {findings.limit_in_words(lead)}" if lead.limit is not None else None, claim_period(lead)]
    return ", ".join(filter(None, parts))


def how_sure(lead: Finding, onset: datetime | None = None) -> str:
    """Return the corrected p-value, the interval, the number of rows, and whether the onset is dated. onset: the onset of the incident; if
    its lead has none, a related finding provides it.
    """
    chance = lead.evidence.get("p_adjusted")
    parts = [f"p {'< 0.001' if chance < 0.001 else f'= {chance:.2g}'}, corrected" if isinstance(chance, int | float) else None]
    if lead.low is not None and lead.high is not None and lead.low < lead.high:
        parts.append(f"95 % interval {formatting.format_interval(lead.low, lead.high, lead.unit)}")
    parts += [f"n = {lead.n:,}", _onset_words(lead, onset), None if lead.basis == "measured" else lead.basis]
    return "; ".join(filter(None, parts))


def _onset_words(lead: Finding, onset: datetime | None) -> str:
    """Return words on whether the onset is dated, and by which finding."""
    certainty, since = onset_certainty(lead), standing_since(lead)
    if since is not None and certainty != "dated":
        return "beyond its limit from the first day looked at" if since.earlier else "days beyond the limit found in the daily values"
    return "onset from a related finding" if certainty == "vague" and onset is not None else CERTAINTY[certainty]


def incident_stake_words(here: OpenIncident) -> tuple[str, str, str]:
    """Return affected predictions, the estimated cost of their errors, and affected groups, computed in the same way as in the weekly
    review.
    """
    if here.window is None or here.incident.model is None or not is_about_predictions(here.incident):
        return "", "", ""
    model = load.catalog().model(here.incident.model)
    try:
        found = incident_stakes.incident_stake(load.ask_store, model, here.window, here.incident)
    except ObservabilityError as error:
        return formatting.capitalized_sentence(error.what), "", ""
    if "why" in found:
        return str(found["why"]), "", ""
    return (
        sentences.affected_words(found).removeprefix("Affects "),
        sentences.error_cost_sentence(found),
        sentences.group_sentence(found) if found["groups"] else "",
    )


def source_table(here: OpenIncident) -> None:
    """Draw the findings by stage of the pipeline, the suspected stage first. Each stage is shown with its worst finding other than the
    lead.
    """
    rows = []
    for place, (stage, own) in enumerate(pipeline_chain(here.incident)):
        name: Cell = {"t": STAGE_WORDS[stage], "sub": "suspected source" if place == 0 else "consistent with it"}
        shown = next((finding for finding in own if finding is not here.lead), None)  # the heading has the lead
        evidence: Cell = {"t": "the finding above only"}
        if shown is not None:
            words = shown.because.split("; ")[0].rstrip(".").replace("`", "")
            evidence = {"s": shown.shown_severity, **links.finding_link(shown, here.scope, formatting.truncate(words, 110))}
        rows.append(table_row(stage=name, evidence=evidence, n=str(len(own))))
    draw_table("sources", "Suspected source and what follows from it", CHAIN, rows, compact=True)


def nearest_changes(here: OpenIncident) -> None:
    """Draw deploys and other changes, the nearest to the onset first."""
    onset = here.incident.onset
    start, end = (onset - AROUND, onset + timedelta(days=1)) if onset else (here.lead.start, here.lead.end)
    entries = [entry for entry in load_review.change_ledger(here.incident.model, start, end) if entry.sort not in ("alert", "review")]
    entries.sort(key=lambda entry: abs(entry.at - (onset or end)))
    if not entries:
        st.caption(f"No change was logged from {time_zone.named_span(start, end)}.")
        return
    rows = [
        table_row(
            at={"t": time_zone.zoned_minute(entry.at), "sub": _distance(entry.at, onset)},
            what={"t": formatting.truncate(entry.title, MAX_TITLE), "sub": entry.sort},
        )
        for entry in entries[:MAX_CHANGES]
    ]
    draw_table("near", "Changes nearest to the onset", CHANGES, rows, compact=True)


def _distance(at: datetime, onset: datetime | None) -> str | None:
    """Return the distance in words, such as `2 days before the onset`; None if there is no onset."""
    if onset is None:
        return None
    hours = (at - onset) / timedelta(hours=1)
    size = formatting.plural(round(abs(hours) / 24), "day") if abs(hours) >= 48 else formatting.plural(round(abs(hours)), "hour")
    return "at the onset" if abs(hours) < 1 else f"{size} {'before' if hours < 0 else 'after'} the onset"


def example_condition(incident: Incident, task: str | None) -> tuple[str, str]:
    """The condition and order of example predictions: the rows with the missing value, else those with the largest loss."""
    lead = incident.lead
    if lead.metric in ("null_rate", "absent_rate") and (missing := clicks.missing_condition(lead.subject)):
        return missing, clicks.NEWEST
    if lead.metric == "error_rate":
        return clicks.error_condition(task, "error_rate"), clicks.NEWEST
    return clicks.error_condition(task), clicks.LARGEST


def example_predictions(here: OpenIncident) -> None:
    """Draw a few predictions that the incident affects, with links to their cases."""
    if here.window is None or here.incident.model is None or not is_about_predictions(here.incident):
        return
    st.subheader("Example predictions", anchor=False)
    model = load.catalog().model(here.incident.model)
    condition, order = example_condition(here.incident, model.task)
    onset, window = here.incident.onset, here.window
    start = max(window.start, onset) if onset and onset < window.end else window.start
    part = Slice.parse(here.lead.slice) if here.lead.slice else window.slice
    scope = replace(here.scope.at(start, window.end), slice=part)
    shown = cases.example_cases(scope, model, condition, order, MAX_EXAMPLES)
    if shown:
        link_button("More such predictions", links.link_cell("", "cases", scope, q=condition, order=order), key="more-cases", icon="search")


def what_to_do(here: OpenIncident) -> None:
    """Draw the owner's runbook, or general steps if there is none; and links to the pages that help."""
    model = next((model for model in load.catalog().models if model.name == here.incident.model), None)
    written = runbook_of(here.incident, model.settings.runbooks) if model else None
    if written:
        st.markdown(f"**Runbook**: {formatting.escape_markdown(written)}")
    else:
        steps = general_steps(here.incident, model.task if model else None)
        st.markdown("\n".join(f"{place}. {formatting.sentence_markdown(step)}" for place, step in enumerate(steps, 1)))
    with st.container(horizontal=True, gap="small"):
        for place, step in enumerate(incidents.next_step_links(here.incident, here.scope)):
            link_button(step["t"], step, key=f"next-{place}")
        if thing := lineage_view.thing_of_finding(here.lead):
            lineage_view.lineage_button(thing, here.scope, key="to-lineage")
        if target := review_link(here.incident):
            link_button(target["t"], target, key="to-review", icon="groups")


def review_link(incident: Incident) -> Cell | None:
    """Return a link to the newest frozen week with this incident, and to its agenda item; None if no frozen week has it."""
    for frozen in load_review.frozen_reviews()[:MAX_WEEKS]:
        body = load_review.frozen_review(frozen.review) or {}
        for item in body.get("agenda", ()):
            if incident.id in {about.get("incident") for about in (item["about"], *item.get("also", ()))}:
                return links.link_cell(f"Review of {frozen.review}", "review", None, review=frozen.review, item=item["item"])
        known = (each["incident"] for part in body.get("models", ()) for each in part["incidents"])
        if incident.id in known:
            return links.link_cell(f"Review of {frozen.review}", "review", None, review=frozen.review, step="incidents")
    return None


def related_findings(here: OpenIncident) -> None:
    """Draw the table of the related findings, folded."""
    related = here.incident.collateral
    if not related:
        return
    with st.expander(formatting.plural(len(related), "related finding"), icon=":material/unfold_more:"):
        findings.findings_table("related", "Related findings, worst first", related, here.scope, most=20)
