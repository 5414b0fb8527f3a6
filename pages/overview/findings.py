"""Findings :material/checklist:
Everything that was found in the window, worst first: of the chosen model, or of all. Filter by severity, analyzer and subject; choose one to see
what it rests on. The filters are in the address, and the downloads hold exactly what is listed.
"""

import streamlit as st

from observability.views import empty, findings, frame, load, text
from observability.views.choice import choose
from observability.views.table import table

scope = frame.begin("findings")
with st.skeleton(height=240):
    everything = frame.guarded(lambda: load.report(scope))

with st.container(horizontal=True, vertical_alignment="bottom"):
    severities = findings.severity_filter()
    analyzer = choose(
        "analyzer", "Analyzer", sorted({each.analyzer for each in everything}), placeholder="All", width=220,
        missing="The link names the analyzer {}, which found nothing here.",
    )  # fmt: skip
    subject = choose(
        "subject", "Subject", sorted({each.subject for each in everything}), placeholder="All", width=220,
        missing="The link names the subject {}, about which nothing was found here.",
    )  # fmt: skip
shown = [
    each
    for each in everything
    if (not severities or each.severity in severities)
    and (not analyzer or each.analyzer == analyzer)
    and (not subject or each.subject == subject)
]
counts = findings.count_by_severity(shown)
st.markdown(
    " ".join(f"{text.status(severity, f'{n:,} {text.STATUS_WORDS[severity].lower()}')}" for severity, n in counts.items() if n) or "None."
)
if not everything:
    empty.no_rows("findings")
    st.stop()
chosen = findings.chooser(shown)
if chosen:
    findings.card(chosen, scope)
columns = [findings.COLUMNS[0], findings.MODEL_COLUMN, *findings.COLUMNS[1:]]
table(
    "list", "Findings, worst first", columns, [findings.as_row(each, scope, selected=each is chosen, details=True) for each in shown[:100]]
)
if len(shown) > 100:
    st.caption(f"The first 100 of {len(shown):,}; the downloads hold all of them.")
findings.downloads(shown, "findings")
