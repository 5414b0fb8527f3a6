"""Remove data that are older than `HOME/keeping.toml` allows: raw rows, explanations, rejected lines, records of other kinds.

Counts stay, so charts and metrics of earlier days stay. Single rows, slices without counts and SQL over rows begin at the first kept day.
Predictions from before that day are refused, since they would be counted twice. If the settings name a lake, the transaction first writes
to the lake the rows that the lake lacks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from observability.core.catalog import Model
from observability.core.time import naive_utc
from observability.lake.addresses import checked_address
from observability.store.db.catalog_store import keep_rows_from, require_model, stream_numbers
from observability.store.db.database import Database
from observability.store.db.keeping import Keeping, note_done, read_keeping
from observability.store.db.record_tables import kind_tables
from observability.store.db.results import Cursor, single_row
from observability.store.db.schema import model_table
from observability.store.db.shared_tables import give_own_tables, shares_tables
from observability.store.lake.export import WRITING, export_leaving
from observability.store.lake.late_labels import count_late_labels
from observability.store.lake.reported_export import export_reported_lake
from observability.store.rollup.noted_steps import drop_noted_steps
from observability.store.rollup.rank_blocks import drop_blocks_without_steps

EXPLANATIONS = {"attributions": '"at"', "estimates": '"at"', "computed": '"at"'}


@dataclass(frozen=True)
class Expired:
    """Data whose retention is over. what: rows, explanations, rejected, or a kind of records. statements: SQL that deletes the data.

    lone: SQL condition for the labels without a prediction in the store that are deleted with the data.
    """

    what: str
    model: str | None
    before: datetime
    count: int
    statements: tuple[tuple[str, tuple[object, ...]], ...]
    key: int | None = None
    lone: str = "false"

    def to_json(self) -> dict[str, Any]:
        """{what, model, before (date), rows}."""
        return {"what": self.what, "model": self.model, "before": self.before.date().isoformat(), "rows": self.count}


def apply_retention(
    store: Database,
    *,
    dry_run: bool = False,
    now: datetime | None = None,
    rewrite: bool | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, Any]:
    """Remove data whose retention is over: {dry_run, removed: [{what, model, before, rows}], late_labels, rewritten}. dry_run: only count
    the data.

    late_labels: by model, the number of labels that were counted now and whose predictions only the lake has.

    rewrite: rewrite the store, so that no bytes of removed rows stay; None: only if anything was removed. Raises UsageError for invalid
    settings, StoreBrokenError if the lake cannot be written. What was removed by then is in the lake.
    """
    keeping, now = read_keeping(store.home), now or datetime.now(UTC)
    late = count_late_labels(store, keeping.lake) if keeping.lake is not None and not dry_run else {}
    with store.cursor() as cursor:
        expired = list(_expired(cursor, store, keeping, now))
    if not dry_run:
        for each in expired:
            with WRITING, store.write() as writer:
                if each.count and each.key is not None:
                    give_own_tables(writer, each.key)
                if each.key is None or not shares_tables(writer, each.key):
                    if keeping.lake is not None and each.what == "rows" and each.model is not None:
                        model = require_model(writer, each.model)
                        export_leaving(store, writer, keeping.lake, model, before=each.before, lone=each.lone)
                    for statement, parameters in each.statements:
                        writer.execute(statement, list(parameters))
                if each.what == "step" and each.count:
                    drop_blocks_without_steps(writer)
                    drop_noted_steps(writer)
                if each.what == "rows" and each.key is not None:
                    keep_rows_from(writer, each.key, each.before)
        note_done(store.home, "retention", {"removed": [each.to_json() for each in expired if each.count]})
    removed = [each for each in expired if each.count]
    rewritten = not dry_run and (rewrite if rewrite is not None else bool(removed))
    if rewritten:
        store.rewrite(progress)
    return {"dry_run": dry_run, "removed": [each.to_json() for each in removed], "late_labels": late, "rewritten": rewritten}


def export_before_removal(store: Database, address: str, now: datetime | None = None) -> dict[str, Any]:
    """Bring a lake to the state of the store, as `export_reported_lake` does, including small models that are about to lose rows: these get
    tables of their own first.
    """
    keeping, now = read_keeping(store.home), now or datetime.now(UTC)
    with store.cursor() as cursor:
        expired = [each for each in _expired(cursor, store, keeping, now) if each.what == "rows" and each.count]
    small = {model.key for model in store.catalog().models if model.shared} & {each.key for each in expired}
    if small:
        with store.write() as writer:
            for key in sorted(small):
                give_own_tables(writer, key)
    return export_reported_lake(store, address)


def _expired(cursor: Cursor, store: Database, keeping: Keeping, now: datetime) -> Iterator[Expired]:
    """All data that have a retention of their own, each with the number of older rows, zero included."""
    counts_late = keeping.lake is not None and checked_address(keeping.lake).path is not None
    for model in store.catalog().models:
        if (days := keeping.of_model("rows", model.name)) is not None:
            yield _expired_rows(cursor, model, _first_kept_day(now, days), with_lone=not counts_late or model.shared)
        if (days := keeping.of_model("explanations", model.name)) is not None:
            yield _expired_explanations(cursor, model, _first_kept_day(now, days))
    if (days := keeping.days.get("rejected")) is not None:
        yield _expired_records(cursor, "rejected", "rejected", "at_loaded", _first_kept_day(now, days))
    for kind, days in keeping.kinds.items():
        yield _expired_records(cursor, kind, kind_tables()[kind], '"at"', _first_kept_day(now, days))


def _first_kept_day(now: datetime, days: int) -> datetime:
    """Midnight (UTC, naive) of the first day that is kept."""
    return naive_utc(now).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)


def _expired_rows(cursor: Cursor, model: Model, before: datetime, *, with_lone: bool) -> Expired:
    """Predictions from before an instant (except references), their labels, and older labels without a prediction, because that prediction
    would be refused. with_lone: False if a lake may have that prediction; late_labels.py then moves such labels to the lake.
    """
    predictions, labels = model_table("predictions", model.key), model_table("labels", model.key)
    old = f'"at" < ? AND NOT {_in_references(cursor, model)}'
    (count,) = single_row(cursor, f"SELECT count(*) FROM {predictions} WHERE {old}", [before])
    lone = f"\"at\" < TIMESTAMP '{before}' AND id NOT IN (SELECT id FROM {predictions})" if with_lone else "false"
    (lone_count,) = single_row(cursor, f"SELECT count(*) FROM {labels} WHERE {lone}")
    younger = f"SELECT id FROM {predictions} WHERE NOT ({old})"
    return Expired(
        "rows",
        model.name,
        before,
        count + lone_count,
        (
            (f"DELETE FROM {labels} WHERE id IN (SELECT id FROM {predictions} WHERE {old}) AND id NOT IN ({younger})", (before, before)),
            (f"DELETE FROM {predictions} WHERE {old}", (before,)),
            (f"DELETE FROM {labels} WHERE {lone}", ()),
        ),
        model.key,
        lone,
    )


def _expired_explanations(cursor: Cursor, model: Model, before: datetime) -> Expired:
    """Explanations and expected errors of predictions from before an instant, and answers that were given before it."""
    count, statements = 0, []
    for table, at in EXPLANATIONS.items():
        name = model_table(table, model.key)
        old = f"{at} < ?" + ("" if table == "computed" else f" AND NOT {_in_references(cursor, model)}")
        count += single_row(cursor, f"SELECT count(*) FROM {name} WHERE {old}", [before])[0]
        statements.append((f"DELETE FROM {name} WHERE {old}", (before,)))
    return Expired("explanations", model.name, before, count, tuple(statements), model.key)


def _expired_records(cursor: Cursor, what: str, table: str, at: str, before: datetime) -> Expired:
    (count,) = single_row(cursor, f"SELECT count(*) FROM {table} WHERE {at} < ?", [before])
    return Expired(what, None, before, count, ((f"DELETE FROM {table} WHERE {at} < ?", (before,)),))


def _in_references(cursor: Cursor, model: Model) -> str:
    """SQL: whether a row belongs to a reference."""
    references = [number for (_, environment), number in stream_numbers(cursor, model.key).items() if environment == "reference"]
    return f"list_contains({references}::SMALLINT[], stream)"
