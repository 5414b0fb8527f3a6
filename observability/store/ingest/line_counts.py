"""Outcome of each line of a load: stored, duplicate, or rejected with a reason.

Invariant: lines = stored + duplicates + rejected.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from observability.core.catalog import NOTED, RECORDED, UNNAMED
from observability.records.kinds import KINDS, NOTES, OF_ALL_MODELS, OF_NO_MODEL, OF_RUNS
from observability.store.ingest.rounded_numbers import rounding_note
from observability.store.types.loading import LoadReport

STORED, DUPLICATE, REJECTED = 0, 1, 2
SERVED = ("prediction", "label")
CONCERN_ALL = ("event", *OF_ALL_MODELS)
"""If a record of one of these kinds names no model, it concerns every model: findings name the event that they follow."""
OF_OTHERS = ("decision",)
"""Kinds whose records are also read by findings about other models: the levels of exports (`trust/exports`)."""
Lines = NDArray[np.int64]


@dataclass
class LineLedger:
    """The outcome of each line of a block, as arrays by model and kind, and the reasons for rejected lines. owners: the models of the runs
    that lines name.
    """

    lines: list[Lines] = field(default_factory=list)
    outcomes: list[NDArray[np.int8]] = field(default_factory=list)
    hours: list[Lines] = field(default_factory=list)
    names: list[tuple[str, str, int]] = field(default_factory=list)
    rejected: list[pa.Table] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, tuple[int, str]] = field(default_factory=dict)
    owners: set[str] = field(default_factory=set)
    rounded: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    def note(self, model: str, kind: str, lines: Lines, outcomes: NDArray[np.int8], hours: Lines) -> None:
        """Add lines of one model and kind. hours: hours of arrival, in whole hours since 1970, rounded down."""
        if lines.size:
            self.lines.append(lines)
            self.outcomes.append(outcomes)
            self.hours.append(hours)
            self.names.append((model, kind, lines.size))

    def refuse(self, rejected: pa.Table, hour: int) -> None:
        """Add rejected lines: `line`, `raw`, `reason`, `message`, `kind`, `model`. They count as arrived at `hour`."""
        if not rejected.num_rows:
            return
        self.rejected.append(rejected)
        reasons = rejected["reason"].to_pylist()
        self.reasons.update(reasons)
        for reason, *example in zip(reasons, rejected["line"].to_pylist(), rejected["message"].to_pylist(), strict=True):
            self.examples[reason] = min(self.examples.get(reason, (example[0], example[1])), (example[0], example[1]))
        pairs = zip(rejected["model"].to_pylist(), rejected["kind"].to_pylist(), rejected["line"].to_pylist(), strict=True)
        by_name: dict[tuple[str, str], list[int]] = {}
        for model, kind, line in pairs:
            by_name.setdefault((model or "", kind or ""), []).append(line)
        for (model, kind), lines in by_name.items():
            size = len(lines)
            self.note(model, kind, np.array(lines, np.int64), np.full(size, REJECTED, np.int8), np.full(size, hour, np.int64))

    def arrivals(self) -> pa.Table | None:
        """Number of lines by model, kind and arrival hour: columns model, kind, hour, stored, duplicates, rejected. None without lines."""
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

    def changed_models(self) -> set[str] | None:
        """The models that the lines concern. The set also has NOTED if some lines are notes, RECORDED if some lines are other records, and
        UNNAMED if some of these other records name no model or are OF_OTHERS. None if a line may concern all models.
        """
        named = set(self.owners)
        for model, kind, _ in self.names:
            if kind in NOTES:
                named.add(NOTED)
                continue
            named |= set() if kind in SERVED else {RECORDED}
            if model:
                named |= {model, UNNAMED} if kind in OF_OTHERS else {model}
            elif kind in CONCERN_ALL or (kind in KINDS and "model" not in KINDS[kind].fields and kind not in (*OF_NO_MODEL, *OF_RUNS)):
                return None
            else:
                named.add(UNNAMED)
        return named

    def outcomes_by_segment(self, last_lines: Lines) -> NDArray[np.int64]:
        """The numbers of lines by segment and outcome; shape (segments, 3). last_lines: number of the last line of each segment of the
        block.
        """
        size = len(last_lines)
        if not self.lines:
            return np.zeros((size, 3), np.int64)
        segment = np.searchsorted(last_lines, np.concatenate(self.lines), side="left")
        return np.bincount(segment * 3 + np.concatenate(self.outcomes), minlength=3 * size).reshape(size, 3)

    def report(self, file: str = "") -> LoadReport:
        """The totals. file: name of the file for the examples of rejected lines; if it is given, line numbers are those of the file."""
        stored, duplicates, rejected = np.bincount(np.concatenate(self.outcomes), minlength=3).tolist() if self.outcomes else (0, 0, 0)
        examples = {
            reason: f"{file}, line {line}: {message}" if file else message for reason, (line, message) in sorted(self.examples.items())
        }
        notes = {f"{owner} {name}": rounding_note(owner, name, value) for (owner, name), (_, value) in sorted(self.rounded.items())}
        return LoadReport(stored + duplicates + rejected, stored, duplicates, rejected, dict(self.reasons), examples=examples, notes=notes)
