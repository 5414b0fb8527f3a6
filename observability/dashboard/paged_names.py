"""A search and a choice of page for very many names, used where a page or a box lists only some of them."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, TypeVar

import streamlit as st

from observability.dashboard.widgets import plain_caption

Option = TypeVar("Option")
A_PAGE = 100
"""Number of names on one page."""
MOST_ROWS = 250
"""Maximum number of rows in the table behind a ranking of very many names. The table has the first rows."""
MOST_OPTIONS = 1000
"""Maximum number of choices that a box offers."""


def listed_names(names: Sequence[str], find: str, page: int) -> tuple[list[str], int]:
    """The names of one page that contain the searched text, in their order, and how many names match. A page number beyond the last page
    means the last page.
    """
    matching = [name for name in names if find.strip().lower() in name.lower()]
    first = (min(page, page_count(len(matching))) - 1) * A_PAGE
    return matching[first : first + A_PAGE], len(matching)


def first_rows_note(total: int, what: str, order: str) -> None:
    """Draw the note that a table has only the first rows of a ranking, if this is the case. what: the ranked things, in the plural. order:
    which rows come first.
    """
    if total > MOST_ROWS:
        plain_caption(f"The table holds the {MOST_ROWS} of {total:,} {what} {order}.")


def searched_options(
    options: Sequence[Option], label: str, key: str, chosen: object = None, *, words: Callable[[Option], str] = str, **style: Any
) -> list[Option]:
    """Return the choices that a box offers: all options, if there are at most MOST_OPTIONS. Otherwise a search field is drawn before the
    box, and the first options that contain the typed text are offered, and `chosen` if it is one of the options.

    label: label of the field, such as "Search columns". key: unique on the page. style: options of the field.
    """
    if len(options) <= MOST_OPTIONS:
        return list(options)
    find = st.text_input(label, key=f"{key}-find", **{"width": 220, "placeholder": f"{len(options):,} in all", **style}).strip().lower()
    offered = list(islice((each for each in options if find in words(each).lower()), MOST_OPTIONS))
    return offered if chosen is None or chosen in offered else [*(each for each in options if each == chosen), *offered]


def page_count(matching: int) -> int:
    """The number of pages, at least one."""
    return max(-(-matching // A_PAGE), 1)


def paged_names(names: Sequence[str], what: str, key: str) -> list[str]:
    """Return the names that the page lists: all names if there are few, else one page of the names that match the search. Draws the boxes
    for search and page.

    what: the kind of the names in the plural, such as "features". The text on the page says that they are sorted worst first. key: unique
    on the page.
    """
    if len(names) <= A_PAGE:
        return list(names)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        find = st.text_input(f"Search {what}", key=f"{key}-find", width=320)
        pages = page_count(listed_names(names, find, 1)[1])
        page = st.number_input(f"Page of {pages:,}", 1, pages, key=f"{key}-page {pages}", width=160)
    listed, matching = listed_names(names, find, int(page))
    found = f"{matching:,} of {len(names):,} {what} match; " if matching < len(names) else ""
    st.caption(f"{found}{len(listed):,} of {matching:,} are listed, worst first.")
    return listed
