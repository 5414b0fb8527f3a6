"""Training runs as they are judged, which the watcher, the findings of pages and the pages about runs share."""

import threading
import weakref
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from observability.analyzers.training.runs import ANALYZER, JudgedRuns, judged_runs
from observability.core.window import Window
from observability.monitoring.kept_answers import KeptAnswers
from observability.monitoring.kept_findings import records_generation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from observability.store.engine import Store

MOST = 4
_of_stores: "weakref.WeakKeyDictionary[Store, KeptAnswers[tuple[str, datetime], JudgedRuns]]" = weakref.WeakKeyDictionary()
_mutex = threading.Lock()


def keeper_of_runs(store: "Store", generations: "Mapping[str, int]") -> Callable[[Window], JudgedRuns]:
    """A function that gives all runs of a window's model by their records up to the window's end, read once. generations: of the store."""

    def keep(window: Window) -> JudgedRuns:
        with _mutex:
            kept = _of_stores.setdefault(store, KeptAnswers(MOST))
        asked, generation = (window.model, window.end), records_generation(generations, ANALYZER.name)
        return kept.find_or_compute(asked, generation, lambda: judged_runs(store.ask, *asked))

    return keep
