"""The page about access: the person, the password, accounts and the audit log."""

from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard import time_zone
from observability.dashboard.frame import answer_or_stop
from observability.dashboard.sign_in import current_person, require_owner, sign_out_link
from observability.dashboard.table import column, draw_table, plain_columns, table_row
from observability.dashboard.widgets import csv_of_table, plain_paragraph
from observability.server import accounts, audit_log, process_lock
from observability.server.access import Person, may_do, require_action
from observability.server.access_settings import NO_ROLE

MAX_AUDIT_ENTRIES = 200
"""Maximum number of entries of the audit log that the table shows."""
ENTRY_COLUMNS = (
    column("at", "Time (UTC)", strong=True),
    *plain_columns(author="Who", does="Did", what="What"),
    *({**each, "phone": False} for each in plain_columns(model="Model", prediction="Prediction", subject="Subject (hash)", address="From")),
)
ACCOUNT_COLUMNS = (
    column("name", "Account", strong=True),
    *plain_columns(role="Role", state="State"),
    *({**each, "phone": False} for each in plain_columns(models="Roles for single models", created="Created")),
)
OFF = "Sign-in is off: whoever opens this dashboard may do everything. It listens on this machine only."
FIRST_ACCOUNT = "python -m observability account add NAME --role administrator"
THROUGH_ORGANISATION = "Through your organisation (OpenID Connect): `access.toml`, see docs/security.md."


def person_section() -> Person:
    """Draw name, role and how the person signed in; if sign-in is off, draw how to turn it on."""
    person = current_person()
    if person.source == "here":
        st.markdown(OFF)
        st.markdown("Turn it on with the first account:")
        st.code(FIRST_ACCOUNT, language=None, width=560, wrap_lines=True)
        st.markdown(THROUGH_ORGANISATION)
        return person
    how = "a local account" if person.source == "account" else "the organisation's sign-in"
    role = person.role or NO_ROLE
    plain_paragraph(f"Signed in as {person.name} through {how}. Role: {role}.")
    sign_out_link()
    if person.models:
        plain_paragraph("Roles for single models: " + ", ".join(f"{model}: {role}" for model, role in person.models) + ".")
    return person


def password_section(person: Person) -> None:
    """Draw the form that changes the password of a local account."""
    if person.source != "account":
        return
    st.header("Password", anchor=False)
    with st.form("password", width=420, clear_on_submit=True):
        old = st.text_input("Present password", type="password", autocomplete="current-password")
        new = st.text_input("New password", type="password", autocomplete="new-password", max_chars=accounts.LONGEST)
        again = st.text_input("New password again", type="password", autocomplete="new-password", max_chars=accounts.LONGEST)
        st.caption(f"At least {accounts.SHORTEST} characters, for instance four random words. Every open session of the account ends.")
        sent = st.form_submit_button("Change the password", icon=":material/key:")
    if not sent:
        return
    if new != again:
        st.error("The two new passwords differ.")
        return
    home = process_lock.current_store().home
    try:
        require_owner()
        accounts.change_own_password(home, person.name, old, new)
        audit_log.note_access(home, person.name, "changed", what="own password")
    except ObservabilityError as error:
        st.error(formatting.error_markdown(error))
        return
    st.success("The password is changed. [Sign in](/sign-in) with the new one.")
    st.stop()


def may_administer(person: Person) -> bool:
    """Return whether the accounts and the audit log are shown. They are shown to administrators, if sign-in is on."""
    return person.source != "here" and may_do(person, "audit") and may_do(person, "accounts")


def accounts_section() -> None:
    """Draw the accounts with their roles; they are changed on the command line."""
    require_action(current_person(), "accounts")
    known = accounts.read_accounts(process_lock.current_store().home)
    if not known:
        return
    st.header("Accounts", anchor=False)
    rows = [
        table_row(
            name=account.name,
            role=account.role or NO_ROLE,
            models=", ".join(f"{model}: {role}" for model, role in sorted(account.models.items())) or None,
            state="disabled" if account.disabled else "enabled",
            created=formatting.format_iso_day(account.created_at),
        )
        for account in known.values()
    ]
    draw_table("accounts", "Local accounts", ACCOUNT_COLUMNS, rows, compact=True)
    st.caption("Change them with `python -m observability account add`, `role`, `password`, `disable` or `enable`.")


def audit_section() -> None:
    """Draw the audit log: filters, the newest entries, all matching entries as CSV, and a warning if the file was changed after it was
    written.
    """
    person = current_person()
    require_action(person, "audit")
    home = process_lock.current_store().home
    st.header("Audit log", anchor=False)
    answer_or_stop(require_owner)
    if problem := audit_log.audit_problem(home):
        st.error(formatting.error_markdown(problem), icon=":material/error:")
    every = audit_log.access_entries(home, most=100_000)
    with st.container(horizontal=True):
        who = st.selectbox("Who", _values(every, "author"), None, placeholder="Everybody", key="audit-who", width=220)
        did = st.selectbox("Did", _values(every, "does"), None, placeholder="Anything", key="audit-did", width=200)
        model = st.selectbox("Model", _values(every, "model"), None, placeholder="Any", key="audit-model", width=200)
        subject = st.text_input("Subject", key="audit-subject", width=220, help="Subject as in the records. The log keeps a keyed hash.")
        prediction = st.text_input("Prediction", key="audit-prediction", width=220, help="The id. The log keeps a keyed hash.")
    wanted = {"author": who, "does": did, "model": model, "prediction": prediction.strip()}
    found = audit_log.access_entries(home, most=100_000, subject=subject.strip(), **wanted)
    if not found:
        st.caption("No entry.")
        return
    rows = [
        table_row(**{**dict.fromkeys(_names()), **entry, "at": time_zone.zoned_second(datetime.fromisoformat(str(entry["at"])))})
        for entry in found[:MAX_AUDIT_ENTRIES]
    ]
    draw_table("audit-log", "Audit log", ENTRY_COLUMNS, rows, compact=True)
    csv_of_table("audit-log", lambda: pd.DataFrame(found, columns=_names()), len(found), MAX_AUDIT_ENTRIES)


def _names() -> list[str]:
    """Fields of an entry, in the order of the table."""
    return ["at", "author", "does", *audit_log.FIELDS]


def _values(entries: list[dict[str, Any]], name: str) -> list[str]:
    """The values of a field in the log."""
    return sorted({str(entry[name]) for entry in entries if entry.get(name)})
