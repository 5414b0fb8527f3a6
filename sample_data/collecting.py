"""Turn the records that the `Logger` wrote into the small shipped files.

The landing segments are read back line by line, so the shipped files hold exactly what was logged. A Parquet file holds one kind, with one
column per field and per feature (contract section 2), in the order of time. Where rows are alike (flights of one airport share its
weather), similar rows of a month are put next to each other. Each column has the encoding that makes it smallest; nothing is rounded and
nothing left out.
"""

import io
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from observability.client.spool import landing_folder, publish_abandoned, ready_segments
from sample_data.spec import Spec

NOT_ALWAYS = ("batch",)
"""Fields of predictions that only some models and some rows have."""
TIMES = ("at", "received_at")
DICTIONARY = "RLE_DICTIONARY"
TEXT_ENCODINGS = (DICTIONARY, "DELTA_BYTE_ARRAY", "PLAIN")
NUMBER_ENCODINGS = (DICTIONARY, "BYTE_STREAM_SPLIT", "PLAIN")
WHOLE_ENCODINGS = (*NUMBER_ENCODINGS, "DELTA_BINARY_PACKED")
BEST_LEVEL, QUICK_LEVEL = 22, 9
"""Compression levels of zstd: to write a file, and to compare encodings."""
MILLISECONDS = pa.timestamp("ms", tz="UTC")
AGE = timedelta(weeks=104)
"""Days by which records of real runs are dated back. A window without dates ends at its newest record only if that record is at least 30
days old; otherwise it ends now, and a younger sample would give different results each day.
"""


def logged(home: Path) -> Iterator[dict[str, Any]]:
    """Every record in the landing folder of a home."""
    landing = landing_folder(home)
    publish_abandoned(landing)
    for segment in ready_segments(landing):
        with segment.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)


def dated_back(at: str) -> str:
    """The time of a record that was just made, moved back to the date that the sample uses; the time of day stays as written."""
    day, _, rest = at.partition("T")
    return f"{date.fromisoformat(day) - AGE}T{rest}"


def collect(home: Path, specs: list[Spec], out: Path) -> None:
    """Writes NAME.predictions.parquet and NAME.labels.parquet of each model, training.jsonl and events.jsonl."""
    by_name = {spec.name: spec for spec in specs}
    tables: dict[tuple[str, str], dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    lines: dict[str, list[dict[str, Any]]] = {"training": [], "events": []}
    for record in logged(home):
        kind = record.pop("kind")
        if kind in ("run", "step"):
            record["at"] = dated_back(record["at"])
        if kind in ("run", "step", "event"):
            lines["events" if kind == "event" else "training"].append({"kind": kind, **record})
            continue
        features = record.pop("features", {})
        if kind == "prediction" and tuple(features) != by_name[record["model"]].features:
            raise SystemExit(f"a prediction of {record['model']} was logged with other features: {', '.join(features)}")
        table = tables[record["model"], kind]
        absent = dict.fromkeys(NOT_ALWAYS) if kind == "prediction" else {}
        for name, value in {**absent, **record, **features}.items():
            table[name].append(value)
    for (model, kind), columns in tables.items():
        if len({len(values) for values in columns.values()}) != 1:
            raise SystemExit(f"some records of {model} lack a field that others have")
        found = pd.DataFrame(columns)
        found = found.drop(columns=[name for name in NOT_ALWAYS if name in found and found[name].isna().all()])
        write_table(found, out / f"{model}.{kind}s.parquet", by_name[model].together if kind == "prediction" else ())
    for name, records in lines.items():
        if name == "events":
            records.sort(key=lambda record: record["at"])
        text = "".join(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n" for record in records)
        (out / f"{name}.jsonl").write_text(text, encoding="utf-8")


def write_table(table: pd.DataFrame, path: Path, together: tuple[str, ...] = ()) -> None:
    """Write one Parquet file, as small as possible, in the order of time. With `together`, the rows of each month are sorted by these
    columns first.
    """
    for name in TIMES:
        if name in table:
            table[name] = pd.to_datetime(table[name], utc=True, format="ISO8601")
    if together:
        month = table["at"].dt.strftime("%Y-%m").rename("month")
        order = pd.concat([month, table[[*together, "at", "id"]]], axis=1).sort_values(["month", *together, "at", "id"])
        table = table.loc[order.index].reset_index(drop=True)
    else:
        table = table.sort_values(["at", "id"], ignore_index=True)
    write_sorted(table, path)


def write_sorted(table: pd.DataFrame, path: Path) -> None:
    """Write one Parquet file, as small as possible, in the given order of rows."""
    arrow = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    for place, column in enumerate(arrow.schema):
        if pa.types.is_timestamp(column.type):
            arrow = arrow.set_column(place, column.name, arrow[column.name].cast(MILLISECONDS))
        elif pa.types.is_large_string(column.type):
            arrow = arrow.set_column(place, column.name, arrow[column.name].cast(pa.string()))
    write(arrow, path, {name: encoding for column in arrow.column_names for name, encoding in smallest(arrow.select([column])).items()})


def smallest(column: pa.Table) -> dict[str, str]:
    """The encoding that makes the file of a column smallest. If the column holds objects, one encoding for each member."""
    (field,) = column.schema
    members = dict(leaves(field))
    names, kind = list(members), next(iter(members.values()))
    whole = pa.types.is_integer(kind) or pa.types.is_timestamp(kind)
    candidates = TEXT_ENCODINGS if pa.types.is_string(kind) else WHOLE_ENCODINGS if whole else NUMBER_ENCODINGS

    def size(encoding: str) -> int:
        file = io.BytesIO()
        write(column, file, dict.fromkeys(names, encoding), QUICK_LEVEL)
        return file.tell()

    return dict.fromkeys(names, min(candidates, key=size) if not pa.types.is_boolean(kind) else "PLAIN")


def leaves(field: pa.Field, within: str = "") -> Iterator[tuple[str, pa.DataType]]:
    """A column by its name. If it holds objects, each of their members by its path."""
    name = within + field.name
    if not pa.types.is_struct(field.type):
        yield name, field.type
        return
    for each in field.type:
        yield from leaves(each, f"{name}.")


def write(table: pa.Table, to: Path | io.BytesIO, encodings: dict[str, str], level: int = BEST_LEVEL) -> None:
    """Write a Parquet file with zstd compression, each column in its own encoding."""
    pq.write_table(
        table,
        to,
        compression="zstd",
        compression_level=level,
        use_dictionary=[name for name, encoding in encodings.items() if encoding == DICTIONARY],
        column_encoding={name: encoding for name, encoding in encodings.items() if encoding != DICTIONARY},
        row_group_size=1_000_000,
        data_page_size=2**24,
        dictionary_pagesize_limit=2**22,
        write_statistics=True,
        version="2.6",
    )
