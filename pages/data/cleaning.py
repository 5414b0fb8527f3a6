"""Cleaning :material/cleaning_services:
Rows dropped and changed by cleaning rules, run by run, and rules that differ from their earlier runs; where a rule counts groups, the share
of rows that each group lost. Audits of datasets: duplicates, conflicting labels, leaks, and the effect on a model of dropping those rows.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import frame, load_findings
from observability.dashboard.data import cleaning, cleaning_flow, data_audit, lineage_view
from observability.dashboard.data.records_summary import begin_records_page
from observability.dashboard.overview import findings
from observability.dashboard.widgets import finding_lines
from observability.metrics.lineage import Thing

scope = begin_records_page("cleaning")
with frame.loading_skeleton(300):
    rows, window = frame.answer_or_stop(lambda: cleaning.cleaning_runs_in_scope(scope))
    found = load_findings.scope_record_findings(scope, "data/cleaning")
    audits = data_audit.audits_of_model(scope.model)
if rows.empty and not audits:
    cleaning.no_cleaning_runs()
    st.stop()
if cleaning.chosen_view(bool(len(rows)), bool(audits)) == cleaning.AUDITS:
    st.markdown(data_audit.audits_summary(audits, found))
    audit, before = data_audit.chosen_audit(audits, found)
    data_audit.data_audit_section(audit, before, found, scope)
    data_audit.other_findings(audit, found, scope)
else:
    of_rules = cleaning.findings_about_rules(found)
    st.markdown(cleaning.cleaning_summary(rows, of_rules, window))
    chosen = cleaning.chosen_cleaning_rule(rows, of_rules)
    cleaning.cleaning_rules_table(rows, of_rules, chosen, scope)
    own = rows[rows["subject"] == chosen]
    if len(own):
        st.header(formatting.escape_markdown(cleaning.cleaning_rule_words(str(chosen))), anchor=False)
        said = cleaning.findings_about_rule(found, str(chosen))
        finding_lines(said)
        cleaning.cleaning_rule_actions(str(chosen), own, said)
        cleaning.cleaning_rate_chart(own, said)
        cleaning_flow.cleaning_flow_section(rows, str(chosen))
        cleaning.cleaning_runs_table(own)
        cleaning.cleaning_groups(own)
        lineage_view.lineage_button(Thing("rule", (own["dataset"].iloc[-1] or "", own["rule"].iloc[-1])), scope, key="to-lineage")
    findings.findings_section("cleaning-findings", "Findings about cleaning", found, scope)
