"""Types of a comparison: one side, and everything that was compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from observability.compare.difference import (
    Difference,
    Section,
)
from observability.compare.input_distances import Histograms
from observability.compare.paired_rows import Pairs
from observability.core.catalog import Version
from observability.core.window import Window


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
