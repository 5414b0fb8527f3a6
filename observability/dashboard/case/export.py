"""Downloads of a case as HTML, Markdown and CSV, with sensitive fields masked by default, and a paragraph for the customer."""

from datetime import UTC, datetime

import streamlit as st

from observability.core import formatting
from observability.dashboard import frame, sign_in
from observability.dashboard.case import explanation, load_case
from observability.dashboard.case.case import CasePage
from observability.dashboard.widgets import plain_paragraph
from observability.export import case as export_case
from observability.export.case import FrozenCase
from observability.export.customer_text import customer_paragraph


def case_downloads(here: CasePage) -> None:
    """Draw the names of the masked fields, and the downloads; each file is made when its button is pressed."""
    row = here.row
    hidden = export_case.masked_names(row.model)
    names = ", ".join(sorted(hidden - {"subject"})[:8])
    masked = f"the subject, and the values of {names}" if names else "the subject"
    plain_paragraph(f"The case as of now, in one printable file. Masked by default: {masked}.")
    may_reveal = sign_in.role_allows("reveal", row.model.name)
    shown = may_reveal and st.checkbox("Show sensitive values in the file", key=here.key("export-shown"))
    name = export_case.case_file_name(here.row.id, datetime.now(UTC))
    address = here.address()  # must be computed here, because it is not known when a file is made
    with st.container(horizontal=True, gap="small"):
        frame.download_button(
            f"{name}.html", lambda: export_case.case_html(_frozen_case(here, shown=shown)), "HTML", key="case-html", kind="text/html"
        )
        frame.download_button(
            f"{name}.md",
            lambda: export_case.case_markdown(_frozen_case(here, shown=shown), address),
            "Markdown for a ticket",
            key="case-md",
            kind="text/markdown",
        )
        frame.download_button(f"{name}.csv", lambda: export_case.case_csv(_frozen_case(here, shown=shown)), "CSV", key="case-csv")


def customer_text(here: CasePage) -> None:
    """Draw a paragraph about the case for the person concerned, with a button that copies it."""
    row, held = here.row, explanation.session_contrasts(here)
    contrast = held.average if held and held.average else load_case.known_contrast(here.opened)
    said = customer_paragraph(row, contrast, load_case.case_verdicts(row.model.name, row.id), export_case.masked_names(row.model))
    st.code(formatting.escape_direction_marks(said), language=None, wrap_lines=True)
    st.caption("Only facts of this case, values of sensitive inputs left out. Read it before you send it.")


def _frozen_case(here: CasePage, *, shown: bool) -> FrozenCase:
    """The case as of now. shown: whether masked values are shown. Raises ForbiddenError if the person may not see masked values."""
    row, held = here.row, explanation.session_contrasts(here)
    if shown:
        sign_in.reveal_masked_values(row.model.name, row.id, row.stored.get("subject"))
    return FrozenCase(
        here.opened.whole(),
        held.average if held and held.average else load_case.known_contrast(here.opened),
        load_case.case_verdicts(row.model.name, row.id),
        load_case.case_actions(row.model.name, row.id),
        datetime.now(UTC),
        frozenset() if shown else export_case.masked_names(row.model),
        load_case.saved_what_ifs(row.model.name, row.id),
    )
