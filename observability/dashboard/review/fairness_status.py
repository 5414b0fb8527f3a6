"""Any group worse off, any promise lapsed? The criterion of each model with its interval, and the audits with what they found before."""

from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard import links
from observability.dashboard.review.fleet import scope_of
from observability.dashboard.review.review import Room
from observability.dashboard.table import column, row, table
from observability.review import sentences

CRITERIA = (
    column("what", "Criterion, attribute", wide=True),
    column("model", "Model", width="9rem"),
    column("value", "Largest difference", align="right", width="11rem", help="Between two groups, with its 95 % interval; groups that are too small are left out"),
    column("limit", "Accepted", align="right", width="6rem"),
    column("n", "n", align="right", width="5rem"),
)  # fmt: skip
AUDITS = (
    column("audit", "Audit", strong=True, width="11rem"),
    column("model", "Model", width="11rem"),
    column("results", "Found (before)", wide=True),
    column("expires", "Expires", width="9rem"),
)


def criteria(room: Room) -> None:
    """By how much groups differ by each model's criterion, as frozen, whether or not that needs a person."""
    rows, small = [], 0
    for part in room.body["models"]:
        found = part.get("fairness", {})
        small += found.get("small", 0)
        rows += [criterion(room, part["model"], each) for each in found.get("rows", ())]
    if rows:
        st.subheader("The chosen criterion", anchor=False)
        table("criteria", "How alike groups are treated", CRITERIA, rows, compact=True)
        if small:
            st.caption(f"{formatting.plural(small, 'group')} too small to be judged {'is' if small == 1 else 'are'} left out.")


def criterion(room: Room, model: str, each: dict[str, Any]) -> dict[str, Any]:
    """One attribute of a model."""
    reach = f"{formatting.amount(each['low'], each['unit'])} to {formatting.amount(each['high'], each['unit'])}" if each["low"] is not None and each["high"] is not None else None  # fmt: skip
    standing = each["severity"] == "ok" and sentences.exceeded(each)  # nothing new, and nothing to call fine
    target = links.link(f"{formatting.metric_title(each['metric'])} by {each['attribute']}", "fairness", scope_of(room, model))
    return row(
        {
            "what": {**({} if standing else {"s": each["severity"]}), **target, "sub": each["because"].replace("`", "")},
            "model": {"t": model},
            "value": {"t": formatting.amount(each["value"], each["unit"]), "sub": reach},
            "limit": {
                "t": formatting.amount(each["limit"], each["unit"]) if isinstance(each["limit"], int | float) else formatting.DASH,
                "sub": "exceeded" if sentences.exceeded(each) else None,
            },
            "n": {"t": f"{each['n']:,}"},
        }
    )


def audits(room: Room) -> None:
    """The newest audit of each kind, what it found, what the one before found, and until when it holds."""
    found = room.body.get("audits", [])
    if not found:
        return
    st.subheader("Audits", anchor=False)
    rows = [
        row(
            {
                "audit": {"t": each["audit"], "sub": f"made {each['at'][:10]}"},
                "model": {"t": each["model"], "sub": f"version {each['version']}"},
                "results": {"t": sentences.results(each)},
                "expires": expiry(room, each["expires"]),
            }
        )
        for each in found
    ]
    table("audits", "Audits and what they found", AUDITS, rows, compact=True)


def expiry(room: Room, expires: str | None) -> dict[str, Any]:
    """Until when an audit holds, seen from the week's end."""
    if expires is None:
        return {"t": formatting.DASH}
    return {"t": expires[:10], **({"s": "act", "sub": "expired"} if expires < room.body["end"] else {})}
