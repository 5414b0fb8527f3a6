"""Challengers in a review: versions that run in shadow, compared with the deployed version."""

from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard import links
from observability.dashboard.cells import frozen_interval_words
from observability.dashboard.review.fleet import frozen_scope
from observability.dashboard.review.review import ReviewPage
from observability.dashboard.serving.compare_parts import signed_change
from observability.dashboard.table import column, draw_table, table_row
from observability.dashboard.widgets import link_button, plain_paragraph
from observability.export.review import paired_sentence
from observability.review import sentences

COLUMNS = (
    column("what", "Metric", wide=True),
    column("new", "Candidate", align="right", width="7rem"),
    column("then", "Production", align="right", width="7rem", phone=False),
    column("change", "Change", align="right", width="9rem"),
)
SECTIONS = {"pairs": "same requests", "performance": "all requests"}
"""Words for the sections of a comparison. A section without an entry is shown under its own name."""


def challenger_cards(room: ReviewPage) -> None:
    """Draw a card for each version in shadow in the week."""
    found = room.body.get("challengers", [])
    if not found:
        return
    st.subheader("Challengers", anchor=False)
    for each in found:
        _challenger_card(room, each)


def _challenger_card(room: ReviewPage, challenger: dict[str, Any]) -> None:
    """Draw one challenger: the main metric and changed decisions on the same requests, significant differences, and slices that became
    worse.
    """
    model, version, deployed = challenger["model"], challenger["version"], challenger["serves"]
    with st.container(border=True):
        heading = f"{model}: candidate version {version} compared with version {deployed} in production"
        st.markdown(f"**{formatting.escape_markdown(heading)}**")
        plain_paragraph(paired_sentence(challenger))
        sides = f"A: version {version}, in shadow. B: version {deployed}, in production."
        sentence = f"{formatting.sentence_markdown(challenger['sentence'])} {formatting.escape_markdown(sides)}"
        if challenger["differences"]:
            st.caption("Significant differences", help=sentence)
            rows = [_difference_row(difference) for difference in _once(challenger["differences"])]
            draw_table(f"challenger-{model}-{version}", f"Differences of version {version}", COLUMNS, rows, compact=True)
        else:
            st.markdown(sentence)
        for line in sentences.regressed_slice_sentences(challenger):
            plain_paragraph(line)
        for note in challenger["notes"]:
            st.caption(formatting.sentence_markdown(note))
        target = links.link_cell("", "compare", frozen_scope(room, model), b_version=deployed)
        link_button("Compare", target, key=f"go-{model}-{version}", icon="compare_arrows")


def _once(differences: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The differences without repetition: if a metric has a difference on paired requests, its difference on all requests is left out."""
    paired = {(each["metric"], each["subject"]) for each in differences if each["section"] == "pairs"}
    return [each for each in differences if each["section"] != "performance" or (each["metric"], each["subject"]) not in paired]


def _difference_row(difference: dict[str, Any]) -> dict[str, Any]:
    """The table row of one difference between challenger and champion: both values, the change and its interval."""
    unit, distance, section = difference["unit"], difference["distance"], difference["section"]
    change = formatting.format_value if distance else signed_change
    subject = "" if difference["subject"] == "model" else f" of {difference['subject']}"
    return table_row(
        what={"t": f"{formatting.metric_title(difference['metric'])}{subject}", "sub": SECTIONS.get(section, section)},
        new=None if distance else formatting.format_value(difference["new"], unit),
        then=None if distance else formatting.format_value(difference["then"], unit),
        change={"t": change(difference["change"], unit), "sub": _interval_words(difference)},
    )


def _interval_words(difference: dict[str, Any]) -> str | None:
    """The interval of a change in words; in percentage points for shares. None if an end is unknown."""
    low, high = difference["low"], difference["high"]
    if difference["unit"] != "share" or difference["distance"] or low is None or high is None:
        return frozen_interval_words(difference)
    return f"{signed_change(low, 'share')} to {signed_change(high, 'share')}"
