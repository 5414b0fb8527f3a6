"""Gallery :material/palette:
One kind of figure in every state that pages can draw it in, with made-up values: empty, one point, small samples, huge and negative values,
missing values, long names, many columns. For developers: the page is there where `OBSERVABILITY_DEVELOPER=1` is set.
"""

import streamlit as st

from observability.dashboard import frame
from observability.dashboard.charts import gallery

frame.store_page_heading("gallery")
name = st.selectbox("Figure", list(gallery.FIGURES), key="gallery-figure", width=320)
left, right = st.columns(2)
for place, drawn in enumerate(gallery.gallery_figures(name)):
    with (left, right)[place % 2]:
        st.subheader(drawn.state.capitalize(), anchor=False)
        frame.plain_chart(drawn.figure, f"gallery-{place}", f"{name}: {drawn.state}")
