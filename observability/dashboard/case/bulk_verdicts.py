"""Save one verdict for several cases of a list, as one record for each case."""

from collections.abc import Sequence

import streamlit as st

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.errors import ObservabilityError
from observability.dashboard import load, person_name
from observability.dashboard.widgets import NOT_SAVED, plain_error
from observability.export.case import SOURCES, WRONG
from observability.records.values import new_record_id


def bulk_verdict_form(model: Model, predictions: Sequence[str], key: str, label: str = "Verdict for several") -> None:
    """Draw a button that unfolds the form: which cases of the list, whether they were wrong, the source, a note. key and label: unique on
    the page.
    """
    listed = list(dict.fromkeys(predictions))
    key = f"{key}-{st.session_state.get(f'{key}-saved', 0)}"
    with st.popover(label, icon=":material/gavel:", key=f"{key}-several"):
        every = st.checkbox(f"All {len(listed)} listed", key=f"{key}-all")
        chosen = listed if every else st.multiselect("Cases", listed, key=f"{key}-cases", placeholder="Choose")
        author = person_name.person_name_box(f"{key}-author", model.name)
        wrong = st.radio("Were the predictions wrong?", list(WRONG), None, format_func=WRONG.__getitem__, key=f"{key}-wrong")
        source = st.selectbox("Source", list(SOURCES), None, format_func=SOURCES.__getitem__, placeholder="Choose", key=f"{key}-source")
        note = st.text_area("Note", key=f"{key}-note", placeholder="Observations", max_chars=20_000)
        if st.button(f"Save {formatting.plural(len(chosen), 'verdict')}", icon=":material/save:", key=f"{key}-save", disabled=not chosen):
            if not author:
                st.error(person_name.why_not_saved(), icon=":material/person:")
            elif wrong is None or source is None:
                plain_error("State whether the predictions were wrong, and choose a source or “Cannot tell”.")
            else:
                _save(model, chosen, {"author": author, "wrong": wrong, "source": source, "note": note.strip()}, key)


def _save(model: Model, chosen: Sequence[str], fields: dict[str, str], key: str) -> None:
    """Write a verdict for each case and rerun the page; if that fails, show why and keep the form."""
    verdicts = [{"kind": "verdict", "verdict": new_record_id(), "model": model.name, "prediction": name, **fields} for name in chosen]
    try:
        load.store().write_records(verdicts)
    except ObservabilityError as error:
        st.error(formatting.error_markdown(error), title=NOT_SAVED, icon=":material/error:")
        return
    st.toast(f"Saved {formatting.plural(len(verdicts), 'verdict')}.", icon=":material/check_circle:")
    form, _, saves = key.rpartition("-")
    st.session_state[f"{form}-saved"] = int(saves) + 1
    st.rerun()
