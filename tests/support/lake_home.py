"""Homes with a lake: their rows, their files, and records that arrive late."""

import itertools
import json
import shutil
from datetime import timedelta

import duckdb
import pandas as pd

from observability.lake.file_place import FolderPlace
from observability.store.db.noted_lakes import LAKES, known_lakes
from observability.store.db.schema import model_table
from observability.store.lake.manifest import read_manifest
from observability.store.opener import open_store
from tests.support.engine_world import START
from tests.support.landing import land
from tests.support.new_store import new_store

DAY = timedelta(days=1)


class KilledError(Exception):
    """Simulates the death of the process: no code after it runs."""


def stored(store, table, model):
    key = store.catalog().model(model).key
    with store.cursor() as cursor:
        order = "id, stream" if table == "predictions" else 'id, "at", arrived, value'
        return cursor.execute(f"SELECT * FROM {model_table(table, key)} ORDER BY {order}").df()


def in_lake(lake, table, model):
    files = [str(lake / file.name) for file in read_manifest(FolderPlace(lake)).of_model(model, table)]
    order = "id, stream" if table == "predictions" else 'id, "at", arrived, value'
    return duckdb.sql(f"SELECT * FROM read_parquet({files}, union_by_name = true, hive_partitioning = false) ORDER BY {order}").df()


def assert_same_rows(store, lake, models=("loan", "eta", "kind")):
    for model, table in itertools.product(models, ("predictions", "labels")):
        pd.testing.assert_frame_equal(in_lake(lake, table, model), stored(store, table, model), check_dtype=False)


def prediction(number, day, model="m"):
    """A prediction record without features, at midnight of a day of March."""
    at = f"2026-03-{day:02}T00:00:00Z"
    return {"kind": "prediction", "id": f"{day}-{number}", "at": at, "model": model, "version": "1", "score": 0.5, "features": {}}


def label(id_, day, model="m"):
    """The label of a prediction, at midnight of a day of March."""
    return {"kind": "label", "id": id_, "at": f"2026-03-{day:02}T00:00:00Z", "model": model, "value": 1}


def loaded(store, *records):
    """Load records, and check that all of them are stored."""
    land(store, *records)
    report = store.load_landing()
    assert report.rejected == 0 and report.stored >= len(records)


def keep_three_days(store, lake):
    """Write settings that keep rows in the store for three days, and all rows in a lake."""
    (store.home / "keeping.toml").write_text(f'[retention]\nrows = 3\n[lake_export]\nfolder = "{lake}"\n')


def moved_lake(home, lake):
    """The store of a home that was copied together with its only lake, opened as if it had written the lake at the new location."""
    (written,) = known_lakes(home)
    notes = home / LAKES
    notes.write_text(notes.read_text(encoding="utf-8").replace(json.dumps(written), json.dumps(str(lake))), encoding="utf-8")
    store = open_store(home)
    keep_three_days(store, lake)
    return store


def late_records(ids, day, value=1):
    return [{**label(id_, day), "value": value, "received_at": f"2026-03-{day:02}T05:00:00Z"} for id_ in ids]


def labels_counted(store):
    """The number of outcomes on 1 March, by label."""
    key, hours = store.catalog().model("m").key, f"BETWEEN {int(START.timestamp() // 3600)} AND {int(START.timestamp() // 3600) + 23}"
    with store.cursor() as cursor:
        found = cursor.execute(
            f"""SELECT label, sum(n) FROM counts_{key} WHERE period {hours} AND slice = 0 AND label >= 0
            AND measure = (SELECT min(measure) FROM counts_{key} WHERE label >= 0) GROUP BY 1 HAVING sum(n) <> 0"""
        ).fetchall()
    return {label: int(n) for label, n in found}


def open_store_again(home, folder):
    """A store opened on a copy of a home; it reads the same lake."""
    shutil.copytree(home, folder / "copy")
    return new_store(folder / "copy")
