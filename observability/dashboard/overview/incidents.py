"""Incidents on pages: one row for each, with suspected source, onset, event and related findings."""

import re
from collections.abc import Sequence
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.finding import SEVERITIES
from observability.core.numerals import change_in_words
from observability.dashboard import empty_states, links
from observability.dashboard.cells import severity_cell
from observability.dashboard.overview.findings import claim_selectbox, show_all_button
from observability.dashboard.overview.trend import TREND, trend_cell
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import link_button
from observability.incidents.action_counts import CountedIncident, counted_incidents, incident_action_counts
from observability.incidents.grouping import Incident
from observability.incidents.incident_size import incident_size
from observability.incidents.shared_faults import SharedFault
from observability.incidents.since_words import incident_since, news_since

STATUS, MODEL, SOURCE = (
    column("severity", "Status", width="6.5rem"),
    column("model", "Model", width="9rem"),
    column("source", "Source", width="6.5rem", help="Suspected source: input, label, model or system", phone=False),
)
WHAT = column("what", "What", wide=True, help="The finding nearest to the source, with onset, event and number of related findings")
INBOX = (
    STATUS,
    {**MODEL, "width": "7.5rem", "phone": False},
    column("what", "Incident", wide=True),
    TREND,
    column(
        "size",
        "Size",
        width="4.6rem",
        help="Affected rows and their share. For a rate with a baseline: the rows above the baseline rate, and the rise in points",
        phone=False,
        short=True,
    ),
    column("since", "Since", phone=False),
    SOURCE,
    column("owner", "Owner", width="7rem", phone=False),
    column("state", "State", width="8rem", phone=False),
    column("act", "", width="4rem"),
)
CONTROLLERS = "operations/controllers"
"""The analyzer of controllers, which are models that steer a system. They are named as controllers and are not counted as models."""
PARENTHESES = re.compile(r" \([^()]*\)")
WORD = re.compile(r"[^\s`]*`[^`]*`\S*|\S+")
"""Matches a word. A name between backticks counts as one word, even if it contains spaces."""
IN_REFERENCE = re.compile(r"; (\S+(?: %)?) in the reference\b")
VALUE_ALONE = re.compile(r"^([^`(]* [−\d][\d.,]*(?: \S{1,12})?)(?: \(.*)?$")
"""Matches a clause that ends with a value and unit, such as `Mean absolute error 46.7 minutes`. An interval in brackets may follow the
unit.
"""
ROWS_AT_END = re.compile(r"(?<=[%\d]) (?:of|on|over) [\d,]+ (?:labelled |sampled )?(?:predictions|values|labels|requests|rows)$")
"""Matches the number of rows after a share, such as `of 2,195 rows`. The list of incidents leaves it out of a headline; the tooltip shows
it.
"""
WHOLE_WORDS, MIN_WORDS = 16, 5
"""Maximum number of words of a headline, and the minimum number that remains if a longer headline is cut at a comma."""
DANGLING = frozenset(("a", "after", "and", "as", "at", "by", "from", "in", "is", "its", "of", "on", "over", "than", "the", "to", "with"))
"""Words that a shortened headline must not end with."""
SOURCE_ICONS = {"input": ":material/input:", "label": ":material/label:", "model": ":material/network_node:", "system": ":material/dns:"}


def incident_cell(incident: Incident, scope: Scope) -> Cell:
    """Return a cell with the first clause of the incident's sentence, which links to the incident's page, and below it the facts of the
    incident. The tooltip is the whole sentence.
    """
    link = links.link_cell(incident_headline(incident), "incident", scope.about(incident.model), id=incident.id)
    return {**link, "sub": incident_facts(incident), "title": incident.sentence.replace("`", "")}


def incident_facts(incident: Incident) -> str:
    """News, onset, event and number of related findings in words."""
    more, since = len(incident.collateral), incident_since(incident)
    parts = [
        *news_since(incident.news, since),
        _undated_note(incident) if since is None else None,
        "acknowledged" if incident.shown_severity != incident.severity else None,
        event_in_words(incident),
        formatting.plural(more, "related finding") if more else None,
    ]
    return " · ".join(filter(None, parts)) or "no related findings"


def _undated_note(incident: Incident) -> str | None:
    """A note that a critical incident has no onset date; None for a standing incident, and for a training run, which has steps instead of
    days.
    """
    known = incident.standing or incident.lead.subject.startswith("run:")
    return "onset unknown" if incident.severity == "act" and not known else None


def event_in_words(incident: Incident) -> str | None:
    """Return the nearest earlier event in words; None if there is none. The event need not be the cause."""
    if not incident.event:
        return None
    return f"after {incident.event.get('what', 'an event')}: {formatting.truncate(str(incident.event.get('text', '')))}"


def source_cell(incident: Incident) -> Cell:
    """The suspected source as an icon and a word."""
    return {"source": incident.source, "t": incident.source}


def incident_row(incident: Incident, scope: Scope, *, models: Sequence[str] = (), selected: bool = False) -> dict[str, Any]:
    """One incident as a table row. models: all models that have the incident."""
    others = [name for name in models if name not in (incident.model, formatting.DASH)]
    version = f"version {incident.lead.version}" if incident.lead.version else None
    return table_row(
        {
            "severity": severity_cell(incident.shown_severity),
            "model": {"t": incident.model or formatting.DASH, "sub": f"and {formatting.join_words(others)}" if others else version},
            "what": incident_cell(incident, scope),
            "source": source_cell(incident),
        },
        selected=selected,
    )


def incident_headline(incident: Incident) -> str:
    """The claim of an incident's sentence (`short_claim`)."""
    return short_claim(incident.sentence)


def short_claim(sentence: str) -> str:
    """Return the first clause of a sentence (`first_clause`). If the clause ends with a value and the sentence states the value in the
    reference, that value is appended.
    """
    head = first_clause(sentence)
    before, value = IN_REFERENCE.search(sentence), VALUE_ALONE.search(sentence.split("; ", maxsplit=1)[0].rstrip("."))
    return f"{value[1]}; reference {before[1]}" if before and value else head


def first_clause(sentence: str) -> str:
    """Return the first clause of a sentence, without parentheses. A long clause ends at a comma; if it has none, it is cut after some
    words.
    """
    words: list[str] = []
    for word in WORD.findall(PARENTHESES.sub("", sentence)):
        words.append(word)
        if word.endswith((";", ".")) or (word.endswith(":") and len(words) > 3):
            break
    if len(words) <= WHOLE_WORDS:
        return " ".join(words).rstrip(".;:,")
    commas = [place for place, word in enumerate(words, 1) if word.endswith(",")][words[0] == "Where" :]  # "Where …," alone is not a claim
    if short := [place for place in commas if MIN_WORDS <= place <= WHOLE_WORDS]:
        return " ".join(words[: short[-1]]).rstrip(",")
    words = words[:WHOLE_WORDS]
    while len(words) > 1 and words[-1] in DANGLING:
        words.pop()
    return f"{' '.join(words).rstrip(':,')}…"


def inbox_row(
    incident: Incident, models: Sequence[str], scope: Scope, owner: str | None = None, state: str | None = None, unread: bool = False
) -> dict[str, Any]:
    """Return one incident in one line. The tooltip has the whole sentence and the facts. The button of the row, and keys on the row, start
    an action.

    models: all models that have the incident. owner: the person who works on the incident. state: the newest action of a person on the
    incident. unread: whether the row is bold and has a dot.
    """
    facts = f"{incident.sentence} ({incident_facts(incident)})".replace("`", "")
    words = ROWS_AT_END.sub("", incident_headline(incident))
    link = links.link_cell(words, "incident", scope.about(incident.model), id=incident.id)
    since = incident_since(incident)
    row = table_row(
        {
            "severity": severity_cell(incident.shown_severity),
            "model": {"t": formatting.join_words(models), "sub": "controller" if incident.lead.analyzer == CONTROLLERS else None},
            "what": {
                **link,
                "dot": "Unread" if unread else None,
                "title": facts,
                "phone": " · ".join(filter(None, (incident.model and formatting.join_words(models), since, state))),
            },
            "since": {
                "t": since.removeprefix("since ") if since else formatting.DASH,
                "k": str(incident.onset or ""),
                "sub": formatting.NEWS_WORDS.get(incident.news or "") or None,
            },
            "trend": trend_cell(incident.findings),
            "size": size_cell([incident]),
            "source": source_cell(incident),
            "owner": owner,
            "state": state,
            "act": {"act": incident.id, "t": "Act on this incident"},
        }
    )
    return {**row, "tone": "unread"} if unread else row


def size_cell(found: Sequence[Incident]) -> Cell:
    """The number of affected rows, and their share if there is one incident and its leading finding states a share: the rise in points over
    the baseline of a rate. A dash if no incident is about predictions.
    """
    sizes = [size for incident in found if (size := incident_size(incident))]
    if not sizes:
        return {"t": formatting.DASH}
    rows, share = sum(size.rows for size in sizes), sizes[0].share if len(sizes) == 1 else None
    beyond = all(size.beyond_baseline for size in sizes)
    more = " more than at the baseline rate" if beyond else ""
    words = None if share is None else _rise_words(share) if beyond else formatting.format_share(share)
    models = formatting.plural(len(sizes), "model")
    return {
        "t": formatting.compact_count(rows),
        "k": rows,
        "sub": words,
        "title": f"{formatting.format_count(rows)} rows{more}{f' in {models}' if len(sizes) > 1 else ''}",
    }


def _rise_words(share: float) -> str:
    """A rise of a share over its baseline (0 or more) in points."""
    if share == 0:
        return "no rise"
    return "< 0.1 points" if 100 * share < 0.05 else change_in_words(100 * share, "points", 1)


def counted_incident_row(
    counted: CountedIncident, scope: Scope, owner: str | None = None, state: str | None = None, unread: bool = False
) -> dict[str, Any]:
    """A row for an incident, or for a fault that several incidents share and that is counted once (`inbox_row`, `shared_fault_row`)."""
    if counted.fault is not None:
        return shared_fault_row(counted.fault, scope, owner, state, unread)
    return inbox_row(counted.lead, counted.models, scope, owner, state, unread)


def shared_fault_row(
    fault: SharedFault, scope: Scope, owner: str | None = None, state: str | None = None, unread: bool = False
) -> dict[str, Any]:
    """One row for a fault that several models share. The row names the models and links to the fault's leading incident."""
    models = formatting.plural(len(fault.models), "model")
    row = inbox_row(fault.lead, (models,), scope, owner, state, unread)
    cells = row["cells"]
    worst = min((incident.shown_severity for incident in fault.incidents), key=SEVERITIES.index)
    title = f"{fault.sentence} A common cause is not tested. The worst: {cells['what']['title']}".replace("`", "")
    words = fault.sentence.split(" since ")[0]
    cells["severity"], cells["size"] = severity_cell(worst), size_cell(fault.incidents)
    cells["model"] = {"t": models, "sub": formatting.join_words(fault.models, 3), "title": ", ".join(fault.models)}
    cells["what"] |= {"t": words, "title": title}
    return row


def incidents_table(
    key: str, caption: str, found: Sequence[Incident], scope: Scope, *, most: int = 12, models: bool = True, once: bool = False
) -> None:
    """Draw a table of incidents in their order. once: whether a fault that several models share has a single row, which is the case on
    Home.
    """
    if not found:
        empty_states.no_findings_state()
        return
    counted = counted_incidents(found) if once else [CountedIncident((incident,)) for incident in found]
    rows = [incident_row(each.lead, scope, models=each.models) for each in counted]
    shown = [rows[place] for place in places_with_critical([each.lead for each in counted], most)]
    draw_table(key, caption, [STATUS, *([MODEL] if models else []), WHAT, SOURCE], shown, sort=True)
    show_all_button(key, most, len(rows), scope)


def places_with_critical(found: Sequence[Incident], most: int) -> list[int]:
    """The positions of the incidents that a table of `most` rows shows, in their order. If the table is too short for all, critical
    incidents are chosen first.
    """
    first = sorted(range(len(found)), key=lambda place: found[place].shown_severity != "act")
    return sorted(first[:most])


def incident_counts(found: Sequence[Incident]) -> str | None:
    """Return the numbers of critical incidents, of acknowledged ones and of warnings, one line each; None if there are no incidents."""
    return incident_action_counts(found).words.replace(", ", "\n") if found else None


def incident_selectbox(found: Sequence[Incident]) -> Incident | None:
    """Draw a box to open one incident, and return the incident. The address of the page has the id of the open incident."""
    missing = "The link names the incident {}, which is not in this window."
    claims = {incident.id: (incident.shown_severity, incident.sentence, incident) for incident in found}
    return claim_selectbox("incident", "Open an incident", claims, "All, folded", missing, "Search incidents")


def next_step_links(incident: Incident, scope: Scope) -> list[Cell]:
    """Links to the next pages: the page of the leading finding, and Changes. If the suspected source is the model, also Why it changed and
    the cases with the largest loss.
    """
    about = scope.about(incident.model)
    steps = [links.finding_link(incident.lead, scope, "Open the page that shows it")]
    if incident.source == "model" and incident.model:
        steps.append(links.link_cell("Why it changed", "why_changed", about))
        steps.append(links.link_cell("Cases with the largest loss", "cases", about, inbox="Largest loss"))
    steps.append(links.link_cell("Changes", "changes", about))
    return [step for step in steps if step["go"]["page"] != "findings"]


def incident_card(incident: Incident, scope: Scope) -> None:
    """Draw the card of an incident, which stands above its findings."""
    with st.container(border=True):
        st.markdown(f"{formatting.status_label(incident.shown_severity)} **{formatting.sentence_markdown(incident.sentence)}**")
        icon = SOURCE_ICONS[incident.source]
        st.markdown(f":gray[Suspected source: {icon} {incident.source} · {formatting.escape_markdown(incident_facts(incident))}]")
        st.caption(
            "Findings consistent with one fault, the suspected source first. Grouped by onset, subject and known effects; "
            "causation is not tested."
        )
        with st.container(horizontal=True, gap="small"):
            page = links.link_cell("Open the incident", "incident", scope.about(incident.model), id=incident.id)
            link_button(page["t"], page, key="open-incident", icon="crisis_alert")
            for place, step in enumerate(next_step_links(incident, scope)):
                link_button(step["t"], step, key=f"next-{place}")
