"""The first day of an ongoing state, as a detector dated it, in a finding's evidence and in words."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from observability.core.finding import WithEvidence
from observability.core.formatting import format_iso_day

SINCE_DAY, SINCE_EARLIER = "beyond_since", "beyond_earlier"
"""Keys of the evidence: the day since which the state has been significantly beyond its level, and whether that day is the first that was
checked.
"""


@dataclass(frozen=True)
class StandingSince:
    """The day since which a state has been significantly beyond its level. earlier: whether that is the first day that was checked, so that
    the state may have begun before it.
    """

    day: date
    earlier: bool

    @property
    def evidence(self) -> dict[str, Any]:
        """The day as it is stored in a finding's evidence."""
        return {SINCE_DAY: self.day.isoformat(), SINCE_EARLIER: self.earlier}

    @property
    def words(self) -> str:
        """The day in words: `since 24 Jun 2013`; `since 3 Jun 2013 or earlier` if it is the first day that was checked."""
        return f"since {format_iso_day(self.day.isoformat())}{' or earlier' if self.earlier else ''}"


def standing_since(claim: WithEvidence) -> StandingSince | None:
    """The first day of a claim's ongoing state; None if the days of the claim do not date it."""
    day = claim.evidence.get(SINCE_DAY)
    return None if day is None else StandingSince(date.fromisoformat(day), bool(claim.evidence.get(SINCE_EARLIER)))
