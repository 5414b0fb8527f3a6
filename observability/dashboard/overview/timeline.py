"""Changes as marks on a line for each model: deploys and other events, registrations, and the starts of incidents.

A line covers exactly the window of its model. The windows of models may lie years apart, so each line has its own dates.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from observability.core import formatting
from observability.core.time import aware_utc
from observability.dashboard import links, time_zone
from observability.dashboard.overview import incidents
from observability.dashboard.overview.model_status import ModelStatus
from observability.dashboard.scope import Scope
from observability.dashboard.table import column, table_row

COLUMNS = (
    column("model", "Model", width="10.5rem", strong=True),
    column("marks", "Window", wide=True),
    column("counts", "Changes", width="15rem", phone=False),
)
SHAPES = {"deploy": "triangle", "registered": "square", "incident": "circle"}
"""The shape of a mark by kind of event; other kinds are diamonds."""
MAX_ROWS = 12


@dataclass(frozen=True)
class TimelineMark:
    """One change. what: deploy, the sort of another event, registered, or incident. state: the severity of an incident."""

    at: datetime
    what: str
    words: str
    state: str | None = None


def marks_of_model(status: ModelStatus) -> list[TimelineMark]:
    """The changes of a model in its window, oldest first."""
    return sorted(_marks(status), key=lambda mark: mark.at)


def _marks(status: ModelStatus) -> Iterator[TimelineMark]:
    start, end = status.window.start, status.window.end
    for at, what, words in zip(status.events["at"], status.events["what"], status.events["text"]):
        yield TimelineMark(aware_utc(at.to_pydatetime()), str(what), str(words))
    yield from registration_marks(status)
    for incident in status.incidents:
        if incident.onset is not None and start <= incident.onset < end:
            yield TimelineMark(incident.onset, "incident", incidents.incident_headline(incident).replace("`", ""), incident.shown_severity)


def registration_marks(status: ModelStatus) -> list[TimelineMark]:
    """Return marks for the versions that were registered in the model's window."""
    start, end = status.window.start, status.window.end
    known = [(version.registered_at, version.name) for version in status.model.versions]
    return [TimelineMark(at, "registered", f"version {name} registered") for at, name in known if at is not None and start <= at < end]


def timeline_rows(statuses: Sequence[ModelStatus], scope: Scope) -> list[dict[str, Any]]:
    """Return a row for each model with changes in its window, the model with the most changes first; at most MAX_ROWS rows."""
    found = sorted(((status, marks_of_model(status)) for status in statuses), key=lambda each: -len(each[1]))
    return [timeline_row(status, marks, scope) for status, marks in found if marks][:MAX_ROWS]


def timeline_row(status: ModelStatus, marks: Sequence[TimelineMark], scope: Scope) -> dict[str, Any]:
    """Return the line of a model with its marks. Their words are tooltips, and also the label of the picture for screen readers."""
    window = status.window
    length = (window.end - window.start).total_seconds()
    drawn = [
        {
            "x": round((mark.at - window.start).total_seconds() / length, 4),
            "shape": SHAPES.get(mark.what, "diamond"),
            "s": mark.state,
            "t": f"{time_zone.named_minute(mark.at)}: {formatting.truncate(mark.words)}",
        }
        for mark in marks
    ]
    counts: dict[str, int] = {}
    for mark in marks:
        counts[mark.what] = counts.get(mark.what, 0) + 1
    name = status.model.name
    logged = any(mark.state is None for mark in marks)  # the page Changes does not list the starts of incidents
    return table_row(
        model=links.link_cell(name, "changes" if logged else "incident", scope.about(name)),
        marks={
            "marks": {"of": drawn, "label": "; ".join(str(mark["t"]) for mark in drawn)},
            "sub": formatting.format_span(window.start, window.end),
        },
        counts=", ".join(count_words(what, n) for what, n in counts.items()),
    )


def count_words(what: str, n: int) -> str:
    """Return a number of changes of one sort in words, such as `2 deploys` or `1 version registered`."""
    if what == "registered":
        return f"{formatting.plural(n, 'version')} registered"
    return formatting.plural(n, {"data": "data change", "export": "export"}.get(what, what))
