"""Batches :material/inventory_2:
What each source delivered: when, how many rows, how many of them were rejected, how long after capture, and which deliveries were late, missing, short or
spoilt beside the source's own earlier ones. Choose a source for its batches, and a batch for what it says of its columns; its predictions, how many of
them failed and what they cost stand beside it. Batches belong to no single model.
"""

from dataclasses import replace

import streamlit as st

from observability.core import formatting
from observability.dashboard import frame, load
from observability.dashboard import scope as scopes
from observability.dashboard.data import batches
from observability.dashboard.overview import findings

frame.heading("batches")
scope = replace(scopes.read(st.session_state), version=None, slice=None)
with frame.loading(300):
    rows, window = frame.guarded(lambda: batches.everything(scope))
    found = [each for each in load.record_findings(scope) if each.analyzer == "data/batches"]
if rows.empty and not found:
    batches.nothing_to_show()
    st.stop()
st.markdown(batches.summary(rows, found, window))
chosen = batches.choose(rows, found)
batches.sources_table(rows, found, chosen, scope)

own = rows[rows["source"] == chosen]
if len(own):
    st.header(formatting.plain(f"Batches of {chosen}"), anchor=False)
    said = batches.about(found, str(chosen))
    batches.claims(said)
    batches.chart(own, said, str(chosen))
    asked = st.query_params.get("batch")
    batches.batches_table(own, said, batches.served(window, scope, [str(each) for each in own["batch"]]), asked, scope, str(chosen))
    batches.detail(own, asked)

st.header("Findings", anchor=False)
findings.listed("findings", "Findings about batches", [each for each in found if each.severity != "ok"], scope)
findings.downloads(found, "batch-findings")
