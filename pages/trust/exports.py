"""Exports :material/outbound:
Data that left the organisation: recipient, columns, rows, transform, legal basis, and k of each export; the privacy loss of noised
releases against the budget of their recipient; hashes that enclaves attested; canaries that came back in predictions; and the checklist
of training on third-party machines. Files that this product made are listed separately. Exports are logged with `log.export(…)`.
"""

import streamlit as st

from observability.dashboard import frame
from observability.dashboard.data.records_summary import begin_records_page
from observability.dashboard.overview import findings
from observability.dashboard.trust import exports
from observability.dashboard.widgets import leading_finding_line

scope = begin_records_page("exports")
with frame.loading_skeleton(300):
    page = frame.answer_or_stop(lambda: exports.load_exports(scope))
if not page.ledger.events and not page.own:
    exports.no_exports()
    st.stop()
exports.exports_summary(page)
leading_finding_line(page.findings)
if page.ledger.events:
    exports.budget_chart(page)
    exports.recipients_table(page)
    exports.level_form(page)
if page.recent:
    exports.ledger_table(page)
    exports.checklist_section(page)
exports.own_files_section(page)
findings.findings_section("export-findings", "Findings about exports", page.findings, scope, models=True)
