"""Keep unsaved input while a person visits another step.

Streamlit forgets a box as soon as it is not drawn, and a form reports nothing before it is sent. Therefore boxes are drawn outside forms.
Their content is stored at each change and restored when they are drawn again. After saving, a box gets another key and begins empty.
"""

from collections.abc import Collection
from typing import Any

import streamlit as st


def draft_arguments(key: str, value: Any = None, among: Collection[Any] | None = None) -> dict[str, Any]:
    """Arguments for a box that keeps its content under a key: `st.text_area("Why?", **draft_arguments("why"))`.

    value: the initial content. among: allowed content; a stored value outside it is dropped.
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
