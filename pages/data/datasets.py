"""Datasets :material/dataset:
Every version of every dataset that was logged: when it was made and from what, how many rows, which versions hold the same content, which rules cleaned it
and which training runs name it. A name and version that stands for two contents is named: what was trained on it cannot be told. Datasets belong to no single
model, and all dates are shown.
"""

from dataclasses import replace

import streamlit as st

from observability.core import formatting
from observability.dashboard import frame, load
from observability.dashboard import scope as scopes
from observability.dashboard.data import datasets
from observability.dashboard.overview import findings

frame.heading("datasets")
scope = replace(scopes.read(st.session_state), version=None, slice=None)
with frame.loading(300):
    made = frame.guarded(datasets.everything)
    found = [each for each in load.record_findings(scope) if each.analyzer == "data/datasets"]
if not made:
    datasets.nothing_to_show()
    st.stop()
st.markdown(datasets.summary(made))
chosen = datasets.choose(made)
datasets.datasets_table(made, chosen, scope)
own = [each for each in made if each.name == chosen]
asked = st.query_params.get("version_of_data")
st.header(formatting.plain(chosen), anchor=False)
datasets.versions_table(own, scope, asked)
datasets.detail(next((each for each in own if each.content.version == asked), own[-1]), scope)

st.header("Findings", anchor=False)
findings.listed("findings", "Findings about datasets", [each for each in found if each.severity != "ok"], scope)
findings.downloads(found, "dataset-findings")
