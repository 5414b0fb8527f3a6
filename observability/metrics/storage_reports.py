"""Places that store data: the reports of each place, its newest figures, and figures by day."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from observability.core.questions import Records
from observability.stats.arrays import Floats

if TYPE_CHECKING:
    from pandas import DataFrame, Series

PLACE_COLUMNS = (
    "place", "at", "dataset", "tier", "capacity_bytes", "used_bytes", "files", "small_files", "duplicate_bytes", "cold_bytes", "oldest_at",
    "keep_days", "reads", "read_errors", "read_p99_ms", "writes", "write_errors", "write_p99_ms", "checked", "corrupt", "backup_at",
    "backup_hours", "restored_at", "restore_days", "complete_to", "source",
)  # fmt: skip
TIMES = ("at", "oldest_at", "backup_at", "restored_at", "complete_to")
PLACE_REPORTS = Records("storage_report", PLACE_COLUMNS)
PAST_DAYS = 56
"""What is usual for a place is computed from its reports on this many days before the window."""
MIN_REPORTS = 3
"""Number of newest reports whose median is taken, because a single report may show a temporary state."""
MIN_FILES = 10_000
"""Small files matter only if a place has at least this many files."""
SECONDS = 86_400.0
GIGABYTE = 1e9


@dataclass(frozen=True)
class StoragePlace:
    """The reports of one place, oldest first. now: reports of the window; before: reports of the days before it."""

    name: str
    now: "DataFrame"
    before: "DataFrame"

    @property
    def whole(self) -> "DataFrame":
        """All reports of the place, oldest first."""
        import pandas as pd

        parts = [each for each in (self.before, self.now) if len(each)]
        return pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]

    @property
    def archive(self) -> bool:
        """Whether the place is an archive, whose data nobody reads."""
        tiers = self.now["tier"].dropna()
        return len(tiers) > 0 and str(tiers.iloc[-1]) in ("cold", "archive")


@dataclass(frozen=True)
class NewestFigure:
    """The median of a figure in the newest reports of the window. n: number of reports with the figure, at most MIN_REPORTS. value: None
    if no report has it.
    """

    value: float | None
    n: int


def storage_places(reports: "DataFrame", past: "DataFrame") -> list[StoragePlace]:
    """Return the reports by place, in the order of their names.

    Parameters
    ----------
    reports : DataFrame
        Answer to `PLACE_REPORTS` of the window.
    past : DataFrame
        Its answer of the days before.

    Returns
    -------
    list of StoragePlace
    """
    tables = [_in_order(each) for each in (reports, past)]
    names = sorted({str(name) for table in tables for name in table["place"]})
    return [StoragePlace(name, *(table[table["place"].astype(str) == name].reset_index(drop=True) for table in tables)) for name in names]


def _in_order(reports: "DataFrame") -> "DataFrame":
    """The reports, oldest first, with numbers as floats. Reports of the same time are sorted by their content."""
    import pandas as pd

    numbers = [name for name in PLACE_COLUMNS if name not in ("place", "dataset", "tier", "source", *TIMES)]
    table = reports.copy()
    table[numbers] = table[numbers].apply(pd.to_numeric, errors="coerce").astype(float)
    for name in TIMES:
        table[name] = pd.to_datetime(table[name])
    return table.sort_values(["at", "used_bytes", "files", "reads", "writes", "checked"], kind="stable", ignore_index=True)


def place_figure(reports: "DataFrame", metric: str) -> "Series[float]":
    """Return one figure for each report of a place; NaN if the report does not state it.

    Parameters
    ----------
    reports : DataFrame
        Reports of a place.
    metric : str
        storage_used_share, storage_retention_overdue_days, storage_duplicate_share, storage_cold_share or storage_small_file_share.

    Returns
    -------
    Series of float
    """
    used = reports["used_bytes"]
    if metric == "storage_used_share":
        return used / reports["capacity_bytes"].where(reports["capacity_bytes"] > 0)
    if metric == "storage_retention_overdue_days":
        return (reports["at"] - reports["oldest_at"]).dt.total_seconds() / SECONDS - reports["keep_days"]
    if metric == "storage_small_file_share":
        return reports["small_files"] / reports["files"].where(reports["files"] >= MIN_FILES)
    column = {"storage_duplicate_share": "duplicate_bytes", "storage_cold_share": "cold_bytes"}[metric]
    return reports[column] / used.where(used > 0)


def newest_figure(place: StoragePlace, metric: str) -> NewestFigure:
    """Return the median of a figure in the newest reports of the window.

    Parameters
    ----------
    place : StoragePlace
        The place.
    metric : str
        As `place_figure` takes it.

    Returns
    -------
    NewestFigure
    """
    known = place_figure(place.now, metric).dropna().to_numpy(float)[-MIN_REPORTS:]
    return NewestFigure(float(np.median(known)) if known.size else None, int(known.size))


def figure_before(place: StoragePlace, metric: str) -> float | None:
    """Return the median of a figure in the newest reports before the window.

    Parameters
    ----------
    place : StoragePlace
        The place.
    metric : str
        As `place_figure` takes it.

    Returns
    -------
    float or None
        None if no earlier report has it.
    """
    known = place_figure(place.before, metric).dropna().to_numpy(float)[-MIN_REPORTS:]
    return float(np.median(known)) if len(known) else None


def newest_value(place: StoragePlace, column: str) -> float | None:
    """Return the newest number of a column in the window's reports; None if no report has one.

    Parameters
    ----------
    place : StoragePlace
        The place.
    column : str
        One of PLACE_COLUMNS that holds numbers.

    Returns
    -------
    float or None
    """
    known = place.now[column].dropna()
    return float(known.iloc[-1]) if len(known) else None


@dataclass(frozen=True)
class DailySteps:
    """Growth of the stored bytes from day to day. steps: bytes; spans: how many days each step covers; recent: whether the step ended in
    the window.
    """

    steps: Floats
    spans: Floats
    recent: "np.ndarray[tuple[int], np.dtype[np.bool_]]"

    @property
    def by_day(self) -> Floats:
        """The growth in bytes per day of each step."""
        return self.steps / self.spans


def daily_steps(place: StoragePlace) -> DailySteps:
    """Return the growth from the last report of each day to the last report of the next day that has one.

    Parameters
    ----------
    place : StoragePlace
        The place.

    Returns
    -------
    DailySteps
    """
    whole = place.whole
    known = whole[whole["used_bytes"].notna()]
    last = known.groupby(known["at"].dt.floor("D"), sort=True).last()
    used, at = last["used_bytes"].to_numpy(float), last["at"].to_numpy("datetime64[us]")
    spans = np.diff(at) / np.timedelta64(1, "D") if at.size > 1 else np.zeros(0)
    first = place.now["at"].min() if len(place.now) else None
    recent = at[1:] >= np.datetime64(first) if first is not None and at.size > 1 else np.zeros(max(at.size - 1, 0), bool)
    return DailySteps(np.diff(used) if used.size > 1 else np.zeros(0), spans, recent)


def daily_medians(reports: "DataFrame", column: str) -> Floats:
    """Return the median of a column on each day with a value.

    Parameters
    ----------
    reports : DataFrame
        Reports of a place.
    column : str
        The column.

    Returns
    -------
    ndarray of float
        In the order of the days.
    """
    known = reports[reports[column].notna()]
    return known.groupby(known["at"].dt.floor("D"), sort=True)[column].median().to_numpy(float)


def daily_totals(reports: "DataFrame", counts: Mapping[str, str]) -> tuple[Floats, Floats]:
    """Return for each day the sum of some counts, and the sum of the totals to which the counts refer.

    Parameters
    ----------
    reports : DataFrame
        Reports of a place.
    counts : mapping of str to str
        Count by column that it is counted of, as reads: read_errors. A count that is not logged leaves its column out.

    Returns
    -------
    tuple of ndarray
        (counts, totals); days without any are left out.
    """
    import pandas as pd

    hits, n = pd.Series(0.0, reports.index), pd.Series(0.0, reports.index)
    for column, count in counts.items():
        known = reports[column].notna() & reports[count].notna()
        hits, n = hits + reports[count].where(known, 0.0), n + reports[column].where(known, 0.0)
    table = pd.DataFrame({"hits": hits, "n": n}).groupby(reports["at"].dt.floor("D"), sort=True).sum()
    table = table[table["n"] > 0]
    return table["hits"].to_numpy(float), table["n"].to_numpy(float)
