"""Decides for each ring of a roll-out whether it may continue. Crashes on the new version are compared with crashes on earlier versions on
the same days.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from observability.core.finding import Severity
from observability.core.formatting import plural
from observability.core.numerals import percent
from observability.core.time import naive_utc
from observability.detection.onset import estimate_onset
from observability.metrics.edge_fleet import devices_to_decide, ring_order
from observability.stats.difference_intervals import rate_difference_interval
from observability.stats.interval import Interval, rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

STOP_GAP = 0.05
"""Default limit: by how much the share of crashed devices on the new version may exceed the share on earlier versions."""
MIN_RING = 10
"""A decision about a ring needs at least this many devices on each side."""


@dataclass(frozen=True)
class RingCriterion:
    """The devices of a ring on the new version; and the devices of all rings on earlier versions, since the new version reached the ring.

    new, old: number of devices that crashed, and number of devices whose reports say whether they crashed. since: the ring's first report
    of the version in the window.
    """

    version: str
    ring: str
    since: datetime
    new: tuple[int, int]
    old: tuple[int, int]
    criterion: float

    @property
    def difference(self) -> Interval | None:
        """The crash share of the new version minus that of earlier versions; None with too few devices."""
        return rate_difference_interval(*self.new, *self.old) if min(self.new[1], self.old[1]) >= MIN_RING else None

    @property
    def severity(self) -> Severity:
        """The severity: `act` (stop) if the whole interval is above the criterion, `ok` (continue) if it is entirely below, else
        `unknown`.
        """
        gap = self.difference
        if gap is None or gap.low is None or gap.high is None:
            return "unknown"
        return "act" if gap.low > self.criterion else "ok" if gap.high < self.criterion else "unknown"

    @property
    def reason(self) -> str:
        """Why the ring stops or continues. If this is unknown: about how many more devices it needs."""
        gap, (_, n), (_, old_n) = self.difference, self.new, self.old
        if old_n < MIN_RING:
            return f"{plural(old_n, 'device')} on earlier versions; it needs about {MIN_RING - old_n} more."
        if gap is None or gap.low is None or gap.high is None:
            return f"{plural(n, 'device')}; it needs about {MIN_RING - n} more."
        said = f"Difference {100 * gap.low:+.1f} to {100 * gap.high:+.1f} points.".replace("-", "−")
        if self.severity != "unknown":
            return said
        more = devices_to_decide(self.new, self.old, self.criterion)
        if more is None:
            return f"{said} More devices in this ring alone would not decide it."
        return f"{said} At these rates it needs about {more:,} more {'device' if more == 1 else 'devices'}."

    @property
    def shares(self) -> str:
        """Both shares in words, as `31 % of 22 devices crashed, against 0.4 % of 60 on earlier versions in the same days`."""
        (hits, n), (old_hits, old_n) = self.new, self.old
        new = f"{percent(hits / n) if n else 'none'} of {plural(n, 'device')} crashed"
        return f"{new}, against {percent(old_hits / old_n) if old_n else 'none'} of {old_n:,} on earlier versions in the same days"


def rolled_out_version(reports: "DataFrame", seen: Mapping[str, datetime]) -> str | None:
    """The version that was first reported most recently, among the reports of one model. None if the reports name fewer than two versions,
    or no ring.

    seen: for each version, when it was first reported.
    """
    versions = set(reports["version"].dropna().astype(str))
    if len(versions) < 2 or reports["ring"].isna().all():
        return None
    return max(versions, key=lambda version: (seen[version], version))


def ring_criteria(reports: "DataFrame", newest: str, criterion: float) -> list[RingCriterion]:
    """The stop criterion for each ring with devices on the newest version, in the order of the rings. reports: reports of one model and
    window.

    Both sides cover the same days, so that a version that reached the ring yesterday is not compared with a whole week of the other
    versions.
    """
    known = reports[reports["version"].notna()]
    fresh = known["version"].astype(str) == newest
    found = []
    for ring, part in known[fresh & known["ring"].notna()].groupby("ring"):
        since = part["at"].min()
        others = known[~fresh & (known["at"] >= since)]
        sides = (crashed_devices(part), crashed_devices(others))
        found.append(RingCriterion(newest, str(ring), since.to_pydatetime(), *sides, criterion))
    return sorted(found, key=lambda each: ring_order(each.ring))


def crashed_devices(reports: "DataFrame") -> tuple[int, int]:
    """The number of devices that crashed, and the number of devices whose reports say whether they crashed."""
    sums = reports.assign(crashes=reports["crashes"].astype(float)).groupby("device")["crashes"].sum(min_count=1).dropna()
    return int((sums > 0).sum()), len(sums)


def crashes_since(parts: "Iterable[DataFrame]", found: RingCriterion) -> datetime:
    """The time since which devices of a ring crash more often, estimated from their share by day. It is not earlier than the arrival of the
    version in the ring.

    parts: reports of the model, the past first.
    """
    import pandas as pd

    table = pd.concat([part[part["ring"] == found.ring] for part in parts], ignore_index=True)
    days = [(day, *crashed_devices(part)) for day, part in table.groupby(table["at"].dt.floor("D"))]
    counted: list[tuple[Any, int, int]] = [(day, hits, n) for day, hits, n in days if n]
    arrived = found.since
    if len(counted) < 2:
        return arrived
    rates = [rate_interval(hits, n) for _, hits, n in counted]
    errors = [((rate.high or 0.0) - (rate.low or 0.0)) / 3.92 for rate in rates]
    onset = estimate_onset([day.date() for day, _, _ in counted], [rate.value or 0.0 for rate in rates], errors, start=arrived, worse=1)
    return max(naive_utc(onset.at), arrived) if onset.known == "dated" else arrived
