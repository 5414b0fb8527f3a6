"""Keep judged training runs. The watcher, the findings of pages and the pages about runs share them."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from observability.analyzers.training.runs import ANALYZER, JudgedRuns, judged_runs
from observability.core.window import Window
from observability.monitoring.kept_answers import KeptAnswers, OfEachStore
from observability.monitoring.kept_findings import records_generation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from observability.store.engine import Store

_kept = OfEachStore[KeptAnswers[tuple[str, datetime], JudgedRuns]](lambda: KeptAnswers(most=4))


def keeper_of_runs(store: "Store", generations: "Mapping[str, int]") -> Callable[[Window], JudgedRuns]:
    """A function that returns all runs of a window's model, judged by their records up to the window's end. They are read only once.
    generations: commit numbers of the store.
    """

    def keep(window: Window) -> JudgedRuns:
        asked, generation = (window.model, window.end), records_generation(generations, ANALYZER.name)
        return _kept.of(store).find_or_compute(asked, generation, lambda: judged_runs(store.ask, *asked))

    return keep
