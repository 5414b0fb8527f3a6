"""Defaults and report of a load."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class LoadReport:
    """Totals of a load. reasons: rejected lines by reason. examples: for each reason its first line with the message. files: files or
    segments that were read. set_aside: segments that could not be loaded because of their own content. notes: by column, that whole numbers
    are rounded. Reports can be added.
    """

    lines: int = 0
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    files: int = 0
    examples: Mapping[str, str] = field(default_factory=dict)
    set_aside: int = 0
    notes: Mapping[str, str] = field(default_factory=dict)

    def __add__(self, other: Self) -> "LoadReport":
        reasons = Counter(self.reasons) + Counter(other.reasons)
        return LoadReport(
            lines=self.lines + other.lines,
            stored=self.stored + other.stored,
            duplicates=self.duplicates + other.duplicates,
            rejected=self.rejected + other.rejected,
            reasons=dict(reasons),
            examples={**other.examples, **self.examples},
            seconds=self.seconds + other.seconds,
            files=self.files + other.files,
            set_aside=self.set_aside + other.set_aside,
            notes={**other.notes, **self.notes},
        )

    def to_json(self) -> dict[str, Any]:
        """The answer of the command `load` (contract, section 3), with `notes` where there are any."""
        counts = {"lines": self.lines, "stored": self.stored, "duplicates": self.duplicates, "rejected": self.rejected}
        notes = {"notes": [self.notes[name] for name in sorted(self.notes)]} if self.notes else {}
        return {**counts, "reasons": dict(sorted(self.reasons.items())), **notes}


@dataclass(frozen=True)
class NewModelLimit:
    """The maximum number of models that are not in the catalog yet, besides the `admitted` ones. why: the message for a rejected line."""

    admitted: frozenset[str]
    most: int
    why: str


@dataclass(frozen=True)
class CheckedLines:
    """rejected: lines that a load would reject, as line number (from 1), reason as a word, and message. new_models, new_columns: what the
    other lines would add; a column is (model, column). notes: sentences about numbers that are rounded.
    """

    rejected: list[tuple[int, str, str]]
    new_models: tuple[str, ...] = ()
    new_columns: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadDefaults:
    """Properties for the records of a file, used where a line does not set them.

    features: names on the top level of a record (a flat record, a CSV row) that are features. None: only what is in `features`. groups:
    columns of a file that are sensitive attributes but not features; the known model's are added. renames: name in the file → name in the
    record, of fields and features. timezone: IANA name for times without an offset; None rejects them. sent: whether services sent them.
    Errors in them are then findings of source system; a person who loads a file sees errors at once. sample: whether they belong to the
    sample fleet: they then count for no other model, and are removed with it. new_models: the limit of models that the catalog lacks; None:
    without limit. decimal: decimal sign of the numbers in CSV files: "," (points may group thousands) or "."; None: a point, and a file
    that seems to have commas is refused with a question. versions: versions of the model, for the message about a missing version.
    left_out: columns that the version's registration left out of its features: kept as extra fields, unless `features` names them. scores:
    `class=COLUMN` for each class of a multiclass model, or the column of the score. score_column,
    class_scores (class and column of each): the columns that the version's registration names; they are used if the file has them and no
    score is named. classes: the classes of a multiclass model.
    """

    kind: str | None = None
    model: str | None = None
    version: str | None = None
    features: tuple[str, ...] | None = None
    renames: Mapping[str, str] = field(default_factory=dict)
    timezone: str | None = None
    groups: tuple[str, ...] = ()
    sample: bool = False
    sent: bool = False
    new_models: NewModelLimit | None = None
    decimal: str | None = None
    versions: tuple[str, ...] = ()
    left_out: frozenset[str] = frozenset()
    scores: tuple[str, ...] = ()
    score_column: str | None = None
    class_scores: tuple[tuple[str, str], ...] = ()
    classes: tuple[str, ...] = ()
