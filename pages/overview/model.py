"""Model :material/deployed_code:
One model in its window: its incidents, then availability, inputs, outcomes, fairness, drivers, cost and changes. Each answer is a sentence
with its status, a small chart where it helps, and a link to the page with details.
"""

import streamlit as st

from observability.dashboard import distributions, frame, load_findings, model_answers
from observability.dashboard.data import lineage_view
from observability.dashboard.overview import card, incidents, model_status
from observability.metrics.lineage import Thing

here = frame.begin_model_page("model")
status = model_status.load_model_status(here.scope, here.model)
(status,), _ = model_status.with_records([status], load_findings.scope_record_findings(here.scope))  # the incidents that Home counts for it

with st.container(horizontal=True, vertical_alignment="center"):
    card.model_card_button(here.model)
    if version := distributions.analyzed_version(here.model, status.window, here.scope.version)[0]:
        lineage_view.lineage_button(Thing("version", (here.model.name, version.name)), here.scope, key="to-lineage")
    frame.sampling_notice([status.window])
if status.incidents or status.predictions:
    incidents.incidents_table("incidents", f"Incidents of {here.model.name}, most urgent first", status.incidents, here.scope, models=False)
for question in model_answers.QUESTIONS if status.predictions else model_answers.WITHOUT_PREDICTIONS:
    with st.container(border=True):
        question(here, status)
