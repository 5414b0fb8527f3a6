"""Devices that serve a model: what each of them did in a span of days, from its reports.

A device counts once in a span, however often it reported, because its reports are not independent.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.questions import Records
from observability.stats.difference_intervals import rate_difference_interval

if TYPE_CHECKING:
    from pandas import DataFrame

REPORT_COLUMNS = (
    "device", "at", "model", "version", "synced_at", "oldest_at", "device_class", "firmware", "ring", "answers", "crashes", "out_of_memory",
    "compared", "agreed", "battery", "memory_peak_mb", "latency_p99_ms", "source",
)  # fmt: skip
REPORTS = Records("device_report", REPORT_COLUMNS)
VERSIONS_EVER = Records("device_report", ("model", "version", "at"), ever=True, rows=1_000_000)
"""The query for when each version was reported, including times before the window."""
LATE_HOURS = 24.0
"""A device counts as late if more than this many hours pass between an answer and its arrival."""
DISAGREES = 0.02
"""A device counts as differing if more than this share of its compared answers differs from the server's answers."""
MIN_COMPARED = 50
"""The agreement of a device in a span is judged only if it compared at least this many answers."""
MAX_TIMES = 1000
"""The number of devices needed for a decision is searched up to this multiple of the present number."""
GROUPS = {"version": "version", "firmware": "firmware", "device_class": "class", "ring": "ring"}
"""Columns by which devices are compared, and the words for them."""


@dataclass(frozen=True)
class DeviceMeasure:
    """A property that a device has or lacks in a span of days. flag: its column in `device_spans`, which is 1, 0, or NaN if unknown."""

    metric: str
    flag: str
    words: str


MEASURES = (
    DeviceMeasure("device_late_share", "late", f"sent answers more than {LATE_HOURS:g} h late"),
    DeviceMeasure("device_crash_share", "crashed", "crashed"),
    DeviceMeasure("device_memory_share", "starved", "ran out of memory"),
    DeviceMeasure("device_disagree_share", "differs", f"answered differently from the server more than {100 * DISAGREES:g} % of the time"),
)


def report_lag_hours(reports: "DataFrame") -> Any:
    """Return for each report the hours from its oldest answer to its arrival.

    Parameters
    ----------
    reports : DataFrame
        Device reports. Without `oldest_at` the lag begins at `at`.

    Returns
    -------
    ndarray
        Hours, at least 0; NaN if the arrival is not known.
    """
    import pandas as pd

    first = pd.to_datetime(reports["oldest_at"]).fillna(pd.to_datetime(reports["at"]))
    return np.maximum((pd.to_datetime(reports["synced_at"]) - first).dt.total_seconds().to_numpy(float) / 3600, 0.0)


def device_spans(reports: "DataFrame") -> "DataFrame":
    """Return the activity of each device of a model in one span of days.

    Parameters
    ----------
    reports : DataFrame
        Device reports of the span.

    Returns
    -------
    DataFrame
        One row a model and device: `model`, `device`, the columns of GROUPS by its newest report, `lag` (the largest, hours), `answers`,
        `battery` (the lowest), `memory` (the highest, MB), `latency` (median of the reported p99, ms), and the flags of MEASURES.
    """
    import pandas as pd

    columns = ["model", "device", *GROUPS, "lag", "answers", "battery", "memory", "latency", *(each.flag for each in MEASURES)]
    if reports.empty:
        return pd.DataFrame(columns=columns)
    table = reports.sort_values("at", kind="stable")
    table = table.assign(lag=report_lag_hours(table))
    numbers = ["answers", "crashes", "out_of_memory", "compared", "agreed", "battery", "memory_peak_mb", "latency_p99_ms"]
    table[numbers] = table[numbers].apply(pd.to_numeric, errors="coerce").astype(float)
    grouped = table.groupby(["model", "device"], sort=True)
    found = grouped[list(GROUPS)].last()
    found["lag"] = grouped["lag"].max()
    found["answers"] = grouped["answers"].sum(min_count=1)
    found["battery"], found["memory"] = grouped["battery"].min(), grouped["memory_peak_mb"].max()
    found["latency"] = grouped["latency_p99_ms"].median()
    sums = grouped[["crashes", "out_of_memory", "compared", "agreed"]].sum(min_count=1)
    found["late"] = known_flag(found["lag"] > LATE_HOURS, found["lag"])
    found["crashed"] = known_flag(sums["crashes"] > 0, sums["crashes"])
    found["starved"] = known_flag(sums["out_of_memory"] > 0, sums["out_of_memory"])
    enough = sums["compared"].where(sums["compared"] >= MIN_COMPARED)
    found["differs"] = known_flag(1 - sums["agreed"] / enough > DISAGREES, enough)
    return found.reset_index()[columns]


def known_flag(holds: Any, value: Any) -> Any:
    """Return a condition as 1 or 0 where the value is known, and as NaN where it is unknown.

    Parameters
    ----------
    holds : Series of bool
        Whether it holds.
    value : Series
        The value that it depends on.

    Returns
    -------
    Series of float
    """
    return holds.astype(float).where(value.notna())


def first_seen(parts: "Iterable[DataFrame]") -> dict[str, Any]:
    """Return when each version was first reported.

    Parameters
    ----------
    parts : iterable of DataFrame
        Device reports of one model.

    Returns
    -------
    dict of str to Timestamp
    """
    found: dict[str, Any] = {}
    for part in parts:
        for version, at in part.groupby("version")["at"].min().items():
            found[str(version)] = min(at, found.get(str(version), at))
    return found


def arrival_by_age(reports: "DataFrame", hours: tuple[float, ...] = (1, 6, 24, 72, 168)) -> dict[float, float]:
    """Return, for some numbers of hours, the share of answers that had arrived this long after the oldest answer of their report.

    Parameters
    ----------
    reports : DataFrame
        Device reports.
    hours : tuple of float
        Ages.

    Returns
    -------
    dict of float to float
        Empty where no report says its answers and its arrival.
    """
    lag = report_lag_hours(reports) if len(reports) else np.zeros(0)
    weight = reports["answers"].astype(float).fillna(0.0).to_numpy() if len(reports) else np.zeros(0)
    known = np.isfinite(lag) & (weight > 0)
    if not known.any():
        return {}
    return {hour: float(weight[known & (lag <= hour)].sum() / weight[known].sum()) for hour in hours}


def restated_days(reports: "DataFrame") -> "DataFrame":
    """Return the days whose figures changed because reports arrived more than LATE_HOURS after the end of the day.

    Parameters
    ----------
    reports : DataFrame
        Device reports of one model.

    Returns
    -------
    DataFrame
        One row a day with late reports, the newest first: `day`, `late` (reports), `answers_before` and `answers`, `devices_before` and
        `devices`, `crashed_before` and `crashed` (devices that crashed on that day), each as it was then and is now.
    """
    import pandas as pd

    columns = ["day", "late", *(f"{name}{when}" for name in ("answers", "devices", "crashed") for when in ("_before", ""))]
    known = reports[reports["synced_at"].notna()]
    day = pd.to_datetime(known["at"]).dt.floor("D")
    table = known.assign(day=day, late=pd.to_datetime(known["synced_at"]) > day + pd.Timedelta(hours=24 + LATE_HOURS))
    found = []
    for at, own in table[table["day"].isin(table.loc[table["late"], "day"])].groupby("day"):
        row: dict[str, Any] = {"day": at, "late": int(own["late"].sum())}
        for when, part in (("_before", own[~own["late"]]), ("", own)):
            row[f"answers{when}"] = float(part["answers"].astype(float).sum())
            row[f"devices{when}"] = int(part["device"].nunique())
            row[f"crashed{when}"] = int(part.loc[part["crashes"].astype(float) > 0, "device"].nunique())
        found.append(row)
    return pd.DataFrame(found[::-1], columns=columns)


def ring_order(name: str) -> tuple[int, str]:
    """Return a key that sorts rings by the number in their name, then by name.

    Parameters
    ----------
    name : str
        A ring, as `ring 2`.

    Returns
    -------
    tuple of (int, str)
    """
    digits = "".join(sign for sign in name if sign.isdigit())
    return (int(digits) if digits else 10**6, name)


def level_counts(spans: "DataFrame", measure: DeviceMeasure, column: str) -> Mapping[str, tuple[int, int]]:
    """Return for each level of a column the number of devices that have a property, and the number for which it is known.

    Parameters
    ----------
    spans : DataFrame
        As `device_spans` gives it.
    measure : DeviceMeasure
        The property.
    column : str
        One of GROUPS.

    Returns
    -------
    mapping of str to (int, int)
    """
    known = spans[spans[measure.flag].notna() & spans[column].notna()]
    return {str(level): (int(part[measure.flag].sum()), len(part)) for level, part in known.groupby(column)}


def devices_to_decide(own: tuple[int, int], other: tuple[int, int], criterion: float) -> int | None:
    """Return how many more devices a group needs until the interval of its difference lies on one side of a criterion.

    Parameters
    ----------
    own : tuple of (int, int)
        Devices of the group with a property, and all of it. Its rate is taken to stay.
    other : tuple of (int, int)
        The same of the devices that it is compared with, which stay as they are.
    criterion : float
        The difference of rates to decide about.

    Returns
    -------
    int or None
        0 if it is decided; None if a thousand times as many devices would not decide it.
    """
    hits, n = own

    def decides(times: float) -> bool:
        gap = rate_difference_interval(hits * times, n * times, *other)
        return gap.low is not None and gap.high is not None and (gap.low > criterion or gap.high < criterion)

    if decides(1.0):
        return 0
    if not n or not decides(MAX_TIMES):
        return None
    low, high = n, n * MAX_TIMES
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle / n) else (middle, high)
    return high - n
