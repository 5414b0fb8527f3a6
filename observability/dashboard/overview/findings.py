"""Findings on pages: as rows of a table, as a card with evidence, as CSV and JSON."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import streamlit as st

from observability.core import formatting
from observability.core.finding import FAILED, SEVERITIES, Finding, finding_details, needs_action
from observability.core.small_groups import findings_for_files, rows_of_finding
from observability.dashboard import empty_states, frame, links, load, load_findings, sign_in, time_zone
from observability.dashboard.cells import severity_cell
from observability.dashboard.choice_box import address_selectbox
from observability.dashboard.overview import window_comparison
from observability.dashboard.overview.trend import TREND, trend_cell, without_empty_trend
from observability.dashboard.paged_names import searched_options
from observability.dashboard.scope import BIND, Scope
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import finding_news, is_shown_above, link_button
from observability.export.csv import inert_csv
from observability.incidents.grouping import Incident
from observability.proofs.service import STATED_ERRORS
from observability.server.access import may_do

if TYPE_CHECKING:
    from pandas import DataFrame

Item = TypeVar("Item")
EVIDENCE_WORDS = {
    "baseline": "Baseline value",
    "baseline_n": "Rows of the baseline",
    "n_reference": "Rows of the reference",
    "null_95": "95 % point of the null distribution",
    "p_value": "p-value",
    "p_adjusted": "p-value, corrected for multiple tests",
    "label_maturity": "Label maturity",
    "worse_by": "Worse by",
    "jensen_shannon_distance": "Jensen-Shannon distance",
    "kolmogorov_smirnov": "Kolmogorov-Smirnov D",
    "wasserstein": "Winsorised Wasserstein distance (reference sd)",
    "l_infinity": "L-infinity distance",
    "value_shift": "Mean shift (reference sd)",
    "mean_shift": "Winsorised mean shift (reference sd)",
    "missing_share": "Missing now",
    "missing_share_reference": "Missing in the reference",
    "importance": "Feature importance",
}
COLUMNS = (
    column("severity", "Status", width="6.5rem"),
    column("because", "What", wide=True, help="The claim, with subject and metric below"),
    TREND,
    column("value", "Value", align="right", help="With its 95 % interval", width="9rem", phone=False),
    column("n", "n", align="right", help="Rows behind the value", width="5rem", phone=False),
)
BASELINES = {"reference": "reference", "past": "own past", "level": "fixed level", "peers": "peers"}
"""Words for the values of a finding's field `against`."""
FEW_UNKNOWN = 3
"""Maximum number of findings of severity `unknown` that are listed among the others."""
FEW_MODELS = 3
"""Maximum number of models with a failed analysis that are named."""
MODEL_COLUMN = column("model", "Model", width="9rem", phone=False)
ACT_COLUMN = column("act", "", width="3rem", phone=False)
"""The column with the button of a row whose finding leads an incident."""


def severity_counts(findings: Sequence[Finding]) -> dict[str, int]:
    """Return the number of findings by displayed severity, worst first. Acknowledged findings still count as critical."""
    return {severity: sum(finding.shown_severity == severity for finding in findings) for severity in SEVERITIES}


def findings_table(key: str, caption: str, findings: Sequence[Finding], scope: Scope, *, most: int = 50, models: bool = False) -> None:
    """Draw a table of findings in their order; each sentence links to the page that shows the finding. models: whether there is a column
    for the model.
    """
    if not findings:
        empty_states.no_findings_state()
        return
    columns = [COLUMNS[0], MODEL_COLUMN, *COLUMNS[1:]] if models else list(COLUMNS)
    rows = [finding_row(finding, scope) for finding in findings[:most]]
    draw_table(key, caption, without_empty_trend(columns, rows), rows, sort=True, remembers="findings")
    show_all_button(key, most, len(findings), scope)


def analyzer_findings(here: frame.ModelPage, analyzer: str, *, wait: bool = False) -> list[Finding]:
    """Return the findings of one analyzer in a page's window, which are computed while a skeleton is shown. wait: whether to also compute
    findings from samples.
    """
    with frame.loading_skeleton(300):
        return [finding for finding in load_findings.findings_in_window(here.window, wait=wait) if finding.analyzer == analyzer]


def stop_without_comparison(found: Sequence[Finding]) -> NoReturn:
    """Stop a page whose findings have nothing to compare with, and show the next step. It is to register a reference, unless the analysis
    failed.
    """
    step = "Register this version with held-out predictions, or choose a longer window."
    empty_states.stop_without_result(found, "Nothing can be compared yet.", step, "add_model", "Register")


def show_all_button(key: str, most: int, total: int, scope: Scope) -> None:
    """Draw the button that leads to all findings, if a table shows only some of them."""
    if total > most:
        everything = links.link_cell(f"{most} of {total:,} shown: show all", "findings", scope)
        link_button(everything["t"], everything, key=f"{key}-all", icon="checklist")


def findings_section(key: str, caption: str, findings: Sequence[Finding], scope: Scope, *, models: bool = False) -> None:
    """Draw the findings of one page that are not `ok`, and the downloads of all its findings.

    key: name of the files. models: whether to show the model of each finding.
    """
    st.header("Findings", anchor=False)
    open_findings_tables(caption, findings, scope, models=models)
    findings_downloads(findings, key)


def open_findings_tables(caption: str, findings: Sequence[Finding], scope: Scope, *, models: bool = False) -> None:
    """Draw the findings that are not `ok`. Two kinds are in folded tables: findings that the page has shown above, and findings of severity
    `unknown` if there are several.
    """
    unknown = [finding for finding in findings if finding.severity == "unknown"]
    few = unknown if len(unknown) <= FEW_UNKNOWN else []
    listed = [*(finding for finding in findings if finding.needs_action), *few]
    shown = [finding for finding in listed if is_shown_above(finding)]
    others = [finding for finding in listed if finding not in shown]
    if others or (not shown and any(finding.severity == "ok" for finding in findings)):
        findings_table("findings", caption, others, scope, models=models)
    elif not shown:
        empty_states.nothing_judged_state()
    if shown:
        words = f"{formatting.plural(len(shown), 'finding')} shown above, with value and limit"
        with st.expander(words, icon=":material/table_rows:", key="findings-above"):
            findings_table("above", f"{caption}, shown above" if others else caption, shown, scope, models=models)
    if unknown and not few:
        with st.expander(f"{len(unknown)} cannot be judged", icon=":material/help:", key="unknown-findings"):
            findings_table("unknown", f"{caption}, unknown", unknown, scope, models=models)


def unfolded_findings(findings: Sequence[Finding], leads: Mapping[str, Incident], kept: Finding | None = None) -> list[Finding]:
    """Return the findings without those that belong to an incident whose lead is among the findings.

    leads: incidents by the id of their lead. kept: a finding that is always returned.
    """
    folded = {leads[finding.id].id for finding in findings if finding.id in leads}
    return [finding for finding in findings if finding.id in leads or finding.incident not in folded or finding is kept]


def findings_to_act_on(findings: Sequence[Finding], severities: Sequence[str], kept: Finding | None = None) -> list[Finding]:
    """Return the findings that need action. Findings of severity `unknown` are added if they are few or if nothing needs action. If
    `severities` are given, all findings are returned, because the caller has already filtered them. kept: a finding that is always
    returned.
    """
    if severities:
        return list(findings)
    few = sum(finding.shown_severity == "unknown" for finding in findings) <= FEW_UNKNOWN
    with_unknown = few or not any(needs_action(finding.shown_severity) for finding in findings)
    listed = ("act", "watch", "unknown") if with_unknown else ("act", "watch")
    return [finding for finding in findings if finding.shown_severity in listed or finding is kept]


def folded_note(related: int, others: Sequence[Finding]) -> None:
    """Draw how many of the counted findings are folded, under incidents and by status, so that the counts and the list agree."""
    parts = [f"{related:,} under incidents"] if related else []
    by_status = {formatting.STATUS_WORDS[name]: n for name, n in severity_counts(others).items() if n}
    parts += [f"{n:,} {status}" for status, n in by_status.items()]
    if parts:
        choose = f" Choose {' or '.join(by_status)} above to list them." if by_status else ""
        st.caption(f"Folded: {formatting.join_words(parts)}.{choose}")


def failed_analyses_note(found: Sequence[Finding]) -> None:
    """Say which analyses failed for which models, so that nobody takes their missing findings for good news. Nothing if none did.

    found: all findings of the scope, also those that a filter hides.
    """
    models: dict[str, list[str]] = {}
    for analyzer, model in sorted({(finding.analyzer, finding.model or "") for finding in found if finding.because.startswith(FAILED)}):
        page = links.analyzer_page(analyzer)
        models.setdefault(links.page_description(links.page_files()[page])[0] if page else analyzer, []).append(model)
    if models:
        told = [f"{title} of {_model_words(names)}" if any(names) else title for title, names in models.items()]
        words = formatting.escape_markdown("; ".join(told))
        st.markdown(f":gray[:material/help:] Failed, so without findings: {words}. Choose Unknown to see why.")


def _model_words(models: Sequence[str]) -> str:
    """The models by name, or their number if they are more than FEW_MODELS."""
    names = sorted({name for name in models if name})
    return formatting.join_words(names) if len(names) <= FEW_MODELS else formatting.plural(len(names), "model")


def finding_row(
    finding: Finding, scope: Scope, *, selected: bool = False, details: bool = False, incident: Incident | None = None
) -> dict[str, Any]:
    """One finding as a table row.

    details: whether the sentence links to the evidence of the finding instead of its page. incident: the incident that the finding leads,
    to which a second line links.
    """
    own = {key: st.query_params[key] for key in ("analyzer", "subject") if details and key in st.query_params}
    target = (
        links.link_cell(finding.because, "findings", scope, finding=finding.id, **own)
        if details
        else links.finding_link(finding, scope, finding.because)
    )
    return table_row(
        {
            "severity": severity_cell(finding.shown_severity),
            "model": {"t": finding.model or formatting.DASH, "sub": f"version {finding.version}" if finding.version else None},
            "because": {**target, "sub": finding_subtitle(finding)},
            "trend": trend_cell((finding,)),
            "value": finding_value_cell(finding),
            "n": {"t": rows_of_finding(finding)},
            "act": {"act": incident.id, "t": "Act on this incident"} if incident else {},
        },
        _incident_line(incident, scope) if incident and incident.collateral else None,
        selected=selected,
    )


def _incident_line(incident: Incident, scope: Scope) -> Cell:
    """The line under a lead: the number of related findings and the suspected source, as a link that unfolds the incident."""
    words = f"{formatting.plural(len(incident.collateral), 'related finding')}; suspected source: {incident.source}"
    return {"source": incident.source, **links.link_cell(words, "findings", scope, incident=incident.id)}


def finding_subtitle(finding: Finding) -> str:
    """The line under a finding's sentence: subject, metric, slice, onset, event."""
    parts = [formatting.metric_title(finding.metric)]
    if finding.subject != "model":
        parts.insert(0, finding.subject)
    if finding.slice:
        parts.append(formatting.slice_in_words(finding.slice))
    parts += finding_news(finding)
    if finding.acknowledged:
        parts.append("acknowledged")
    if finding.event:
        parts.append(f"after {finding.event.get('what', 'an event')} {formatting.truncate(str(finding.event.get('text', '')), 60)}".strip())
    return " · ".join(parts)


WRITTEN_UNITS = {"ms": " ms", "days": " days", "s": " s", "°C": " °C"}
"""Units that are written after a value in a table of findings about several metrics."""


def finding_value_cell(finding: Finding) -> Cell:
    """Return the cell of a value, with interval and limit below it; estimated and simulated values are marked."""
    if finding.value is None:
        return {"t": formatting.DASH}
    under = []
    if finding.low is not None and finding.high is not None and finding.low < finding.high:
        under.append(formatting.format_interval(finding.low, finding.high, finding.unit))
    if finding.limit is not None:
        under.append(f"limit {limit_in_words(finding)}")
    return {
        "t": formatting.format_value(finding.value, finding.unit, load.label_unit(finding.model)) + WRITTEN_UNITS.get(finding.unit, ""),
        "k": finding.value,
        "sub": "\n".join(under) or None,
        "mark": None if finding.basis == "measured" else finding.basis,
    }


def limit_in_words(finding: Finding) -> str:
    """Return the limit of a finding, in the finding's unit."""
    if isinstance(finding.limit, tuple):
        return " to ".join(formatting.format_value(end, finding.unit) for end in finding.limit)
    if finding.unit in ("share", "Wh", "gCO₂e", "h") or finding.limit is None:
        return formatting.format_value(finding.limit, finding.unit)
    form = ",.0f" if abs(finding.limit) >= 1000 else ".4g"
    return f"{finding.limit:{form}}".replace("-", formatting.MINUS)


def severity_filter() -> list[str]:
    """The severities that the reader chose; an empty list means all. The address holds words, but codes are also understood."""
    codes = {words: code for code, words in formatting.STATUS_WORDS.items()}
    if "severity" not in st.session_state:
        named = [formatting.STATUS_WORDS.get(word.lower(), word) for word in st.query_params.get_all("severity")]
        if named:
            st.session_state["severity"] = [word for word in named if word in codes]
    options = [formatting.STATUS_WORDS[severity] for severity in SEVERITIES]
    return [codes[word] for word in st.pills("Severity", options, selection_mode="multi", key="severity", bind=BIND)]


def finding_selectbox(findings: Sequence[Finding]) -> Finding | None:
    """Draw a box to choose one finding, whose id is in the address, and return the finding."""
    label, missing = "Show the evidence of a finding", "The link names the finding {}, which is not in this list."
    claims = {each.id: (each.shown_severity, each.because, each) for each in findings}
    return claim_selectbox("finding", label, claims, "Choose a finding", missing, "Search findings")


def claim_selectbox(
    key: str, label: str, claims: Mapping[str, tuple[str, str, Item]], placeholder: str, missing: str, search: str
) -> Item | None:
    """Draw a box of claims and return the chosen item; its id is the parameter `key` of the address. claims: severity, sentence and item by
    id. search: the label of the search field, which is shown if there are very many claims.
    """

    def words(identifier: str) -> str:
        severity, sentence, _ = claims[identifier]
        return f"{formatting.STATUS_WORDS[severity]}: {sentence}".replace("`", "")[:140]

    chosen = address_selectbox(key, label, list(claims), words=words, placeholder=placeholder, missing=missing, search=search)
    return claims[chosen][2] if chosen else None


def finding_card(finding: Finding, scope: Scope) -> None:
    """Draw one finding with its evidence and a link to the page that shows it."""
    with st.container(border=True):
        st.markdown(f"{formatting.status_label(finding.shown_severity)} **{formatting.sentence_markdown(finding.because)}**")
        st.caption(formatting.escape_markdown(finding_subtitle(finding)))
        for sentence in finding_details(finding):
            st.markdown(formatting.sentence_markdown(sentence))
        facts = {
            "Model": f"{finding.model}, version {finding.version}",
            "Window": time_zone.named_span(finding.start, finding.end),
            "Value": f"{formatting.format_value(finding.value, finding.unit)} ({', '.join(filter(None, (finding.unit, finding.basis)))})",
            "95 % interval": formatting.format_interval(finding.low, finding.high, finding.unit),
            "Limit": limit_in_words(finding) if finding.limit is not None else formatting.DASH,
            "Rows": rows_of_finding(finding),
            "Baseline": BASELINES[finding.against],
            "Likely source": finding.likely_source or formatting.DASH,
            **{
                EVIDENCE_WORDS[key]: formatting.format_number(value)
                for key, value in finding.evidence.items()
                if key in EVIDENCE_WORDS and isinstance(value, int | float)
            },
        }
        st.table(
            {key: formatting.escape_markdown(value) for key, value in facts.items()},
            border="horizontal",
            width="content",
            alt="Evidence of the finding",
        )
        window_comparison.window_comparison_table(finding)
        with st.container(horizontal=True):
            target = links.finding_link(finding, scope, "")
            if target["go"]["page"] != "findings":
                link_button("Open the page that shows it", target, quiet=False)
            query_popover([finding], "finding-query")
            frame.metric_help(finding.metric)


def query_popover(findings: Sequence[Finding], key: str) -> None:
    """Draw the popover with the SQL that computes a finding's value from raw rows. If there are several findings, one is chosen.

    Draws nothing if no finding has such a query.
    """
    proven = [finding for finding in findings if finding.proof]
    if not proven:
        return
    with st.popover("Show query", type="tertiary", icon=":material/database:", key=key, width="content"):
        chosen = proven[0]
        if len(proven) > 1:
            about = [f"{finding.subject} {finding.metric}" for finding in proven]
            offered = searched_options(range(len(proven)), "Search findings", key, words=about.__getitem__)
            place = st.selectbox("Finding", offered, format_func=lambda place: query_choice(proven[place]), key=f"{key}-choice") or 0
            chosen = proven[place]
        error = STATED_ERRORS.get(chosen.metric)
        bins = f" The value shown comes from bins and differs from the query's by at most {100 * error:.0f} %." if error else ""
        st.caption(f"This query gives the value from raw rows.{bins} Run it with `python -m observability sql QUERY`, or on the page SQL.")
        st.code(chosen.proof, language="sql", wrap_lines=True)
        if may_do(sign_in.current_person(), "query"):
            links.page_button("query", "Open on the page SQL", {"sql": chosen.proof})


def query_choice(finding: Finding) -> str:
    """Return the words for a finding in the box of queries: its subject, metric and value."""
    subject = [] if finding.subject == "model" else [finding.subject]
    of_slice = [formatting.slice_in_words(finding.slice)] if finding.slice else []
    parts = [*subject, formatting.metric_title(finding.metric), *of_slice, formatting.format_value(finding.value, finding.unit)]
    return " · ".join(parts)


def findings_frame(findings: Sequence[Finding]) -> "DataFrame":
    """Return the findings as a flat table with the fields of the contract; nested fields are JSON."""
    import pandas as pd

    rows = []
    for finding in findings:
        body = finding.to_json()
        body |= {"start": body["window"]["start"], "end": body["window"]["end"]}
        del body["window"]
        rows.append({key: json.dumps(value, default=str) if isinstance(value, dict | list) else value for key, value in body.items()})
    return pd.DataFrame(rows)


def findings_downloads(findings: Sequence[Finding], name: str, *, what: str = "") -> None:
    """Draw the downloads of these findings as CSV and JSON, without figures of groups of few rows, and the popover with the queries for
    their values.

    what: the beginning of the buttons' labels, if the page has other download buttons.
    """
    with st.container(horizontal=True, gap="small"):
        query_popover(findings, f"{name}-query")
        frame.download_button(
            f"{name}.csv", lambda: inert_csv(findings_frame(findings_for_files(findings))), f"{what}CSV", key=f"{name}-csv"
        )
        frame.download_button(
            f"{name}.json",
            lambda: json.dumps([finding.to_json() for finding in findings_for_files(findings)], indent=1, default=str),
            f"{what}JSON",
            key=f"{name}-json",
            kind="application/json",
        )
