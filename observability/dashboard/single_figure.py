"""One figure of a page, drawn alone. Its address is the address of the page, with the name of the figure in the parameter `only`.

The page computes the figure, as it does for a pinned figure (dashboard/page_figures.py).
"""

import streamlit as st

from observability.core import formatting
from observability.core.time import naive_utc
from observability.dashboard import frame, links, replica_line
from observability.dashboard.boards.boards import scope_words
from observability.dashboard.boards.load_boards import scope_dates_words
from observability.dashboard.page_figures import FigurePlace, figures_of_page
from observability.dashboard.scope import KEYS, SPANS, Scope, parse_instant, scope_from_state
from observability.dashboard.widgets import link_button


def asked_place(page: str) -> FigurePlace:
    """The page with the scope and the parameters that the address names."""
    address = st.query_params
    times = {key: parse_instant(address[key]) if key in address else None for key in ("from", "to")}
    scope = scope_from_state({**{key: address.get(key) for key in KEYS}, **times})
    own = tuple((key, tuple(address.get_all(key))) for key in address if key not in (*KEYS, links.ONLY))
    return FigurePlace(page, scope, own)


def draw_single_figure(page: str) -> bool:
    """Draw a figure alone, if the address asks for one. Returns whether it does."""
    key = st.query_params.get(links.ONLY)
    if not key:
        return False
    place = asked_place(page)
    _hold_scope(place.scope)
    with st.skeleton(height=320):
        found = figures_of_page(place, {key})
    title = links.page_description(links.page_files()[page])[0]
    st.title(formatting.escape_markdown(title), anchor=False)
    st.caption(formatting.escape_markdown(scope_words(place.scope, scope_dates_words(place.scope))))
    replica_line.draw_replica_line(page)
    figure = found.found.get(key)

    def open_page() -> None:
        own = {name: values[0] for name, values in place.parameters if values}
        link_button("Open its page", links.link_cell("", page, place.scope, **own), key="open-page")

    if figure is None:
        st.info(formatting.escape_markdown(found.why_missing(key)), icon=":material/info:")
        open_page()
        return True
    columns = dict(figure.columns) if figure.columns else None
    frame.chart_with_table(
        figure.figure, figure.table, key=key, alt=figure.alt, metrics=figure.metrics, columns=columns, beside=open_page, alone=True
    )
    return True


def _hold_scope(scope: Scope) -> None:
    """Copy the scope from the address to the session's state. The boxes of the scope bar usually do this, but are not drawn here."""
    times = {"from": scope.start and naive_utc(scope.start), "to": scope.end and naive_utc(scope.end)}
    part = str(scope.slice) if scope.slice else None
    held = {"model": scope.model, "version": scope.version, "environment": scope.environment, "slice": part}
    st.session_state.update({**held, "window": SPANS[scope.span], **times})
