"""How does a person say something about a case: who writes, what is kept where it fails, and what is written?"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard.case import load_case
from observability.dashboard.case.case import Here
from observability.store.ingest.record_writer import new_id
from observability.store.query.decision_log import Item

SAID = "said-by"
"""Where the session keeps the name under which a person writes."""


def author_box(key: str) -> str:
    """The field for the name under which a person writes; it is remembered for the session."""
    held = st.session_state.get(SAID, "")
    return st.text_input("Your name", value=held, key=key, placeholder="Who says this", max_chars=200).strip()


def say(
    here: Here,
    records: Sequence[Mapping[str, object]],
    author: str,
    before: Callable[[], object] | None = None,
    done: str = "Written down.",
) -> None:
    """Write records and show the page with them; where that fails, say why and leave the form as it is. before: what is done first, and may fail too."""
    if not author:
        st.error("Say who you are: what people write carries their name.", icon=":material/person:")
        return
    try:
        if before is not None:
            before()
        load_case.write(records)
    except ObservabilityError as error:
        st.error(formatting.plain(str(error)), title="Nothing was written; your text is still in the form", icon=":material/error:")
        return
    st.session_state[SAID] = author
    st.toast(formatting.plain(done), icon=":material/check_circle:")
    st.session_state[here.key("written")] = st.session_state.get(here.key("written"), 0) + 1
    st.rerun()


def round_of(here: Here) -> int:
    """How often this session wrote about the case: a new number is a new, empty form."""
    return int(st.session_state.get(here.key("written"), 0))


def action(here: Here, author: str, **fields: Any) -> dict[str, Any]:
    """An action about the case."""
    return {"kind": "action", "action": new_id(), "author": author, "model": here.row.model.name, "prediction": here.row.id, **fields}


def verdict(here: Here, author: str, **fields: Any) -> dict[str, Any]:
    """A verdict on the case."""
    return {"kind": "verdict", "verdict": new_id(), "author": author, "model": here.row.model.name, "prediction": here.row.id, **fields}


def again(here: Here, item: Item, author: str, **fields: Any) -> dict[str, Any]:
    """One more entry of an item: what it says now, the rest stays."""
    own = {"model": here.row.model.name, "prediction": here.row.id, "source": item.fields.get("source")} if item.kind == "verdict" else {}
    return {"kind": item.kind, item.kind: item.id, "author": author, **own, **fields}
