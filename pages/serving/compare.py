"""Compare :material/compare_arrows:
Two windows, versions or slices of a model side by side, on the same bins: what differs beyond chance, and by as much as matters? Side A is what the
sidebar holds; side B is chosen here and is the window before (or the other version that serves) where nothing is chosen. Where both sides answered the
same requests, they are compared on exactly these rows.
"""

import streamlit as st

from observability.dashboard import export_report, frame, load
from observability.dashboard.serving import compare, compare_parts
from observability.export.csv import inert_csv

here = frame.begin_model("compare")
other = compare.choices(here)
with frame.loading(300):
    found = frame.guarded(lambda: load.comparison(here.window, other))

compare.sides(found)
compare_parts.verdict(found)
if not found.differences:
    st.stop()

compare_parts.overview(found)
compare_parts.pairs(here, found)
for section, title in compare_parts.SECTIONS.items():
    if rows := found.of(section):
        st.header(title, anchor=False)
        compare_parts.figures(section, title, rows, here)

compare_parts.inputs(here, found)

st.header("Take it along", anchor=False)
with st.container(horizontal=True, gap="small"):
    frame.download("compare.csv", lambda: inert_csv(compare_parts.long_frame(found.differences)), "All figures as CSV", key="all-csv")
    export_report.export_button(here.window, other)
