"""Weekly review :material/groups:
Thirty minutes that nobody has to prepare: a frozen week, the few items that are worth people's time, and what each ends in. Arrow keys go from step to
step. The numbers of a frozen week never change; what later labels say stands apart. Everything that is written here keeps its author and time.
"""

from dataclasses import replace

import streamlit as st

from observability.core import formatting
from observability.dashboard import frame, person_name
from observability.dashboard.review import agenda, decisions, review, steps
from observability.review import sentences
from observability.review.snapshot import FORMAT

frame.begin("review")
room = review.enter()
st.markdown(
    f"**Week {formatting.plain(review.words_of(review.Week.parse(room.body['week'])))}** ({room.body['zone']}), frozen "
    f"{formatting.plain(formatting.minute(review.instant(room.body['frozen_at'])))} UTC with what had arrived by the week's end. {sentences.settings_of_when(room.body)}"
)
if room.body["format"] < FORMAT:
    st.caption("An earlier version of the product froze this week: what it did not keep is not shown.")
review.steps(room)
st.header(review.STEPS[review.SHORT.index(room.step)], anchor=False)
if room.step in review.WRITTEN:
    room = replace(room, author=person_name.box())
if room.step == "agenda":
    agenda.draw(room)
    steps.since(room)
    review.downloads(room)
elif room.step == "decide":
    decisions.draw(room)
else:
    steps.DRAWN[room.step](room)
