"""Slices :material/pie_chart:
Which slices are worse, and which changed more than the rest? Every level of every category, bands of numbers, replicas, devices and pairs
of them are tested on a bounded sample, corrected for all tests. A change shared by all rows names no slice. A click on a slice opens its
performance page.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import empty_states, frame
from observability.dashboard.compared_features import compared_features_note
from observability.dashboard.overview import findings
from observability.dashboard.serving import slice_search
from observability.dashboard.widgets import claim_line, leading_finding_line

here = frame.begin_model_page("slices")
compared_features_note([column.name for column in here.model.features()], here.model.settings)
found = findings.analyzer_findings(here, slice_search.ANALYZER, wait=True)
urgent, summary = slice_search.split_slice_findings(found)
leading_finding_line(urgent)
if summary is not None and not urgent:
    claim_line(summary.because, quiet=True)
slice_search.watched_slices_section(here, found)
if summary is None or not summary.evidence.get("ranked"):
    step = "Choose a longer window, register this version with held-out predictions, or wait for labels."
    empty_states.stop_without_result(found, "No slice can be compared yet.", step, "add_model", "Register")

metric = slice_search.slice_metric_box(here, summary)
corrected = "Significance is corrected for all slices."
st.header("Largest changes", anchor=False, help=f"{formatting.sentence_markdown(summary.because)} {corrected}" if urgent else corrected)
slice_search.changed_slices_section(here, summary, metric, urgent)
st.header("Weakest slices", anchor=False)
slice_search.weakest_slices_section(here, summary)

findings.findings_section("slices", "Findings about slices", found, here.scope)
