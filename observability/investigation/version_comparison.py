"""Comparison of two versions on the requests that both scored."""

from dataclasses import dataclass
from datetime import timedelta

from observability.core.catalog import Version
from observability.core.formatting import format_span, plural
from observability.investigation import churn, comparison_rows
from observability.investigation.case_parts import CaseInProgress
from observability.stats.interval import rate_interval

MIN_DISCORDANT = 10
"""Minimum labelled requests on which exactly one version is right."""


@dataclass(frozen=True)
class SharedRequestTally:
    """Labelled requests of the period that both versions scored, without this case. better: the number on which the other version is right
    and this one wrong; worse: the reverse. days: the days of the requests in words, or the days of the period if there is no request.
    sampled: whether there are more requests than were compared.
    """

    version: str
    of: int
    better: int
    worse: int
    days: str = "this period"
    sampled: bool = False

    @property
    def known(self) -> bool:
        """Whether there are enough requests for a comparison."""
        return self.better + self.worse >= MIN_DISCORDANT

    @property
    def really(self) -> bool:
        """Whether the other version is right significantly more often (sign test: the interval of its share is above one half)."""
        return self.known and (rate_interval(self.better, self.better + self.worse).low or 0.0) > 0.5

    @property
    def sentence(self) -> str:
        """The counts as a sentence."""
        which = "a sample of " if self.sampled else ""
        if not self.known:
            if not self.of:
                return f"No labelled request of {self.days} was scored by both, so they cannot be compared."
            alone = f"exactly one version is right in {self.better + self.worse:,}"
            return f"Of {which}{plural(self.of, 'labelled request')} of {self.days} that both scored, {alone}: too few to compare them."
        counts = f"right in {self.better:,} where this one is wrong, and wrong in {self.worse:,} where this one is right"
        text = f"Of {which}{self.of:,} labelled requests of {self.days} that both scored, it is {counts}"
        return f"{text}." if self.really else f"{text} (not significant)."


def shared_request_tally(case: CaseInProgress, version: Version) -> SharedRequestTally:
    """The counts against another version, from the scores it gave in shadow."""
    row, window = case.row, comparison_rows.window_around(case)
    days = format_span(window.start, window.end)
    both = churn.shadow_rows(case.store, row, version, window)
    if both is None:
        return SharedRequestTally(version.name, 0, 0, 0, days)
    found = churn.churn_figures(row, version, both, churn.right_within(case.store, row), "shadow", None)
    own = row.id in both.ids
    if both.times is not None:
        first, last = (each.replace(hour=0, minute=0, second=0, microsecond=0) for each in both.times)
        days = format_span(first, last + timedelta(days=1))
    return SharedRequestTally(version.name, max(found.labelled - own, 0), max(found.better.n - own, 0), found.worse.n, days, both.sampled)
