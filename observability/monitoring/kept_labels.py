"""Labels of a window as annotators gave them, which the watcher, the findings of pages and the page about labelling share."""

import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from observability.analyzers.data.labelling import ANALYZER, read_labelled_window
from observability.core.window import Window
from observability.metrics.labelled_window import LabelledWindow
from observability.monitoring.kept_answers import KeptAnswers
from observability.monitoring.kept_findings import records_generation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from observability.store.engine import Store

MOST = 2
_of_stores: "weakref.WeakKeyDictionary[Store, KeptAnswers[Window, LabelledWindow]]" = weakref.WeakKeyDictionary()
_mutex = threading.Lock()


def keeper_of_labels(store: "Store", generations: "Mapping[str, int]") -> Callable[[Window], LabelledWindow]:
    """A function that gives the labels of a window, read once while no record arrives. generations: of the store."""

    def keep(window: Window) -> LabelledWindow:
        with _mutex:
            kept = _of_stores.setdefault(store, KeptAnswers(MOST))
        generation = records_generation(generations, ANALYZER.name)
        return kept.find_or_compute(window, generation, lambda: read_labelled_window(store.ask, window))

    return keep
