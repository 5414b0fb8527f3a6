"""The HTML file of a dashboard."""

from dataclasses import replace
from datetime import UTC, datetime

from observability.dashboard import frame
from observability.dashboard.boards.boards import Board, figures_of_pins, scope_words
from observability.dashboard.boards.load_boards import scope_dates_words
from observability.dashboard.charts.standalone import plotly_script, standalone_json
from observability.dashboard.frame import COLUMN_WORDS
from observability.dashboard.scope import Scope
from observability.dashboard.sign_in import current_person, on_behalf_of
from observability.export.dashboard import ExportedItem, dashboard_html
from observability.server.access import Person


def export_button(board: Board, scope: Scope) -> None:
    """Draw the button that makes the file, with the rights of the person for whom the page is drawn."""
    person = current_person()
    name = "".join(sign if sign.isalnum() else "-" for sign in board.name.lower()).strip("-") or "dashboard"
    frame.download_button(f"{name}.html", lambda: board_html(board, scope, person), "Export (HTML)", key="board-export", kind="text/html")


def board_html(board: Board, scope: Scope, person: Person) -> str:
    """A dashboard in a scope as one HTML file with everything that a person may see. Figures of small groups are left out for everybody."""
    person = replace(person, for_a_file=True)
    with on_behalf_of(person):
        words = scope_words(scope, scope_dates_words(scope))
        items = exported_items(board, scope, person)
    return dashboard_html(board.name, f"{words[:1].upper()}{words[1:]}", items, plotly_script(), datetime.now(UTC))


def exported_items(board: Board, scope: Scope, person: Person) -> list[ExportedItem]:
    """The figures and texts of a dashboard, in order, as they are shown in a file."""
    runs, items = figures_of_pins(board.pins, scope, person), []
    for pin in board.pins:
        place, wide = pin.shown_place(scope), pin.width == "full"
        if place is None:
            items.append(ExportedItem(pin.title, wide, tuple(filter(None, (part.strip() for part in pin.text.split("\n"))))))
            continue
        where, figure = scope_words(place.scope, scope_dates_words(place.scope)), runs[pin.id].found.get(pin.figure)
        if figure is None:
            items.append(ExportedItem(pin.title, wide, scope=where, sentence=runs[pin.id].why_missing(pin.figure)))
            continue
        titles = {**COLUMN_WORDS, **{name: str(words) for name, words in (figure.columns or {}).items() if isinstance(words, str)}}
        drawn = standalone_json(figure.figure)
        items.append(
            ExportedItem(pin.title, wide, scope=where, sentence=figure.alt, figure=drawn, table=figure.table, titles=titles),
        )
    return items
