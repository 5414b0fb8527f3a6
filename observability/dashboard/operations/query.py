"""The page about SQL: a query over the views, its rows as a table and as CSV."""

import streamlit as st

from observability.core.errors import ObservabilityError
from observability.core.formatting import plural
from observability.dashboard import empty_states, load, sign_in
from observability.dashboard.widgets import csv_button, plain_error
from observability.server.access import may_do
from observability.worker.limited_query import QUERY_MEMORY_MB, QUERY_ROWS, QUERY_SECONDS, LimitedAnswer

PARAMETER, TEXT, LINKED, ANSWER = "sql", "sql-text", "sql-linked", "sql-answer"
"""The parameter of the address; and the session keys of the text, of the query in the last link, and of the last query with its answer."""
FIRST = "SELECT * FROM view_columns"
LIMITS = f"At most {QUERY_ROWS:,} rows, {QUERY_SECONDS:.0f} seconds and {QUERY_MEMORY_MB} MB. Times are UTC."
VIEWS = "`SELECT * FROM view_columns` lists the views with their columns; docs/views.md explains them."


def query_form() -> None:
    """Draw the box of the query, which a link may fill in, and run the query when the person asks for it. The page stops for people who may
    not query.
    """
    if not may_do(sign_in.current_person(), "query"):
        empty_states.stop_with_empty_state(
            "Queries are for analysts and administrators who see all models.", "Ask an administrator for that role."
        )
    linked = st.query_params.get(PARAMETER)
    if linked and linked != st.session_state.get(LINKED):
        st.session_state[LINKED], st.session_state[TEXT] = linked, linked
    st.session_state.setdefault(TEXT, FIRST)
    with st.form("query", border=False):
        text = st.text_area("Query", key=TEXT, height=220, max_chars=20_000, help=VIEWS)
        st.caption(LIMITS)
        asked = st.form_submit_button("Run", icon=":material/play_arrow:")
    if asked:
        st.session_state[LINKED] = st.query_params[PARAMETER] = text
        st.session_state[ANSWER] = text, _answer_or_error(text)


def _answer_or_error(query: str) -> LimitedAnswer | str:
    """Return the answer to a query, or a sentence on what is wrong with it."""
    try:
        with st.spinner("Running the query…"):
            return load.answer_query(query)
    except ObservabilityError as error:
        return str(error)


def answer_section() -> None:
    """Draw the answer to the last query, as long as the box still holds that query."""
    query, answer = st.session_state.get(ANSWER, (None, None))
    if answer is None or query != st.session_state.get(TEXT):
        return
    if isinstance(answer, str):
        plain_error(answer)
        return
    rows = answer.rows
    size = f"The first {plural(len(rows), 'row')} of more" if answer.more else plural(len(rows), "row")
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        csv_button("query", rows, has_groups=False)
        st.caption(f"{size}. A click on a column's title sorts them.")
    st.dataframe(rows, hide_index=True, height=min(36 * len(rows) + 38, 560), alt="Rows of the query")
