"""Keep the labels of a window as annotators gave them. The watcher, the findings of pages and the page about labelling share them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from observability.analyzers.data.labelling import ANALYZER, read_labelled_window
from observability.core.window import Window
from observability.metrics.labelled_window import LabelledWindow
from observability.monitoring.kept_answers import KeptAnswers, OfEachStore
from observability.monitoring.kept_findings import records_generation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from observability.store.engine import Store

_kept = OfEachStore[KeptAnswers[Window, LabelledWindow]](lambda: KeptAnswers(most=2))


def keeper_of_labels(store: "Store", generations: "Mapping[str, int]") -> Callable[[Window], LabelledWindow]:
    """A function that returns the labels of a window. They are read only once as long as no new record arrives. generations: commit numbers
    of the store.
    """

    def keep(window: Window) -> LabelledWindow:
        generation = records_generation(generations, ANALYZER.name)
        return _kept.of(store).find_or_compute(window, generation, lambda: read_labelled_window(store.ask, window))

    return keep
