"""Alerts: one per incident, their state, their messages and how useful they were.

    alerts_from_records(...)   the state of each alert from its records: open, acknowledged, snoozed, resolved (alert_state.py)
    decide_alerts(...)         which alerts open, change or resolve now, and their messages (alert_decisions.py); pure
    deliver_messages(...)      send the queued messages, each with its key (delivery.py)

`server/watcher.py` runs these steps in a background thread of the server.

Each change of an alert and each message is a record (`alert`, `message`) and survives a restart: a message is on disk before it is sent.
"""
