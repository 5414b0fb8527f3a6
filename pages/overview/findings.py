"""Findings :material/checklist:
All findings of the window: of the chosen model, or of all. What is critical and not acknowledged comes first. Findings of one fault
are one incident: its lead, the finding nearest to the source, is listed, and related findings are folded until the incident is opened or
a filter is set. Filter by severity, analyzer and subject; choose a finding for its evidence. Filters are in the address; downloads
contain the listed findings, folded or not.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import empty_states, frame, load, load_findings, open_tasks, other_records
from observability.dashboard.choice_box import address_selectbox
from observability.dashboard.overview import findings, incidents, trend
from observability.dashboard.table import draw_table
from observability.dashboard.widgets import cut_note

scope = frame.begin_fleet_page(
    "findings", anyway=bool(other_records.other_records_present())
)  # training runs and batches may be logged before the first prediction
with frame.loading_skeleton(240):
    report = frame.answer_or_stop(lambda: load_findings.scope_report(scope))
everything = report.findings
of_incident, of_finding = st.columns(2, vertical_alignment="bottom")
with of_incident:
    opened = incidents.incident_selectbox(report.incidents)


def filter_box(name: str, missing: str) -> str | None:
    """The box that filters by a field of findings."""
    values = sorted({getattr(finding, name) for finding in everything})
    return address_selectbox(name, name.capitalize(), values, placeholder="All", width=220, missing=missing)


with st.container(horizontal=True, vertical_alignment="bottom"):
    severities = findings.severity_filter()
    analyzer = filter_box("analyzer", "The link names the analyzer {}, which has no findings here.")
    subject = filter_box("subject", "The link names the subject {}, which has no findings here.")
shown = [
    finding
    for finding in everything
    if (not severities or finding.shown_severity in severities)
    and (not analyzer or finding.analyzer == analyzer)
    and (not subject or finding.subject == subject)
    and (opened is None or finding.incident == opened.id)
]
frame.sampling_notice([load.window(scope, model.name) for model in load.catalog().models if scope.model in (None, model.name)])
counts = findings.severity_counts(shown)
labels = [formatting.status_label(severity, f"{n:,} {formatting.STATUS_WORDS[severity]}") for severity, n in counts.items() if n]
st.markdown(" ".join(labels) or "None.")
findings.failed_analyses_note(everything)
if not everything:
    empty_states.no_rows_state("findings")
    st.stop()
if opened:
    incidents.incident_card(opened, scope)
    lead = opened.lead.id
    shown.sort(key=lambda finding: finding.id != lead)
with of_finding:
    chosen = findings.finding_selectbox(shown)
if chosen:
    findings.finding_card(chosen, scope)
folds = not (opened or analyzer or subject)
leads = {incident.lead.id: incident for incident in report.incidents} if folds else {}
unfolded = findings.unfolded_findings(shown, leads, chosen)
listed = findings.findings_to_act_on(unfolded, severities, chosen)
listed = listed or ([] if folds else unfolded)  # a reader who asks for one analyzer is also shown its findings that are OK
findings.folded_note(len(shown) - len(unfolded), [finding for finding in unfolded if finding not in listed])
columns = [findings.COLUMNS[0], findings.MODEL_COLUMN, *findings.COLUMNS[1:], findings.ACT_COLUMN]
rows = [
    findings.finding_row(finding, scope, selected=finding is chosen, details=True, incident=leads.get(finding.id))
    for finding in listed[:100]
]
if rows:
    columns = trend.without_empty_trend(columns, rows)
    acts = open_tasks.acting_options(report.incidents)
    draw_table("list", "Findings, most urgent first", columns, rows, sort=True, remembers="findings", **acts)
cut_note(len(listed), 100, "The first {0} of {1}; all are in the downloads.")
findings.findings_downloads(shown, "findings")
open_tasks.asked_dialog(report.incidents)
