"""Promote, hold or reject: how do the versions that wait compare with the one that serves?"""

from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard import links
from observability.dashboard.review.fleet import scope_of
from observability.dashboard.review.review import Room
from observability.dashboard.table import column, row, table
from observability.export.review import on_the_same_rows
from observability.review import sentences

COLUMNS = (
    column("what", "What differs", wide=True),
    column("new", "New", align="right", width="7rem"),
    column("then", "Serves now", align="right", width="7rem"),
    column("change", "Change", align="right", width="12rem"),
)


def draw(room: Room) -> None:
    """A card for each version that answered in the shadow in the week."""
    found = room.body.get("challengers", [])
    if not found:
        return
    st.subheader("Versions that ask to be promoted", anchor=False)
    for each in found:
        card(room, each)


def card(room: Room, each: dict[str, Any]) -> None:
    """One challenger: the main metric on the same rows, who wins where, how many decisions flip, and everything else that differs beyond chance."""
    with st.container(border=True):
        st.markdown(
            f"**{formatting.plain(each['model'])}: version {formatting.plain(each['version'])} beside version {formatting.plain(each['serves'])}**"
        )
        st.markdown(formatting.plain(on_the_same_rows(each)))
        st.markdown(formatting.sentence(each["sentence"]))
        st.caption(formatting.plain(f"A is version {each['version']}, which waits; B is version {each['serves']}, which serves."))
        if each["differences"]:
            rows = [as_row(one) for one in each["differences"]]
            table(
                f"challenger-{each['model']}-{each['version']}", f"What differs in version {each['version']}", COLUMNS, rows, compact=True
            )
        for line in sentences.slices(each):
            st.markdown(formatting.plain(line))
        for note in each["notes"]:
            st.caption(formatting.sentence(note))
        target = links.link("Compare them", "compare", scope_of(room, each["model"]), b_version=each["serves"])
        st.button(
            target["t"], type="tertiary", icon=":material/compare_arrows:", key=f"go-{each['model']}-{each['version']}", on_click=links.go, args=(target["go"],)
        )  # fmt: skip


def as_row(one: dict[str, Any]) -> dict[str, Any]:
    """One difference."""
    reach = (
        f"{formatting.amount(one['low'], one['unit'])} to {formatting.amount(one['high'], one['unit'])}"
        if one["low"] is not None and one["high"] is not None
        else None
    )
    subject = "" if one["subject"] == "model" else f" of {one['subject']}"
    return row(
        {
            "what": {"t": f"{formatting.metric_title(one['metric'])}{subject}", "sub": one["section"]},
            "new": {"t": formatting.DASH if one["distance"] else formatting.amount(one["new"], one["unit"])},
            "then": {"t": formatting.DASH if one["distance"] else formatting.amount(one["then"], one["unit"])},
            "change": {"t": formatting.amount(one["change"], one["unit"]), "sub": reach},
        }
    )
