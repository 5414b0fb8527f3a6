"""Alerts :material/notifications:
One alert an incident, told once to the owner of the model. Acknowledge it, snooze it until a day or until it gets worse, resolve it, and say once
whether it was useful. Everything is kept with author and time; messages survive a restart.
"""

import streamlit as st

from observability.dashboard import empty_states, frame
from observability.dashboard.operations import alerts, alerts_settings
from observability.dashboard.review import load_review

scope = frame.begin("alerts", anyway=bool(load_review.alerts()))  # training runs raise alerts before any model has answered
alerts.watching()
found = alerts.ordered([each for each in load_review.alerts().values() if scope.model in (None, each.model)])
if found:
    alerts.listed(found, scope)
    alerts.work_on(found, scope)
else:
    empty_states.nothing(
        "No alert was opened yet.", "An incident of a live model that needs somebody opens one within five minutes of being found."
    )
alerts.useful(found)
st.header("Rules", anchor=False)
alerts.by_rule(found)
st.header("Messages", anchor=False)
alerts.channels()
alerts_settings.draw()
