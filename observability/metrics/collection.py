"""Figures about the collection of data: completeness and delay by device, and whether bad rows come from few devices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pandas import DataFrame

MIN_BATCHES = 3
"""Minimum number of batches of a device for its completeness to be known."""
CONCENTRATED_SHARE = 0.8
"""The smallest number of devices is determined that together have this share of all bad rows."""
MIN_BAD = 20
"""Minimum number of bad rows for a statement about the devices behind them."""
CONCENTRATED = 2.0
"""These devices are named only if their share of the bad rows is at least this many times their share of all rows."""


@dataclass(frozen=True)
class DeviceDelivery:
    """The deliveries of a device.

    rows: delivered rows; kept: rows that were not rejected; expected: number of rows at the usual interval and size of batches; None with
    fewer than MIN_BATCHES. lags: median and 95th percentile of the hours from the end of capture to arrival; None if no batch states when
    its capture ended.
    """

    source: str
    device: str | None
    batches: int
    rows: int
    kept: int
    expected: float | None
    lags: tuple[float, float] | None

    @property
    def completeness(self) -> float | None:
        """Kept rows as a share of the expected ones, at most 1; None if unknown."""
        return None if not self.expected else min(self.kept / self.expected, 1.0)


@dataclass(frozen=True)
class Concentration:
    """The smallest number of devices that together have most of the bad rows. share: their share of the bad rows; of_rows: their share of
    all rows; devices: total number of devices.
    """

    names: tuple[str, ...]
    devices: int
    bad: float
    share: float
    of_rows: float


def device_deliveries(batches: "DataFrame") -> list[DeviceDelivery]:
    """Return the deliveries of each device of some batches, by source and device.

    batches: source, device, at, rows, rejected_rows, captured_to, in any order.
    """
    found = []
    named = batches.assign(whose=batches["device"].where(batches["device"].notna(), "")).sort_values("at", ignore_index=True)
    at = named["at"].astype("datetime64[us]").to_numpy()
    newest = dict(zip(named["source"].tolist(), at, strict=True))  # rows are in order of time, so the newest entry is kept
    every, rejected = named["rows"].to_numpy(float), named["rejected_rows"].astype("float64").fillna(0).to_numpy(float)
    lags = ((named["at"] - named["captured_to"]).dt.total_seconds() / 3600).to_numpy(float)
    places_of = named.groupby(["source", "whose"]).indices.items()
    whose: list[tuple[tuple[str, str], Any]] = sorted(places_of)  # type: ignore[arg-type]  # pandas types a key of two labels as one label
    for (source, device), places in whose:
        rows, lag = every[places], lags[places]
        lag = lag[np.isfinite(lag)]
        median, late = np.quantile(lag, [0.5, 0.95]).tolist() if lag.size else (0.0, 0.0)
        found.append(
            DeviceDelivery(
                str(source),
                str(device) or None,
                len(places),
                int(rows.sum()),
                int(rows.sum() - np.minimum(rejected[places], rows).sum()),
                _expected_rows(at[places], rows, newest[source]),
                (median, late) if lag.size else None,
            )
        )
    return found


def _expected_rows(at: Any, rows: "np.ndarray[tuple[int], np.dtype[np.float64]]", last: Any) -> float | None:
    """The expected number of rows: the median number of rows per batch times the number of batches that were due from the first batch to
    `last`, at the usual time between batches. None if there are too few batches.
    """
    if len(rows) < MIN_BATCHES:
        return None
    gaps = np.diff(at).astype("timedelta64[s]").astype(float)
    usual = float(np.median(gaps))
    span = float((last - at[0]).astype(np.int64) / 1e6)
    due = max(len(rows), int(span / usual + 0.5) + 1) if usual > 0 else len(rows)
    return due * float(np.median(rows))


def bad_values_by_device(batches: "DataFrame", names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return for each device the number of bad values and of all values. The columns that count are those whose `stats` hold a share with
    one of these names.

    The number of bad values is rows times share, summed over columns and batches. stats: `NamedNumbers`.
    """
    found: dict[str, tuple[float, float]] = {}
    for device, rows, stats in zip(batches["device"], batches["rows"], batches["stats"], strict=True):
        if not isinstance(device, str):
            continue
        shares = stats.first(names)
        known = shares[(shares >= 0) & (shares <= 1)]
        bad, every = found.get(device, (0.0, 0.0))
        found[device] = (bad + float(rows) * float(known.sum()), every + float(rows) * len(known))
    return found


def rejected_rows_by_device(batches: "DataFrame") -> dict[str, tuple[float, float]]:
    """Return for each device its rejected rows and all its rows, over the batches that state how many rows were rejected."""
    known = batches[batches["rejected_rows"].notna() & batches["device"].notna()]
    sums = known.groupby("device")[["rejected_rows", "rows"]].sum()
    return {str(device): (float(bad), float(rows)) for device, bad, rows in sums.itertuples()}


def devices_behind(counts: Mapping[str, tuple[float, float]]) -> Concentration | None:
    """Return the smallest number of devices that together have CONCENTRATED_SHARE of the bad rows. None if there are few bad rows, or if
    they are distributed over devices like all rows.

    counts: bad rows and all rows of each device.
    """
    bad, rows = (sum(each[place] for each in counts.values()) for place in (0, 1))
    if len(counts) < MIN_BATCHES or bad < MIN_BAD:
        return None
    order = sorted(counts, key=lambda name: (-counts[name][0], name))
    held = np.cumsum([counts[name][0] for name in order])
    count = int(np.searchsorted(held, CONCENTRATED_SHARE * bad - 1e-9)) + 1
    names = order[:count]
    share, of_rows = float(held[count - 1] / bad), sum(counts[name][1] for name in names) / rows
    return Concentration(tuple(names), len(counts), bad, share, of_rows) if share >= CONCENTRATED * of_rows else None
