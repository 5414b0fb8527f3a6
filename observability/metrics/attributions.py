"""Which explained predictions may be compared, how much does each stand for, and what do their features' shares come to?"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.stats.attribution import Importance, importance

if TYPE_CHECKING:
    from pandas import DataFrame, Series

PREFIX = "attribution."
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Explained:
    """Explained predictions of one window: values (rows, features) with the number of predictions that each row stands for.

    days: days on which some were explained; served_days, served: days with predictions that the model answered, and how many. left_out: rows that do not add up.
    other_link: rows in another space, which cannot be mixed with these. of_day: the day of each row since 1970 (none of a reference).
    classes: the class that each row is explained for (-1: there is one score). mismatched, matched: for how many the artifact gives another, or the same, score.
    """

    names: tuple[str, ...]
    values: Floats
    weights: Floats
    link: str | None
    days: int = 0
    served_days: int = 0
    served: int = 0
    left_out: int = 0
    other_link: int = 0
    mismatched: int = 0
    matched: int = 0
    of_day: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    classes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def along(self, direction: Floats, kept: NDArray[np.bool_] | None = None) -> tuple[float, float]:
        """The features' shares along a direction (their weighted sum), of some rows, and its standard error (the linearised one of a ratio)."""
        chosen = np.ones(self.n, bool) if kept is None else kept
        sizes, w = np.abs(self.values[chosen]), self.weights[chosen]
        total, along = sizes.sum(axis=1), sizes @ direction
        whole = float(w @ total)
        if not whole > 0:
            return float("nan"), float("nan")
        value = float(w @ along) / whole
        return value, float(np.sqrt(np.sum((w * (along - value * total)) ** 2))) / whole

    def by_day(self, direction: Floats) -> list[tuple[int, float, float]]:
        """(day, value, standard error) of the same on each day."""
        return [(int(day), *self.along(direction, self.of_day == day)) for day in np.unique(self.of_day)]

    @property
    def n(self) -> int:
        """Rows that can be used."""
        return len(self.values)

    @property
    def explained(self) -> int:
        """Rows that are explained, whether or not they can be used."""
        return self.n + self.left_out + self.other_link

    def importance(self) -> Importance:
        """Mean absolute attribution and share of each feature."""
        return importance(self.values, self.weights)


def features_of(*frames: "DataFrame") -> tuple[str, ...]:
    """Every feature that any of the frames has attributions of, in order of appearance."""
    return tuple(dict.fromkeys(name.removeprefix(PREFIX) for frame in frames for name in frame.columns if name.startswith(PREFIX)))


def usual_link(frame: "DataFrame") -> str | None:
    """The space in which most rows are explained; None without rows."""
    counts: Series[int] = frame["link"].value_counts() if len(frame) else frame["link"]
    return min((-int(n), str(link)) for link, n in counts.items())[1] if len(counts) else None


def explained(frame: "DataFrame", served: "DataFrame | None", names: tuple[str, ...], link: str | None = None) -> Explained:
    """The rows of a frame of attributions (the sample only) that add up and are in one space: `link`, else that of most.

    served: predictions by day (`period`, `status`, `n`, `w`), by which the sample of each day stands for the day; None for a reference.
    """
    sample = frame[frame["sampled"].to_numpy(bool)]
    kept = sample[sample["adds_up"].to_numpy(bool)]
    link = link or usual_link(kept)
    same = kept[(kept["link"] == link).to_numpy(bool)]
    given = [f"{PREFIX}{name}" for name in names]
    values = same.reindex(columns=given).fillna(0.0).to_numpy(np.float64)
    weights = same["weight"].to_numpy(np.float64)
    known = same["reproduces"].dropna()
    found = Explained(
        names, values, weights, link, left_out=len(sample) - len(kept), other_link=len(kept) - len(same),
        mismatched=int((~known.astype(bool)).sum()), matched=int(known.astype(bool).sum()), classes=same["class"].to_numpy(np.int64),
    )  # fmt: skip
    if served is None:
        return found
    answered = served[(served["status"] == "ok").to_numpy(bool)]
    totals = answered.groupby(answered["period"].dt.floor("D"))[["n", "w"]].sum()
    day = same["at"].dt.floor("D")
    held = same["weight"].groupby(day).transform("sum").to_numpy(np.float64)
    stands = day.map(totals["w"]).to_numpy(np.float64, na_value=0.0)
    weights = np.where(held > 0, weights * stands / np.maximum(held, 1e-12), 0.0)
    return Explained(
        names, values, weights, link, int(day.nunique()), int((totals["n"] > 0).sum()), int(totals["n"].sum()), found.left_out,
        found.other_link, found.mismatched, found.matched, day.to_numpy("datetime64[D]").astype(np.int64), found.classes,
    )  # fmt: skip


def listed(names: list[str]) -> str:
    """`a`, `b` and `c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def largest_first(names: Sequence[str], sizes: Floats) -> list[int]:
    """Places of the names, those with the largest size first, equals by name."""
    return sorted(range(len(names)), key=lambda place: (-float(sizes[place]), names[place]))


def drivers(found: Explained, most: int = 3) -> str:
    """The features that drive the scores most, with their shares: `hour` (16 %), `carrier` (15 %)."""
    shares = found.importance().share
    order = largest_first(found.names, shares)[:most]
    return listed([f"`{found.names[place]}` ({percent(float(shares[place]))})" for place in order if shares[place] > 0] or ["nothing"])


def percent(share: float) -> str:
    """A share in per cent."""
    return f"{100 * share:.0f} %" if abs(share) >= 0.0995 or share == 0 else f"{100 * share:.1f} %"
