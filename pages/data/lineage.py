"""Lineage :material/account_tree:
Origins and products of one item: devices, batches, datasets, cleaning rules, labelling projects, training runs, model versions,
predictions. Only links that records name are drawn. Upstream is drawn above the chosen item, downstream below it.
"""

import streamlit as st

from observability.dashboard import frame
from observability.dashboard.data import lineage_view
from observability.dashboard.data.records_summary import begin_records_page

scope = begin_records_page("lineage")
with frame.loading_skeleton(300):
    found = frame.answer_or_stop(lineage_view.all_links)
if not found.things:
    lineage_view.no_lineage()
    st.stop()
centre = lineage_view.chosen_thing(found, scope)
if centre is None:
    lineage_view.no_lineage()
    st.stop()
lineage_view.lineage_section(centre, lineage_view.DEPTH, scope)
