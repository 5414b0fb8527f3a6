"""Audits :material/verified_user:
Tests of a model version that were run on purpose: robustness against cheap changes, noise, absent features and changed texts; membership,
whether training records can be told from others; explanations, whether they are stable and faithful. Each has an interval, a date on which
it expires, and holds for one version. Run one here or with the command `audit`, and accept its result as risk owner.
"""

import streamlit as st

from observability.dashboard import frame
from observability.dashboard.overview import findings
from observability.dashboard.trust import audits

here = frame.begin_model_page("audits")
found = findings.analyzer_findings(here, "trust/audits", wait=True)
known = audits.model_audits(here.model.name)
audits.start_section(here)
if known or here.model.settings.audit_schedule:
    audits.schedule_section(here, known)
if not known:
    audits.no_model_audits()
    st.stop()
audits.model_audits_table(here, known, found)
chosen = audits.chosen_audit(known, here.scope.version)
if chosen is not None:
    audits.audit_details(here, chosen)
    audits.sign_off_form(chosen)
findings.findings_section("audit-findings", "Findings about audits", found, here.scope)
