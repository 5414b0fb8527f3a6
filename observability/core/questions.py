"""The questions that an engine (a query backend of the store) answers, and the form of their answers.

The answer to an Aggregate is additive: hours add up to days, and days to a window. The DuckDB engine (which uses rollups or raw rows) and
the pandas reference both implement it, with equal counts. Quantities that are not additive are computed from a Sample of limited size.

Columns are named by reference, so that a feature called "score" and the score are distinct:

| reference | what |
|---|---|
| `feature.NAME` | a feature |
| `group.NAME` | a sensitive attribute that is not a feature |
| `band.NAME` | to group by: the band of a sensitive number by its version's edges (catalog.band_names); None if it has none |
| `score` | the score (binary: of the positive class; multiclass: the confidence) |
| `score.0`… | the probability of each class by its index |
| `latency_ms`, `energy_j`, `cost` | fields of the record |
| `status`, `version`, `replica`, `device`, `batch` | fields to group by |
| `decision`, `label` | class index of the decision and of the current label; -1 unknown (regression: label 0 if labelled, decision -1) |
| `score_bin` | bin of the score on the fixed score edges (see stats/scores.py); classification only, else -1 |
| `error`, `absolute_error`, `squared_error` | per labelled row; error = score - label (regression) |
| `label_value`, `log_loss`, `brier`, `correct` | per labelled row |
"""

from dataclasses import dataclass
from typing import Literal

Table = Literal["predictions", "outcomes"]
NULL, NAN, ABSENT, WRONG_TYPE, UNSEEN = -1, -2, -3, -4, -5
SPECIAL_BINS = {NULL: "null", NAN: "NaN", ABSENT: "absent", WRONG_TYPE: "wrong type", UNSEEN: "unseen"}
UNKNOWN = -1
"""Code of an unknown decision or label."""
CURRENCY = "currency"
"""The reference that groups costs by the currency that their records state."""


@dataclass(frozen=True)
class Bucket:
    """Group by the period of the prediction's event time: answer column `period`, a UTC timestamp (start of the hour or day)."""

    period: Literal["hour", "day"]


@dataclass(frozen=True)
class By:
    """Group by the value of a column reference; the answer has a column of that name."""

    column: str


@dataclass(frozen=True)
class Aggregate:
    """An additive question.

    table: "predictions" (each stored prediction, counted from its own arrival) or "outcomes" (the same rows joined with the label that is
    current as of the window's `as_of`; unlabelled rows are included with label -1). keys: what to group by. histogram: column references to
    bin, each on the stored edges of the model version; the answer gains the columns `column` (the reference asked for) and `bin`. Bins of
    numbers: 0 is below the first edge, i is [edge[i-1], edge[i]), len(edges) is at or above the last edge; bins of categories: the index of
    the level. Null, NaN, absent, wrong type and unseen have the negative bins above. `score` of a classifier and `latency_ms` have fixed
    edges (stats/scores.py, stats/quantile.py). sums: numeric column references; the answer gains the columns `measure`, `total`, `squares`,
    `low`, `high` (Σwx, Σwx², min, max; the last two are over all rows ever counted, None if unknown).

    Only one of histogram and sums may be given. The answer has `n` (rows), `w` (Σ weight) and `w2` (Σ weight²); rows of the answer with n =
    0 are left out. For sums, rows whose value is null or not finite are not counted.
    """

    table: Table
    keys: tuple[Bucket | By, ...] = ()
    histogram: tuple[str, ...] = ()
    sums: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.histogram and self.sums:
            raise ValueError("an aggregate has a histogram or sums, not both")

    @property
    def key_names(self) -> tuple[str, ...]:
        """Names of the answer's key columns, in order."""
        names = tuple("period" if isinstance(key, Bucket) else key.column for key in self.keys)
        return names + (("column", "bin") if self.histogram else ("measure",) if self.sums else ())

    @property
    def bucket(self) -> Bucket | None:
        """The key that groups by period; None if there is none."""
        return next((key for key in self.keys if isinstance(key, Bucket)), None)


@dataclass(frozen=True)
class Sample:
    """At most `rows` rows, the same rows on every engine: those with the smallest `sample_hash` (first 8 bytes of the MD5 of the id, stored
    at load).

    columns: column references as above, and also `id`, `at`, `subject`, `prediction` (the answer as logged), `extra` (other fields of the
    record, as JSON text), `label_value`. table: as in Aggregate.
    """

    table: Table
    columns: tuple[str, ...]
    rows: int


CONTROLLER_DECISION = "controller_decision"
"""In a question, this kind stands for the predictions of environment controller: decisions of models that steer a system."""


@dataclass(frozen=True)
class Records:
    """Records of one of the other kinds (run, step, resource, price, annotation, batch, dataset…) in a window, oldest first.

    kind: as in records/kinds.py; `prediction` stands only for the answers to fixed questions (environment probe), CONTROLLER_DECISION for
    predictions of environment controller, with their current label. columns: their fields, nested ones as parsed JSON (None: all but
    `extra`, which has further fields). ever: all records before the window's end, not only those inside the window, because prices and
    starts of runs stay valid. rows: maximum number of records in the answer; the newest are kept. A window without a model covers all
    models. Records of a kind without a `model` field belong to all models. Records of a run that name no model belong to the run's model,
    which any run or resource record of the run may name. Records of the sample fleet belong to no other model. Labels (kind `label`, all
    revisions) need one model. only: (field, text) pairs that a record must have, such as ("source", "human"), or (field, several texts), of
    which it must have one. spread (for steps): the approximate maximum number of rows of each run. A longer run is read at evenly spread
    steps (with all their ranks), at its last step, and for each metric at the first and the last step with a value that is not finite; runs
    that have more share `rows` equally (core/step_shares.py). The answer then has a column `stride`. 1: each step was read. 512: every
    512th step was read. 0: the run is too old to get a share; the answer has only its first and newest record, with run, `at` and step.
    numbers (for batches): names out of `records.kinds.BATCH_STATISTICS`; `stats` then holds `NamedNumbers` of these names in place of
    objects, which is much faster for many columns. counted: instead of records, the answer has each combination of the columns and its
    number of records (`n`), sorted by the columns; `rows` does not limit it. blocks (for steps): instead of records, the answer has the
    times of the ranks of each long run by blocks of steps, over all its steps (stats/rank_blocks.py).
    """

    kind: str
    columns: tuple[str, ...] | None = None
    ever: bool = False
    rows: int = 100_000
    only: tuple[tuple[str, str | tuple[str, ...]], ...] = ()
    spread: int = 0
    numbers: tuple[str, ...] = ()
    counted: bool = False
    blocks: bool = False


@dataclass(frozen=True)
class Attributions:
    """The stored attributions (SHAP values) of a sample of limited size of each day, or of the reference.

    rows: maximum number of rows in the answer; those with the smallest `sample_hash` are kept. columns: further columns of the answer, as
    references. errors: whether to include the predictions with the worst errors, which are explained in addition to the sample (their
    `sampled` is False). A prediction's attributions count from the arrival of the prediction. The answer has `id`, `at`, `weight`,
    `version`, `sampled`, `class` (multiclass: the index of the explained class, else -1), `base`, `output`, `residual`, `link`, `method`,
    `adds_up`, `reproduces` (store/query/attributions.py), and `attribution.NAME` for each feature.
    """

    rows: int = 5000
    columns: tuple[str, ...] = ()
    errors: bool = False


@dataclass(frozen=True)
class EstimatedErrors:
    """The expected errors of a regression (direct loss estimation) and the measured errors of the same rows, by day. Additive.

    They cover a sample of limited size of each day, or of the reference.

    The answer has `period` (as in Bucket), `measure` ("absolute_error", "squared_error"), `labelled` (0, 1), `n`, `w`, `w2`, and the
    weighted sums `estimated`, `estimated_squares`, `measured`, `measured_squares`, `difference_squares` (0 for rows without a label). A row
    counts from the arrival of its prediction. At most SAMPLE_A_DAY (store/query/estimates.py) rows of a day count: those with the smallest
    `sample_hash`.
    """


def record_kind(kind: str) -> str:
    """The kind of record that a question about records reads, as records/kinds.py names it."""
    return "prediction" if kind == CONTROLLER_DECISION else kind


Question = Aggregate | Sample | Records | Attributions | EstimatedErrors
