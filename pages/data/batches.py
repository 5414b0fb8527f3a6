"""Batches :material/inventory_2:
Deliveries of each source: arrival, rows, rejected rows, delay after capture, and which deliveries were late, missing, short or corrupted
compared with earlier ones of the same source. Choose a source to see its batches, and a batch to see its column statistics; the table
includes the outcomes and the cost of its predictions. Batches belong to no single model.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import frame, load_findings
from observability.dashboard.data import batches, lineage_view
from observability.dashboard.data.records_summary import begin_records_page
from observability.dashboard.overview import findings
from observability.dashboard.widgets import finding_lines
from observability.metrics.lineage import Thing

scope = begin_records_page("batches")
with frame.loading_skeleton(300):
    rows, window = frame.answer_or_stop(lambda: batches.batches_in_scope(scope))
    found = load_findings.scope_record_findings(scope, "data/batches")
if rows.empty and not found:
    batches.no_batches()
    st.stop()
st.markdown(batches.batches_summary(rows, found, window))
chosen = batches.chosen_source(rows, found)
batches.sources_table(rows, found, chosen, scope)

own = rows[rows["source"] == chosen]
if len(own):
    st.header(formatting.escape_markdown(f"Batches of {chosen}"), anchor=False)
    said = batches.findings_about_source(found, str(chosen))
    finding_lines(said)
    batches.batch_chart(own, said, str(chosen))
    asked = st.query_params.get("batch")
    outcomes = batches.batch_outcomes(window, scope, list(map(str, own["batch"])))
    batches.batches_table(own, said, outcomes, asked, scope, str(chosen), window)
    named = asked if asked in set(map(str, own["batch"])) else None
    lineage_view.lineage_button(Thing("batch", (str(chosen), named)) if named else Thing("source", (str(chosen),)), scope, key="to-lineage")
    batches.batch_columns(str(chosen), window, asked)

findings.findings_section("batch-findings", "Findings about batches", found, scope)
