"""Types of a comparison: one side, and the whole result."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from observability.compare.difference import Difference, Section
from observability.compare.input_distances import HistogramPair
from observability.compare.paired_rows import PairSummary
from observability.core.catalog import Version
from observability.core.window import Window


@dataclass(frozen=True)
class ComparisonSide:
    """One side. versions: versions with rows in the window; rows: predictions; labelled: predictions with a known label."""

    window: Window
    versions: tuple[Version, ...]
    rows: int
    labelled: int = 0

    @property
    def labelled_share(self) -> float | None:
        """Share of the predictions whose label is known; None without predictions."""
        return self.labelled / self.rows if self.rows else None


@dataclass(frozen=True)
class WindowComparison:
    """The result of a comparison. histograms: by column. pairs: summary of the rows that both sides predicted; None if there can be no such
    rows.

    notes: facts that a reader must know, one sentence each.
    """

    a: ComparisonSide
    b: ComparisonSide
    differences: tuple[Difference, ...]
    histograms: Mapping[str, HistogramPair] = field(default_factory=dict)
    pairs: PairSummary | None = None
    sentence: str = ""
    notes: tuple[str, ...] = ()

    def of(self, section: Section) -> list[Difference]:
        """The differences of one section, in the order in which they were computed."""
        return [each for each in self.differences if each.section == section]
