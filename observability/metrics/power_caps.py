"""Sweeps of a power cap: runs of one study that differ only in the cap. The knee is the cap that saves most energy for little more time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from observability.stats.interval import Interval

if TYPE_CHECKING:
    from pandas import DataFrame

CAP_NAMES = ("power_cap_w", "power_limit_w", "power_limit")
"""Names of the run parameters that may state its power cap in watts."""
MIN_CAPS, MIN_REPEATS = 3, 3
"""Minimum number of caps in a sweep; minimum number of runs at each cap for a difference to have an interval."""
SLOWER = 0.05
"""The knee may lengthen a run by at most this share."""


@dataclass(frozen=True)
class PowerCap:
    """The runs at one cap. wh, seconds: their means. saved, slower: the share of energy saved and the share of time added, compared with
    the highest cap.
    """

    watts: float
    runs: int
    wh: float
    seconds: float
    saved: Interval
    slower: Interval


@dataclass(frozen=True)
class CapSweep:
    """A sweep. caps: highest cap first. source: source of the energy. ended: end of the last run. used: cap of the newest run after the
    sweep, None if there is none.
    """

    study: str
    caps: tuple[PowerCap, ...]
    source: str
    ended: datetime
    used: float | None

    @property
    def knee(self) -> PowerCap | None:
        """The cap that saves most energy, among those that take at most SLOWER more time than the highest cap; None if no such cap saves
        energy.
        """
        fit = [cap for cap in self.caps[1:] if (cap.slower.value or 0.0) <= SLOWER and (cap.saved.value or 0.0) > 0]
        return max(fit, key=lambda cap: cap.saved.value or 0.0, default=None)

    @property
    def enough(self) -> bool:
        """Whether each cap has as many runs as an interval needs."""
        return all(cap.runs >= MIN_REPEATS for cap in self.caps)


def stated_cap(params: Any) -> float | None:
    """Return the power cap in watts that the parameters of a run state; None if they state none."""
    for name in CAP_NAMES if isinstance(params, Mapping) else ():
        value = params.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < np.inf:
            return float(value)
    return None


def power_cap_sweeps(runs: "DataFrame", energy: "DataFrame", settings: Mapping[str, str]) -> list[CapSweep]:
    """Return the sweeps among training runs, the newest first.

    Parameters
    ----------
    runs : DataFrame
        Run records: run, params.
    energy : DataFrame
        Table of `run_energy.training_run_energy`.
    settings : mapping of str to str
        The other parameters of each run, as one text: a sweep changes none of them.

    Returns
    -------
    list of CapSweep
        Studies with MIN_CAPS caps or more. Runs whose energy is assumed, a product of their time, are left out.
    """
    caps = {str(name): cap for name, params in zip(runs["run"], runs["params"], strict=True) if (cap := stated_cap(params)) is not None}
    known = energy[energy["wh"].gt(0) & energy["seconds"].gt(0) & energy["ended"].notna() & energy["source"].ne("assumed")]
    known = known[known["run"].isin(caps)].assign(
        cap=lambda rows: rows["run"].map(caps), setting=lambda rows: rows["run"].map(settings.get)
    )
    found = []
    for (study, _), own in known[known["study"].notna()].groupby(["study", "setting"], sort=True):
        if own["cap"].nunique() >= MIN_CAPS:
            later = known[(known["ended"] > own["ended"].max()) & (known["study"] != study)].sort_values(["ended", "run"])
            used = float(later["cap"].iloc[-1]) if len(later) else None
            source = "measured" if (own["source"] == "measured").all() else "estimated"
            found.append(CapSweep(str(study), _compared_caps(own), source, own["ended"].max().to_pydatetime(), used))
    return sorted(found, key=lambda sweep: sweep.ended, reverse=True)


def _compared_caps(rows: "DataFrame") -> tuple[PowerCap, ...]:
    """The caps of a sweep, each compared with the highest cap."""
    groups = [(float(str(cap)), own) for cap, own in rows.groupby("cap", sort=True)][::-1]
    first, confidence = groups[0][1], 1 - 0.05 / (len(groups) - 1)
    found = []
    for cap, own in groups:
        energy, time = (log_ratio(own[name].to_numpy(float), first[name].to_numpy(float), confidence) for name in ("wh", "seconds"))
        saved = [None if each is None else 1 - each for each in energy.triple]
        slower = [None if each is None else each - 1 for each in time.triple]
        same = own is first
        found.append(
            PowerCap(
                cap,
                len(own),
                float(own["wh"].mean()),
                float(own["seconds"].mean()),
                Interval(0.0, 0.0, 0.0, len(own)) if same else Interval(saved[0], saved[2], saved[1], len(own)),
                Interval(0.0, 0.0, 0.0, len(own)) if same else Interval(slower[0], slower[1], slower[2], len(own)),
            )
        )
    return tuple(found)


def log_ratio(ours: NDArray[np.float64], theirs: NDArray[np.float64], confidence: float) -> Interval:
    """Return the ratio of two geometric means, with Welch's interval on the logarithms. There is no interval if a side has fewer than
    MIN_REPEATS values.
    """
    a, b = np.log(ours), np.log(theirs)
    value = float(np.exp(a.mean() - b.mean()))
    if min(a.size, b.size) < MIN_REPEATS:
        return Interval(value, None, None, a.size)
    parts = a.var(ddof=1) / a.size, b.var(ddof=1) / b.size
    error = float(np.sqrt(sum(parts)))
    if error == 0:
        return Interval(value, value, value, a.size)
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (a.size - 1) + parts[1] ** 2 / (b.size - 1))
    reach = float(np.exp(stdtrit(freedom, (1 + confidence) / 2) * error))
    return Interval(value, value / reach, value * reach, a.size)
