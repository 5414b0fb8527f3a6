"""Who is writing? The name that stands on everything that a person says in the dashboard, asked once a session."""

import streamlit as st

KEPT = "name-of-person"
LONGEST = 80


def box(key: str = "person") -> str | None:
    """A box for the name (key: one for each box of a page); the name, or None until one is given. It stays for the session, whatever page is open."""
    own = f"{key}-box"
    st.session_state[own] = st.session_state.get(KEPT, "")

    def keep() -> None:
        st.session_state[KEPT] = st.session_state[own].strip()

    st.text_input(
        "Your name", key=own, on_change=keep, max_chars=LONGEST, placeholder="Stands on what you write", width=260, autocomplete="name"
    )
    return st.session_state.get(KEPT) or None


def known() -> str:
    """Who writes where no name is asked: the one given elsewhere in the session, else somebody."""
    return str(st.session_state.get(KEPT) or "Somebody at the dashboard")
