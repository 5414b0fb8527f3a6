"""Tables and columns of the store.

There is one database. The data of a model are in tables named by the model's key, so that removing a model drops its tables. All times are
UTC, stored as naive TIMESTAMP. `docs/architecture.md` describes the columns.
"""

from observability.core.catalog import Kind
from observability.core.view_names import quoted_identifier
from observability.store.db.results import Cursor

BASE_TABLES = """
CREATE TABLE models (key INTEGER PRIMARY KEY, name VARCHAR NOT NULL UNIQUE, task VARCHAR, classes JSON, settings JSON,
    sample BOOLEAN NOT NULL, created_at TIMESTAMP NOT NULL);
CREATE TABLE settings_kept (key INTEGER NOT NULL, "at" TIMESTAMP NOT NULL, settings JSON NOT NULL);
CREATE TABLE versions (key INTEGER NOT NULL, version VARCHAR NOT NULL, registered_at TIMESTAMP, features JSON,
    reference_rows BIGINT NOT NULL, in_sample BOOLEAN NOT NULL, artifact VARCHAR, inferred JSON);
CREATE TABLE columns (key INTEGER NOT NULL, id USMALLINT NOT NULL, name VARCHAR NOT NULL, "column" VARCHAR NOT NULL, kind VARCHAR NOT NULL,
    role VARCHAR NOT NULL, sensitive BOOLEAN NOT NULL);
CREATE TABLE edges (key INTEGER NOT NULL, version VARCHAR NOT NULL, reference VARCHAR NOT NULL, edges JSON NOT NULL);
CREATE TABLE streams (key INTEGER NOT NULL, stream SMALLINT NOT NULL, version VARCHAR NOT NULL, environment VARCHAR NOT NULL);
CREATE TABLE rollups (key INTEGER PRIMARY KEY, merged_rows BIGINT NOT NULL, compacted_before INTEGER NOT NULL);
CREATE TABLE manifest (segment VARCHAR PRIMARY KEY, loaded_at TIMESTAMP NOT NULL, bytes BIGINT NOT NULL, sha256 VARCHAR NOT NULL,
    lines BIGINT NOT NULL, stored BIGINT NOT NULL, duplicates BIGINT NOT NULL, rejected BIGINT NOT NULL);
CREATE TABLE rejected (segment VARCHAR, line BIGINT, raw VARCHAR, reason VARCHAR, message VARCHAR, kind VARCHAR, model VARCHAR,
    at_loaded TIMESTAMP);
CREATE TABLE arrivals (model VARCHAR, kind VARCHAR, hour TIMESTAMP, sent BOOLEAN, stored BIGINT, duplicates BIGINT, rejected BIGINT,
    PRIMARY KEY (model, kind, hour, sent));
CREATE TABLE hashing (value UBIGINT NOT NULL);
"""

TAKEN_FILES = """CREATE TABLE IF NOT EXISTS taken_files (source VARCHAR, kind VARCHAR, model VARCHAR, version VARCHAR, file VARCHAR,
    fingerprint VARCHAR NOT NULL, bytes BIGINT NOT NULL, next_line BIGINT NOT NULL, done BOOLEAN NOT NULL, taken_at TIMESTAMP NOT NULL,
    lines BIGINT NOT NULL, stored BIGINT NOT NULL, duplicates BIGINT NOT NULL, rejected BIGINT NOT NULL)"""
"""The progress in the files of sources (store/ingest/incremental.py). kind, model, version: the defaults of the load, "" where none. There
is no primary key: `forget` puts marks into names of files, and two names may then be the same.
"""

LATE_ROUNDS = "CREATE TABLE IF NOT EXISTS late_rounds (round VARCHAR NOT NULL)"
"""The rounds of late labels that the rollups already count (store/lake/late_labels.py). A label in the lake names its round."""

RANK_BLOCKS = (
    """CREATE TABLE IF NOT EXISTS rank_blocks (run VARCHAR, block BIGINT, records BIGINT, mark UBIGINT, "at" TIMESTAMP, arrived TIMESTAMP,
    sample BOOLEAN, first BIGINT, steps BIGINT, ranks VARCHAR, phases VARCHAR, own BLOB, wait BLOB, longest DOUBLE,
    middle DOUBLE)""",
    "CREATE TABLE IF NOT EXISTS rank_blocks_due (run VARCHAR, low BIGINT, high BIGINT)",
    "ALTER TABLE rank_blocks_due ADD COLUMN IF NOT EXISTS note UUID",
    "UPDATE rank_blocks_due SET note = uuid() WHERE note IS NULL",
)
"""The times of ranks by block of steps (store/rollup/rank_blocks.py), and the blocks that got further records after their times were kept.
records, mark, at, arrived, sample: the number of the records that a block was made of, the combination of their hashes, their latest times,
and whether one of them is of the sample. note: the id of an entry, so that only entries that were read are deleted; it has no default,
since a log that holds a function cannot be replayed.
"""

NOT_FINITE_STEPS = "CREATE TABLE IF NOT EXISTS not_finite_steps (run VARCHAR, step BIGINT)"
"""The steps at which a run logged a value that is not finite (store/rollup/noted_steps.py)."""
STEP_EXTREMES = """CREATE TABLE IF NOT EXISTS step_extremes (run VARCHAR, block BIGINT, metric VARCHAR, low DOUBLE, low_step BIGINT,
    high DOUBLE, high_step BIGINT)"""
"""The extremes of each metric of a run by block of steps, with their steps (store/rollup/noted_steps.py)."""
NOT_FINITE = " OR ".join(f"contains(metrics, ':\"{text}\"')" for text in ("NaN", "Infinity", "-Infinity"))
"""The condition that a step record has a value that is not finite. Objects are stored as compact JSON, where a quote in a key is
escaped.
"""

REFERENCE_COLUMNS = "CREATE TABLE IF NOT EXISTS reference_columns (key INTEGER NOT NULL, version VARCHAR NOT NULL, columns JSON NOT NULL)"
"""The meaning of a version's reference columns that are not features: {"left_out": {name: reason}, "scores": [[class, column]]}."""


def _columns(declaration: str) -> dict[str, str]:
    """SQL type by column, from `name TYPE, name TYPE, …`."""
    return dict(column.split(" ") for column in declaration.split(", "))


PREDICTION_COLUMNS = _columns(
    "stream SMALLINT, id VARCHAR, id_hash UBIGINT, sample_hash UBIGINT, at TIMESTAMP, arrived TIMESTAMP, status VARCHAR, score DOUBLE, "
    "probabilities JSON, prediction VARCHAR, decision SMALLINT, threshold DOUBLE, latency_ms DOUBLE, energy_j DOUBLE, cost DOUBLE, "
    "weight DOUBLE, base_value JSON, subject VARCHAR, device VARCHAR, replica VARCHAR, batch VARCHAR, acted_at TIMESTAMP, "
    "feature_at JSON, attributions JSON, attributions_link VARCHAR, absent USMALLINT[], wrong USMALLINT[], extra JSON"
)
LABEL_COLUMNS = _columns(
    "id VARCHAR, id_hash UBIGINT, at TIMESTAMP, arrived TIMESTAMP, value VARCHAR, number DOUBLE, source VARCHAR, annotator VARCHAR, "
    "guideline VARCHAR, extra JSON"
)
COUNT_COLUMNS = _columns(
    "stream SMALLINT, period INTEGER, slice SMALLINT, measure SMALLINT, bin SMALLINT, decision SMALLINT, label SMALLINT, "
    "status UTINYINT, arrived INTEGER, n BIGINT, w DOUBLE, w2 DOUBLE"
)
SUM_COLUMNS = _columns(
    "stream SMALLINT, period INTEGER, slice SMALLINT, measure SMALLINT, arrived INTEGER, n BIGINT, w DOUBLE, w2 DOUBLE, total DOUBLE, "
    "squares DOUBLE, low DOUBLE, high DOUBLE"
)
SLICE_COLUMNS = _columns("slice SMALLINT, reference VARCHAR, level VARCHAR")
"""Slices of the rollups: a column reference (`feature.sex`, `device`) and the text of its level (`null` for a missing value)."""
ATTRIBUTION_COLUMNS = _columns(
    "stream SMALLINT, id VARCHAR, id_hash UBIGINT, at TIMESTAMP, sample_hash UBIGINT, sampled BOOLEAN, class SMALLINT, values FLOAT[], "
    "base DOUBLE, output DOUBLE, residual DOUBLE, link VARCHAR, method VARCHAR, adds_up BOOLEAN, reproduces BOOLEAN"
)
"""Attributions of single predictions, in the order of the features that store/query/attributions.py keeps for the version."""
ENRICHMENT_COLUMNS = _columns("job VARCHAR, version VARCHAR, part VARCHAR, rows BIGINT, state JSON")
"""Progress of enrichment jobs: rows of each finished part of a version at that time. The part "" holds the state of the job."""
ESTIMATE_COLUMNS = _columns(
    "stream SMALLINT, id VARCHAR, id_hash UBIGINT, at TIMESTAMP, arrived TIMESTAMP, sample_hash UBIGINT, absolute DOUBLE, squared DOUBLE"
)
"""Expected absolute and squared error of single predictions of a regression (store/query/estimates.py)."""
COMPUTED_COLUMNS = _columns("id_hash UBIGINT, id VARCHAR, part VARCHAR, asked VARCHAR, at TIMESTAMP, body VARCHAR")
"""Cached answers that a model artifact computed about single predictions (store/query/cached_answers.py)."""
MODEL_TABLES = {
    "predictions": PREDICTION_COLUMNS,
    "labels": LABEL_COLUMNS,
    "counts": COUNT_COLUMNS,
    "sums": SUM_COLUMNS,
    "slices": SLICE_COLUMNS,
    "attributions": ATTRIBUTION_COLUMNS,
    "enrichment": ENRICHMENT_COLUMNS,
    "estimates": ESTIMATE_COLUMNS,
    "computed": COMPUTED_COLUMNS,
}
"""Tables of each model, by the first part of their names."""

COLUMN_TYPES: dict[Kind, str] = {"number": "DOUBLE", "category": "VARCHAR", "boolean": "BOOLEAN"}
STATUS_CODES = {"ok": 0, "error": 1, "timeout": 2, "fallback": 3, "rejected": 4}
"""Codes of the status of a prediction in the rollups."""
OUTCOMES, LATENCY, SCORE, ERROR, DAY_OUTCOMES = 0, -1, -2, -3, -4
"""Measures of the counts that are not columns: outcomes, latency_ms, score and error of a regression, daily outcomes of all rows."""
FIRST_CLASS = -100
"""Measure of the counts of the probability of class 0; class k has FIRST_CLASS - k."""
SUM_MEASURES = {
    "latency_ms": -1,
    "score": -2,
    "energy_j": -4,
    "cost": -5,
    "label_value": -10,
    "error": -11,
    "absolute_error": -12,
    "squared_error": -13,
    "log_loss": -14,
    "brier": -15,
    "correct": -16,
}
"""Measures of the sums that are not columns."""
SLICED_FIELDS = ("replica", "device")
"""Fields of a prediction whose levels are slices in the rollups, like those of sensitive columns."""
SLICE_LEVELS = 50
"""Maximum number of levels of a column that the rollups keep as slices, in order of appearance. Questions about other levels are answered
from raw rows.
"""


def model_table(table: str, key: int) -> str:
    """Name of a model's table: `predictions_3`."""
    return f"{table}_{key}"


def create_model_tables(cursor: Cursor, key: int) -> None:
    """Create the empty tables of a new model."""
    for table, columns in MODEL_TABLES.items():
        cursor.execute(create_table_sql(model_table(table, key), columns))


def drop_model_tables(cursor: Cursor, key: int) -> None:
    """Drop every table of a model."""
    for table in MODEL_TABLES:
        cursor.execute(f"DROP TABLE IF EXISTS {model_table(table, key)}")


def create_table_sql(name: str, columns: dict[str, str]) -> str:
    """The CREATE TABLE statement of a table."""
    return f"CREATE TABLE {name} ({', '.join(f'{quoted_identifier(column)} {kind}' for column, kind in columns.items())})"
