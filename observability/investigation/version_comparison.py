"""Comparison of two versions on the requests that both scored."""

from dataclasses import dataclass

from observability.core.catalog import Version
from observability.investigation import churn, comparison_rows
from observability.investigation.case_parts import CaseInProgress
from observability.stats.interval import rate_interval

FEWEST = 10
"""Minimum labelled requests on which exactly one version is right."""


@dataclass(frozen=True)
class Versus:
    """Labelled requests of the period that both versions scored, without this case. better: the other one is right and this one wrong;
    worse: the reverse.
    """

    version: str
    of: int
    better: int
    worse: int

    @property
    def known(self) -> bool:
        """Whether there are enough requests."""
        return self.better + self.worse >= FEWEST

    @property
    def really(self) -> bool:
        """Whether the other version is significantly more often right (sign test by the interval of the share)."""
        return self.known and (rate_interval(self.better, self.better + self.worse).low or 0.0) > 0.5

    @property
    def sentence(self) -> str:
        """The counts as a sentence."""
        if not self.known:
            return "Too few requests were scored by both to compare them."
        counts = f"right in {self.better:,} where this one is wrong, and wrong in {self.worse:,} where this one is right"
        text = f"Of {self.of:,} labelled requests in this period that both scored, it is {counts}"
        return f"{text}." if self.really else f"{text} (not significant)."


def versus(case: CaseInProgress, version: Version) -> Versus:
    """The counts for another version, as it scored in the shadow."""
    row = case.row
    both = churn.shadowed(case.store, row, version, comparison_rows.around(case))
    if both is None:
        return Versus(version.name, 0, 0, 0)
    found = churn.churn_figures(row, version, both, churn.band(case.store, row), "shadow", None)
    own = row.id in both.ids
    return Versus(version.name, max(found.labelled - own, 0), max(found.better.n - own, 0), found.worse.n)
