"""Alerts: one per incident, their state, their messages and how useful they were.

    alerts_from_records(...)   the state of each alert by what was said of it: open, acknowledged, snoozed, resolved (alert_state.py)
    decide_alerts(...)         what is to be said now, and the messages that follow (alert_decisions.py); pure
    deliver_messages(...)      send what is queued, each with its key (delivery.py)

The thread of the owner that checks, decides, keeps and delivers is `server/watcher.py`.

Everything that is said is a record (`alert`, `message`), so it survives a restart: a message is on disk before it is sent.
"""
