"""Compare :material/compare_arrows:
Two windows, versions or slices of a model side by side, on the same bins: which differences are significant and relevant? Side A is the
scope of the page; side B is chosen here, by default the previous window or the other serving version. Where both sides served the same
requests, they are also compared on exactly these rows.
"""

import streamlit as st

from observability.dashboard import export_report, frame, load
from observability.dashboard.serving import compare, compare_parts
from observability.dashboard.widgets import csv_button

here = frame.begin_model_page("compare")
other = compare.side_b_boxes(here)
with frame.loading_skeleton(300):
    found = frame.answer_or_stop(lambda: load.window_comparison_of(here.window, other))

compare.compared_sides_table(found)
compare_parts.comparison_verdict(found)
if not found.differences:
    st.stop()

compare_parts.forest_section(found)
compare_parts.paired_rows_section(here, found)
for section, title in compare_parts.SECTIONS.items():
    if rows := found.of(section):
        opened = section == "performance" and not found.of("pairs")  # metrics on the same rows stand above
        with st.expander(compare_parts.section_label(title, rows), expanded=opened, key=f"section-{section}"):
            compare_parts.differences_section(section, title, rows, here)

compare_parts.distances_section(here, found)

with st.container(horizontal=True, gap="small"):
    csv_button("compare", lambda: compare_parts.differences_frame(found.differences), key="all-csv", label="All metrics as CSV")
    export_report.evidently_report_popover(here.window, other)
