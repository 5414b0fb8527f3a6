"""What can be asked of the store, and what shape does the answer have?

An Aggregate is a question whose answer adds up: hours to days, days to a window. It is the one definition that the DuckDB engine (from
rollups or from raw rows) and the plain pandas reference both answer, with equal counts. What does not add up is asked of a bounded Sample.

Columns are named by reference, so that a feature called "score" and the score are two things:

| reference | what |
|---|---|
| `feature.NAME` | a feature |
| `group.NAME` | a sensitive attribute that is no feature |
| `band.NAME` | to group by: the band that a sensitive number falls into, as its version's edges cut it (catalog.band_names); None where it has none |
| `score`, `score.0`… | the score (binary: of the positive class; multiclass: the confidence), and the probability of each class by its index |
| `latency_ms`, `energy_j`, `cost` | fields of the record |
| `status`, `version`, `replica`, `device`, `batch` | fields to group by |
| `decision`, `label` | class index of the decision and of the current label; -1 unknown (regression: label 0 where labelled, decision -1) |
| `score_bin` | bin of the score on the fixed score edges (see stats/scores.py); classification only, else -1 |
| `error`, `absolute_error`, `squared_error`, `label_value`, `log_loss`, `brier`, `correct` | per labelled row; error = score - label (regression) |
"""

from dataclasses import dataclass
from typing import Literal

Table = Literal["predictions", "outcomes"]
NULL, NAN, ABSENT, WRONG_TYPE, UNSEEN = -1, -2, -3, -4, -5
SPECIAL_BINS = {NULL: "null", NAN: "NaN", ABSENT: "absent", WRONG_TYPE: "wrong type", UNSEEN: "unseen"}
UNKNOWN = -1
"""Code of a decision or a label that is not known (yet)."""


@dataclass(frozen=True)
class Bucket:
    """Group by the period of the prediction's event time: answer column `period`, a UTC timestamp (start of the hour or day)."""

    period: Literal["hour", "day"]


@dataclass(frozen=True)
class By:
    """Group by the value of a column reference: an answer column of that name."""

    column: str


@dataclass(frozen=True)
class Aggregate:
    """A question that adds up.

    table: "predictions" (each stored prediction, arrival of the prediction counts) or "outcomes" (the same rows joined with the label that is
    current as of the window's `as_of`; unlabelled rows are there with label -1).
    keys: what to group by.
    histogram: column references to histogram, each on the stored edges of the model version; the answer gains the columns `column` (the
    reference asked for) and `bin`. Bins of numbers: 0 is below the first edge, i is [edge[i-1], edge[i]), len(edges) is at or above the last;
    of categories: the index of the level. Null, NaN, absent, wrong type and unseen are the negative bins above. `score` of a classifier and
    `latency_ms` have fixed edges (stats/scores.py, stats/quantile.py).
    sums: numeric column references; the answer gains the columns `measure`, `total`, `squares`, `low`, `high` (Σwx, Σwx², min, max; the two
    last over every row ever counted, None where unknown).

    At most one of histogram and sums. The answer always has `n` (rows), `w` (Σ weight) and `w2` (Σ weight²); rows of the answer with n = 0 are
    left out. For sums, rows whose value is null or not finite are not counted.
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
        """The period it groups by, if any."""
        return next((key for key in self.keys if isinstance(key, Bucket)), None)


@dataclass(frozen=True)
class Sample:
    """At most `rows` rows, the same on every engine: those with the smallest `sample_hash` (first 8 bytes of MD5 of the id, stored at load).

    columns: column references as above, and `id`, `at`, `subject`, `label_value`. table: as in Aggregate.
    """

    table: Table
    columns: tuple[str, ...]
    rows: int


@dataclass(frozen=True)
class Records:
    """Records of one of the other kinds (run, step, resource, price, annotation, batch, dataset…) in a window, oldest first.

    kind: as in observability.records.record.KINDS. columns: their fields, nested ones as parsed JSON (None: all). ever: everything before the window's end,
    not only what is inside it: prices and the starts of runs hold on. rows: at most so many, the newest. A window without a model asks for the
    records of every model. Records of a kind with no `model` field are everybody's, but steps and resources belong to the model of their run.
    Labels (kind `label`, every revision) are asked of one model. only: (field, text) pairs that a record must have, as ("source", "human"),
    or (field, several texts) of which it must have one.
    """

    kind: str
    columns: tuple[str, ...] | None = None
    ever: bool = False
    rows: int = 100_000
    only: tuple[tuple[str, str | tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class Attributions:
    """Why single predictions got their scores: the stored attributions (SHAP values) of a bounded sample of each day, or of the reference.

    rows: at most so many, those with the smallest `sample_hash`. columns: column references that come along, as in Sample of outcomes.
    errors: with the worst errors, which were explained beside the sample (`sampled` is False on them). A prediction's attributions
    count as soon as it had arrived. The answer has `id`, `at`, `weight`, `version`, `sampled`, `class` (multiclass: the index of the class that is explained, else -1),
    `base`, `output`, `residual`, `link`, `method`, `adds_up`, `reproduces` (store/query/attributions.py), and `attribution.NAME` for each feature.
    """

    rows: int = 5000
    columns: tuple[str, ...] = ()
    errors: bool = False


@dataclass(frozen=True)
class EstimatedErrors:
    """What the errors of a regression are expected to be (direct loss estimation), on a bounded sample of each day or of the reference, by day, beside
    what labels of the same rows showed. It adds up.

    The answer has `period` (as in Bucket), `measure` ("absolute_error", "squared_error"), `labelled` (0, 1), `n`, `w`, `w2`, and the weighted sums
    `estimated`, `estimated_squares`, `measured`, `measured_squares`, `difference_squares` (those of rows without a label are 0). A row counts as
    soon as its prediction had arrived; at most SAMPLE_A_DAY (store/query/estimates.py) rows a day, those with the smallest `sample_hash`.
    """


Question = Aggregate | Sample | Records | Attributions | EstimatedErrors
