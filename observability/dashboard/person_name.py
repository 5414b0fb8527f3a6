"""The author's name of everything that is written: of the sign-in, else from one box, asked once a session."""

from collections.abc import Sequence

import streamlit as st

from observability.core import formatting
from observability.dashboard.sign_in import current_person
from observability.server.access import may_do

NAME_KEY = "name-of-person"
LONGEST = 80
MISSING_ROLE = "Your role does not allow to save."
MISSING: str
"""Why nothing can be saved, in words; see `__getattr__`."""


def __getattr__(name: str) -> str:
    """MISSING: where people sign in, a role that does not allow to write is what is missing, not a name."""
    if name != "MISSING":
        raise AttributeError(name)
    return _what_is_missing()


def _what_is_missing() -> str:
    return "Enter your name to save." if current_person().source == "here" else MISSING_ROLE


def missing_words(actions: Sequence[str]) -> str:
    """MISSING, with what a name allows where a name is what is missing: `Enter your name to assign or resolve.`"""
    if current_person().source != "here":
        return MISSING_ROLE
    *first, last = actions
    return f"Enter your name to {' or '.join(filter(None, (', '.join(first), last)))}."


def person_name_box(key: str = "person") -> str | None:
    """A box for the name; the name, or None until one is given. It is kept for the session on every page.

    Where people sign in there is no box: the name is the person's, and None where the role does not allow to write.

    key: unique on the page. The box cannot be in a form, because it saves the name when it changes.
    """
    person = current_person()
    if person.source != "here":
        return _signed_in_author()
    own = f"{key}-box"
    st.session_state[own] = st.session_state.get(NAME_KEY, "")

    def keep() -> None:
        st.session_state[NAME_KEY] = st.session_state[own].strip()

    st.text_input("Your name", key=own, on_change=keep, max_chars=LONGEST, placeholder="Shown as author", width=260, autocomplete="name")
    return st.session_state.get(NAME_KEY) or None


def decision_author(author: str | None, reason: str) -> str | None:
    """The author of a decision; None where it has no author or no reason, and what lacks is said on the page."""
    if not author:
        st.error(_what_is_missing(), icon=":material/person:")
    elif not reason.strip():
        st.warning("A decision needs a reason.")
    else:
        return author
    return None


def person_name_or_none() -> str | None:
    """The name given in this session; None where none was given."""
    return st.session_state.get(NAME_KEY) or None


def person_name_or_default() -> str:
    """The name given in this session, else a general one."""
    return current_person().name or str(st.session_state.get(NAME_KEY) or "Somebody at the dashboard")


def _signed_in_author() -> str | None:
    """The name of the sign-in, shown; None, with the reason, where the role does not allow to write to any model."""
    person = current_person()
    writes = may_do(person, "write") or any(may_do(person, "write", model) for model, _ in person.models)
    if not writes:
        st.caption(f"Your role ({person.role or 'viewer'}) allows to read only.")
        return None
    st.caption(formatting.escape_markdown(f"Saved as {person.name}."))
    return person.name
