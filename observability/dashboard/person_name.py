"""The author who is saved with every record: the person who signed in, or else the name typed into a text box once per session."""

from collections.abc import Sequence

import streamlit as st

from observability.core import formatting
from observability.dashboard.sign_in import current_person
from observability.server.access import Action, Person, may_do, may_do_somewhere

NAME_KEY = "name-of-person"
LONGEST = 80
MISSING_ROLE = "Your role is read-only."


def why_not_saved(actions: Sequence[str] = ("save",)) -> str:
    """Return why nothing can be saved. If people sign in, it is the role; else the missing name, such as `Enter your name to assign or
    resolve.`
    """
    if not is_asked():
        return MISSING_ROLE
    *first, last = actions
    return f"Enter your name to {' or '.join(filter(None, (', '.join(first), last)))}."


def is_asked() -> bool:
    """Return whether the page asks for the person's name, which it does not if people sign in."""
    return current_person().source == "here"


def person_name_box(key: str = "person", model: str | None = None, action: Action = "write") -> str | None:
    """Draw the box for the name, and return the name; None until one is given. The name is kept for the session on every page.

    If people sign in, there is no box: the name of the person is returned, or None if the role does not allow the action for the model.

    key: unique on the page. The box cannot be in a form, because it saves the name when it changes. model: the model that the entry is
    about; None if it is about no model or several, in which case the role for any model is enough.
    """
    if not is_asked():
        return _signed_in_author(model, action)
    own = f"{key}-box"
    st.session_state[own] = st.session_state.get(NAME_KEY, "")

    def keep() -> None:
        st.session_state[NAME_KEY] = st.session_state[own].strip()

    st.text_input("Your name", key=own, on_change=keep, max_chars=LONGEST, placeholder="Shown as author", width=260, autocomplete="name")
    return st.session_state.get(NAME_KEY) or None


def decision_author(author: str | None, reason: str) -> str | None:
    """Return the author of a decision; None if the author or the reason is missing, in which case the page names what is missing."""
    if not author:
        st.error(why_not_saved(), icon=":material/person:")
    elif not reason.strip():
        st.warning("A decision needs a reason.")
    else:
        return author
    return None


def known_author() -> str | None:
    """The author of what is saved, without drawing a box. It is the person who signed in and may write, else the name given in this
    session; None if there is neither.
    """
    person = current_person()
    if person.source == "here":
        return st.session_state.get(NAME_KEY) or None
    return person.name if may_do_somewhere(person, "write") else None


def person_name_or_default() -> str:
    """Return the name of the person who signed in, else the name given in this session, else a general one."""
    return current_person().name or str(st.session_state.get(NAME_KEY) or "Somebody at the dashboard")


def _signed_in_author(model: str | None, action: Action) -> str | None:
    """Draw the person who signed in as the author, and return the name. If the role does not allow the action for the model, draw the
    reason and return None.
    """
    person = current_person()
    if not _may_save(person, model, action):
        st.caption(
            f"Your role ({person.role_for(model) or 'viewer'}) is read-only{f' for {formatting.escape_markdown(model)}' if model else ''}."
        )
        return None
    st.caption(formatting.escape_markdown(f"Saved as {person.name}."))
    return person.name


def _may_save(person: Person, model: str | None, action: Action) -> bool:
    return may_do(person, action, model) if model else may_do_somewhere(person, action)
