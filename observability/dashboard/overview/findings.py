"""How is a finding shown: as a row of a table, as a card with its evidence, as CSV and JSON?"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.core import formatting
from observability.core.finding import SEVERITIES, Finding, worst_first
from observability.dashboard import empty_states, frame, links
from observability.dashboard.choice_box import choose
from observability.dashboard.overview import window_comparison
from observability.dashboard.scope import Scope
from observability.dashboard.sidebar import BIND
from observability.dashboard.table import Cell, column, row, table
from observability.export.csv import inert_csv
from observability.incidents.grouping import Incident
from observability.incidents.grouping_rules import known

if TYPE_CHECKING:
    from pandas import DataFrame

EVIDENCE_WORDS = {
    "baseline": "Its value there",
    "baseline_n": "Rows behind that",
    "n_reference": "Rows of the reference",
    "null_95": "What chance alone stays under (95 %)",
    "p_value": "How often chance does this",
    "p_adjusted": "The same, corrected for all that was looked at",
    "label_maturity": "Share of labels that are in",
    "worse_by": "Worse by",
    "jensen_shannon_distance": "Jensen-Shannon distance",
    "kolmogorov_smirnov": "Kolmogorov-Smirnov D",
    "wasserstein": "Wasserstein distance (reference sd)",
    "l_infinity": "L-infinity distance",
    "mean_shift": "Shift of the mean (reference sd)",
    "missing_share": "Missing now",
    "missing_share_reference": "Missing in the reference",
    "importance": "Importance of the feature",
}
COLUMNS = (
    column("severity", "Status", width="6.5rem"),
    column("because", "What", wide=True, help="The claim in one sentence, and what it is called"),
    column("value", "Value", align="right", help="With its 95 % interval", width="9rem"),
    column("n", "n", align="right", help="Rows that the value rests on", width="5rem"),
)
MODEL_COLUMN = column("model", "Model", width="9rem")


def count_by_severity(findings: Sequence[Finding]) -> dict[str, int]:
    """How many there are of each severity, worst first."""
    return {severity: sum(each.severity == severity for each in findings) for severity in SEVERITIES}


def worst(findings: Sequence[Finding]) -> list[Finding]:
    """Worst first."""
    return worst_first(list(findings))


def listed(key: str, caption: str, findings: Sequence[Finding], scope: Scope, *, most: int = 50, models: bool = False) -> None:
    """A table of findings, worst first as they come; each sentence links to the page that shows it. models: say whose it is."""
    if not findings:
        empty_states.nothing_to_report()
        return
    columns = [COLUMNS[0], MODEL_COLUMN, *COLUMNS[1:]] if models else list(COLUMNS)
    table(key, caption, columns, [as_row(each, scope) for each in findings[:most]])
    if len(findings) > most:
        everything = links.link(f"The worst {most} of {len(findings):,}. Show all of them.", "findings", scope)
        st.button(
            everything["t"], type="tertiary", icon=":material/checklist:", key=f"{key}-all", on_click=links.go, args=(everything["go"],)
        )


def folded(findings: Sequence[Finding], leads: Mapping[str, Incident], kept: Finding | None = None) -> list[Finding]:
    """The findings without what is told under the lead of its incident, where the lead itself is among them. leads: incidents by the id of theirs; kept: a
    finding that stays.
    """
    here = {leads[each.id].id for each in findings if each.id in leads}
    return [each for each in findings if each.id in leads or each.incident not in here or each is kept]


def say_folded(hidden: int) -> None:
    """Says how many of the counted findings are folded, so that the counts and the list agree."""
    if hidden:
        words = formatting.plural(hidden, "of these is", "of these are")
        st.caption(f"{words} folded under the incident that they are part of; the downloads hold them as well.")


def as_row(
    finding: Finding, scope: Scope, *, selected: bool = False, details: bool = False, incident: Incident | None = None
) -> dict[str, Any]:
    """One finding as a table's row. details: its sentence leads to its evidence, not to the page that shows it. incident: the one that it stands for,
    with a second line that opens it.
    """
    own = {key: st.query_params[key] for key in ("analyzer", "subject") if details and key in st.query_params}
    target = (
        links.link(finding.because, "findings", scope, finding=finding.id, **own)
        if details
        else links.of_finding(finding, scope, finding.because)
    )
    return row(
        {
            "severity": {"s": finding.severity, "t": formatting.STATUS_WORDS[finding.severity]},
            "model": {"t": finding.model or "–", "sub": f"version {finding.version}" if finding.version else None},
            "because": {**target, "sub": term(finding)},
            "value": value_cell(finding),
            "n": {"t": f"{finding.n:,}"},
        },
        opening(incident, scope) if incident and incident.collateral else None,
        selected=selected,
    )


def opening(incident: Incident, scope: Scope) -> Cell:
    """The line under a lead: where the incident seems to come from, and a link that unfolds it."""
    said = f"With it {formatting.plural(len(incident.collateral), 'finding')}; suspected source: {incident.source}"
    return {"source": incident.source, **links.link(said, "findings", scope, incident=incident.id)}


def term(finding: Finding) -> str:
    """The term of art under the sentence: subject, metric, what it was held against, since when, which event."""
    parts = [formatting.metric_title(finding.metric)]
    if finding.subject != "model":
        parts.insert(0, finding.subject)
    if finding.slice:
        parts.append(formatting.condition(finding.slice))
    if finding.onset and known(finding) != "vague":
        parts.append(f"since {formatting.day(finding.onset)}{' or earlier' if known(finding) == 'open' else ''}")
    if finding.event:
        parts.append(f"after {finding.event.get('what', 'an event')} {str(finding.event.get('text', ''))[:60]}".strip())
    return " · ".join(parts)


def value_cell(finding: Finding) -> Cell:
    """Value over interval and limit; measured goes without saying, estimated and simulated are marked."""
    if finding.value is None:
        return {"t": formatting.DASH}
    under = []
    if finding.low is not None and finding.high is not None and finding.low < finding.high:
        under.append(f"{formatting.amount(finding.low, finding.unit)} to {formatting.amount(finding.high, finding.unit)}")
    if finding.limit is not None:
        under.append(f"limit {limit(finding)}")
    return {
        "t": formatting.amount(finding.value, finding.unit),
        "sub": "\n".join(under) or None,
        "mark": None if finding.basis == "measured" else finding.basis,
    }


def limit(finding: Finding) -> str:
    """The limit in the finding's unit."""
    if isinstance(finding.limit, tuple):
        return " to ".join(formatting.amount(each, finding.unit) for each in finding.limit)
    value = finding.limit
    return (
        formatting.amount(value, finding.unit)
        if finding.unit in ("share", "Wh", "gCO₂e") or value is None
        else f"{value:.4g}".replace("-", formatting.MINUS)
    )


def severity_filter() -> list[str]:
    """Which severities are chosen, none meaning all; in the address as words, and understood there as codes too."""
    codes = {words: code for code, words in formatting.STATUS_WORDS.items()}
    if "severity" not in st.session_state:
        asked = [formatting.STATUS_WORDS.get(each, each) for each in st.query_params.get_all("severity")]
        if asked:
            st.session_state["severity"] = [each for each in asked if each in codes]
    options = [formatting.STATUS_WORDS[each] for each in SEVERITIES]
    chosen = st.pills("Severity", options, selection_mode="multi", key="severity", bind=BIND)
    return [codes[each] for each in chosen]


def chooser(findings: Sequence[Finding]) -> Finding | None:
    """A box to choose one finding; its id stands in the address, and one that is not listed is said."""
    by_id = {each.id: each for each in findings}
    label = {key: f"{formatting.STATUS_WORDS[each.severity]}: {each.because}".replace("`", "")[:140] for key, each in by_id.items()}
    chosen = choose(
        "finding",
        "Show what a finding rests on",
        list(by_id),
        words=lambda key: label.get(key, key),
        placeholder="Choose a finding",
        missing="The link names the finding {}, which is not in this list.",
    )
    return by_id.get(chosen or "")


def card(finding: Finding, scope: Scope) -> None:
    """One finding with its evidence and a link to the page that shows it."""
    with st.container(border=True):
        st.markdown(f"{formatting.status(finding.severity)} **{formatting.sentence(finding.because)}**")
        st.caption(formatting.plain(term(finding)))
        facts = {
            "Model": f"{finding.model}, version {finding.version}",
            "Window": f"{formatting.span(finding.start, finding.end)} UTC",
            "Value": f"{formatting.amount(finding.value, finding.unit)} ({finding.unit}, {finding.basis})",
            "Interval": interval(finding),
            "Limit": limit(finding) if finding.limit is not None else formatting.DASH,
            "Rows": f"{finding.n:,}",
            "Held against": {"reference": "the reference", "past": "its own past", "level": "a stated level", "peers": "its peers"}[
                finding.against
            ],
            "Likely source": finding.likely_source or formatting.DASH,
            **{
                EVIDENCE_WORDS[key]: formatting.number(value)
                for key, value in finding.evidence.items()
                if key in EVIDENCE_WORDS and isinstance(value, int | float)
            },
        }
        st.table(
            {key: formatting.plain(value) for key, value in facts.items()},
            border="horizontal",
            width="content",
            alt="Evidence of the finding",
        )
        window_comparison.draw(finding)
        with st.container(horizontal=True):
            target = links.of_finding(finding, scope, "")
            if target["go"]["page"] != "findings":
                st.button("Open the page that shows it", icon=":material/arrow_forward:", on_click=links.go, args=(target["go"],))
            frame.explain(finding.metric)


def interval(finding: Finding) -> str:
    """The 95 % interval in words."""
    if finding.low is None or finding.high is None:
        return formatting.DASH
    return f"{formatting.amount(finding.low, finding.unit)} to {formatting.amount(finding.high, finding.unit)}"


def as_frame(findings: Sequence[Finding]) -> "DataFrame":
    """The findings as a flat table: the contract's fields, with the nested ones as JSON."""
    import pandas as pd

    rows = []
    for each in findings:
        body = each.to_json()
        body |= {"start": body["window"]["start"], "end": body["window"]["end"]}
        del body["window"]
        rows.append({key: json.dumps(value, default=str) if isinstance(value, dict | list) else value for key, value in body.items()})
    return pd.DataFrame(rows)


def downloads(findings: Sequence[Finding], name: str, *, what: str = "") -> None:
    """CSV and JSON of exactly these findings. what: goes before the words on the buttons where others stand beside them."""
    with st.container(horizontal=True, gap="small"):
        frame.download(f"{name}.csv", lambda: inert_csv(as_frame(findings)), f"{what}CSV", key=f"{name}-csv")
        frame.download(
            f"{name}.json",
            lambda: json.dumps([each.to_json() for each in findings], indent=1, default=str),
            f"{what}JSON",
            key=f"{name}-json",
            kind="application/json",
        )
