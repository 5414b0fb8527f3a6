"""Of two versions that answered the same requests, is the other one right more often, or only here?"""

from dataclasses import dataclass

from observability.core.catalog import Version
from observability.investigation import churn, comparison_rows
from observability.investigation.case_parts import Look
from observability.stats.interval import rate_interval

FEWEST = 10
"""Labelled requests of which one version was right and the other wrong, from which on they say something."""


@dataclass(frozen=True)
class Versus:
    """Labelled requests about this time that both versions answered, this case left out. better: of which the other one is right and this one wrong;
    worse: the other way round.
    """

    version: str
    of: int
    better: int
    worse: int

    @property
    def known(self) -> bool:
        """Whether they are enough to say anything."""
        return self.better + self.worse >= FEWEST

    @property
    def really(self) -> bool:
        """Whether the other version is right more often beyond chance (a sign test by the interval of the share)."""
        return self.known and (rate_interval(self.better, self.better + self.worse).low or 0.0) > 0.5

    @property
    def sentence(self) -> str:
        """The counts in words."""
        if not self.known:
            return "Too few requests were answered by both to say which of them is right more often."
        text = f"Of {self.of:,} labelled requests about this time that both answered, it is right in {self.better:,} where this one is wrong, and wrong in {self.worse:,} where this one is right"
        return f"{text}." if self.really else f"{text}, which is no more than chance."


def versus(look: Look, version: Version) -> Versus:
    """The counts of one other version, as it answered in the shadow."""
    row = look.row
    both = churn.shadowed(look.store, row, version, comparison_rows.around(look))
    if both is None:
        return Versus(version.name, 0, 0, 0)
    found = churn.counted(row, version, both, churn.band(look.store, row), "shadow", None)
    own = row.id in both.ids
    return Versus(version.name, max(found.labelled - own, 0), max(found.better.n - own, 0), found.worse.n)
