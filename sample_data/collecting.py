"""How do the records that the `Logger` wrote become the small files that ship?

The landing segments are read back line by line, so what ships is what was logged. A Parquet file holds one kind, with a column a field and a
column a feature (contract section 2), in the order of time; equal values in long columns cost next to nothing under a dictionary and zstd.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from observability.client.spool import landing_folder, publish_abandoned, ready_segments
from sample_data.spec import Spec

TIMES = ("at", "received_at")
PREFIXED = ("id",)
MILLISECONDS = pa.timestamp("ms", tz="UTC")


def logged(home: Path) -> Iterator[dict[str, Any]]:
    """Every record in the landing folder of a home."""
    landing = landing_folder(home)
    publish_abandoned(landing)
    for segment in ready_segments(landing):
        with segment.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)


def collect(home: Path, specs: list[Spec], out: Path) -> None:
    """Writes NAME.predictions.parquet and NAME.labels.parquet of each model, training.jsonl and events.jsonl."""
    by_name = {spec.name: spec for spec in specs}
    tables: dict[tuple[str, str], dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    lines: dict[str, list[dict[str, Any]]] = {"training": [], "events": []}
    for record in logged(home):
        kind = record.pop("kind")
        if kind in ("run", "step", "event"):
            lines["events" if kind == "event" else "training"].append({"kind": kind, **record})
            continue
        features = record.pop("features", {})
        if kind == "prediction" and tuple(features) != by_name[record["model"]].features:
            raise SystemExit(f"a prediction of {record['model']} was logged with other features: {', '.join(features)}")
        table = tables[record["model"], kind]
        for name, value in {**record, **features}.items():
            table[name].append(value)
    for (model, kind), columns in tables.items():
        if len({len(values) for values in columns.values()}) != 1:
            raise SystemExit(f"some records of {model} lack a field that others have")
        write_table(pd.DataFrame(columns), out / f"{model}.{kind}s.parquet")
    for name, records in lines.items():
        if name == "events":
            records.sort(key=lambda record: record["at"])
        text = "".join(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n" for record in records)
        (out / f"{name}.jsonl").write_text(text, encoding="utf-8")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """One Parquet file in the order of time, as small as it gets."""
    for name in TIMES:
        if name in table:
            table[name] = pd.to_datetime(table[name], utc=True, format="ISO8601")
    table = table.sort_values(["at", "id"], ignore_index=True)
    arrow = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    for place, column in enumerate(arrow.schema):
        if pa.types.is_timestamp(column.type):
            arrow = arrow.set_column(place, column.name, arrow[column.name].cast(MILLISECONDS))
        elif pa.types.is_large_string(column.type):
            arrow = arrow.set_column(place, column.name, arrow[column.name].cast(pa.string()))
    plain = [name for name in arrow.column_names if name in (*TIMES, *PREFIXED)]
    pq.write_table(
        arrow,
        path,
        compression="zstd",
        compression_level=22,
        use_dictionary=[name for name in arrow.column_names if name not in plain],
        column_encoding={name: "DELTA_BYTE_ARRAY" if name in PREFIXED else "DELTA_BINARY_PACKED" for name in plain},
        row_group_size=1_000_000,
        data_page_size=2**24,
        dictionary_pagesize_limit=2**22,
        write_statistics=True,
        version="2.6",
    )
