"""How does what somebody typed and did not keep yet stay while they look at another step?

Streamlit forgets a box as soon as it is not drawn, and a form tells nothing before it is sent. So boxes of the room stand in no form, and what they hold
is put aside at each change and put back when they are drawn again. A box that was sent gets another key, and begins empty.
"""

from collections.abc import Collection
from typing import Any

import streamlit as st


def held(key: str, value: Any = None, among: Collection[Any] | None = None) -> dict[str, Any]:
    """Arguments for a box that keeps its content under a key: `st.text_area("Why?", **held("why"))`.

    value: what it begins with. among: what it can hold; anything else that was put aside is forgotten.
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
