"""A reference file of 1,500 loans, its registration, and the contents of the store afterwards."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from observability.store.types.registration import RegistrationRequest


def loans(n=1500, seed=0):
    random = np.random.default_rng(seed)
    p = random.random(n).round(4)
    income = random.normal(3e4, 1e4, n).round(2)
    return pd.DataFrame(
        {
            "income": np.where(random.random(n) < 0.03, np.nan, income),
            "age": random.integers(18, 90, n),
            "sex": random.choice(["F", "M"], n),
            "race": random.integers(1, 5, n),
            "owner": random.random(n) < 0.5,
            "p": p,
            "outcome": np.where(random.random(n) < p, "yes", "no"),
            "day": pd.date_range("2024-01-01", periods=n, freq="h", tz="Europe/Paris"),
        }
    )


def write_reference(tmp_path, frame, name="reference.parquet"):
    path = tmp_path / name
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
    return path


FEATURES = ("income", "age", "sex", "race", "owner")


def loan_request(path, **more):
    return RegistrationRequest(
        "loan", "3", **{"task": "binary", "label": "outcome", "score": ("p",), "reference": path, "at": "day", **more}
    )


def stored_rows(store, query, *parameters):
    cursor = store.cursor()
    try:
        return cursor.execute(query, list(parameters)).fetchall()
    finally:
        cursor.close()


def all_contents(store):
    """The contents of all tables, for comparing the store before and after a change."""
    tables = [name for (name,) in stored_rows(store, "SELECT table_name FROM duckdb_tables() ORDER BY 1")]
    return {name: sorted(map(repr, stored_rows(store, f'SELECT * FROM "{name}"'))) for name in tables}
