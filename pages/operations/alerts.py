"""Alerts :material/notifications:
One alert per incident, sent once to the owner of the model. Acknowledge it, snooze it until a date or until it gets worse, resolve it, and
rate once whether it was useful. Every entry is kept with author and time; messages survive a restart.
"""

import streamlit as st

from observability.dashboard import empty_states, frame
from observability.dashboard.operations import alerts, alerts_settings
from observability.dashboard.review import load_review

scope = frame.begin_fleet_page(
    "alerts", anyway=bool(load_review.current_alerts())
)  # training runs raise alerts even before any model has logged predictions
alerts.watcher_note()
found = alerts.open_alerts_first([each for each in load_review.current_alerts().values() if scope.model in (None, each.model)])
if found:
    alerts.alerts_table(found, scope)
    alerts.alert_details(found, scope)
else:
    empty_states.empty_state("No alerts yet.", "A critical incident of a live model opens one within five minutes.")
alerts.alert_precision_note(found)
st.header("Rules", anchor=False)
alerts.alerts_by_rule(found)
st.header("Messages", anchor=False)
alerts.channels_section()
alerts_settings.alert_settings_form()
