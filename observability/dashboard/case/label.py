"""The label of a case: plausibility, nearest cases, revisions, assignments, and the request to relabel it."""

from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard import links, person_name, time_zone
from observability.dashboard.case import case_decisions, load_case
from observability.dashboard.case.case import CasePage, part_unavailable
from observability.dashboard.case.inputs import input_value_words
from observability.dashboard.data import item_history
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, plain_columns, table_row
from observability.dashboard.widgets import link_button, plain_caption, plain_paragraph, status_line
from observability.investigation.evidence_types import LabelCheck, Neighbour
from observability.investigation.label_types import class_words, outcome_words, prediction_with_score

DISTANCE_HELP = (
    "Root of the sum of squared differences. Numbers are measured in standard deviations of the reference, limited to 6 from its mean. "
    "A different category, or a value that is missing in one of the two rows only, counts 1"
)
COLUMNS = (
    column("case", "Case", strong=True, width="14rem"),
    column("distance", "Distance", align="right", width="6rem", help=DISTANCE_HELP),
    column("label", "Label", width="8rem"),
    column("said", "Predicted", width="9rem"),
    column("at", "When (UTC)", width="9rem", short=True),
)
RELABEL_QUEUE = "Relabel queue"
"""The queue of the page Cases."""
REVISIONS = columns_on_phone(
    "value at annotator",
    column("value", "Label", strong=True),
    *plain_columns(
        at="Time (UTC)", arrived="Arrived (UTC)", source="Source", annotator="Annotator", guideline="Guideline", extra="Logged with it"
    ),
)


def label_section(here: CasePage) -> None:
    """Draw whether the label is suspect, with the evidence."""
    check: LabelCheck | None = here.part("label_check")
    if here.row.label is None:
        st.markdown(f"{formatting.status_label('unknown', 'No label yet')}: the outcome is unknown.")
        st.caption(
            "The performance counts this prediction as soon as its label arrives. Until then, see the labels of its nearest neighbours."
        )
    elif check is None:
        part_unavailable(here, "label_check")
    else:
        st.markdown(f"{_label_status(check)}: {formatting.sentence_markdown(check.because)}")
        _label_evidence(here, check)
    _neighbours_table(here)
    if here.row.revisions:
        _label_revisions(here)
    _assignment_history(here)
    _relabel_request(here)


def _label_status(check: LabelCheck) -> str:
    """The status of a label as icon and word. A label that was measured by an instrument or a process, not judged by a person, is never
    suspect. A label that its neighbours contradict is not plausible.
    """
    if check.suspect and not check.measured:
        return formatting.status_label("watch", "Suspect")
    if check.suspect or check.unclear:
        return formatting.status_label("unknown", f"{check.standing.capitalize()}, but measured" if check.suspect else "Inconclusive")
    return formatting.status_label("ok", "Plausible")


def _label_evidence(here: CasePage, check: LabelCheck) -> None:
    """Draw self-confidence, agreement of neighbours, and votes of annotators."""
    parts = []
    if check.self_confidence is not None:
        limit = f", {formatting.format_number(check.threshold)} on average in its class" if check.threshold is not None else ""
        parts.append(f"Self-confidence of the label: {formatting.format_number(check.self_confidence)}{limit} ({check.basis})")
    if check.instead is not None:
        parts.append(f"confident class: {class_words(here.row.model, check.instead)}")
    if check.agree is not None:
        parts.append(f"{formatting.format_share(check.agree)} of the nearest labelled rows agree")
    if check.votes:
        parts.append("annotators: " + ", ".join(f"{name} ({n})" for name, n in sorted(check.votes.items(), key=lambda each: -each[1])))
    if parts:
        plain_caption("; ".join(parts) + ".")


def _neighbours_table(here: CasePage) -> None:
    """Draw the nearest rows and their labels."""
    near: tuple[Neighbour, ...] | None = here.part("neighbours")
    st.subheader("Nearest cases", anchor=False)
    if near is None:
        part_unavailable(here, "neighbours")
        return
    own = here.row.label.value if here.row.label else None
    if own is not None and here.row.model.task != "regression":
        same = sum(each.label == own for each in near if each.label is not None)
        known = sum(each.label is not None for each in near)
        have = "has" if same == 1 else "have"
        plain_paragraph(f"{same} of the {known} nearest labelled cases {have} the label {outcome_words(here.row.model, own)}.")
    draw_table("neighbours", "Nearest cases and their labels", COLUMNS, [_neighbour_row(each, own, here) for each in near], compact=True)


def _neighbour_row(each: Neighbour, own: str | None, here: CasePage) -> dict[str, Any]:
    """One neighbour; its id links to its case."""
    held: Cell = {"t": outcome_words(here.row.model, each.label) if each.label is not None else "no label yet", "quiet": each.label is None}
    if own is not None and each.label is not None and here.row.model.task != "regression":
        held |= {"s": "ok", "title": "the same label"} if each.label == own else {"s": "watch", "title": "another label"}
    when = "the reference" if each.environment == "reference" else time_zone.zoned_minute(each.at) if each.at else formatting.DASH
    return table_row(
        case=links.case_link(each.id, each.id, here.row.model.name, here.scope),
        distance=formatting.format_number(each.distance),
        label=held,
        said=prediction_with_score(here.row.model, each.prediction, each.score),
        at=when,
    )


def _label_revisions(here: CasePage) -> None:
    """Draw every label, in order of arrival."""
    st.subheader("Label history", anchor=False)
    rows = [
        table_row(
            {name: getattr(label, name) or None for name in ("source", "annotator", "guideline")},
            value={"t": outcome_words(here.row.model, label.value), "mark": "current" if label.current else None},
            at=time_zone.zoned_minute(label.at),
            arrived=time_zone.zoned_minute(label.arrived),
            extra=", ".join(f"{name} {input_value_words(value)}" for name, value in list(label.extra.items())[:6])[:200] or None,
        )
        for label in here.row.revisions
    ]
    draw_table("revisions", "Labels in order of arrival", REVISIONS, rows, compact=True)


def _assignment_history(here: CasePage) -> None:
    """Draw the assignments and labels of the item in labelling projects; nothing if it has none."""
    rows = item_history.item_history(here.row.id, here.row.model.settings.projects or (here.row.model.name,))
    if len(rows):
        st.subheader("Assignments", anchor=False)
        item_history.item_history_table(rows, here.row.id, here.scope, key=here.key("asked"))


def _relabel_request(here: CasePage) -> None:
    """Draw the request to relabel the item, an action in the relabel queue."""
    held = load_case.relabel_requests(here.row.model.name, here.row.id)
    newest = held[0] if held else None
    if newest is not None and newest.state == "open":
        st.markdown(status_line("watch", f"in the relabel queue since {time_zone.named_minute(newest.since)}.", "Waiting"))
        target = links.link_cell("", "cases", here.scope, inbox=RELABEL_QUEUE)
        link_button("Open the relabel queue", target, key=here.key("queue"), icon="inbox")
        return
    if newest is not None and newest.state == "done":
        came = f"{formatting.plural(newest.labels, 'label')} since" if newest.labels else "closed by hand"
        st.caption(status_line("ok", f"{came}.", "Relabelled"))
    with st.popover("Send to relabel", icon=":material/label:", key=here.key("relabel")):
        st.markdown(
            "Requests two blind labels: annotators see neither this label nor each other's. The request is an open action of this case."
        )
        author = person_name.person_name_box(here.key("relabel-author"), here.row.model.name)
        note = st.text_input("Note", key=here.key("relabel-note"), placeholder="What to look at")
        if st.button("Send", icon=":material/send:", key=here.key("relabel-send")):
            wanted = "Label it again, blind, by two people." + (f" {note.strip()}" if note.strip() else "")
            record = case_decisions.case_record(here, "action", author, do="relabel", text=wanted)
            case_decisions.save_case_records(here, [record], author)
