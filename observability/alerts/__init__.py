"""Alerts: one per incident, their state, their messages and how useful they were.

    standing(...)      what people and the dashboard said about each incident so far: open, acknowledged, snoozed, resolved (state.py)
    decide(...)        what is to be said now: opened, worse, resolved; and the messages that follow (decide.py); pure
    deliver(...)       send what is queued, each with its key (send.py)
    watch(...)         the owner's thread: check, decide, keep, deliver (watch.py)

Everything that is said is a record (`alert`, `message`), so it survives a restart: a message is on disk before it is sent.
"""
