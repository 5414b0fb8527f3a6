"""Reads the daily values of a finding's metric, and its comparison band, from the finding's evidence. Pages, reviews and exports use this
module.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from observability.core.finding import Finding

DayValue = tuple[str, float | None, float | None, float | None]
"""The day, the value, and the ends of its interval; None if unknown."""
WIDTHS = {"serving/drift": 3, "data/quality": 3, "trust/fairness": 5, "serving/latency": 5, "serving/performance": 6}
"""Length of a row of `by_day` for the analyzers whose rows hold the metric: the day, the value, and 1 (n), 3 (interval, n) or 4 (interval,
labelled, served) more numbers. For all other analyzers, the rows hold counts and amounts, which are not the metric.
"""


def daily_values(analyzer: str, evidence: Mapping[str, Any]) -> list[DayValue]:
    """The metric of a finding by day. Empty if the finding's evidence has no such days."""
    width = WIDTHS.get(analyzer)
    rows = [row for row in evidence.get("by_day") or [] if len(row) == width]
    return [(str(row[0]), row[1], *((row[2], row[3]) if len(row) > 3 else (None, None))) for row in rows]


def first_daily_finding(findings: Iterable[Finding]) -> Finding | None:
    """The first finding whose metric is known by day. None if there is none."""
    return next((finding for finding in findings if daily_values(finding.analyzer, finding.evidence)), None)


@dataclass(frozen=True)
class DailyLine:
    """A metric by day for a static picture. title: title of the axis. label: the text alternative. share: whether values are shares.

    line: position of the picture in a message, as the number of text lines before it.
    """

    title: str
    label: str
    points: tuple[DayValue, ...]
    limit: float | None = None
    share: bool = False
    line: int = 0

    def to_json(self) -> dict[str, Any]:
        """The line as JSON, for storage in a record."""
        return asdict(self)


def lines_of_record(kept: Iterable[Mapping[str, Any]]) -> tuple[DailyLine, ...]:
    """The lines that are stored in a record. Lines in another format, written by someone else, are left out."""
    found: list[DailyLine] = []
    for body in kept:
        with suppress(KeyError, TypeError, ValueError):
            points = [(str(day), _number(value), _number(low), _number(high)) for day, value, low, high in body["points"]]
            title, label, limit = str(body["title"]), str(body["label"]), _number(body["limit"])
            found.append(DailyLine(title, label, tuple(points), limit, bool(body["share"]), int(body["line"])))
    return tuple(found)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def daily_line(
    title: str, about: str | None, because: str, points: Sequence[DayValue], *, limit: Any, unit: str, line: int = 0
) -> DailyLine:
    """A finding's metric by day. about: the model. because: the finding's sentence. limit: drawn only if it is a single number."""
    level = float(limit) if isinstance(limit, int | float) else None
    words, label = f"{title}{'' if level is None else '; dashed: limit'}", f"{title}{f' of {about}' if about else ''} by day. {because}"
    return DailyLine(words, label, tuple(points), level, unit == "share", line)


def pair_values(evidence: Mapping[str, Any]) -> list[DayValue]:
    """The daily difference between the two groups that differ most significantly. Empty if it is unknown."""
    return [(str(row[0]), row[1], row[2], row[3]) for row in evidence.get("pair_by_day") or []]


def cost_values(evidence: Mapping[str, Any]) -> list[DayValue]:
    """The cost per thousand predictions by day or hour. The value is None if nothing was served."""
    rows = [row for row in evidence.get("by_day") or [] if len(row) == 3]
    return [(str(at), 1000 * amount / served if served else None, None, None) for at, served, amount in rows]


Band = tuple[float, float, str]
"""The lower and upper end of a comparison band, and words for its baseline."""


def comparison_band(analyzer: str, evidence: Mapping[str, Any]) -> Band | None:
    """The usual range of a metric: the interval of its baseline, else the range of its own past. None if neither is known."""
    ends = evidence.get("baseline_low"), evidence.get("baseline_high")
    if ends[0] is not None and ends[1] is not None:
        return float(ends[0]), float(ends[1]), "95 % interval of the baseline"
    reach = evidence.get("varies_up_to")
    if analyzer == "operations/cost" and reach and evidence.get("baseline"):
        return float(evidence["baseline"]) / float(reach), float(evidence["baseline"]) * float(reach), "range of its own past"
    if analyzer not in ("data/quality", "serving/drift") or not reach:
        return None
    least = min(float(evidence.get("past") or 0.0), float(evidence.get("baseline") or 0.0)) if analyzer == "data/quality" else 0.0
    return least, float(reach), "range of its own past"
