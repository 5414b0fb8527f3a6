"""Cleaning :material/cleaning_services:
Rows dropped and changed by cleaning rules, run by run, and rules that differ from their earlier runs. Where a rule counts groups: the
share of rows that each group lost, and its share of all rows before and after. Cleaning runs belong to no single model.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import frame, load
from observability.dashboard.data import audit_effects, cleaning, cleaning_flow
from observability.dashboard.data.records_summary import begin_records_page
from observability.dashboard.overview import findings
from observability.dashboard.widgets import finding_lines

scope = begin_records_page("cleaning")
with frame.loading_skeleton(300):
    rows, window = frame.answer_or_stop(lambda: cleaning.cleaning_runs_in_scope(scope))
    found = load.scope_record_findings(scope, "data/cleaning")
if rows.empty:
    cleaning.no_cleaning_runs()
    st.stop()
st.markdown(cleaning.cleaning_summary(rows, found, window))
chosen = cleaning.chosen_cleaning_rule(rows, found)
cleaning.cleaning_rules_table(rows, found, chosen, scope)

own = rows[rows["subject"] == chosen]
if len(own):
    st.header(formatting.escape_markdown(cleaning.cleaning_rule_words(str(chosen))), anchor=False)
    said = cleaning.findings_about_rule(found, str(chosen))
    finding_lines(said)
    cleaning.cleaning_rate_chart(own, said)
    cleaning_flow.cleaning_flow_section(rows, str(chosen))
    cleaning.cleaning_runs_table(own)
    cleaning.cleaning_groups(own)
    audit_effects.audit_effects_section(window, own["dataset"].iloc[-1])

findings.findings_section("cleaning-findings", "Findings about cleaning", found, scope)
