"""Batch gate :material/inventory_2:
Batches of predictions, checked before they are used: expected keys, lateness, duplicates, default scores, and drift of the scores against
earlier batches. The rules hold a batch; a person may release it, or hold another. The command `gate` gives a scheduler the same decision.
"""

import streamlit as st

from observability.dashboard import frame
from observability.dashboard.overview import findings
from observability.dashboard.serving import batch_gate

here = frame.begin_model_page("batch_gate", batch_gate.EXAMPLE)
found = findings.analyzer_findings(here, "serving/batch_gate", wait=True)
if not batch_gate.batches_section(here, found):
    st.stop()
findings.findings_section("batch-gate", "Findings about batches", found, here.scope)
