"""What does a case show of its label: how much the evidence believes it, what the nearest cases were, who gave it, and how it is sent to be labelled again?"""

from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.numerals import worded
from observability.dashboard import links
from observability.dashboard.case import case_decisions, load_case
from observability.dashboard.case.case import Here, missing
from observability.dashboard.data import labelled_items
from observability.dashboard.table import Cell, column, row, table
from observability.investigation.evidence_types import LabelCheck, Neighbour

COLUMNS = (
    column("case", "Case", strong=True, width="14rem"),
    column("distance", "Distance", align="right", width="6rem", help="Standard deviations over numbers, and 1 for each other category"),
    column("label", "Label", width="8rem"),
    column("said", "Predicted", width="9rem"),
    column("at", "When (UTC)", width="9rem", short=True),
)
QUEUE = "To be labelled again"
"""The inbox of the page Cases that lists what was sent."""
REVISIONS = (
    column("value", "Label", strong=True), column("at", "About (UTC)"), column("arrived", "Arrived (UTC)"), column("source", "Source"),
    column("annotator", "Annotator"), column("guideline", "Guideline"),
)  # fmt: skip


def label(here: Here) -> None:
    """Whether the label is suspect, and by what."""
    check: LabelCheck | None = here.part("label_check")
    if here.row.label is None:
        st.markdown(f"{formatting.status('unknown', 'No label yet')}: whether this prediction was right is not known.")
        st.caption("It counts as soon as a label with this id arrives. Until then, see which labels its nearest neighbours have.")
    elif check is None:
        missing(here, "label_check")
    else:
        st.markdown(f"{standing(check)}: {formatting.sentence(check.because)}")
        figures(check)
    neighbours(here)
    if here.row.revisions:
        revisions(here)
    asked(here)
    relabel(here)


def standing(check: LabelCheck) -> str:
    """The status of a label: what was measured is never called suspect, and what neighbours speak against is not called plausible."""
    if check.suspect:
        return (
            formatting.status("unknown", "Unlikely for the model, but measured")
            if check.measured
            else formatting.status("watch", "Suspect")
        )
    return formatting.status("unknown", "Cannot tell") if check.unclear else formatting.status("ok", "Plausible")


def figures(check: LabelCheck) -> None:
    """Self-confidence, agreement of the neighbours, votes."""
    parts = []
    if check.self_confidence is not None:
        limit = f", labels of its class get {formatting.number(check.threshold)} on average" if check.threshold is not None else ""
        parts.append(f"Self-confidence of the label: {formatting.number(check.self_confidence)}{limit} ({check.basis})")
    if check.instead is not None:
        parts.append(f"the model is confident of {check.instead}")
    if check.agree is not None:
        parts.append(f"{formatting.share(check.agree)} of the nearest labelled rows have the same label")
    if check.votes:
        parts.append("annotators said " + ", ".join(f"{name} ({n})" for name, n in sorted(check.votes.items(), key=lambda each: -each[1])))
    if parts:
        st.caption(formatting.plain("; ".join(parts) + "."))


def neighbours(here: Here) -> None:
    """The nearest rows and their labels."""
    near: tuple[Neighbour, ...] | None = here.part("neighbours")
    st.subheader("The cases most like it", anchor=False)
    if near is None:
        missing(here, "neighbours")
        return
    own = here.row.label.value if here.row.label else None
    if own is not None and here.row.model.task != "regression":
        same = sum(each.label == own for each in near if each.label is not None)
        known = sum(each.label is not None for each in near)
        st.markdown(formatting.plain(f"{same} of the {known} nearest labelled cases have the same label, {worded(own)}."))
    table("neighbours", "The nearest cases with their labels", COLUMNS, [as_row(each, own, here) for each in near], compact=True)


def as_row(each: Neighbour, own: str | None, here: Here) -> dict[str, Any]:
    """One neighbour; its id leads to its own case."""
    held: Cell = {"t": worded(each.label) if each.label is not None else "no label yet", "quiet": each.label is None}
    if own is not None and each.label is not None and here.row.model.task != "regression":
        held |= {"s": "ok", "title": "the same label"} if each.label == own else {"s": "watch", "title": "another label"}
    score = f" ({formatting.number(each.score)})" if each.score is not None and here.row.model.classes else ""
    return row(
        {
            "case": links.case(each.id, each.id, here.row.model.name, here.scope),
            "distance": {"t": formatting.number(each.distance)},
            "label": held,
            "said": {"t": f"{worded(each.prediction) if each.prediction is not None else formatting.DASH}{score}"},
            "at": {"t": "the reference" if each.environment == "reference" else formatting.minute(each.at) if each.at else formatting.DASH},
        }
    )


def revisions(here: Here) -> None:
    """Every label that was given, in order of arrival."""
    st.subheader("Every label that was given", anchor=False)
    rows = [
        row(
            {
                "value": {"t": worded(each.value), "mark": "counts now" if each.current else None},
                "at": {"t": formatting.minute(each.at)},
                "arrived": {"t": formatting.minute(each.arrived)},
                "source": {"t": each.source or formatting.DASH},
                "annotator": {"t": each.annotator or formatting.DASH},
                "guideline": {"t": each.guideline or formatting.DASH},
            }
        )
        for each in here.row.revisions
    ]
    table("revisions", "Labels in order of arrival", REVISIONS, rows, compact=True)


def asked(here: Here) -> None:
    """Who was asked to label the item, why this person, and what they answered; nothing where nobody was."""
    rows = labelled_items.history(here.row.id, here.row.model.settings.projects or (here.row.model.name,))
    if len(rows):
        st.subheader("Who was asked to label it, and why", anchor=False)
        labelled_items.shown(rows, here.row.id, here.scope, key=here.key("asked"))


def relabel(here: Here) -> None:
    """Ask for the item to be labelled again: an action that other pages list."""
    held = load_case.relabelling(here.row.model.name, here.row.id)
    newest = held[0] if held else None
    if newest is not None and newest.state == "open":
        st.markdown(
            f"{formatting.status('watch', 'Waits')}: an open action asks to label it again, since {formatting.minute(newest.since)} UTC."
        )
        target = links.link("", "cases", here.scope, inbox=QUEUE)["go"]
        st.button(
            "Open the list of what waits",
            icon=":material/inbox:",
            type="tertiary",
            key=here.key("queue"),
            on_click=links.go,
            args=(target,),
        )
        return
    if newest is not None and newest.state == "done":
        came = f"{formatting.plural(newest.labels, 'label')} arrived since" if newest.labels else "somebody said so"
        st.caption(f"{formatting.status('ok', 'Labelled again')}: {came}.")
    with st.popover("Send to relabel", icon=":material/label:", key=here.key("relabel")):
        st.markdown(
            "Asks two people, who do not see this label or each other's, to label it again. It becomes an open action of this case."
        )
        author = case_decisions.author_box(here.key("relabel-author"))
        note = st.text_input("Note", key=here.key("relabel-note"), placeholder="What they should look at")
        if st.button("Send", icon=":material/send:", key=here.key("relabel-send")):
            wanted = "Label it again, blind, by two people." + (f" {note.strip()}" if note.strip() else "")
            case_decisions.say(here, [case_decisions.action(here, author, do="relabel", text=wanted)], author)
