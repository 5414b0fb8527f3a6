"""The one box for the author's name, asked once a session and shown with everything that they write."""

import streamlit as st

NAME_KEY = "name-of-person"
LONGEST = 80
MISSING = "Enter your name to save."


def person_name_box(key: str = "person") -> str | None:
    """A box for the name; the name, or None until one is given. It is kept for the session on every page.

    key: unique on the page. The box cannot be in a form, because it saves the name when it changes.
    """
    own = f"{key}-box"
    st.session_state[own] = st.session_state.get(NAME_KEY, "")

    def keep() -> None:
        st.session_state[NAME_KEY] = st.session_state[own].strip()

    st.text_input("Your name", key=own, on_change=keep, max_chars=LONGEST, placeholder="Shown as author", width=260, autocomplete="name")
    return st.session_state.get(NAME_KEY) or None


def person_name_or_default() -> str:
    """The name given in this session, else a general one."""
    return str(st.session_state.get(NAME_KEY) or "Somebody at the dashboard")
