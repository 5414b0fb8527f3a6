"""What does the fleet's strip of a frozen week show: one row a model, one cell a question?"""

from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.weeks import Week
from observability.dashboard import links
from observability.dashboard.review.review import Room
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, row, table
from observability.review import sentences as review_words

FLEET = (
    column("model", "Model", width="9rem", strong=True),
    column("status", "Status", width="6.5rem"),
    column("outcome", "Main metric", width="10rem"),
    column("before", "Last week", width="6.5rem", help="Whether the two differ by more than chance, and what the reference had"),
    column("drift", "Inputs", width="8.5rem"),
    column("fairness", "Fairness", width="7.5rem"),
    column("latency", "p99", align="right"),
    column("budget", "Error budget", align="right", help="How much of it is left"),
    column("labels", "Labelled", align="right"),
    column("cost", "Per 1,000", align="right", help="Cost, and energy below it"),
)


JUDGED_BY = (
    column("model", "Model", width="9rem", strong=True),
    column("versions", "Versions", width="9rem"),
    column("settings", "Settings and limits", wide=True),
)


def fleet(room: Room) -> None:
    """One row a model."""
    table("fleet", "The fleet in this week", FLEET, [fleet_row(room, each, places(room, each["model"])) for each in room.body["models"]])
    st.subheader("What the week was judged by", anchor=False)
    table(
        "judged-by",
        "Versions, settings and limits of the week",
        JUDGED_BY,
        [judged_row(each) for each in room.body["models"]],
        compact=True,
    )


def judged_row(part: dict[str, Any]) -> dict[str, Any]:
    """The settings a model was judged by, and since when they held."""
    settings, since = review_words.judged_by(part)
    return row(
        {
            "model": {"t": part["model"]},
            "versions": {"t": ", ".join(part["versions"]) or formatting.DASH},
            "settings": {"t": settings, "sub": since},
        }
    )


def places(room: Room, model: str) -> list[int]:
    """Where on the agenda a model's items stand, those that it shares with others among them."""
    return [place for place, each in enumerate(room.agenda.items, 1) if model in each.models]


def fleet_row(room: Room, part: dict[str, Any], agenda: list[int]) -> dict[str, Any]:
    """One model's cells. agenda: the places of its items."""
    said = [formatting.plural(len(part["incidents"]), "incident")] if part["incidents"] else []
    said += [f"agenda {', '.join(map(str, agenda))}"] if agenda else []
    cells = part["strip"]
    main = cells["performance"] if cells["performance"]["value"] is not None else cells["estimated"]
    return row(
        {
            "model": {**links.link(part["model"], "model", scope_of(room, part["model"])), "sub": f"{formatting.short(part['served'])} served"},
            "status": {"s": part["severity"], "t": formatting.STATUS_WORDS[part["severity"]], "sub": "; ".join(said) or None},
            "outcome": told(main, formatting.metric_title(main["metric"]) if main["metric"] else None),
            "before": before(main),
            "drift": counted(cells["drift"], "stable", "moved"),
            "fairness": counted(cells["fairness"], "as before", "problems"),
            "latency": told(cells["latency"], None, " ms"),
            "budget": told(cells["error_budget"]),
            "labels": told(cells["labels"]),
            "cost": {**told(cells["cost"], None, f" {cells['cost']['currency'] or ''}"), **({"sub": formatting.amount(cells["energy"]["value"], "Wh")} if cells["energy"]["value"] is not None else {})},
        }
    )  # fmt: skip


def told(cell: dict[str, Any], sub: str | None = None, unit: str = "") -> Cell:
    """A frozen figure as a table's cell: its value, its mark unless it was measured, its interval and n in the tooltip."""
    if cell["value"] is None:
        return {"t": formatting.DASH}
    reach = (
        f"{formatting.amount(cell['low'], cell['unit'])} to {formatting.amount(cell['high'], cell['unit'])}, "
        if cell["low"] is not None
        else ""
    )
    return {
        "t": f"{formatting.amount(cell['value'], cell['unit'])}{unit}".strip(),
        "mark": cell["basis"] if sub or cell["basis"] != "measured" else None,
        "sub": sub,
        "title": f"{reach}n = {cell['n']:,}. {(cell['because'] or '').replace('`', '')}",
    }


def before(cell: dict[str, Any]) -> Cell:
    """Last week's figure, whether this week's is another, and the reference's."""
    base = f"reference {formatting.amount(cell['reference'], cell['unit'])}" if cell.get("reference") is not None else None
    if not cell["before"]:
        return {"t": formatting.DASH, "sub": base}
    words = {"yes": "different", "no": "not different", "cannot tell": "cannot tell"}[cell["differs"]]
    return {"t": formatting.amount(cell["before"]["value"], cell["unit"]), "sub": f"{words}; {base}" if base else words}


def counted(cell: dict[str, Any], good: str, bad: str) -> Cell:
    """How many findings of a kind need a person."""
    title = (cell["because"] or "").replace("`", "")
    if cell["bad"]:
        return {"s": cell["severity"], "t": f"{cell['bad']} of {cell['of']} {bad}", "title": title}
    return {"s": cell["severity"], "t": good if cell["severity"] == "ok" else "cannot tell" if cell["of"] else "not judged", "title": title}


def scope_of(room: Room, model: str) -> Scope:
    """The frozen dates of a model, for a link to a live page."""
    week = Week.parse(room.body["week"])
    return Scope(model=model).at(week.start, week.end)
