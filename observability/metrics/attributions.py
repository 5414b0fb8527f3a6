"""Explained predictions that can be compared with each other, the number of predictions that each of them represents, and the shares of the
features.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.stats.attribution import Importance, feature_importance

if TYPE_CHECKING:
    from pandas import DataFrame, Series

PREFIX = "attribution."
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ExplainedSample:
    """Explained predictions of one window: their attributions (`values`: rows, features), and the number of predictions that each row
    represents (`weights`).

    days: number of days with explained predictions; served_days, served: number of days with answered predictions, and of these
    predictions. left_out: number of rows that are not additive. other_link: number of rows in another link space, which cannot be mixed
    with these. of_day: the day of each row since 1970 (empty for a reference). classes: the class for which each row is explained (-1 if
    there is one score). mismatched, matched: number of rows for which the model file gives another score than the logged one, or the same.
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
        """The weighted sum of the features' shares, with `direction` as weights, over some rows, and its linearised standard error."""
        chosen = np.ones(self.n, bool) if kept is None else kept
        sizes, w = np.abs(self.values[chosen]), self.weights[chosen]
        total, along = sizes.sum(axis=1), sizes @ direction
        whole = float(w @ total)
        if not whole > 0:
            return float("nan"), float("nan")
        value = float(w @ along) / whole
        return value, float(np.sqrt(np.sum((w * (along - value * total)) ** 2))) / whole

    def by_day(self, direction: Floats) -> list[tuple[int, float, float]]:
        """(day, value, standard error) of `along` on each day."""
        return [(int(day), *self.along(direction, self.of_day == day)) for day in np.unique(self.of_day)]

    @property
    def n(self) -> int:
        """The number of usable rows."""
        return len(self.values)

    @property
    def explained(self) -> int:
        """The number of explained rows, usable or not."""
        return self.n + self.left_out + self.other_link

    def importance(self) -> Importance:
        """Mean absolute attribution and share of each feature."""
        return feature_importance(self.values, self.weights)


def attributed_features(*frames: "DataFrame") -> tuple[str, ...]:
    """Every feature for which any of the frames has attributions, in order of appearance."""
    return tuple(dict.fromkeys(name.removeprefix(PREFIX) for frame in frames for name in frame.columns if name.startswith(PREFIX)))


def usual_link(frame: "DataFrame") -> str | None:
    """Space in which most rows are explained.

    Parameters
    ----------
    frame : DataFrame
        Attributions.

    Returns
    -------
    str | None
        None without rows.
    """
    counts: Series[int] = frame["link"].value_counts() if len(frame) else frame["link"]
    return min((-int(n), str(link)) for link, n in counts.items())[1] if len(counts) else None


def explained_sample(frame: "DataFrame", served: "DataFrame | None", names: tuple[str, ...], link: str | None = None) -> ExplainedSample:
    """The sampled rows of a frame of attributions, as far as they are additive and in one link space.

    Parameters
    ----------
    frame : DataFrame
        Attributions.
    served : DataFrame | None
        Predictions by day (`period`, `status`, `n`, `w`), by which the sample of each day stands for the day; None for a reference.
    names : tuple[str, ...]
        Features.
    link : str | None
        Space; None for the space of most rows.

    Returns
    -------
    ExplainedSample
    """
    sample = frame[frame["sampled"].to_numpy(bool)]
    kept = sample[sample["adds_up"].to_numpy(bool)]
    link = link or usual_link(kept)
    same = kept[(kept["link"] == link).to_numpy(bool)]
    given = [f"{PREFIX}{name}" for name in names]
    values = same.reindex(columns=given).fillna(0.0).to_numpy(np.float64)
    weights = same["weight"].to_numpy(np.float64)
    known = same["reproduces"].dropna()
    found = ExplainedSample(
        names,
        values,
        weights,
        link,
        left_out=len(sample) - len(kept),
        other_link=len(kept) - len(same),
        mismatched=int((~known.astype(bool)).sum()),
        matched=int(known.astype(bool).sum()),
        classes=same["class"].to_numpy(np.int64),
    )
    if served is None:
        return found
    answered = served[(served["status"] == "ok").to_numpy(bool)]
    totals = answered.groupby(answered["period"].dt.floor("D"))[["n", "w"]].sum()
    day = same["at"].dt.floor("D")
    held = same["weight"].groupby(day).transform("sum").to_numpy(np.float64)
    stands = day.map(totals["w"]).to_numpy(np.float64, na_value=0.0)
    weights = np.where(held > 0, weights * stands / np.maximum(held, 1e-12), 0.0)
    return replace(
        found,
        weights=weights,
        days=int(day.nunique()),
        served_days=int((totals["n"] > 0).sum()),
        served=int(totals["n"].sum()),
        of_day=day.to_numpy("datetime64[D]").astype(np.int64),
    )


def joined_names(names: list[str]) -> str:
    """The names as a list in words: `a`, `b` and `c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def largest_first(names: Sequence[str], sizes: Floats) -> list[int]:
    """Places of the names, largest size first; names of equal size in alphabetical order.

    Parameters
    ----------
    names : Sequence[str]
        Names.
    sizes : Floats
        Size of each.

    Returns
    -------
    list[int]
    """
    return sorted(range(len(names)), key=lambda place: (-float(sizes[place]), names[place]))


def main_drivers(found: ExplainedSample, most: int = 3) -> str:
    """Features with the largest shares, as text: `hour` (16 %), `carrier` (15 %).

    Parameters
    ----------
    found : ExplainedSample
        Explained sample.
    most : int
        Number of features.

    Returns
    -------
    str
    """
    shares = found.importance().share
    order = largest_first(found.names, shares)[:most]
    texts = [f"`{found.names[place]}` ({share_in_percent(float(shares[place]))})" for place in order if shares[place] > 0]
    return joined_names(texts or ["nothing"])


def share_in_percent(share: float) -> str:
    """A share in per cent."""
    return f"{100 * share:.0f} %" if abs(share) >= 0.0995 or share == 0 else f"{100 * share:.1f} %"
