"""Challengers of a review: versions in shadow compared with the deployed one."""

from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard import links
from observability.dashboard.cells import frozen_interval_words
from observability.dashboard.review.fleet import frozen_scope
from observability.dashboard.review.review import ReviewPage
from observability.dashboard.table import column, draw_table, table_row
from observability.dashboard.widgets import link_button, plain_caption, plain_paragraph
from observability.export.review import paired_sentence
from observability.review import sentences

COLUMNS = (
    column("what", "Metric", wide=True),
    column("new", "New", align="right", width="7rem"),
    column("then", "Deployed", align="right", width="7rem"),
    column("change", "Change", align="right", width="12rem"),
)


def challenger_cards(room: ReviewPage) -> None:
    """A card for each version in shadow in the week."""
    found = room.body.get("challengers", [])
    if not found:
        return
    st.subheader("Challengers", anchor=False)
    for each in found:
        _challenger_card(room, each)


def _challenger_card(room: ReviewPage, challenger: dict[str, Any]) -> None:
    """One challenger: the main metric on the same rows, slices, churn, and significant differences."""
    model, version, deployed = challenger["model"], challenger["version"], challenger["serves"]
    with st.container(border=True):
        st.markdown(f"**{formatting.escape_markdown(f'{model}: version {version} compared with version {deployed}')}**")
        plain_paragraph(paired_sentence(challenger))
        st.markdown(formatting.sentence_markdown(challenger["sentence"]))
        plain_caption(f"A: version {version}, in shadow. B: version {deployed}, deployed.")
        if challenger["differences"]:
            rows = [_difference_row(difference) for difference in challenger["differences"]]
            draw_table(f"challenger-{model}-{version}", f"Differences of version {version}", COLUMNS, rows, compact=True)
        for line in sentences.regressed_slice_sentences(challenger):
            plain_paragraph(line)
        for note in challenger["notes"]:
            st.caption(formatting.sentence_markdown(note))
        target = links.link_cell("", "compare", frozen_scope(room, model), b_version=deployed)
        link_button("Compare", target, key=f"go-{model}-{version}", icon="compare_arrows")


def _difference_row(difference: dict[str, Any]) -> dict[str, Any]:
    """One difference."""
    unit, distance = difference["unit"], difference["distance"]
    subject = "" if difference["subject"] == "model" else f" of {difference['subject']}"
    return table_row(
        what={"t": f"{formatting.metric_title(difference['metric'])}{subject}", "sub": difference["section"]},
        new=None if distance else formatting.format_value(difference["new"], unit),
        then=None if distance else formatting.format_value(difference["then"], unit),
        change={"t": formatting.format_value(difference["change"], unit), "sub": frozen_interval_words(difference)},
    )
