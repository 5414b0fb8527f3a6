"""The page of personal data: the columns with personal data, the kinds and the reasons, how each column is protected, and
the next steps.
"""

from collections.abc import Sequence

import streamlit as st

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.finding import Finding
from observability.core.numerals import percent
from observability.dashboard.cells import severity_cell
from observability.dashboard.table import Cell, column, draw_table, number_columns, table_row

COLUMNS = (
    column("column", "Column", strong=True),
    column("state", "State", short=True),
    column("kind", "Found"),
    column("why", "Why", wide=True),
    *number_columns(texts="Texts", searched="Searched"),
    column("share", "Share", align="right", help="Share of the searched texts of the column"),
    column("protection", "Protection", help="Under [protect] in the settings, applied before anything is written", phone=False),
)


def personal_columns_table(model: Model, found: Sequence[Finding]) -> None:
    """Draw a row for each column, kind of personal data and reason; nothing if none was found."""
    lines = []
    for finding in found:
        searched = int(finding.evidence.get("texts", 0))
        for reason in finding.evidence.get("reasons", ()):
            cells: dict[str, Cell] = {
                "column": {"t": finding.subject},
                "state": severity_cell(finding.severity),
                "kind": {"t": reason["kind"]},
                "why": {"t": reason["why"]},
                "texts": {"t": f"{reason['texts']:,}"},
                "searched": {"t": f"{searched:,}"},
                "share": {"t": percent(reason["texts"] / searched)},
                "protection": {"t": protection_words(model, finding.subject)},
            }
            lines.append(table_row(cells))
    if lines:
        draw_table("personal-data", "Columns with personal data", COLUMNS, lines, compact=True)


def next_steps(model: Model, found: Sequence[Finding]) -> None:
    """Draw the next steps for columns with personal data that are not protected; nothing if there are none."""
    needy = [finding for finding in found if finding.needs_action and protection_words(model, finding.subject) == "none"]
    columns = [finding.subject for finding in needy if not finding.subject.startswith("extra.")]
    if not needy:
        return
    st.subheader("Next steps", anchor=False)
    if columns:
        command = f"`observability settings {model.name} --settings protect.toml`"
        st.markdown(formatting.sentence_markdown(f"Protect new values: save these lines as protect.toml and run {command}."))
        st.code("\n".join(["[protect]", *(f'{_toml_key(name)} = "hash"  # or "drop"' for name in columns)]), language="toml")
    if len(columns) < len(needy):
        st.markdown("Leave other fields (extra) out of what the service logs: nothing protects them.")
    st.markdown("Stored values stay until retention removes their rows, or `observability forget` erases the person.")
    st.markdown("Where this is no personal data, state a limit for `data/personal_data/personal_data_share` under Rules and settings.")


def _toml_key(name: str) -> str:
    """A name as a key of TOML."""
    return (
        name
        if name.isascii() and name.replace("_", "").replace("-", "").isalnum()
        else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    )


def protection_words(model: Model, name: str) -> str:
    """How a field is protected before it is stored."""
    rule = model.settings.protect.get(name)
    return "none" if rule is None else rule if isinstance(rule, str) else "buckets"
