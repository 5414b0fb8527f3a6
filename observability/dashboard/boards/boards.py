"""Stored dashboards: records of the kinds `dashboard` and `pin`. The newest value of each field counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode

from observability.core import formatting
from observability.dashboard.page_figures import CollectedFigures, FigurePlace, figures_of_page, place_in_scope
from observability.dashboard.scope import SPANS, Scope, parse_instant, scope_from_state
from observability.records.values import new_record_id
from observability.server.access import Person
from observability.server.dashboard_access import SCHEDULE
from observability.store.types.decision_items import DecisionItem

FOLLOWS = {"dates": "Its model, the dashboard's dates", "dashboard": "The dashboard's scope", "none": "Its own scope"}
"""Which parts of the dashboard's scope apply to a figure, in words."""
WIDTHS = {"half": "Half", "full": "Full"}


@dataclass(frozen=True)
class Pin:
    """A figure or a text on a dashboard. own: page and scope in which the figure was pinned; None for a text. place: sort key for its
    position. author: who changed it last.
    """

    id: str
    title: str
    text: str
    own: FigurePlace | None
    figure: str
    follows: str
    width: str
    place: float
    author: str = ""

    def shown_place(self, scope: Scope) -> FigurePlace | None:
        """The page and scope of the figure, in the scope of the dashboard; None for a text."""
        return place_in_scope(self.own, scope, self.follows) if self.own else None


@dataclass(frozen=True)
class Board:
    """A dashboard with its figures and texts, in order. sent_by: who scheduled its summary; None if nobody did. channel: the channel to
    which the summary is sent.
    """

    id: str
    name: str
    scope: Scope
    shared: bool
    author: str
    changed_at: datetime
    pins: tuple[Pin, ...]
    send: str = "never"
    hour: int = 7
    channel: str | None = None
    sent_by: str | None = None


def read_boards(items: Sequence[DecisionItem]) -> list[Board]:
    """The dashboards among the store's items, by name; boards/shared_views.py reads the shared views."""
    pins: dict[str, list[Pin]] = {}
    for item in items:
        if item.kind == "pin":
            pins.setdefault(str(item.fields["dashboard"]), []).append(_pin(item))
    boards = [_board(item, pins.get(item.id, [])) for item in items if item.kind == "dashboard" and not item.fields.get("page")]
    return sorted(boards, key=lambda board: (board.name.casefold(), board.id))


def _board(item: DecisionItem, pins: Sequence[Pin]) -> Board:
    fields = item.fields
    return Board(
        item.id,
        str(fields.get("name") or "Dashboard"),
        scope_of_text(fields.get("scope")),
        fields.get("visibility") == "shared",
        item.first.author,
        item.last.at,
        tuple(sorted(pins, key=lambda pin: (pin.place, pin.id))),
        str(fields.get("send") or "never"),
        int(fields.get("hour", 7)),
        fields.get("channel"),
        _scheduler(item),
    )


def _scheduler(item: DecisionItem) -> str | None:
    """The person who last changed the time or the channel of the summary; None if nobody did."""
    author, known = None, dict[str, Any]()
    for entry in item.entries:
        own = {name: entry.fields[name] for name in SCHEDULE if name in entry.fields}
        if any(known.get(name) != value for name, value in own.items()):
            author, known = entry.author, known | own
    return author


def _pin(item: DecisionItem) -> Pin:
    fields = item.fields
    own = None
    if fields.get("page"):
        own = place_of_fields(fields)
    title, text, figure = (str(fields.get(name) or "") for name in ("title", "text", "figure"))
    width = str(fields.get("width") or "full")
    return Pin(
        item.id, title, text, own, figure, str(fields.get("follows") or "none"), width, float(fields.get("place") or 0.0), item.last.author
    )


def place_of_fields(fields: Mapping[str, Any]) -> FigurePlace:
    """The page, scope and parameters in the fields of a record."""
    parameters = parse_qs(str(fields.get("parameters") or ""))
    own = tuple((name, tuple(values)) for name, values in parameters.items())
    return FigurePlace(str(fields["page"]), scope_of_text(fields.get("scope")), own)


def fields_of_place(place: FigurePlace) -> dict[str, str]:
    """The fields of a record that hold a page, its scope and its parameters."""
    return {"page": place.page, "scope": scope_text(place.scope), "parameters": urlencode(dict(place.parameters), doseq=True)}


def scope_text(scope: Scope) -> str:
    """A scope as text, in the form that records store."""
    return urlencode({"window": SPANS[scope.span], **scope.parameters()})


def scope_of_text(text: object) -> Scope:
    """The scope from the text in a record; parts that cannot be read are left out."""
    parts: dict[str, Any] = dict(parse_qsl(str(text or "")))
    return scope_from_state({**parts, **{key: parse_instant(parts[key]) if parts.get(key) else None for key in ("from", "to")}})


def board_record(board: str, author: str, **fields: object) -> dict[str, Any]:
    """A record that creates or changes a dashboard."""
    return {"kind": "dashboard", "dashboard": board, "author": author, **fields}


def pin_record(board: str, pin: str, author: str, **fields: object) -> dict[str, Any]:
    """A record that creates or changes a figure or a text on a dashboard."""
    return {"kind": "pin", "pin": pin, "dashboard": board, "author": author, **fields}


def figure_fields(place: FigurePlace, figure: str) -> dict[str, Any]:
    """The fields of a record that state which figure is pinned."""
    return {**fields_of_place(place), "figure": figure, "model": place.scope.model}


def new_pin_record(board: Board | None, board_id: str, author: str, **fields: object) -> dict[str, Any]:
    """The record of a new figure or text, which is placed after all others. board: the stored dashboard; None for a new one."""
    last = max((pin.place for pin in board.pins), default=0.0) if board else 0.0
    return pin_record(board_id, new_record_id(), author, place=last + 1, **fields)


def moved_records(board: Board, pin: Pin, steps: int, author: str) -> list[dict[str, Any]]:
    """Records that swap a figure or text with the next one (steps 1) or the previous one (steps -1); empty if there is none."""
    at = board.pins.index(pin)
    if not 0 <= at + steps < len(board.pins):
        return []
    other = board.pins[at + steps]
    places = (other.place, pin.place) if other.place != pin.place else (pin.place + steps, pin.place)
    return [pin_record(board.id, each.id, author, place=place) for each, place in zip((pin, other), places, strict=True)]


def rows_of_pins(pins: Sequence[Pin]) -> list[tuple[Pin, ...]]:
    """The pins in rows. Two successive pins of half width share a row."""
    rows: list[tuple[Pin, ...]] = []
    for pin in pins:
        if pin.width == "half" and rows and len(rows[-1]) == 1 and rows[-1][0].width == "half":
            rows[-1] = (rows[-1][0], pin)
        else:
            rows.append((pin,))
    return rows


def places_of_pins(pins: Sequence[Pin], scope: Scope) -> dict[FigurePlace, list[Pin]]:
    """The figures by page and scope, so that one run of a page computes all of its figures."""
    found: dict[FigurePlace, list[Pin]] = {}
    for pin in pins:
        if (place := pin.shown_place(scope)) is not None:
            found.setdefault(place, []).append(pin)
    return found


def figures_of_pins(pins: Sequence[Pin], scope: Scope, person: Person) -> Mapping[str, CollectedFigures]:
    """For each pin, by its id, the computed figures of its page."""
    runs: dict[str, CollectedFigures] = {}
    for place, on_page in places_of_pins(pins, scope).items():
        found = figures_of_page(place, {pin.figure for pin in on_page}, person)
        runs |= dict.fromkeys((pin.id for pin in on_page), found)
    return runs


def scope_words(scope: Scope, dates: str | None = None) -> str:
    """A scope in a few words: model, version, slice, time range. dates: the dates of the time range, in words."""
    part = formatting.slice_in_words(str(scope.slice)) if scope.slice else None
    version = f"version {scope.version}" if scope.version else None
    span = (
        dates if scope.span == "dates" and dates else " ".join(filter(None, (SPANS[scope.span].lower(), f"({dates})" if dates else None)))
    )
    return " · ".join(filter(None, (scope.model or "all models", version, part, span)))
