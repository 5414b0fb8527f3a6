"""Write records about a case: verdicts, actions and what-if inputs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard import load, person_name
from observability.dashboard.case.case import CasePage
from observability.dashboard.widgets import NOT_SAVED
from observability.records.values import new_record_id
from observability.store.types.decision_items import DecisionItem


def save_case_records(
    here: CasePage,
    records: Sequence[Mapping[str, object]],
    author: str | None,
    first: Callable[[], object] | None = None,
    done: str = "Saved.",
) -> None:
    """Write records and rerun the page; if that fails, show why and keep the form. first: a function that is called before; it may fail
    too.
    """
    if not author:
        st.error(person_name.why_not_saved(), icon=":material/person:")
        return
    try:
        if first is not None:
            first()
        load.store().write_records(records)
    except ObservabilityError as error:
        st.error(formatting.error_markdown(error), title=NOT_SAVED, icon=":material/error:")
        return
    st.toast(formatting.escape_markdown(done), icon=":material/check_circle:")
    st.session_state[here.key("written")] = form_round(here) + 1
    st.rerun()


def form_round(here: CasePage) -> int:
    """How often this session has saved something about the case. It is part of a form's keys, so that the form is empty after a save."""
    return int(st.session_state.get(here.key("written"), 0))


def case_record(here: CasePage, kind: str, author: str | None, name: str | None = None, **fields: Any) -> dict[str, Any]:
    """A record about the case: an action, a verdict or a what-if input. name: its id; by default a new one."""
    own = {"author": author, "model": here.row.model.name, "prediction": here.row.id}
    return {"kind": kind, kind: name or new_record_id(), **own, **fields}


def amended_record(here: CasePage, item: DecisionItem, author: str | None, **fields: Any) -> dict[str, Any]:
    """Another entry for an item, which changes the given fields."""
    own = {"model": here.row.model.name, "prediction": here.row.id, "source": item.fields.get("source")} if item.kind == "verdict" else {}
    return {"kind": item.kind, item.kind: item.id, "author": author, **own, **fields}
