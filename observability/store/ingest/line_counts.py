"""What became of each line of a load: stored, a duplicate, or rejected for which reason?

Always true: lines = stored + duplicates + rejected.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

STORED, DUPLICATE, REJECTED = 0, 1, 2
Lines = NDArray[np.int64]


@dataclass(frozen=True)
class LoadReport:
    """What a load did. reasons: rejected lines by reason. files: files or segments that were read. Reports add up."""

    lines: int = 0
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    files: int = 0

    def __add__(self, other: Self) -> "LoadReport":
        reasons = Counter(self.reasons) + Counter(other.reasons)
        return LoadReport(
            self.lines + other.lines, self.stored + other.stored, self.duplicates + other.duplicates, self.rejected + other.rejected,
            dict(reasons), self.seconds + other.seconds, self.files + other.files,
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """The answer of the command `load` (contract, section 3)."""
        return {
            "lines": self.lines, "stored": self.stored, "duplicates": self.duplicates, "rejected": self.rejected,
            "reasons": dict(sorted(self.reasons.items())),
        }  # fmt: skip


@dataclass
class Ledger:
    """The outcome of each line of one block, kept as arrays by model and kind, and the reasons of those that were rejected."""

    lines: list[Lines] = field(default_factory=list)
    outcomes: list[NDArray[np.int8]] = field(default_factory=list)
    hours: list[Lines] = field(default_factory=list)
    names: list[tuple[str, str, int]] = field(default_factory=list)
    rejected: list[pa.Table] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def note(self, model: str, kind: str, lines: Lines, outcomes: NDArray[np.int8], hours: Lines) -> None:
        """Lines of one model and kind; hours: those of arrival, in whole hours since 1970, rounded down."""
        if lines.size:
            self.lines.append(lines)
            self.outcomes.append(outcomes)
            self.hours.append(hours)
            self.names.append((model, kind, lines.size))

    def refuse(self, rejected: pa.Table, hour: int) -> None:
        """Rejected lines: `line`, `raw`, `reason`, `message`, `kind`, `model`. They count as arrived at `hour`."""
        if not rejected.num_rows:
            return
        self.rejected.append(rejected)
        self.reasons.update(rejected["reason"].to_pylist())
        pairs = zip(rejected["model"].to_pylist(), rejected["kind"].to_pylist(), rejected["line"].to_pylist(), strict=True)
        by_name: dict[tuple[str, str], list[int]] = {}
        for model, kind, line in pairs:
            by_name.setdefault((model or "", kind or ""), []).append(line)
        for (model, kind), lines in by_name.items():
            size = len(lines)
            self.note(model, kind, np.array(lines, np.int64), np.full(size, REJECTED, np.int8), np.full(size, hour, np.int64))

    def arrivals(self) -> pa.Table | None:
        """Lines by model, kind, arrival hour and outcome: columns model, kind, hour, stored, duplicates, rejected. None without lines."""
        rows: dict[tuple[str, str, int], NDArray[np.int64]] = {}
        for (model, kind, _), outcomes, hours in zip(self.names, self.outcomes, self.hours, strict=True):
            for hour in np.unique(hours):
                counts = np.bincount(outcomes[hours == hour], minlength=3)
                key = (model, kind, int(hour))
                rows[key] = rows.get(key, np.zeros(3, np.int64)) + counts
        if not rows:
            return None
        models, kinds, hours_ = zip(*rows, strict=True)
        stored, duplicates, rejected = np.array(list(rows.values())).T
        return pa.table({"model": models, "kind": kinds, "hour": hours_, "stored": stored, "duplicates": duplicates, "rejected": rejected})

    def outcomes_by_segment(self, last_lines: Lines) -> NDArray[np.int64]:
        """Counts of shape (segments, 3) where `last_lines` is the number of the last line of each segment of the block."""
        size = len(last_lines)
        if not self.lines:
            return np.zeros((size, 3), np.int64)
        segment = np.searchsorted(last_lines, np.concatenate(self.lines), side="left")
        return np.bincount(segment * 3 + np.concatenate(self.outcomes), minlength=3 * size).reshape(size, 3)

    def report(self) -> LoadReport:
        """The totals."""
        stored, duplicates, rejected = np.bincount(np.concatenate(self.outcomes), minlength=3).tolist() if self.outcomes else (0, 0, 0)
        return LoadReport(stored + duplicates + rejected, stored, duplicates, rejected, dict(self.reasons))
