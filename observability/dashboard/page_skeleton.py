"""The skeleton of a page that was just opened: a sentence and a grey block, until the first part of the page is drawn."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import streamlit as st

WHOLE_PAGE = "whole page"
PAGE_BLOCK: ContextVar[Any] = ContextVar("skeleton of a page", default=None)
"""The grey block of the page that is being drawn; None after its first part was drawn, and on a rerun."""


@contextlib.contextmanager
def page_skeleton() -> Iterator[None]:
    """Draw a sentence until a page that was just opened is complete, and a block until its first part is drawn; nothing on a rerun. They
    are drawn first, because the scope bar may need the findings of all models. The style `page-waiting` gives them places that do not
    move.
    """
    with st.container(key="page-waiting"):
        sentence, block = st.empty(), st.empty()
    drawn: set[str] = st.session_state.setdefault("drawn", set())
    if WHOLE_PAGE in drawn:
        yield
        return
    sentence.caption("Records are being analyzed. The first opening takes longest.")
    block.skeleton(height=240)
    held = PAGE_BLOCK.set(block)
    try:
        yield
    finally:
        PAGE_BLOCK.reset(held)
        drawn.add(WHOLE_PAGE)
        sentence.empty()
        block.empty()


def remove_page_block() -> None:
    """Remove the grey block of the page, because a table, a figure or the skeleton of a part takes its place."""
    if (block := PAGE_BLOCK.get()) is not None:
        block.empty()
        PAGE_BLOCK.set(None)
