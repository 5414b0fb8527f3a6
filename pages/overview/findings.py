"""Findings :material/checklist:
Everything that was found in the window, worst first: of the chosen model, or of all. Findings of one fault are one incident: the finding nearest to its
source stands for it, and what comes with it is folded until the incident is opened or something is filtered. Filter by severity, analyzer and subject; choose
one to see what it rests on. The filters are in the address, and the downloads hold exactly what is listed, folded or not.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import empty_states, frame, load, other_records
from observability.dashboard.choice_box import choose
from observability.dashboard.overview import findings, incidents
from observability.dashboard.table import table

scope = frame.begin("findings", anyway=bool(other_records.there()))  # training runs and batches are judged before any model has answered
with frame.loading(240):
    report = frame.guarded(lambda: load.report(scope))
everything = report.findings
opened = incidents.chooser(report.incidents)
with st.container(horizontal=True, vertical_alignment="bottom"):
    severities = findings.severity_filter()
    analyzer = choose(
        "analyzer", "Analyzer", sorted({each.analyzer for each in everything}), placeholder="All", width=220,
        missing="The link names the analyzer {}, which found nothing here.",
    )  # fmt: skip
    subject = choose(
        "subject", "Subject", sorted({each.subject for each in everything}), placeholder="All", width=220,
        missing="The link names the subject {}, about which nothing was found here.",
    )  # fmt: skip
shown = [
    each
    for each in everything
    if (not severities or each.severity in severities)
    and (not analyzer or each.analyzer == analyzer)
    and (not subject or each.subject == subject)
    and (opened is None or each.incident == opened.id)
]
frame.still_looking([load.window(scope, each.name) for each in load.catalog().models if scope.model in (None, each.name)])
counts = findings.count_by_severity(shown)
st.markdown(
    " ".join(f"{formatting.status(severity, f'{n:,} {formatting.STATUS_WORDS[severity].lower()}')}" for severity, n in counts.items() if n)
    or "None."
)
if not everything:
    empty_states.no_rows("findings")
    st.stop()
if opened:
    incidents.card(opened, scope)
    lead = opened.lead.id
    shown.sort(key=lambda each: each.id != lead)
chosen = findings.chooser(shown)
if chosen:
    findings.card(chosen, scope)
columns = [findings.COLUMNS[0], findings.MODEL_COLUMN, *findings.COLUMNS[1:]]
leads = {each.lead.id: each for each in report.incidents}
folds = not (opened or analyzer or subject)
listed = findings.folded(shown, leads, chosen) if folds else shown
findings.say_folded(len(shown) - len(listed))
table(
    "list",
    "Findings, worst first",
    columns,
    [
        findings.as_row(each, scope, selected=each is chosen, details=True, incident=leads.get(each.id) if folds else None)
        for each in listed[:100]
    ],
)
if len(listed) > 100:
    st.caption(f"The first 100 of {len(listed):,}; the downloads hold all of them.")
findings.downloads(shown, "findings")
