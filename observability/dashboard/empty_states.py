"""What does a page say when there is nothing to show, and what is the next step?"""

import streamlit as st

from observability.core import formatting
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.dashboard import links, load, other_records


def nothing(message: str, step: str | None = None, page: str | None = None, label: str | None = None) -> None:
    """An empty state: what is missing, the next step, and a link to the page where it is done. Messages are Markdown of our own."""
    with st.container(border=True, horizontal_alignment="center", key=f"empty-{abs(hash(message)) % 10**8}"):
        st.markdown(f":gray[:material/inbox:] {message}", text_alignment="center")
        if step:
            st.caption(step, text_alignment="center")
        if page:
            st.page_link(str(links.page_files()[page]), label=label or "Go there", icon=":material/arrow_forward:")


def problem(error: Exception) -> None:
    """A failure that a person can mend, in its own words."""
    st.error(formatting.plain(str(error)), title="This cannot be shown", icon=":material/error:")


def no_models() -> None:
    """No model has answered yet: what there is beside predictions, with links to it, and how predictions get here."""
    found = other_records.there()
    said = f" There {'is' if found[0].words.startswith('1 ') else 'are'} {other_records.listed(found)}." if found else ""
    nothing(
        f"No predictions have arrived yet.{said}",
        "Add a model from a file here, load the sample with `python -m observability demo`, or log to this home with `observability.Logger`.",
        "add_model",
        "Add a model",
    )
    if found:
        with st.container(horizontal=True, horizontal_alignment="center"):
            for page in dict.fromkeys(each.page for each in found):
                name, icon, _ = links.about(links.page_files()[page])
                st.page_link(str(links.page_files()[page]), label=name, icon=icon)


def no_rows(what: str = "predictions") -> None:
    """The window is empty."""
    nothing(f"No {what} in this window.", "Choose a longer window, or another model, version or slice, in the sidebar.")


def not_logged(kind: str, words: str, message: str, step: str, how: str) -> None:
    """No record of a kind is in these dates, or none in the store: how to log one, in lines of Python. words: for several records."""
    if len(load.records(Records(kind, ("at",), ever=True, rows=1), Window("", EPOCH, load.now()))):
        no_rows(words)
        return
    if not load.catalog().models:
        no_models()
    nothing(message, step)
    st.code(how, language=None, wrap_lines=True)


def nothing_to_report() -> None:
    """Findings were looked for and there are none."""
    st.markdown(f"{formatting.status('ok')}: nothing in this window needs a person.")
