"""How do two sides of a model differ: two windows, versions or slices, on the same edges, beyond chance and by as much as matters?

    found = compare(ask, model, a, b)          # ask: from a question and a window to a frame; `asker(store)` asks the store itself
    found.sentence                             # the verdict in one sentence
    found.differences                          # everything that was compared, each with its verdict

Side A is what is looked at, side B what it is held against; changes are A - B.
"""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from observability.compare import group_gaps, input_distances, outcomes, paired_rows, sentences, service_figures
from observability.compare.comparison_types import Comparison, Side
from observability.compare.difference import (
    Asker,
    judged,
)
from observability.core.catalog import Model, Version
from observability.core.questions import Aggregate, By
from observability.core.window import Window

if TYPE_CHECKING:
    from observability.store.db.database import Store


def asker(store: "Store") -> Asker:
    """The store itself as the place where answers come from."""
    from observability.monitoring.check import put

    return partial(put, store)


def compare(ask: Asker, model: Model, a: Window, b: Window) -> Comparison:
    """Compare two windows of one model. The false discovery rate is held at FALSE_DISCOVERIES over all that is compared.

    Raises UsageError and NotFoundError for a version or a column of a slice that is not there.
    """
    one, other = side_of(ask, model, a), side_of(ask, model, b)
    if not one.rows or not other.rows:
        return Comparison(one, other, (), sentence=sentences.verdict((), one, other))
    measured, histograms = input_distances.compared(ask, model, a, b, one.versions, other.versions)
    errors, ripe_a, ripe_b = outcomes.errors(ask, model, a, b)
    one, other = replace(one, labelled=int(ripe_a[1])), replace(other, labelled=int(ripe_b[1]))
    matched, paired = paired_rows.compared(ask, model, a, b, one.versions, other.versions)
    registered = next((each for each in (*one.versions, *other.versions) if each.registered), None)
    found = [
        *paired,
        *errors,
        *outcomes.watched(ask, model, a, b),
        *group_gaps.compared(ask, model, a, b, registered, outcomes.youth(ripe_a, ripe_b)),
        *outcomes.decisions(ask, model, a, b),
        *service_figures.latency(ask, a, b),
        *service_figures.spent(ask, model, a, b),
        *measured,
    ]
    differences = tuple(judged(found))
    done = Comparison(one, other, differences, histograms, matched, sentences.verdict(differences, one, other))
    return replace(done, notes=tuple(sentences.notes(done)))


def side_of(ask: Asker, model: Model, window: Window) -> Side:
    """How many rows a window has, and of which versions."""
    frame = ask(Aggregate("predictions", keys=(By("version"),)), window)
    rows = {str(name): int(n) for name, n in zip(frame["version"], frame["n"], strict=True)}
    versions = tuple(model.version(name) or Version(name) for name in rows)
    return Side(window, versions, sum(rows.values()))
