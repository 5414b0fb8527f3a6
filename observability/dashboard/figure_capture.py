"""Collects the figures of a page instead of drawing them.

`frame.chart_with_table` passes every figure to the collector of its context, if there is one. Dashboards use this to compute a pinned
figure with the code of its own page (dashboard/page_figures.py).
"""

from collections.abc import Callable, Collection, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame
WITHOUT_PINS = ("dashboards", "case", "prediction_map", "gallery", "review")
"""Pages whose figures cannot be pinned. Figures of dashboards are already pinned; figures of a case or of the map would store the id of a
prediction; figures of a review belong to a fixed week.
"""

WITHOUT_SHARING = ("case", "cases", "prediction_map", "query", "dashboards", "gallery")
"""Pages that are not shared as views. Their addresses may hold the id of a prediction or of a person; a dashboard is shared in its
own way.
"""

SIMULATED = ("lab", "gallery")
"""Pages whose figures are simulated, so that they contain no data about people."""


@dataclass(frozen=True, eq=False)
class PageFigure:
    """A figure as computed by its page. key: its name on the page. figure: a figure of plotly. table: the drawn values. alt: the takeaway
    in one sentence. metrics: the metrics that its help explains. columns: titles of the table's columns.
    """

    key: str
    figure: Any
    table: "DataFrame"
    alt: str
    metrics: tuple[str, ...] = ()
    columns: Mapping[str, Any] | None = None


class AllFiguresFound(BaseException):
    """Raised to end a page once every wanted figure has been collected."""


class FigureCollector:
    """Collects the wanted figures or the wanted file of one page, and the message of the page if it cannot draw them. file: the key of the
    file's download button.
    """

    def __init__(self, wanted: Collection[str], file: str | None = None) -> None:
        self.wanted, self.found, self.said = frozenset(wanted), dict[str, PageFigure](), list[str]()
        self.file: str | None = file
        self.content: str | bytes | None = None

    def take(self, figure: PageFigure) -> None:
        """Store a figure if it is wanted. Raises AllFiguresFound after the last one."""
        if figure.key in self.wanted:
            self.found[figure.key] = figure
        if self.file is None and self.found.keys() == self.wanted:
            raise AllFiguresFound

    def take_file(self, key: str, data: Callable[[], str | bytes]) -> None:
        """Make the file of a button if it is wanted, and then raise AllFiguresFound."""
        if self.file == key:
            self.content = data()
            raise AllFiguresFound

    def note(self, words: str) -> None:
        """Store the text of an empty state or an error of the page."""
        self.said.append(words)


COLLECTOR: ContextVar[FigureCollector | None] = ContextVar("collector of figures", default=None)
"""The collector of this context; None if pages are drawn."""


def note_for_collector(words: str) -> None:
    """Pass the text of an empty state or an error to the collector, if there is one."""
    collector = COLLECTOR.get()
    if collector is not None:
        collector.note(words)
