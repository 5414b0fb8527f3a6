"""A model with 20 numeric and 5 categorical features and any number of rows over 30 days, written directly into the store's tables."""

from datetime import UTC, datetime, timedelta

import numpy as np
from pyarrow import parquet

from observability.core.catalog import Edges, Version
from observability.core.window import Window
from observability.stats.edges import category_levels, numeric_edges
from observability.store.db.catalog_store import (
    add_columns,
    add_model,
    ensure_stream,
    find_model,
    save_version,
    set_sensitive,
    stream_numbers,
)
from observability.store.rollup.rollup import rebuild_rollups

MODEL, VERSION, DAYS = "bench", "1", 30
START = datetime(2026, 1, 1, tzinfo=UTC)
NUMBERS = [f"n{i:02d}" for i in range(20)]
CATEGORIES = [f"c{i}" for i in range(5)]
LEVELS = (3, 8, 20, 50, 12)
REFERENCE_ROWS = 100_000
WINDOW = Window(MODEL, START, START + timedelta(days=DAYS), version=VERSION)
HISTOGRAM = tuple(f"feature.{name}" for name in (*NUMBERS, *CATEGORIES))


def number_sql(place, shift):
    """Normal, lognormal, uniform and rounded values by turns."""
    normal = f"sqrt(-2 * ln(1 - random())) * cos(6.283185307179586 * random()) + {shift}"
    shapes = (normal, f"exp({normal})", f"{place + 1} * (random() + {shift})", f"round(3 * ({normal}), 1)")
    return f"({shapes[place % 4]})::DOUBLE"


def category_sql(place, shift):
    """Levels with falling shares."""
    return f"'level ' || floor(power(random(), {2 - shift}) * {LEVELS[place]})::INTEGER"


def fill(store, rows):
    """Makes the model with a reference and `rows` rows of production (the last third drifted a little), and its rollups."""
    with store.write() as writer:
        key = add_model(writer, MODEL, task="binary", classes=("0", "1"))
        wanted = [("feature", name, "number") for name in NUMBERS] + [("feature", name, "category") for name in CATEGORIES]
        columns = add_columns(writer, key, wanted)
        set_sensitive(writer, key, [])
        save_version(writer, key, Version(VERSION, START, tuple(NUMBERS + CATEGORIES)))
        insert(writer, key, columns, REFERENCE_ROWS, ensure_stream(writer, key, VERSION, "reference"), 0.0)
        edges = edges_of(writer, key, columns)
        save_version(writer, key, Version(VERSION, START, tuple(NUMBERS + CATEGORIES), edges, REFERENCE_ROWS))
        production = ensure_stream(writer, key, VERSION, "production")
        insert(writer, key, columns, rows * 2 // 3, production, 0.0, last=2 / 3)
        insert(writer, key, columns, rows - rows * 2 // 3, production, 0.1, first=2 / 3)
    with store.write() as writer:
        rebuild_rollups(writer, MODEL)
    return find_model(store.cursor(), MODEL)


def insert(writer, key, columns, rows, number, shift, first=0.0, last=1.0):
    """Inserts the rows from the share `first` to the share `last` of the 30 days, in the order of time; each arrives within an hour."""
    values = {columns[f"feature.{name}"].column: number_sql(place, shift) for place, name in enumerate(NUMBERS)}
    values |= {columns[f"feature.{name}"].column: category_sql(place, shift) for place, name in enumerate(CATEGORIES)}
    seconds = f"{first * DAYS * 86400} + i * {(last - first) * DAYS * 86400 / rows}"
    id_ = f"'{number}-{first}-' || i"
    fixed = {
        "stream": str(number),
        "id": id_,
        "id_hash": f"hash({id_})",
        "sample_hash": f"md5_number_upper({id_})",
        "at": f"TIMESTAMP '{START:%Y-%m-%d}' + to_seconds({seconds})",
        "arrived": f"TIMESTAMP '{START:%Y-%m-%d}' + to_seconds({seconds} + 1)",
        "status": "'ok'",
        "score": "random()",
        "decision": "0",
    }
    named = fixed | values
    names = ", ".join(f'"{name}"' for name in named)
    writer.execute(f"INSERT INTO predictions_{key} ({names}) SELECT {', '.join(named.values())} FROM range({rows}) t(i)")


def edges_of(writer, key, columns):
    """Edges of every column, computed from the present rows as registering does it."""
    found = {}
    for reference, column in columns.items():
        values = writer.execute(f"SELECT {column.column} AS v FROM predictions_{key}").fetchnumpy()["v"]
        if column.kind == "category":
            found[reference] = Edges(levels=category_levels(values.tolist()).levels)
            continue
        made = numeric_edges(np.asarray(values))
        plain = {name: tuple(getattr(made, name).tolist()) for name in ("edges", "deciles", "positions")}
        found[reference] = Edges(**plain, scale=made.scale, low=made.low, high=made.high)
    return found


def export(store, model, folder):
    """Writes reference.parquet and current.parquet for the peers, with `at` and the features under their names."""
    names = ", ".join(f'{each.column} AS "{each.name}"' for each in model.columns)
    cursor = store.cursor()
    for (_, environment), number in stream_numbers(cursor, model.key).items():
        table = cursor.sql(f'SELECT "at", {names} FROM predictions_{model.key} WHERE stream = {number} ORDER BY "at"').to_arrow_table()
        parquet.write_table(table, folder / ("reference.parquet" if environment == "reference" else "current.parquet"))
