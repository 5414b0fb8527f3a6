"""Compute the rollups of a sample of days again from raw rows, and compare them with the stored ones. Nothing is changed."""

import random
from collections.abc import Callable
from datetime import date

from observability.core.catalog import Model
from observability.core.time import naive_utc
from observability.store.db.catalog_store import require_model, stream_numbers
from observability.store.db.database import Database
from observability.store.db.results import Cursor
from observability.store.db.schema import model_table
from observability.store.rollup.rollup import COUNT_KEYS, SUM_KEYS, WHOLE_DAYS, compaction_hours, rebuild_days

DAYS = 3
"""Days of each stream that are computed again."""
FIGURES = {"counts": (COUNT_KEYS, ("n", "w", "w2")), "sums": (SUM_KEYS, ("n", "w", "w2", "total", "squares"))}


class _UndoneError(Exception):
    """Ends the transaction without a commit."""


def verify_rollups(
    store: Database, seed: int | None = None, progress: Callable[[str, int, int, str], object] | None = None
) -> tuple[int, list[str]]:
    """Compute sampled days again. Return how many days were computed, and a sentence for each day of a model whose counts differ. Writers
    wait meanwhile.
    """
    choose = random.Random(seed)
    checked, problems = 0, []
    models = store.catalog().models
    for place, model in enumerate(models):
        if progress is not None:
            progress(f"computing counts of {model.name} again", place, len(models), "models")
        try:
            with store.write() as writer:
                days = _sampled_days(writer, model, choose)
                problems += _differences(writer, require_model(writer, model.name), days, store.threads)
                checked += len(days)
                raise _UndoneError
        except _UndoneError:
            pass
    return checked, problems


def _sampled_days(writer: Cursor, model: Model, choose: random.Random) -> list[tuple[int, date]]:
    """Some days of each stream whose raw rows are kept."""
    found = []
    for (_, environment), stream in sorted(stream_numbers(writer, model.key).items()):
        if environment == "reference":
            continue
        kept = "" if model.rows_from is None else f"AND \"at\" >= TIMESTAMP '{naive_utc(model.rows_from)}'"
        days = writer.execute(
            f'SELECT DISTINCT "at"::DATE FROM {model_table("predictions", model.key)} WHERE stream = {stream} {kept} ORDER BY 1'
        ).fetchall()
        found += [(stream, day) for (day,) in choose.sample(days, min(DAYS, len(days)))]
    return found


def _differences(writer: Cursor, model: Model, days: list[tuple[int, date]], threads: int) -> list[str]:
    """One sentence for each of these days whose stored counts or sums differ from those of the raw rows."""
    if not days:
        return []
    chosen = " OR ".join(f"(stream = {stream} AND floor(period / 24) = {(day - date(1970, 1, 1)).days})" for stream, day in days)
    by_day = compaction_hours(writer).get(model.key, 0)
    for table in FIGURES:
        writer.execute(f"CREATE OR REPLACE TEMP TABLE stored_{table} AS {_added_up(table, model, chosen, by_day)}")
    rebuild_days(writer, model.name, days, merge=False, threads=threads)
    wrong: dict[tuple[int, date], None] = {}
    for table, (keys, figures) in FIGURES.items():
        differs = " OR ".join(f"({_differs_sql(f'coalesce(s.{name}, 0)', f'coalesce(r.{name}, 0)')})" for name in figures)
        rows = writer.execute(
            f"""SELECT DISTINCT stream, DATE '1970-01-01' + floor(period / 24)::INTEGER FROM stored_{table} s
            FULL JOIN ({_added_up(table, model, chosen, by_day)}) r USING ({", ".join(keys)}) WHERE {differs} ORDER BY ALL"""
        ).fetchall()
        wrong |= dict.fromkeys(rows)
        writer.execute(f"DROP TABLE stored_{table}")
    return [f"The counts of {model.name} on {day:%Y-%m-%d} differ from its raw rows." for _, day in sorted(wrong)]


def _differs_sql(stored: str, recomputed: str) -> str:
    """SQL: whether two sums differ by more than the order of adding explains.

    Two equal infinities, from squares too large for a double, do not differ.
    """
    return f"{stored} IS DISTINCT FROM {recomputed} AND abs({stored} - {recomputed}) > 1e-6 * (1 + abs({stored}))"


def _added_up(table: str, model: Model, chosen: str, by_day: int) -> str:
    """SQL that sums the figures by their keys. by_day: hour of arrival before which arrivals are rounded up to whole days."""
    keys, figures = FIGURES[table]
    sums = ", ".join(f"sum({name}) AS {name}" for name in figures)
    named = [f"CASE WHEN arrived < {by_day} THEN {WHOLE_DAYS} ELSE arrived END AS arrived" if key == "arrived" else key for key in keys]
    return f"SELECT {', '.join(named)}, {sums} FROM {model_table(table, model.key)} WHERE {chosen} GROUP BY ALL"
