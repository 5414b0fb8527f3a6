"""How often the answers of devices agree with the server's answers to the same requests, shown on the page of devices that serve a
model.
"""

from collections.abc import Sequence

import streamlit as st

from observability.analyzers.serving.device_agreement import GAP, NAME, SHARE
from observability.core.finding import Finding, worst_first
from observability.core.numerals import percent
from observability.dashboard import load, load_findings
from observability.dashboard.cells import UNKNOWN_CELL, severity_cell, share_cell
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, draw_table, table_row

COLUMNS = (
    column("version", "Version", strong=True),
    column("rows", "Differing answers (rows)", align="right", help="Answers of devices that differ from the server's under the same id"),
    column("compared", "Compared", align="right", phone=False),
    column("state", "State"),
    column("counted", "Differing answers (device counts)", align="right", phone=False, help="From `compared` and `agreed` of the reports"),
    column("same", "Count", phone=False, help="Whether the devices' count agrees with the rows"),
)
WORDS = {"watch": "Wrong", "ok": "Agrees", "unknown": "Cannot tell yet", "act": "Wrong"}


def agreement_findings(scope: Scope, model: str) -> list[Finding]:
    """The findings of serving/device_agreement about a model, worst first; empty for an unknown model."""
    if model not in load.catalog().by_name:
        return []
    found = load_findings.findings_in_window(load.window(scope, model), wait=True)
    return worst_first([each for each in found if each.analyzer == NAME])


def server_agreement_section(found: Sequence[Finding]) -> None:
    """Draw a row for each version on devices, with the share of answers that differ: by rows, and by the devices' own counts. Draws nothing
    without findings.
    """
    shares = {str(each.subject.partition("=")[2]): each for each in found if each.metric == SHARE}
    counts = {str(each.subject.partition("=")[2]): each for each in found if each.metric == GAP}
    if not shares:
        return
    st.header("Agreement with the server", anchor=False)
    lines = []
    for version, share in sorted(shares.items()):
        cells: dict[str, Cell] = {key["key"]: dict(UNKNOWN_CELL) for key in COLUMNS}
        cells |= {"version": {"t": version}, "compared": {"t": f"{share.n:,}"}, "state": severity_cell(share.shown_severity)}
        if share.value is not None:
            cells["rows"] = share_cell(share.value, share.low, share.high)
        count = counts.get(version)
        if count is not None and count.value is not None:
            counted, n = count.evidence["baseline"], count.evidence["baseline_n"]
            cells["counted"] = {"t": percent(counted), "sub": f"of {n:,}"}
            cells["same"] = severity_cell(count.shown_severity, WORDS[count.severity])
        lines.append(table_row(cells))
    draw_table("edge-agreement", "Answers of devices against the server's", COLUMNS, lines)
