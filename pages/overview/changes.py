"""Changes :material/history:
All events and decisions in one list: deploys, data versions, thresholds, guidelines, incidents, complaints, registered versions, alerts,
frozen weeks, decisions, signatures, actions, verdicts, audits. Entries by people from the last seven days are at the top, for any chosen
dates. Search, filter, and download as CSV.
"""

import streamlit as st

from observability.dashboard import empty_states, frame, load, other_records
from observability.dashboard.overview import changes
from observability.dashboard.review import load_review
from observability.dashboard.scope import BIND
from observability.dashboard.table import draw_table
from observability.dashboard.widgets import csv_button, cut_note

MAXIMUM = 60
"""Maximum number of entries shown of each list."""
NEWEST = "The newest {0} of {1}; the CSV holds all of them."
has_records = bool(other_records.other_records_present())  # events and datasets may be logged before the first prediction
scope = frame.begin_fleet_page("changes", anyway=has_records)
start, end = load.scope_dates(scope)
now = load.page_clock()
entries = load_review.change_ledger(scope.model, start, end)
recent = changes.recent_entries(load_review.change_ledger(scope.model, now - changes.RECENT, now), end)
if not entries and not recent:
    empty_states.empty_state(
        "No changes in this window.",
        "Log an `event` record at each deploy, data change or incident, or choose a longer time range.",
    )
    st.stop()
with st.container(horizontal=True, vertical_alignment="bottom"):
    words = st.text_input("Search", key="words", bind=BIND, placeholder="Text, model or author", width=320)
    known = sorted({entry.sort for entry in (*recent, *entries)})
    sorts = st.pills("What", known, selection_mode="multi", format_func=lambda name: changes.WORDS.get(name, name), key="sort")
shown, by_people = (changes.matching_entries(found, sorts, words or "") for found in (entries, recent))
if by_people:
    rows = changes.change_rows_by_event(by_people[:MAXIMUM], scope)
    draw_table("lately", "By people in the last seven days, newest first", changes.COLUMNS, rows)
    cut_note(len(by_people), MAXIMUM, NEWEST)
if shown:
    draw_table("changes", "Changes, newest first", changes.COLUMNS, changes.change_rows_by_event(shown[:MAXIMUM], scope))
    cut_note(len(shown), MAXIMUM, NEWEST)
elif not by_people:
    st.markdown("No entry matches. Clear the search, or choose a longer window.")
if shown or by_people:
    csv_button("changes", lambda: changes.change_log_frame([*by_people, *shown]))
