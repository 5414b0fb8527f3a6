"""Compute rollups from a lake by hand, with DuckDB or with Spark."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any, Literal, cast

from observability.core.errors import UsageError
from observability.store.beside_store import EngineBesideStore
from observability.store.db.database import Database
from observability.store.db.keeping import read_keeping
from observability.store.engine import Store
from observability.store.lake.manifest import read_manifest

LakeReader = Literal["duckdb", "spark"]


def compute_lake_rollups(
    store: Database,
    address: str | None,
    models: Sequence[str],
    first: date,
    last: date,
    *,
    engine: LakeReader = "duckdb",
    master: str | None = None,
    progress: Callable[[str], object] | None = None,
) -> dict[str, Any]:
    """Compute the rollups of some days (both included) of some models from a lake, and replace the store's, one transaction per model:
    {lake, number, engine, models: [{model, rows, days, counts, sums, left: {day: reason}}]}.

    address: None for the lake that the settings of the home name. models: empty for all that the lake has. number: number of the lake's
    state. master: Spark's master, None for this machine. Raises UsageError, StoreBrokenError, NotFoundError for an unknown model.
    """
    say, named = progress or (lambda text: None), address or read_keeping(store.home).lake
    if named is None:
        raise UsageError("no lake is named", attempt="Give its folder, or name it in keeping.toml: [lake_export] folder = ...")
    with _opened_engine(store, named, engine, master) as reader:
        state = read_manifest(reader.place)
        known = [model.name for model in store.catalog().models if state.of_model(model.name, "predictions")]
        done = []
        for name in models or known:
            say(f"computing {name} with {engine}")
            done.append({"model": store.catalog().model(name).name, **reader.compute_rollups(name, first, last)})
        return {"lake": reader.place.address, "number": state.number, "engine": engine, "models": done}


@contextmanager
def _opened_engine(store: Database, address: str, engine: LakeReader, master: str | None) -> Iterator[EngineBesideStore]:
    """Yield the engine that reads a lake. A Spark session that was begun for it ends with the context."""
    beside = cast("Store", store)
    if engine == "duckdb":
        from observability.store.lake_engine import LakeEngine

        reader = LakeEngine(beside, address, threads=store.threads)
        try:
            yield reader
        finally:
            reader.close()
        return
    from observability.store.spark_engine import SparkEngine, begin_session

    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        raise UsageError("Spark needs Java", got="no java on the path", attempt="Install Java 17, or use --engine duckdb")
    session = begin_session(master or "local[*]")
    try:
        yield SparkEngine(beside, address, session)
    finally:
        session.stop()
