"""Fairness in a review: the criterion of each model with its interval, and the audits with their earlier results."""

from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard import links
from observability.dashboard.cells import frozen_interval_words
from observability.dashboard.review.fleet import frozen_scope
from observability.dashboard.review.review import ReviewPage
from observability.dashboard.table import column, draw_table, table_row
from observability.review import sentences

CRITERIA = (
    column("what", "Criterion, attribute", wide=True),
    column("model", "Model", width="9rem"),
    column("value", "Largest difference", align="right", width="11rem", help="Between two large enough groups, with its 95 % interval"),
    column("limit", "Limit", align="right", width="6rem"),
    column("n", "n", align="right", width="5rem"),
)
AUDITS = (
    column("audit", "Audit", strong=True, width="11rem"),
    column("model", "Model", width="11rem"),
    column("results", "Results", wide=True),
    column("expires", "Expires", width="9rem"),
)


def fairness_criteria_table(room: ReviewPage) -> None:
    """Draw the largest difference between groups by the fairness criterion of each model, as frozen."""
    rows, small = [], 0
    for part in room.body["models"]:
        found = part.get("fairness", {})
        small += found.get("small", 0)
        rows += [fairness_criterion_row(room, part["model"], each) for each in found.get("rows", ())]
    if rows:
        st.subheader("Fairness criterion", anchor=False)
        draw_table("criteria", "Largest differences between groups", CRITERIA, rows, compact=True)
        if small:
            st.caption(f"{formatting.plural(small, 'group')} with too few rows left out.")


def fairness_criterion_row(room: ReviewPage, model: str, figure: dict[str, Any]) -> dict[str, Any]:
    """The table row of one sensitive attribute of a model."""
    exceeded, limit = sentences.is_beyond_limit(figure), figure["limit"]
    known_gap = figure["severity"] == "ok" and exceeded  # a gap that also existed before: exceeded, but neither new nor OK
    status = {} if known_gap else {"s": figure["severity"]}
    title = f"{formatting.metric_title(figure['metric'])} by {figure['attribute']}"
    target = links.link_cell(title, "fairness", frozen_scope(room, model))
    limit_words = formatting.format_value(limit, figure["unit"]) if isinstance(limit, int | float) else formatting.DASH
    return table_row(
        what={**status, **target, "sub": figure["because"].replace("`", "")},
        model=model,
        value={"t": formatting.format_value(figure["value"], figure["unit"]), "sub": frozen_interval_words(figure)},
        limit={"t": limit_words, "sub": "exceeded" if exceeded else None},
        n=f"{figure['n']:,}",
    )


def audits_table(room: ReviewPage) -> None:
    """Draw the newest audit of each kind, with its results, the earlier results, and its expiry date."""
    found = room.body.get("audits", [])
    if not found:
        return
    st.subheader("Audits", anchor=False)
    rows = [
        table_row(
            audit={"t": each["audit"], "sub": f"made {formatting.format_iso_day(each['at'])}"},
            model={"t": each["model"], "sub": f"version {each['version']}"},
            results=sentences.audit_results_words(each),
            expires=_expiry_cell(room, each["expires"]),
        )
        for each in found
    ]
    draw_table("audits", "Audits and their results", AUDITS, rows, compact=True)


def _expiry_cell(room: ReviewPage, expires: str | None) -> dict[str, Any]:
    """The expiry of an audit, as of the end of the week."""
    if expires is None:
        return {"t": formatting.DASH}
    return {"t": formatting.format_iso_day(expires), **({"s": "act", "sub": "expired"} if expires <= room.body["end"] else {})}
