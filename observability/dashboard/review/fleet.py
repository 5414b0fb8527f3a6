"""The fleet of a frozen week: one row per model, and the settings that were in force."""

from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.weeks import Week
from observability.dashboard import links
from observability.dashboard.cells import UNKNOWN_CELL, frozen_interval_words, severity_cell
from observability.dashboard.review.review import ReviewPage
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, table_row
from observability.review import sentences as review_words
from observability.review.fleet_strip import main_metric_cell
from observability.review.model_actions import model_action_counts, model_week_severity

FLEET = columns_on_phone(
    "model status outcome",
    column("model", "Model", width="9rem", strong=True),
    column("status", "Status", width="6.5rem"),
    column("outcome", "Main metric", width="10rem"),
    column("before", "Last week", width="6.5rem", help="Whether the difference is significant, and the reference"),
    column("drift", "Inputs", width="8.5rem"),
    column("fairness", "Fairness", width="7.5rem"),
    column("latency", "p99", align="right"),
    column("budget", "Error budget", align="right", help="Share left"),
    column("labels", "Labelled", align="right"),
    column("cost", "Per 1,000", align="right", help="Cost, with energy below"),
)


SETTINGS_COLUMNS = (
    column("model", "Model", width="9rem", strong=True),
    column("versions", "Versions", width="9rem"),
    column("settings", "Settings and limits", wide=True),
)


def fleet_step(room: ReviewPage) -> None:
    """One row per model, and the settings of the week."""
    models = sorted(room.body["models"], key=lambda part: part["served"] == 0)  # models without predictions last
    draw_table("fleet", "The fleet in this week", FLEET, [_fleet_row(room, part) for part in models])
    rows = [_settings_row(part) for part in models]
    with st.expander("Settings and limits of the week", icon=":material/tune:"):
        draw_table("judged-by", "Versions, settings and limits of the week", SETTINGS_COLUMNS, rows, compact=True)


def _settings_row(part: dict[str, Any]) -> dict[str, Any]:
    """The settings and limits of a model, and since when they are in force."""
    settings, since = review_words.settings_sentence(part)
    return table_row(model=part["model"], versions=", ".join(part["versions"]) or None, settings={"t": settings, "sub": since})


def _fleet_row(room: ReviewPage, part: dict[str, Any]) -> dict[str, Any]:
    """The table row of one model, with the positions of its items on the agenda."""
    arranged = room.agenda
    agenda = [str(place) for place, item in enumerate(arranged.items, 1) if part["model"] in item.models]
    asked = model_action_counts(arranged, part["model"])
    notes = [asked.words] if asked.critical or asked.warnings else []
    notes += [f"agenda {', '.join(agenda)}"] if agenda else []
    strip = part["strip"]
    main = main_metric_cell(strip)
    cost, energy = frozen_figure_cell(strip["cost"], None, f" {strip['cost']['currency'] or ''}"), strip["energy"]["value"]
    cells: dict[str, Cell] = {
        "model": links.link_cell(part["model"], "model", frozen_scope(room, part["model"])),
        "status": severity_cell(model_week_severity(room.body, part)) | {"sub": "; ".join(notes) or None},
        "outcome": frozen_figure_cell(main, formatting.metric_title(main["metric"]) if main["metric"] else None),
        "before": _last_week_cell(main),
        "drift": _findings_count_cell(strip["drift"], "stable", "drifted"),
        "fairness": _findings_count_cell(strip["fairness"], "unchanged", "problems"),
        "latency": frozen_figure_cell(strip["latency"], None, " ms"),
        "budget": frozen_figure_cell(strip["error_budget"]),
        "labels": frozen_figure_cell(strip["labels"]),
        "cost": cost if energy is None else cost | {"sub": formatting.format_value(energy, "Wh")},
    }
    cells["model"]["sub"] = f"{formatting.compact_count(part['served'])} served"
    return table_row(cells)


def frozen_figure_cell(cell: dict[str, Any], sub: str | None = None, unit: str = "") -> Cell:
    """A frozen figure as a table cell: its value, its basis if it was not measured, and a tooltip with its interval and n."""
    if cell["value"] is None:
        return dict(UNKNOWN_CELL)
    interval = frozen_interval_words(cell)
    return {
        "t": f"{formatting.format_value(cell['value'], cell['unit'])}{unit}".strip(),
        "mark": cell["basis"] if sub or cell["basis"] != "measured" else None,
        "sub": sub,
        "title": f"{f'{interval}, ' if interval else ''}n = {cell['n']:,}. {(cell['because'] or '').replace('`', '')}",
    }


def _last_week_cell(cell: dict[str, Any]) -> Cell:
    """Last week's figure, whether this week's figure differs significantly from it, and the figure of the reference."""
    base = f"reference {formatting.format_value(cell['reference'], cell['unit'])}" if cell.get("reference") is not None else None
    if not cell["before"]:
        return {"t": formatting.DASH, "sub": base}
    words = {"yes": "different", "no": "no significant difference", "cannot tell": "inconclusive"}[cell["differs"]]
    return {"t": formatting.format_value(cell["before"]["value"], cell["unit"]), "sub": f"{words}; {base}" if base else words}


def _findings_count_cell(cell: dict[str, Any], good: str, bad: str) -> Cell:
    """A table cell with the number of findings of one kind that need attention."""
    title = (cell["because"] or "").replace("`", "")
    sub = f"{cell['undecided']} cannot be judged" if cell.get("undecided") else None  # not in weeks that were frozen earlier
    if cell["bad"]:
        return {"s": cell["severity"], "t": f"{cell['bad']} of {cell['of']} {bad}", "sub": sub, "title": title}
    other = "inconclusive" if cell["of"] else "no data"
    return {"s": cell["severity"], "t": good if cell["severity"] == "ok" else other, "sub": sub, "title": title}


def frozen_scope(room: ReviewPage, model: str | None) -> Scope:
    """The scope of a model (None: of all models) in the frozen dates, for links to live pages."""
    week = Week.parse(room.body["week"])
    return Scope(model=model).at(week.start, week.end)
