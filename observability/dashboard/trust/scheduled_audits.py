"""The schedule of a model's audits: when each runs, its last result, and the form that sets it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from observability.alerts import alarm_rules
from observability.analyzers.trust.audits import WORDS
from observability.core import formatting
from observability.core.settings import AUDITS
from observability.core.switches import is_disabled
from observability.dashboard import load, person_name, sign_in
from observability.dashboard.frame import ModelPage
from observability.dashboard.table import Cell, draw_table, plain_columns, table_row
from observability.dashboard.widgets import NOT_SAVED, answer_or_error
from observability.detection.audit_history import StoredAudit
from observability.server.audit_schedule import (
    SWITCH,
    ScheduledAudit,
    newest_audited_version,
    schedule_outcomes,
    scheduled_audits,
    waits_after_failure,
)

SCHEDULE = plain_columns(kind="Audit", when="Runs", next="Next run", last="Last outcome")
NEVER = "never"
CHOICES = (NEVER, "new version", "expired", "7 days", "30 days", "90 days")
"""The choices for when an audit runs: never, or the words that the setting stores."""
WHEN = {NEVER: "Never", "new version": "With each new version", "expired": "When the last one expires"}


def when_words(when: str) -> str:
    """The schedule of an audit in words: `Every 30 days`."""
    return WHEN.get(when, f"Every {when}")


def schedule_button(here: ModelPage) -> None:
    """Draw the button that opens the schedule of each kind of audit. Only people who may change the model's settings see it."""
    if not sign_in.role_allows("settings", here.model.name):
        return
    with st.popover("Schedule", icon=":material/event_repeat:", key="audit-schedule-set"):
        author = person_name.person_name_box("audit-schedule-author")
        if newest_audited_version(here.model) is None:
            st.caption("Audits begin once a version is registered with its model file.")
        planned = here.model.settings.audit_schedule
        chosen = {kind: _when_box(here, kind, planned.get(kind, NEVER)) for kind in AUDITS}
        wanted = {kind: when for kind, when in chosen.items() if when != NEVER}
        st.caption("The dashboard audits the newest version, one audit at a time, while nothing else waits.")
        if not st.button("Save the schedule", icon=":material/save:", key="audit-schedule-save", disabled=wanted == planned):
            return
        if not author:
            st.error(person_name.why_not_saved(), icon=":material/person:")
            return
        settings = replace(here.model.settings, audit_schedule=wanted)
        saved = answer_or_error(lambda: alarm_rules.save_settings(load.store(), here.model.name, settings, author=author), NOT_SAVED)
    if saved is not None:
        st.toast("Saved. The change is noted on the page Changes.", icon=":material/event_repeat:")
        st.rerun()


def _when_box(here: ModelPage, kind: str, when: str) -> str:
    """Draw the box that says when audits of a kind run, and return the choice. If the settings contain another time, the box
    offers it too.
    """
    options = [*CHOICES, *([] if when in CHOICES else [when])]
    key = f"audit-when-{here.model.name}-{kind}-{when}"
    return str(st.selectbox(WORDS[kind], options, options.index(when), format_func=when_words, key=key))


def schedule_table(here: ModelPage, known: Sequence[StoredAudit]) -> None:
    """Draw the scheduled audits with their next run and last outcome. Draws nothing if no audit is scheduled."""
    if not here.model.settings.audit_schedule:
        return
    st.header("Schedule", anchor=False)
    planned = scheduled_audits(load.catalog(), known, here.model.name)
    if not planned:
        st.markdown("Audits begin once a version is registered with its model file.")
        return
    if is_disabled(SWITCH):
        st.markdown(f"{formatting.status_label('watch', 'Off')}: `{SWITCH}` turns the schedule off.")
    outcomes, now = schedule_outcomes(load.home()), datetime.now(UTC)
    rows = [schedule_row(audit, outcomes.get(audit.key, {}), now) for audit in planned]
    draw_table("audit-schedule", "Scheduled audits", SCHEDULE, rows, compact=True)


def schedule_row(audit: ScheduledAudit, outcome: dict[str, Any], now: datetime) -> dict[str, Any]:
    """The table row of one scheduled audit: when it runs next, and when it was last made or why that failed."""
    due = (
        "with a new version"
        if audit.next is None
        else "now, once nothing waits"
        if audit.next <= now
        else formatting.format_day(audit.next)
    )
    last: Cell = {"t": f"done {formatting.format_day(audit.last.at)}" if audit.last else "not run yet"}
    if outcome.get("failure"):
        last = {"s": "watch", "t": f"failed {formatting.format_iso_day(str(outcome.get('ran')))}", "sub": str(outcome["failure"])[:400]}
    return table_row(
        kind={"t": WORDS[audit.kind], "sub": f"version {audit.version}"},
        when=when_words(audit.when),
        next="a day after the failure" if waits_after_failure(outcome, now) else due,
        last=last,
    )
