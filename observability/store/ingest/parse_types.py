"""What goes into the parser, and what comes out of it?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

from observability.core.catalog import Kind

NewColumn = tuple[Literal["feature", "group"], str, Kind]
"""Role, own name and kind of a column that the catalog does not have yet."""


@dataclass(frozen=True)
class Refused:
    """A line that the reader of the file already found to be no record (a CSV row with too many values, a line beyond the limit)."""

    line: int
    raw: str
    reason: str
    message: str


@dataclass(frozen=True)
class Block:
    """A run of whole JSONL lines of one segment or file.

    raw: the bytes, or a pyarrow string array with one line an entry. first_line: number of the first line in its file, from 1.
    refused: lines beside those in `raw` that the reader could not turn into JSON at all.
    """

    raw: bytes | pa.Array
    first_line: int = 1
    segment: str = ""
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True)
class Defaults:
    """What the person who loads says about the records of a file; it fills in what a line does not say.

    features: names that stand beside the record's own fields (a flat record, a CSV row) and are features. None: only what is in `features`.
    groups: names of columns of a file that are sensitive attributes and no features; of a model that is known its own are added.
    renames: their name → our name, of fields and of features. timezone: an IANA name for times without an offset; None rejects them.
    """

    kind: str | None = None
    model: str | None = None
    version: str | None = None
    features: tuple[str, ...] | None = None
    renames: Mapping[str, str] = field(default_factory=dict)
    timezone: str | None = None
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parsed:
    """A block as typed columns. Every line that is not blank is in exactly one of predictions, labels, others and rejected; a label that stands
    inside its prediction is a row of `labels` with `inline` true beside it, and no line of its own.

    lines: lines that are not blank (refused ones included). predictions, labels: a table a model. others: a table a kind. All tables have the
    column `line` (int64); rows are in no particular order. rejected: line, raw, reason, message, kind, model (the two last where known).
    new_columns: by model, what the catalog has not seen yet, in order of appearance, with inferred kinds; the predictions table has a column for each.

    predictions: line, id, version, environment, at (timestamp[us], UTC without a zone), received_at, status, score (multiclass: the largest
    probability), probabilities (JSON text), prediction (canonical text), threshold, latency_ms, energy_j, cost, weight (doubles), base_value (JSON
    text: a number, multiclass an object), subject, device, replica, batch (texts), acted_at, feature_at, attributions (JSON texts),
    attributions_link, absent, wrong (lists of column references, null when none), extra (JSON text), then `feature.NAME` and `group.NAME` (double,
    string or bool), those of the catalog first. Names may differ in case only. A feature that was only ever null has no column yet.

    labels: line, id, at, received_at, value (canonical text), number (double, null where the value is no number), source, annotator, guideline,
    extra, inline (bool).

    others: line, received_at, the fields of the kind in `record.KINDS` (list and object as JSON text; scalar as canonical text), extra.
    """

    lines: int
    predictions: dict[str, pa.Table]
    labels: dict[str, pa.Table]
    others: dict[str, pa.Table]
    rejected: pa.Table
    new_columns: dict[str, list[NewColumn]]
