"""Cleaning :material/cleaning_services:
What cleaning rules dropped and changed, run by run, and which of them do more or less than in their earlier runs. Where a rule counts groups: what share of
its rows each group lost, against the others, and its share of all rows before and after. Cleanings belong to no single model.
"""

from dataclasses import replace

import streamlit as st

from observability.core import formatting
from observability.dashboard import frame, load
from observability.dashboard import scope as scopes
from observability.dashboard.data import batches, cleaning
from observability.dashboard.overview import findings

frame.heading("cleaning")
scope = replace(scopes.read(st.session_state), version=None, slice=None)
with frame.loading(300):
    rows, window = frame.guarded(lambda: cleaning.everything(scope))
    found = [each for each in load.record_findings(scope) if each.analyzer == "data/cleaning"]
if rows.empty:
    cleaning.nothing_to_show()
    st.stop()
st.markdown(cleaning.summary(rows, found, window))
chosen = cleaning.choose(rows, found)
cleaning.rules_table(rows, found, chosen, scope)

own = rows[rows["subject"] == chosen]
if len(own):
    st.header(formatting.plain(cleaning.words(str(chosen))), anchor=False)
    said = cleaning.about(found, str(chosen))
    batches.claims(said)
    cleaning.chart(own, said)
    cleaning.runs_table(own)
    cleaning.groups(own)

st.header("Findings", anchor=False)
findings.listed("findings", "Findings about cleaning", [each for each in found if each.severity != "ok"], scope)
findings.downloads(found, "cleaning-findings")
