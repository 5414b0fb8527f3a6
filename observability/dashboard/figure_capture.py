"""Collect the figures of a page instead of drawing them.

`frame.chart_with_table` hands every figure to the collector of its context, if there is one. In this way dashboards compute a pinned
figure with the code of its own page (dashboard/page_figures.py).
"""

from collections.abc import Callable, Collection, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame
WITHOUT_PINS = ("dashboards", "case", "prediction_map", "gallery", "review")
"""Pages whose figures cannot be pinned. Figures of dashboards are pinned already; figures of a case or the map would keep the id of a
prediction; figures of a review belong to a frozen week.
"""

WITHOUT_SHARING = ("case", "cases", "prediction_map", "query", "dashboards", "gallery")
"""Pages that are not shared as views: their addresses may hold the id of a prediction, or a person's; a dashboard is shared by itself."""

SIMULATED = ("lab", "gallery")
"""Pages whose figures are simulated, so that they contain no data about people."""


@dataclass(frozen=True, eq=False)
class PageFigure:
    """A figure as its page computes it. key: its name on the page. figure: a figure of plotly. table: the drawn values. alt: the takeaway
    in one sentence. metrics: the metrics that its help explains. columns: titles of the table's columns.
    """

    key: str
    figure: Any
    table: "DataFrame"
    alt: str
    metrics: tuple[str, ...] = ()
    columns: Mapping[str, Any] | None = None


class AllFiguresFound(BaseException):
    """Ends a page once every wanted figure was collected."""


class FigureCollector:
    """Collects the wanted figures, or the wanted file, of one page, and the message of the page if it cannot draw them. file: the key of
    the file's download button.
    """

    def __init__(self, wanted: Collection[str], file: str | None = None) -> None:
        self.wanted, self.found, self.said = frozenset(wanted), dict[str, PageFigure](), list[str]()
        self.file: str | None = file
        self.content: str | bytes | None = None

    def take(self, figure: PageFigure) -> None:
        """Keep a figure that is wanted. Raises AllFiguresFound after the last one."""
        if figure.key in self.wanted:
            self.found[figure.key] = figure
        if self.file is None and self.found.keys() == self.wanted:
            raise AllFiguresFound

    def take_file(self, key: str, data: Callable[[], str | bytes]) -> None:
        """Make the file of a button if it is wanted, then raise AllFiguresFound."""
        if self.file == key:
            self.content = data()
            raise AllFiguresFound

    def note(self, words: str) -> None:
        """Keep the text of an empty state or an error of the page."""
        self.said.append(words)


COLLECTOR: ContextVar[FigureCollector | None] = ContextVar("collector of figures", default=None)
"""The collector of this context; None if pages are drawn."""


def note_for_collector(words: str) -> None:
    """Hand the text of an empty state or an error to the collector, if there is one."""
    collector = COLLECTOR.get()
    if collector is not None:
        collector.note(words)
