"""Weekly review :material/groups:
A thirty-minute review without preparation: a frozen week, the most important items, and their outcomes. The agenda begins with items that
waited three weeks, then critical items that nobody acknowledged, then the rest by change and exposure. Arrow keys go from step to step. The
numbers of a frozen week never change; updates by later labels are shown apart. Everything written here keeps its author and time.
"""

from dataclasses import replace
from datetime import datetime

import streamlit as st

from observability.core import formatting
from observability.dashboard import frame, person_name, time_zone
from observability.dashboard.review import agenda, decisions, review, shared_meeting, steps
from observability.review import sentences
from observability.review.snapshot import FORMAT

frame.begin_fleet_page("review")
room = review.open_review()
week = formatting.escape_markdown(review.week_words(review.Week.parse(room.body["week"])))
frozen = formatting.escape_markdown(time_zone.named_minute(datetime.fromisoformat(room.body["frozen_at"])))
settings = sentences.settings_of_when(room.body, "the draft" if room.is_draft else "the freezing")
made = f"a draft of {frozen}, not stored," if room.is_draft else f"frozen {frozen}"
st.markdown(f"**Week {week}** ({room.body['zone']}), {made} with the records that had arrived by the week's end. {settings}")
if erased := sentences.erased_when(room.body):
    st.caption(erased)
if room.body["format"] < FORMAT:
    st.caption("Frozen by an earlier version; some parts are missing.")
review.step_navigation(room)
st.header(review.STEP_TITLES[room.step], anchor=False)
if room.step in review.STEPS_WITH_FORMS and not room.is_draft:
    if room.is_open or room.step in review.STEPS_WITH_FORMS_WHEN_CLOSED:
        room = replace(room, author=person_name.person_name_box())
    part = shared_meeting.part_in_address(room)
    shared_meeting.shared_part(room, "meeting", lambda now: shared_meeting.meeting_line(now, part))
    if not room.is_open:
        room = replace(room, author=room.author if room.step == "promises" else None)
if room.step == "agenda":
    agenda.agenda_step(room)
    if not room.is_draft:
        steps.restated_since(room)
        review.review_downloads(room)
elif room.step == "decide" and room.is_draft:
    st.caption(room.read_only_words)
elif room.step == "decide":
    decisions.decisions_step(room)
else:
    steps.STEPS_DRAWN[room.step](room)
