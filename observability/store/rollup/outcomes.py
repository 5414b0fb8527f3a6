"""Counts and sums of outcomes, latency and cost that predictions and their labels add.

Turns the events of the ladder into rows of `counts_<key>` and `sums_<key>`. Slice 0 (all rows) is kept by hour, and its outcomes by day as
well. Levels of sensitive columns, bands of sensitive numbers, replicas and devices are kept by day on the coarse score bins. Replicas and
devices also have their latencies.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from observability.core.catalog import Model, Version
from observability.stats.binning import BinPlan, bin_numbers
from observability.stats.scores import COARSE_GROUP
from observability.store.db.expressions import (
    arrival_hour_sql,
    day_sql,
    finite_sql,
    hour_sql,
    labelled_measures,
    probability_list_sql,
    status_code_sql,
)
from observability.store.db.results import Cursor, arrow_result
from observability.store.db.schema import (
    DAY_OUTCOMES,
    ERROR,
    FIRST_CLASS,
    LATENCY,
    OUTCOMES,
    SLICE_LEVELS,
    SLICED_FIELDS,
    SUM_MEASURES,
    model_table,
)
from observability.store.db.shared_tables import BATCH_KEY, BATCH_STREAMS, GROUP_KEY, insert_sql
from observability.store.query import raw_rows
from observability.store.query.bin_plans import LATENCY_PLAN, SCORE_PLAN, cached_bin_plan
from observability.store.query.source import WindowRows
from observability.store.rollup.ladder import CHANGED, EVENTS, drop_ladder_events, write_ladder_events
from observability.store.types.column_bins import BAND, banded_column

ROWS, BINS = "prediction_rows", "error_bins"
UNLABELLED = {
    "latency_ms": finite_sql("latency_ms"),
    "score": finite_sql("score"),
    "energy_j": finite_sql("energy_j"),
    "cost": finite_sql("cost"),
}
"""Measures that a prediction adds to the sums when it arrives, with or without a label."""


def sliced_columns(model: Model) -> dict[str, str]:
    """The stored column of each reference with slices of its own: sensitive columns, bands of sensitive numbers, replica, device."""
    columns = {column.reference: column.column for column in model.columns if column.sensitive and column.kind != "number"}
    bands = {f"{BAND}{column.name}": column for column in model.columns}
    banded = {reference: found.column for reference in bands if (found := banded_column(model, reference)) is not None}
    return columns | banded | {name: name for name in SLICED_FIELDS}


def outcome_columns(model: Model) -> list[str]:
    """Stored columns from which the outcomes of a prediction are computed."""
    fixed = ["id", "stream", "at", "arrived", "status", "score", "probabilities", "decision", "weight", "latency_ms", "energy_j", "cost"]
    return fixed + list(dict.fromkeys(sliced_columns(model).values()))


def add_outcome_counts(
    writer: Cursor,
    model: Model,
    new: pa.Table | None,
    older: pa.Table | None,
    revisions: pa.Table | None,
    versions: Mapping[int, Version],
    references: Sequence[int],
) -> None:
    """Update the counts and sums for new predictions, and for older predictions with new labels.

    new, older: tables with the `outcome_columns`. revisions: all labels of their ids (see `ladder.write_ladder_events`). versions: by
    stream. references: streams of the environment `reference`.
    """
    parts = [
        _prepared_rows(writer, model, table, is_new, versions, references)
        for table, is_new in ((new, True), (older, False))
        if table is not None and table.num_rows
    ]
    if not parts:
        return
    changed = pa.concat_tables(parts)
    labelled = revisions is not None and revisions.num_rows > 0
    write_ladder_events(writer, model, changed, revisions)
    has_slices, has_servers = (pc.sum(pc.list_value_length(changed[name])).as_py() > 0 for name in ("slices", "servers"))
    writer.execute(_counts_sql(model, "period", "0", OUTCOMES, "score_bin", "decision", "label", "status_code", EVENTS))
    writer.execute(_counts_sql(model, "day", "0", DAY_OUTCOMES, "score_bin", "decision", "label", "status_code", EVENTS))
    if has_slices:
        by_slice = f"(SELECT *, unnest(slices) AS slice FROM {EVENTS})"
        writer.execute(_counts_sql(model, "day", "slice", OUTCOMES, "coarse_bin", "decision", "label", "status_code", by_slice))
    if model.task == "multiclass":
        by_class = f"(SELECT *, unnest(class_bins) AS class_bin, unnest(range({len(model.classes)})) AS class FROM {EVENTS})"
        writer.execute(_counts_sql(model, "day", "0", f"({FIRST_CLASS} - class)", "class_bin", "0", "label", "0", by_class))
    if new is not None and new.num_rows:
        arrivals = f"(SELECT *, arrived_hour AS event_hour, 1 AS sign FROM {CHANGED} WHERE is_new)"
        writer.execute(_counts_sql(model, "period", "0", LATENCY, "latency_bin", "0", "-1", "status_code", arrivals))
        if has_servers:
            by_server = f"(SELECT *, unnest(servers) AS slice FROM {arrivals})"
            writer.execute(_counts_sql(model, "day", "slice", LATENCY, "latency_bin", "0", "-1", "status_code", by_server))
        used = {name: value for name, value in UNLABELLED.items() if new[name].null_count < new.num_rows}
        _add_sums(writer, model, used, arrivals, has_slices)
    if labelled:
        _add_sums(writer, model, labelled_measures(model), EVENTS, has_slices)
        if model.task == "regression":
            _add_error_histogram(writer, model, versions)
    drop_ladder_events(writer)


def _prepared_rows(
    writer: Cursor, model: Model, table: pa.Table, is_new: bool, versions: Mapping[int, Version], references: Sequence[int]
) -> pa.Table:
    """Predictions with the inputs of their cells: periods, bins, codes, weights, slices (`servers`: the slices by replica and device)."""
    in_reference = f"list_contains({list(references)}::SMALLINT[], stream)"
    levels = ", ".join(
        f"coalesce({_level_sql(model, versions, reference, column)}, {_missing_level(reference)}) AS level_{i}"
        for i, (reference, column) in enumerate(sliced_columns(model).items())
    )
    by_class = probability_list_sql(model) if model.task == "multiclass" and model.classes else "NULL::DOUBLE[]"
    writer.register(ROWS, table.select(outcome_columns(model)))
    rows = arrow_result(
        writer,
        f"""SELECT id, stream, {in_reference} AS in_reference, {"true" if is_new else "false"} AS is_new, score, {by_class} AS by_class,
            decision, latency_ms, energy_j, cost, {status_code_sql()} AS status_code, coalesce(weight, 1) AS w,
            CASE WHEN in_reference THEN 0 ELSE {hour_sql('"at"')} END AS period,
            CASE WHEN in_reference THEN 0 ELSE {day_sql('"at"')} END AS day,
            CASE WHEN in_reference THEN 0 ELSE {arrival_hour_sql("arrived")} END AS arrived_hour, {levels}
        FROM {ROWS} p""",
    )
    writer.unregister(ROWS)
    bins = _bins(rows["score"], SCORE_PLAN) if model.classes else np.full(rows.num_rows, -1, np.int16)
    coarse = np.where(bins >= 0, COARSE_GROUP[np.maximum(bins, 0)], bins).astype(np.int16)
    slices, servers = _slice_lists(writer, model, rows)
    added = {
        "score_bin": pa.array(bins),
        "coarse_bin": pa.array(coarse),
        "latency_bin": pa.array(_bins(rows["latency_ms"], LATENCY_PLAN)),
        "slices": slices,
        "servers": servers,
    }
    if model.task == "multiclass":
        added["class_bins"] = _class_bins(rows["by_class"], len(model.classes))
    for name, values in added.items():
        rows = rows.append_column(name, values)
    return rows.select([name for name in rows.column_names if not name.startswith("level_")])


def _level_sql(model: Model, versions: Mapping[int, Version], reference: str, column: str) -> str:
    """The text of a row's level: for a sensitive number, its band in the row's own version; else the value."""
    banded = banded_column(model, reference)
    return f'p."{column}"::VARCHAR' if banded is None else raw_rows._band_sql(WindowRows(model, dict(versions), None, None), banded)


def _missing_level(reference: str) -> str:
    """The level of a missing value: `null` for a column or band; a missing replica or device belongs to no slice."""
    return "NULL" if reference in SLICED_FIELDS else "'null'"


def _bins(column: pa.ChunkedArray, plan: BinPlan) -> NDArray[np.int16]:
    """Bin of each number; -1 null, -2 NaN."""
    valid = None if not column.null_count else column.is_valid().to_numpy()
    values = column.to_numpy() if not column.null_count else pc.fill_null(column, 0.0).to_numpy()
    return bin_numbers(values, plan, valid)


def _class_bins(by_class: pa.ChunkedArray, classes: int) -> pa.Array:
    """Bins of the probabilities of each row, one per class."""
    held = pc.fill_null(by_class, pa.scalar([None] * classes, pa.list_(pa.float64())))
    flat = pa.chunked_array([held.combine_chunks().flatten()]) if held.num_chunks != 0 else pa.chunked_array([], pa.float64())
    return pa.FixedSizeListArray.from_arrays(pa.array(_bins(flat, SCORE_PLAN)), classes).cast(pa.list_(pa.int16()))


def _slice_lists(writer: Cursor, model: Model, rows: pa.Table) -> tuple[pa.Array, pa.Array]:
    """Lists of the slice numbers of each row: of all its slices, and of its replica and device only.

    New levels get a number, up to SLICE_LEVELS per column.
    """
    if model.key in (BATCH_KEY, GROUP_KEY):
        return _batched_slice_lists(writer, model, rows)
    table = model_table("slices", model.key)
    known: dict[str, dict[str, int]] = {}
    for number, reference, level in writer.execute(f"SELECT slice, reference, level FROM {table}").fetchall():
        known.setdefault(reference, {})[level] = number
    following = max((number for levels in known.values() for number in levels.values()), default=0) + 1
    codes: list[NDArray[np.int16]] = []
    of_servers = []
    for i, reference in enumerate(sliced_columns(model)):
        column, levels = rows[f"level_{i}"], known.setdefault(reference, {})
        if column.null_count == rows.num_rows:
            continue
        for level in sorted(level for level in pc.unique(column).to_pylist() if level is not None and level not in levels)[
            : SLICE_LEVELS - len(levels)
        ]:
            row = "SELECT ?::SMALLINT, ?::VARCHAR, ?::VARCHAR"
            writer.execute(insert_sql("slices", model.key, row, shared=model.shared), [following, reference, level])
            levels[level] = following
            following += 1
        found = pc.index_in(column, value_set=pa.array(list(levels), pa.string())).to_numpy(zero_copy_only=False)
        numbers = np.array([*levels.values(), 0], np.int16)
        codes.append(numbers[np.where(np.isnan(found), -1, found).astype(np.int64)] if found.dtype.kind == "f" else numbers[found])
        of_servers += codes[-1:] if reference in SLICED_FIELDS else []
    return _positive_lists(codes, rows.num_rows), _positive_lists(of_servers, rows.num_rows)


def _batched_slice_lists(writer: Cursor, model: Model, rows: pa.Table) -> tuple[pa.Array, pa.Array]:
    """As `_slice_lists`, for the rows of a batch or a group: each member has its own slice numbers."""
    keys = dict(writer.execute(f"SELECT place, key FROM {BATCH_STREAMS}").fetchall())
    owners = [keys[stream] for stream in rows["stream"].to_pylist()]
    known: dict[int, dict[str, dict[str, int]]] = {key: {reference: {} for reference in sliced_columns(model)} for key in set(owners)}
    held = {f"level_{i}": reference for i, reference in enumerate(sliced_columns(model)) if rows[f"level_{i}"].null_count < rows.num_rows}
    if not held:
        return _positive_lists([], rows.num_rows), _positive_lists([], rows.num_rows)
    stored = f"SELECT key, slice, reference, level FROM slices_shared WHERE key IN (SELECT key FROM {BATCH_STREAMS})"
    if model.key == GROUP_KEY:
        stored = " UNION ALL ".join(f"SELECT {key}, slice, reference, level FROM {model_table('slices', key)}" for key in sorted(known))
    for key, number, reference, level in writer.execute(stored).fetchall():
        known.setdefault(key, {}).setdefault(reference, {})[level] = number
    following = {key: max((n for levels in own.values() for n in levels.values()), default=0) + 1 for key, own in known.items()}
    codes, of_servers, added = [], [], []
    for name, reference in held.items():
        levels = rows[name].to_pylist()
        for key, level in sorted({(key, level) for key, level in zip(owners, levels, strict=True) if level is not None}):
            own = known[key].setdefault(reference, {})
            if level not in own and len(own) < SLICE_LEVELS:
                own[level] = following[key]
                added.append((own[level], reference, level, key))
                following[key] += 1
        found = [known[key][reference].get(level, 0) for key, level in zip(owners, levels, strict=True)]
        codes.append(np.array(found, np.int16))
        of_servers += codes[-1:] if reference in SLICED_FIELDS else []
    if added:
        writer.register(BINS, pa.table(dict(zip(("slice", "reference", "level", "key"), map(list, zip(*added, strict=True)), strict=True))))
        if model.key == BATCH_KEY:
            writer.execute(f"INSERT INTO slices_shared SELECT slice, reference, level, key FROM {BINS}")
        for key in sorted({key for *_, key in added}) if model.key == GROUP_KEY else ():
            writer.execute(f"INSERT INTO {model_table('slices', key)} SELECT slice, reference, level FROM {BINS} WHERE key = {key}")
        writer.unregister(BINS)
    return _positive_lists(codes, rows.num_rows), _positive_lists(of_servers, rows.num_rows)


def _positive_lists(codes: Sequence[NDArray[np.int16]], rows: int) -> pa.Array:
    """The positive numbers of each row of these columns, as a list per row."""
    if not codes:
        return pa.array([[]] * rows, pa.list_(pa.int16()))
    matrix = np.column_stack(codes)
    offsets = np.concatenate([[0], np.cumsum((matrix > 0).sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(matrix[matrix > 0]))


def _counts_sql(
    model: Model, period: str, slice_: str, measure: int | str, bin_: str, decision: str, label: str, status: str, source: str
) -> str:
    """The statement that adds counts of events, grouped by the given expressions."""
    added = f"""SELECT stream, {period} AS period, {slice_} AS slice, {measure} AS measure, {bin_} AS bin, {decision} AS decision,
            {label} AS label, {status} AS status, event_hour AS arrived, sum(sign)::BIGINT AS n, sum(sign * w) AS w, sum(sign * w * w) AS w2
        FROM {source} GROUP BY ALL HAVING n <> 0 OR w <> 0 OR w2 <> 0"""
    return insert_sql("counts", model.key, added, shared=model.shared)


def _add_sums(writer: Cursor, model: Model, measures: Mapping[str, str], source: str, has_slices: bool) -> None:
    """Add sums of the measures (SQL expressions, NULL for none) over events: slice 0 by hour, the other slices by day."""
    if not measures:
        return
    writer.execute(_sums_sql(model, "period", "0", measures, source))
    if has_slices:
        writer.execute(_sums_sql(model, "day", "slice", measures, f"(SELECT *, unnest(slices) AS slice FROM {source})"))


def _sums_sql(model: Model, period: str, slice_: str, measures: Mapping[str, str], source: str) -> str:
    """The statement that adds sums of events."""
    names = list(measures)
    values = ", ".join(f"{expression} AS x{i}" for i, expression in enumerate(measures.values()))
    figures = {
        "n": "(sum(sign) FILTER (x{i} IS NOT NULL))::BIGINT",
        "w": "sum(sign * w) FILTER (x{i} IS NOT NULL)",
        "w2": "sum(sign * w * w) FILTER (x{i} IS NOT NULL)",
        "total": "sum(sign * w * x{i})",
        "squares": "sum(sign * w * x{i} * x{i})",
        "low": "min(x{i}) FILTER (sign > 0)",
        "high": "max(x{i}) FILTER (sign > 0)",
    }
    lists = ", ".join(f"unnest([{', '.join(f'{name}{i}' for i in range(len(names)))}]) AS {name}" for name in figures)
    totals = ", ".join(f"{figure.format(i=i)} AS {name}{i}" for name, figure in figures.items() for i in range(len(names)))
    codes = ", ".join(str(SUM_MEASURES[name]) for name in names)
    added = f"""SELECT stream, period, slice, measure, arrived, n, w, w2, total, squares, low, high FROM (
            SELECT stream, period, slice, unnest([{codes}]) AS measure, arrived, {lists} FROM (
                SELECT stream, period, slice, arrived, {totals} FROM (
                    SELECT stream, {period} AS period, {slice_} AS slice, event_hour AS arrived, sign, w, {values} FROM {source})
                GROUP BY stream, period, slice, arrived))
        WHERE n <> 0 OR w <> 0 OR total <> 0 OR squares <> 0"""
    return insert_sql("sums", model.key, added, shared=model.shared)


def _add_error_histogram(writer: Cursor, model: Model, versions: Mapping[int, Version]) -> None:
    """Add the histogram of the errors of a regression on the edges of the version."""
    rows = arrow_result(writer, f"SELECT stream, day, event_hour, sign, w, score - number AS error FROM {EVENTS} WHERE label = 0")
    if not rows.num_rows:
        return
    stream, bins = rows["stream"].to_numpy(), np.zeros(rows.num_rows, np.int16)
    for number in np.unique(stream):
        mask = stream == number
        edges = versions[int(number)].edges.get("error")
        bins[mask] = _bins(rows["error"].filter(pa.array(mask)), cached_bin_plan(edges.edges if edges else ()))
    writer.register(BINS, rows.append_column("bin", pa.array(bins)))
    writer.execute(_counts_sql(model, "day", "0", ERROR, "bin", "0", "0", "0", BINS))
    writer.unregister(BINS)
