"""Edge fleet :material/phonelink:
Devices that serve a model away from the server, by version, firmware, class and ring: late answers, crashes, lack of memory, agreement with
the server, battery and memory, and whether the roll-out of a version may go on. Devices that collect data are on the page Devices.
"""

import streamlit as st

from observability.core.finding import worst_first
from observability.dashboard import frame, load_findings
from observability.dashboard.data.records_summary import begin_records_page
from observability.dashboard.overview import findings
from observability.dashboard.serving import device_agreement, edge_fleet
from observability.dashboard.widgets import leading_finding_line
from observability.metrics.edge_fleet import device_spans

scope = begin_records_page("edge_fleet")
with frame.loading_skeleton(300):
    reports, window = frame.answer_or_stop(lambda: edge_fleet.reports_in_scope(scope))
    everything = load_findings.scope_record_findings(scope, edge_fleet.judged.NAME)
if reports.empty:
    edge_fleet.no_reports()
    st.stop()
model = edge_fleet.one_model(reports, scope)
reports = reports[reports["model"] == model]
spans = device_spans(reports)
found = edge_fleet.fleet_findings(everything, model)
agreement = device_agreement.agreement_findings(scope, model)
edge_fleet.fleet_summary(model, reports, spans, window)
seen = edge_fleet.versions_seen(model, window)
edge_fleet.version_chart(reports, seen, found)
leading_finding_line([*found, *agreement])
edge_fleet.groups_table(spans)
device_agreement.server_agreement_section(agreement)
edge_fleet.ring_section(reports, model, seen)
edge_fleet.lag_chart(reports)
edge_fleet.restated_table(reports)
edge_fleet.late_answers_table(scope, model)
findings.findings_section(
    "edge-findings", "Findings about devices that serve models", worst_first([*found, *agreement]), scope, models=True
)
