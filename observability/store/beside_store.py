"""The common part of every engine over a lake: the store answers all questions except those about raw rows, and rollups are computed from
the lake and written into the store.
"""

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from observability.core.catalog import Catalog, Model, Version
from observability.core.window import Window
from observability.store.db.catalog_store import stream_numbers
from observability.store.db.database import Database
from observability.store.db.results import Cursor
from observability.store.db.schema import SLICE_LEVELS, model_table
from observability.store.engine import Engine, Store
from observability.store.lake.export import days_held_otherwise
from observability.store.lake.lake_owner import open_written_lake
from observability.store.lake.land_rollups import EPOCH_DAY, land_rollups
from observability.store.lake.manifest import LakeFile, LakeManifest, read_manifest
from observability.store.lake.spark_tasks import TaskModel
from observability.store.rollup.outcomes import sliced_columns

if TYPE_CHECKING:
    import pyarrow as pa
    from pandas import DataFrame


class EngineBesideStore(Engine):
    """An engine whose raw rows are in a lake. The store has the catalog, records, events, and the counts of the loader; it need not have
    the rows of the lake. Raises UsageError for an address that cannot be used, StoreBrokenError if no lake is there.
    """

    def __init__(self, store: Store, address: str) -> None:
        self.store, self.place = store, open_written_lake(store.home, address)

    def catalog(self) -> Catalog:
        """The catalog of the store."""
        return self.store.catalog()

    def counters(self, model: str, window: Window) -> dict[str, Any]:
        """The counts of the store's loader."""
        return self.store.counters(model, window)

    def events(self, model: str | None, start: datetime, end: datetime, as_of: datetime | None = None) -> "DataFrame":
        """The events that the store holds between two times."""
        return self.store.events(model, start, end, as_of)

    def canary_sightings(self, window: Window) -> "DataFrame":
        """Sightings of canaries, from the store's rows."""
        return self.store.canary_sightings(window)

    def activity(self, as_of: datetime | None = None, model: str | None = None) -> "DataFrame":
        """Versions that have rows, from the store's rollups."""
        return self.store.activity(as_of, model)

    def newest_record(self, kinds: Sequence[str], model: str, before: datetime, as_of: datetime | None = None) -> datetime | None:
        """Event time of the newest record, from the store."""
        return self.store.newest_record(kinds, model, before, as_of)

    def task_model(self, model: Model) -> TaskModel:
        """A model with its streams, the slices of its rollups and the rounds of late labels that are already counted, in the form that the
        tasks of an engine need.
        """
        with cast("Database", self.store).cursor() as cursor:
            numbers = stream_numbers(cursor, model.key)
            slices = cursor.execute(f"SELECT slice, reference, level FROM {model_table('slices', model.key)}").fetchall()
            rounds = tuple(name for (name,) in cursor.execute("SELECT round FROM late_rounds ORDER BY round").fetchall())
        streams = tuple((number, version, environment) for (version, environment), number in numbers.items())
        return TaskModel(model, streams, tuple((number, reference, level) for number, reference, level in slices), rounds)

    @abstractmethod
    def rollup_levels(self, model: Model, column: str, files: Sequence[LakeFile], streams: Sequence[int], limit: int) -> set[str | None]:
        """The levels of a column in some files of predictions, at most `limit` of them. streams: the streams whose rows count."""

    @abstractmethod
    def rollup_deltas(self, task: TaskModel, files: Sequence[LakeFile], labels: Sequence[LakeFile], streams: Sequence[int]) -> "pa.Table":
        """The rows that the predictions of some files add to the rollups, with all revisions of their counted labels: one row with the
        DELTA_COLUMNS for each key. streams: the streams whose rows count.
        """

    def compute_rollups(self, name: str, first: date, last: date) -> dict[str, Any]:
        """Compute the rollups of a model for the days `first` to `last` (both included) from the lake, including late labels, and replace
        the store's rollups in one transaction: {rows, days, counts, sums, left}. If the process is killed before that transaction, the
        store is unchanged.

        left: the days that were left unchanged, with the reason: on these days the lake's rows differ from the store's.
        """
        manifest, model, database = read_manifest(self.place), self.catalog().model(name), cast("Database", self.store)
        before = task = self.task_model(model)
        streams = [number for number, _, environment in task.streams if environment != "reference"]
        asked = self._known_days(model, manifest, streams, first, last)

        def held_otherwise(cursor: Cursor) -> dict[str, str]:
            return days_held_otherwise(database, cursor, self.place, manifest, model, asked)

        with database.cursor() as cursor:
            left = held_otherwise(cursor)
        days = [day for day in asked if day not in left]
        files = [file for file in manifest.of_model(name, "predictions") if file.day in days]
        task = replace(task, slices=(*task.slices, *self._new_slices(model, task, files, streams)))
        table = self.rollup_deltas(task, files, manifest.of_model(name, "labels"), streams)

        def changed_meanwhile(cursor: Cursor) -> list[date]:
            left.update(held_otherwise(cursor))
            if reason := self._what_grew(before, manifest):
                left.update(dict.fromkeys(asked, reason))
            return [date.fromisoformat(day) for day in left]

        landed = land_rollups(database, model, table, streams, [*map(date.fromisoformat, days)], task.slices, changed_meanwhile)
        counted = [file for file in files if file.day not in left]
        return {"rows": sum(file.rows for file in counted), "days": len(counted), **landed, "left": dict(sorted(left.items()))}

    def _what_grew(self, before: TaskModel, manifest: LakeManifest) -> str | None:
        """Why rollups that were computed from this state of store and lake must not replace the rollups of the store; None if they may."""
        now, name = self.task_model(before.model), before.model.name
        if set(now.slices) != set(before.slices):
            return "the store got new slices while its rollups were computed: compute them again"
        labels = read_manifest(self.place).of_model(name, "labels") if now.rounds != before.rounds else []
        if now.rounds != before.rounds and labels != manifest.of_model(name, "labels"):
            return "late labels were counted while its rollups were computed: compute them again"
        return None

    def _known_days(self, model: Model, manifest: LakeManifest, streams: Sequence[int], first: date, last: date) -> list[str]:
        """The days from first to last for which the lake has rows or the store has counts."""
        mine = f"stream IN ({', '.join(map(str, streams)) or 'NULL'})"
        with cast("Database", self.store).cursor() as cursor:
            counted = f"SELECT DISTINCT floor(period / 24)::INTEGER FROM {model_table('counts', model.key)} WHERE {mine}"
            days = {str(EPOCH_DAY + timedelta(days=number)) for (number,) in cursor.execute(counted).fetchall()}
        days |= {file.day for file in manifest.of_model(model.name, "predictions")}
        return sorted(day for day in days if first.isoformat() <= day <= last.isoformat())

    def _new_slices(self, model: Model, task: TaskModel, files: Sequence[LakeFile], streams: Sequence[int]) -> list[tuple[int, str, str]]:
        """Slices for levels that the rollups do not have yet, at most SLICE_LEVELS per column. Their numbers follow the existing ones."""
        known: dict[str, set[str]] = defaultdict(set)
        for _, reference, level in task.slices:
            known[reference].add(level)
        following = max((number for number, _, _ in task.slices), default=0) + 1
        found: list[tuple[int, str, str]] = []
        for reference, column in sliced_columns(model).items():
            levels = _band_levels(model.versions, reference)
            if levels is None:
                levels = {text for text in self.rollup_levels(model, column, files, streams, 10 * SLICE_LEVELS) if text is not None}
                levels |= {"null"} if reference.startswith(("feature.", "group.")) else set()
            for level in sorted(levels - known[reference])[: SLICE_LEVELS - len(known[reference])]:
                found.append((following, reference, level))
                following += 1
        return found


def _band_levels(versions: Sequence[Version], reference: str) -> set[str] | None:
    """The bands of a sensitive number in all versions; None for another column."""
    if not reference.startswith("band."):
        return None
    return {name for version in versions if reference in version.edges for name in version.edges[reference].band_names} | {"null"}
