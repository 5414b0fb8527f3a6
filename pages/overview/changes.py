"""Changes :material/history:
Everything that may explain a change, and everything that was decided, in one list: deploys, data versions, thresholds, guidelines, incidents, complaints,
versions that were registered, alerts, frozen weeks, decisions, signatures, actions, verdicts, audits. What people said in the last seven days stands
above, whatever dates are looked at. Search it, filter it, take it along as CSV.
"""

import streamlit as st

from observability.dashboard import empty_states, frame, load, other_records
from observability.dashboard.overview import changes
from observability.dashboard.review import load_review
from observability.dashboard.sidebar import BIND
from observability.dashboard.table import table
from observability.export.csv import inert_csv

scope = frame.begin("changes", anyway=bool(other_records.there()))  # events and datasets come before any model has answered
start, end = load.span_of(scope)
now = load.now()
entries = load_review.ledger(scope.model, start, end)
recent = changes.lately(load_review.ledger(scope.model, now - changes.LATELY, now), end)
if not entries and not recent:
    empty_states.nothing(
        "Nothing was logged in this window.",
        "Log an `event` record at each deploy, data change or incident; choose a longer window in the sidebar to look further back.",
    )
    st.stop()
with st.container(horizontal=True, vertical_alignment="bottom"):
    words = st.text_input("Search", key="words", bind=BIND, placeholder="In words, model or author", width=320)
    known = sorted({each.sort for each in (*recent, *entries)})
    sorts = st.pills("What", known, selection_mode="multi", format_func=lambda name: changes.WORDS.get(name, name), key="sort")
shown, said = changes.chosen(entries, sorts, words or ""), changes.chosen(recent, sorts, words or "")
if said:
    table("lately", "Said in the last seven days, newest first", changes.COLUMNS, [changes.as_row(each, scope) for each in said[:50]])
    if len(said) > 50:
        st.caption(f"The newest 50 of {len(said):,}; the CSV holds all of them.")
if shown:
    table("changes", "Changes, newest first", changes.COLUMNS, [changes.as_row(each, scope) for each in shown[:200]])
    if len(shown) > 200:
        st.caption(f"The newest 200 of {len(shown):,}; the CSV holds all of them.")
elif not said:
    st.markdown("Nothing here has these words. Clear the search, or choose a longer window.")
if shown or said:
    frame.download("changes.csv", lambda: inert_csv(changes.as_frame([*said, *shown])), "CSV", key="changes-csv")
