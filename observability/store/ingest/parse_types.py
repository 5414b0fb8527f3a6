"""Input and output types of the parser."""

from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

from observability.core.catalog import Kind

NewColumn = tuple[Literal["feature", "group"], str, Kind]
"""Role, name and kind of a column that is not yet in the catalog."""


@dataclass(frozen=True)
class RefusedLine:
    """A line that the reader of the file rejected (a CSV row with too many values, a line beyond the limit).

    columns: names of the file's columns; the text of the line holds their values without the names.
    """

    line: int
    raw: str
    reason: str
    message: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class LineBlock:
    """A run of whole JSONL lines of one segment or file.

    raw: bytes, or a pyarrow string array with one line per entry. first_line: number of the first line in its file, from 1. refused: lines
    beside those in `raw` that the reader could not convert to JSON.
    """

    raw: bytes | pa.Array
    first_line: int = 1
    segment: str = ""
    refused: tuple[RefusedLine, ...] = ()


@dataclass(frozen=True)
class ParsedBlock:
    """A block as typed columns.

    Every line that is not blank is in exactly one of predictions, labels, others and rejected. A label inside its prediction is a row of
    `labels` with `inline` true, and not a line of its own.

    lines: lines that are not blank, rejected ones included. predictions, labels: a table per model. others: a table per kind. All tables
    have the column `line` (int64); rows are in no particular order. rejected: line, raw, reason, message, kind, model (the last two if
    known). rounded: by model (else kind) and column, the first line with a whole number that the column does not hold exactly, and that
    number. new_columns: by model, what the catalog lacks, in order of appearance, with inferred kinds; the predictions table has a column
    for each.

    predictions: line, id, version, environment, at (timestamp[us], UTC without a zone), received_at, status, score (multiclass: the largest
    probability), probabilities (JSON text), prediction (canonical text), threshold, latency_ms, energy_j, cost, weight (doubles),
    base_value (JSON text: a number, multiclass an object), subject, device, replica, batch (texts), acted_at, feature_at, attributions
    (JSON texts), attributions_link, absent, wrong (lists of column references, null if none), extra (JSON text), then `feature.NAME` and
    `group.NAME` (double, string or bool), those of the catalog first. Names may differ in case only. A feature that was always null has no
    column yet.

    labels: line, id, at, received_at, value (canonical text), number (double, null if the value is not a number), source, annotator,
    guideline, extra, inline (bool).

    others: line, received_at, the fields of the kind in `records.kinds.KINDS` (list and object as JSON text; scalar as canonical text),
    extra.
    """

    lines: int
    predictions: dict[str, pa.Table]
    labels: dict[str, pa.Table]
    others: dict[str, pa.Table]
    rejected: pa.Table
    new_columns: dict[str, list[NewColumn]]
    rounded: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
