"""Model :material/deployed_code:
One model's window, answers in order: is it up, are its inputs normal, is it right, is it fair, what drives it, what does it cost, what changed? Each
answer is a sentence, where it helps a small chart, and a link to the page that shows more.
"""

import streamlit as st

from observability.dashboard import frame, model_answers
from observability.dashboard.overview import card, fleet, incidents

here = frame.begin_model("model")
standing = fleet.standing(here.scope, here.model)

with st.container(horizontal=True, vertical_alignment="center"):
    card.button(here.model)
    frame.still_looking([standing.window])
for question in model_answers.QUESTIONS:
    with st.container(border=True):
        question(here, standing)

st.header("Incidents", anchor=False)
incidents.listed("incidents", f"Incidents of {here.model.name}, worst first", standing.incidents, here.scope, models=False)
