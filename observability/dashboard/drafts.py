"""Keeps unsaved input while a person visits another step.

Streamlit forgets the content of a box as soon as the box is not drawn, and reports the content of a form only when the form is sent.
Therefore boxes are drawn outside forms. Their content is stored at each change and restored when they are drawn again. After saving, a box
gets another key and starts empty.
"""

from collections.abc import Collection
from typing import Any

import streamlit as st


def draft_arguments(key: str, value: Any = None, among: Collection[Any] | None = None) -> dict[str, Any]:
    """Arguments for a box that keeps its content under a key: `st.text_area("Why?", **draft_arguments("why"))`.

    value: the initial content. among: the allowed contents; a stored value that is not among them is dropped.
    """
    aside = f"draft-{key}"
    if key not in st.session_state:
        begins = st.session_state.get(aside, value)
        if among is not None and begins not in among:
            begins = None
        if begins is not None:
            st.session_state[key] = begins

    def keep() -> None:
        st.session_state[aside] = st.session_state[key]

    return {"key": key, "on_change": keep}
