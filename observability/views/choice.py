"""How does a box of one page keep its choice in the address under a short code, while it shows words?

Streamlit's own binding writes the words that a box shows into the address. Where code and words differ (a metric, a finding), the address is the
truth here: the box is set from it before it is drawn, and a change writes it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from observability.views import text


def choose(
    key: str,
    label: str,
    options: Sequence[str],
    *,
    words: Callable[[str], str] = str,
    placeholder: str,
    missing: str,
    width: Any = "stretch",
) -> str | None:
    """A box whose choice is the parameter `key` of the address. None where nothing is chosen.

    missing: what is said where the address names something that is not offered, as "The link names the metric {}, which …".
    """
    named = st.query_params.get(key)
    if named is not None and named not in options:
        st.warning(missing.format(text.plain(named)), icon=":material/link_off:")
    box = f"{key}-box"
    st.session_state[box] = named if named in options else None

    def write() -> None:
        chosen = st.session_state[box]
        if chosen is None:
            st.query_params.pop(key, None)
        else:
            st.query_params[key] = chosen

    chosen: str | None = st.selectbox(
        label, options, index=None, placeholder=placeholder, format_func=words, key=box, on_change=write, width=width
    )
    return chosen
