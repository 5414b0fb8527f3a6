"""How do two sides of a model differ: two windows, versions or slices, on the same edges, beyond chance and by as much as matters?

    found = compare(ask, model, a, b)          # ask: from a question and a window to a frame; `asker(store)` asks the store itself
    found.sentence                             # the verdict in one sentence
    found.differences                          # everything that was compared, each with its verdict

Side A is what is looked at, side B what it is held against; changes are A - B.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from observability.aggregate import Aggregate, By
from observability.catalog import Model, Version
from observability.compare import fair, inputs, outcomes, pairs, service, words
from observability.compare.difference import (
    FALSE_DISCOVERIES,
    SECTIONS,
    VERDICTS,
    Asker,
    Difference,
    Section,
    Verdict,
    judged,
)
from observability.compare.inputs import Histograms
from observability.compare.pairs import Pairs
from observability.window import Window

if TYPE_CHECKING:
    from observability.store.database import Store

__all__ = [
    "FALSE_DISCOVERIES",
    "SECTIONS",
    "VERDICTS",
    "Asker",
    "Comparison",
    "Difference",
    "Histograms",
    "Pairs",
    "Section",
    "Side",
    "Verdict",
    "asker",
    "compare",
]


@dataclass(frozen=True)
class Side:
    """One side. versions: those that have rows in the window; rows: predictions; labelled: those whose label is known."""

    window: Window
    versions: tuple[Version, ...]
    rows: int
    labelled: int = 0

    @property
    def labelled_share(self) -> float | None:
        """Share of the predictions whose label is known; None without predictions."""
        return self.labelled / self.rows if self.rows else None


@dataclass(frozen=True)
class Comparison:
    """Everything that was compared. histograms: by column. pairs: rows that both sides answered, None where there can be none.

    notes: what the reader must know, one sentence each.
    """

    a: Side
    b: Side
    differences: tuple[Difference, ...]
    histograms: Mapping[str, Histograms] = field(default_factory=dict)
    pairs: Pairs | None = None
    sentence: str = ""
    notes: tuple[str, ...] = ()

    def of(self, section: Section) -> list[Difference]:
        """The differences of one section, in the order in which they were measured."""
        return [each for each in self.differences if each.section == section]


def asker(store: "Store") -> Asker:
    """The store itself as the place where answers come from."""
    from observability.run import put

    return partial(put, store)


def compare(ask: Asker, model: Model, a: Window, b: Window) -> Comparison:
    """Compare two windows of one model. The false discovery rate is held at FALSE_DISCOVERIES over all that is compared.

    Raises UsageError and NotFoundError for a version or a column of a slice that is not there.
    """
    one, other = side_of(ask, model, a), side_of(ask, model, b)
    if not one.rows or not other.rows:
        return Comparison(one, other, (), sentence=words.verdict((), one, other))
    measured, histograms = inputs.compared(ask, model, a, b, one.versions, other.versions)
    errors, ripe_a, ripe_b = outcomes.errors(ask, model, a, b)
    one, other = replace(one, labelled=int(ripe_a[1])), replace(other, labelled=int(ripe_b[1]))
    matched, paired = pairs.compared(ask, model, a, b, one.versions, other.versions)
    registered = next((each for each in (*one.versions, *other.versions) if each.registered), None)
    found = [
        *paired,
        *errors,
        *outcomes.watched(ask, model, a, b),
        *fair.compared(ask, model, a, b, registered, outcomes.youth(ripe_a, ripe_b)),
        *outcomes.decisions(ask, model, a, b),
        *service.latency(ask, a, b),
        *service.spent(ask, model, a, b),
        *measured,
    ]
    differences = tuple(judged(found))
    done = Comparison(one, other, differences, histograms, matched, words.verdict(differences, one, other))
    return replace(done, notes=tuple(words.notes(done)))


def side_of(ask: Asker, model: Model, window: Window) -> Side:
    """How many rows a window has, and of which versions."""
    frame = ask(Aggregate("predictions", keys=(By("version"),)), window)
    rows = {str(name): int(n) for name, n in zip(frame["version"], frame["n"], strict=True)}
    versions = tuple(model.version(name) or Version(name) for name in rows)
    return Side(window, versions, sum(rows.values()))
