"""How does a person take a case along? One frozen HTML file and a CSV, with sensitive fields masked unless that is chosen otherwise."""

from datetime import UTC, datetime

import streamlit as st

from observability.core import formatting
from observability.dashboard import frame, links
from observability.dashboard.case import load_case, why
from observability.dashboard.case.case import Here
from observability.export import case as export_case
from observability.export.case import Frozen


def export(here: Here) -> None:
    """What is masked, and the two files; they are made when a button is pressed."""
    row = here.row
    hidden = export_case.sensitive(row.model)
    names = ", ".join(sorted(hidden - {"subject"})[:8])
    st.markdown(
        formatting.plain(
            f"The case as it is now, in one file that opens offline and prints. Masked unless you choose otherwise: the subject{f', and the values of {names}' if names else ''}."
        )
    )
    shown = st.checkbox("Show sensitive values in the file", key=here.key("export-shown"))
    name = export_case.file_name(here.row.id, datetime.now(UTC))
    address = links.permanent(row.id, row.model.name)  # known here, and no longer when a file is made
    with st.container(horizontal=True, gap="small"):
        frame.download(f"{name}.html", lambda: export_case.page(frozen(here, shown=shown)), "HTML", key="case-html", kind="text/html")
        frame.download(
            f"{name}.md", lambda: export_case.markdown(frozen(here, shown=shown), address), "Markdown for a ticket",
            key="case-md", kind="text/markdown",
        )  # fmt: skip
        frame.download(f"{name}.csv", lambda: export_case.table(frozen(here, shown=shown)), "CSV", key="case-csv")


def frozen(here: Here, *, shown: bool) -> Frozen:
    """The case as it stands now. shown: nothing is masked."""
    row, held = here.row, why.kept(here)
    return Frozen(
        here.opened.whole(),
        held.average if held and held.average else load_case.known_contrast(here.opened),
        load_case.verdicts(row.model.name, row.id),
        load_case.actions(row.model.name, row.id),
        datetime.now(UTC),
        frozenset() if shown else export_case.sensitive(row.model),
        load_case.what_ifs(row.model.name, row.id),
    )
