"""Incident :material/crisis_alert:
One fault on one screen: its leading metric with onset, usual range and changes; where it is, how sure it is, who is affected and what it
costs; the suspected source with evidence; example predictions; what to do next; and what people said about it. Findings of one fault are
grouped by onset, subject and known effects; causation is not tested.
"""

import streamlit as st

from observability.dashboard import frame, other_records
from observability.dashboard.overview import incident_actions, incident_page

scope = frame.begin_fleet_page("incident", anyway=bool(other_records.other_records_present()))
here = incident_page.open_incident(scope)
incident_page.incident_heading(here)
incident_actions.incident_action_buttons(here.incident, here.alert, "incident")
chart, facts = st.columns([3, 2], gap="medium") if incident_page.drawn_finding(here.incident) else (None, st.container())
if chart:
    with chart:
        incident_page.incident_figure(here)
with facts:
    incident_page.incident_facts_table(here)
evidence, work = st.columns([3, 2], gap="medium")
with evidence:
    st.subheader("Suspected source", anchor=False)
    incident_page.source_table(here)
    incident_page.related_findings(here)
    incident_page.example_predictions(here)
with work:
    st.subheader("Nearest changes", anchor=False)
    incident_page.nearest_changes(here)
    st.subheader("What to do", anchor=False)
    incident_page.what_to_do(here)
    st.subheader("Discussion", anchor=False)
    incident_actions.incident_history(here.alert)
    incident_actions.comment_form(here.incident, here.alert, "incident")
frame.sampling_notice([here.window] if here.window else [])
