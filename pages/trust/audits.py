"""Audits :material/verified_user:
Tests of a model version that were run on purpose: robustness against cheap changes, noise, absent features and changed texts; membership,
whether training records can be distinguished from others; explanations, whether they are stable and faithful; fairness under shift, how
far groups would be apart in another population; data leakage, whether one feature alone predicts the label and held-out rows are among the
training rows; forms, what other precisions and threads change. Each result has an interval and an expiry date, and holds for one version.
Run one here or with the command `audit`, let the dashboard run them on a schedule, and accept results as risk owner.
"""

import streamlit as st

from observability.core.finding import worst_first
from observability.dashboard import frame
from observability.dashboard.overview import findings
from observability.dashboard.trust import audit_figures, audits, form_audits, scheduled_audits

here = frame.begin_model_page("audits", audits.EXAMPLE)
found = findings.analyzer_findings(here, "trust/audits", wait=True)
every = audits.model_audits(here.model.name)
about_forms = form_audits.form_findings(here, every)
with st.container(horizontal=True, gap="small"):
    audits.start_button(here)
    scheduled_audits.schedule_button(here)
audits.running_audit()
if not every:
    scheduled_audits.schedule_table(here, every)
    audits.no_model_audits()
    st.stop()
chosen = audits.chosen_audit(every, here.scope.version)
if chosen is not None:
    audits.audit_result(chosen, found)
    audit_figures.audit_figure(here, chosen, about_forms)
audits.model_audits_table(here, every, [*found, *about_forms])
scheduled_audits.schedule_table(here, every)
if chosen is not None:
    audit_figures.audit_details(here, chosen)
    audits.sign_off_form(chosen)
findings.findings_section("audit-findings", "Findings about audits", worst_first([*found, *about_forms]), here.scope)
