"""Replay the sample fleet as if it happened today. The times of its real records are shifted by a whole number of weeks, and each record
arrives when the clock reaches its shifted time.

fleet.toml lists the periods of the sample. Each period states how many weeks after the start of the replay it ends, and is shifted
accordingly. Every record keeps its weekday, and only times are changed. `live_sample.json` in the home holds the number of weeks and the
time up to which records were loaded. If a load is stopped midway, its records are loaded again, and the store recognizes them as
duplicates.
"""

import json
import logging
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.cli.demo_fleet import MARK, Say, apply_settings, defaults_of, progress_of, read_fleet, request_of, step_of
from observability.core.bundle import bundle_folder
from observability.core.errors import ObservabilityError, UsageError
from observability.core.formatting import join_words
from observability.records.kinds import KINDS
from observability.records.private_file import replace_private_file
from observability.store.engine import Store
from observability.store.types.loading import LoadReport

if TYPE_CHECKING:
    import pyarrow as pa

LOG = logging.getLogger(__name__)
STATE = "live_sample.json"
WEEK, HOUR = timedelta(weeks=1), timedelta(hours=1)
PAUSE = 20.0
"""Seconds between two checks whether an hour has passed."""
YEAR_OF_WEEKS = 52
"""If records were shifted by at least this many weeks, the page's note names the years from which they come; otherwise the number
of weeks.
"""
_replaying = threading.Lock()
"""Held while records of the sample are loaded or removed."""


@dataclass(frozen=True)
class Period:
    """A part of the sample whose records are all shifted by the same time.

    name: the file whose last record ends the period. years: the years of its served records. since: start of its records. last: its last
    record. ahead: number of weeks after the start of the replay at which it ends. only: the files that it consists of; if empty, all files
    of its time. models: the models that it serves.
    """

    name: str
    years: str
    since: datetime
    last: datetime
    ahead: int
    only: tuple[str, ...] = ()

    def weeks_until(self, now: datetime) -> int:
        """Number of weeks by which its times are shifted in a replay that starts now. A period with `ahead` 0 ends before now."""
        weeks = (now + self.ahead * WEEK - self.last) / WEEK
        return round(weeks) if self.ahead else int(weeks // 1)


@dataclass(frozen=True)
class MovedPeriod:
    """The facts for a page's note about a period that was moved: its years, the number of weeks, its last record after the move, and its
    models.
    """

    years: str
    weeks: int
    last: datetime
    models: tuple[str, ...] = ()


@dataclass(frozen=True)
class LiveSample:
    """The replay in a home. delivered: every record that arrived up to this time is loaded; None before the first load. periods: shifted
    periods by name.

    models: models whose records were loaded. If a person removes one of them, it is not loaded again.
    """

    started: datetime
    delivered: datetime | None = None
    periods: dict[str, MovedPeriod] = field(default_factory=dict)
    models: tuple[str, ...] = ()


def sample_listing() -> Path:
    """The list of the sample fleet in the package."""
    return bundle_folder() / "sample_data" / "fleet.toml"


def read_live_sample(home: Path) -> LiveSample | None:
    """The replay in a home; None if the sample is not live. Raises UsageError if its file cannot be read."""
    try:
        body = json.loads((home / STATE).read_text(encoding="utf-8"))
        periods = {
            name: MovedPeriod(each["years"], each["weeks"], datetime.fromisoformat(each["last"]), tuple(each["models"]))
            for name, each in body["periods"].items()
        }
        delivered = body["delivered"] and datetime.fromisoformat(body["delivered"])
        return LiveSample(datetime.fromisoformat(body["started"]), delivered, periods, tuple(body["models"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        attempt = "Run demo --remove, then demo --live"
        raise UsageError("the state of the live sample cannot be read", where=STATE, got=str(error)[:100], attempt=attempt) from None


def write_live_sample(home: Path, state: LiveSample) -> None:
    """Store the state of the replay in the home."""
    replace_private_file(home / STATE, json.dumps(asdict(state), default=datetime.isoformat, indent=1))


def begin_live_sample(store: Store, listing: Path, now: datetime, say: Say) -> list[str]:
    """Register the sample's models, and load the records whose shifted time is up to `now`. Returns sentences. If it is stopped, the
    dashboard continues the load.
    """
    fleet = fleet_with_periods(listing)
    periods = sample_periods(fleet, listing.parent)
    weeks = {period.name: period.weeks_until(now) for period in periods}
    lines = []
    with _replaying, tempfile.TemporaryDirectory(prefix="live-sample-") as folder:
        for entry in fleet["model"]:
            moved_copy(listing.parent / entry["reference"], Path(folder) / entry["reference"], "prediction", Moves(periods, weeks))
            say(f"registering {entry['name']}")
            request = replace(request_of(entry, listing.parent), reference=Path(folder) / entry["reference"])
            done = store.register(request, progress=step_of(entry["name"], say))
            lines.append(f"{done.model} version {done.version}: {done.rows:,} held-out reference rows.")
        moved = {
            period.name: MovedPeriod(
                period.years, weeks[period.name], period.last + weeks[period.name] * WEEK, models_of(fleet, periods, period, listing.parent)
            )
            for period in periods
        }
        write_live_sample(store.home, LiveSample(now, None, moved))
        (store.home / MARK).unlink(missing_ok=True)  # from here on, the dashboard continues a stopped load
    report = deliver_live_sample(store, listing, now, say)
    ahead = max(period.last for period in moved.values())
    counts = f"{report.stored:,} records stored, {report.duplicates:,} duplicates, {report.rejected:,} rejected"
    note = sample_note(LiveSample(now, now, moved), None, now)
    lines.append(f"{counts} in {report.seconds:.0f} s.")
    return [*lines, f"{note}. Records arrive every hour until {ahead:%Y-%m-%d}, while the dashboard runs."]


def deliver_live_sample(store: Store, listing: Path, now: datetime, say: Say, stopping: threading.Event | None = None) -> LoadReport:
    """Load the records that arrived since the last delivery, up to `now`. If the home is not live, nothing is loaded. If a delivery is
    stopped or fails, the next one repeats it completely, and the store recognizes the records that it already has. The replay ends when no
    model of the sample is left.
    """
    total = LoadReport()
    with _replaying:
        state = read_live_sample(store.home)
        if state is None or (state.delivered is not None and state.delivered >= now):
            return total
        if not (present := sample_models(store)):
            (store.home / STATE).unlink()
            return total
        fleet, weeks = fleet_with_periods(listing), {name: each.weeks for name, each in state.periods.items()}
        gone = tuple(name for name in state.models if name not in present)
        moves = Moves(sample_periods(fleet, listing.parent), weeks, state.delivered, now, gone)
        with tempfile.TemporaryDirectory(prefix="live-sample-") as folder:
            for entry in fleet["file"]:
                if stopping is not None and stopping.is_set():
                    return total
                path = listing.parent / entry["path"]
                if not entry.get("live", True):  # the sentences of frozen weeks name days, which cannot be shifted
                    continue
                if not entry.get("moved", True):
                    waiting = [path] if state.delivered is None else []
                else:
                    copy = Path(folder) / entry["path"]
                    waiting = [copy] if moved_copy(path, copy, entry.get("kind"), moves) else []
                if waiting:
                    total += store.load_files(waiting, defaults_of(entry), progress=progress_of(path.name, say))
        if state.delivered is None:
            apply_settings(store, fleet, listing.parent)
        models = tuple(dict.fromkeys([*state.models, *sample_models(store)]))
        write_live_sample(store.home, replace(state, delivered=now, models=models))
    return total


def sample_models(store: Store) -> list[str]:
    """The models of the sample that the store has."""
    return [model.name for model in store.catalog().models if model.sample]


@contextmanager
def live_sample_stopped(home: Path) -> Iterator[None]:
    """End the replay in a home, and prevent a new replay while the block runs."""
    with _replaying:
        (home / STATE).unlink(missing_ok=True)
        yield


def run_live_sample(store: Store, stopping: threading.Event, listing: Path | None = None) -> None:
    """Deliver whenever an hour has begun since the last delivery, until `stopping` is set. A failure is logged and tried again."""
    while not stopping.wait(PAUSE):
        try:
            now = datetime.now(UTC)
            if is_delivery_due(read_live_sample(store.home), now):
                with store.in_background():
                    deliver_live_sample(store, listing or sample_listing(), now, lambda _text: None, stopping)
        except ObservabilityError as error:
            LOG.warning("the live sample was not loaded: %s", error)
        except Exception:
            LOG.exception("the live sample was not loaded")


def is_delivery_due(state: LiveSample | None, now: datetime) -> bool:
    """Whether the home is live and a new hour has begun since its last delivery."""
    return state is not None and (state.delivered is None or state.delivered < now.replace(minute=0, second=0, microsecond=0))


def sample_note(state: LiveSample, model: str | None, now: datetime) -> str:
    """The note on every page about a live sample, for one model or for all models: by how much its times were shifted, and whether it has
    ended.
    """
    own = [period for period in state.periods.values() if model in period.models]
    periods = own or list(state.periods.values())
    years = list(dict.fromkeys(period.years for period in periods if period.weeks >= YEAR_OF_WEEKS))
    weeks = max((period.weeks for period in periods), default=0)
    moved = f"moved from {join_words(years)} to today" if years else f"moved by {weeks} weeks"
    last = max((period.last for period in periods), default=now)
    ended = f". It ended on {last:%Y-%m-%d}; demo --remove and demo --live start it again" if last < now else ""
    return f"Sample data, {moved}{ended}"


def fleet_with_periods(listing: Path) -> dict[str, Any]:
    """The list of the sample. Raises UsageError if it is missing or has no periods."""
    fleet = read_fleet(listing)
    if not fleet.get("period"):
        raise UsageError("the list of the sample names no period", where=listing.name, attempt="Run python sample_data/make.py --only-data")
    return fleet


def sample_periods(fleet: dict[str, Any], folder: Path) -> list[Period]:
    """The periods of the list, earliest first."""
    found = []
    for entry in fleet["period"]:
        since = datetime(entry["since"].year, entry["since"].month, entry["since"].day, tzinfo=UTC)
        last = last_event(folder / entry["ends"])
        found.append(Period(entry["ends"], entry["years"], since, last, entry["weeks_ahead"], tuple(entry.get("only", ()))))
    return sorted(found, key=lambda period: period.since)


def models_of(fleet: dict[str, Any], periods: Sequence[Period], period: Period, folder: Path) -> tuple[str, ...]:
    """The models whose predictions end in a period."""
    files = [entry for entry in fleet["file"] if entry.get("kind") == "prediction"]
    own = [entry for entry in files if period_at(periods, entry["path"], last_event(folder / entry["path"])) == period]
    return tuple(dict.fromkeys(model for entry in own for model in _models_of_file(entry, folder / entry["path"])))


def _models_of_file(entry: dict[str, Any], path: Path) -> list[str]:
    import pyarrow.parquet as pq

    return (
        [entry["model"]]
        if "model" in entry
        else [str(name) for name in pq.read_table(path, columns=["model"])["model"].unique().to_pylist()]
    )


def period_at(periods: Sequence[Period], name: str, at: datetime) -> Period:
    """The period of a record of a file: the file's own period; else the last period that had begun by then; else the first."""
    own = next((period for period in periods if name in period.only), None)
    shared = [period for period in periods if not period.only]
    return own or next((period for period in reversed(shared) if period.since <= at), shared[0])


def last_event(path: Path) -> datetime:
    """The event time of a file's last record."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if path.suffix == ".parquet":
        latest: datetime = pc.max(pq.read_table(path, columns=["at"])["at"]).as_py()
        return latest
    with path.open(encoding="utf-8") as lines:
        return max(datetime.fromisoformat(json.loads(line)["at"]) for line in lines)


@dataclass(frozen=True)
class Moves:
    """By how much records are shifted, and which records are wanted.

    after, until: only records that arrive later than `after` and not later than `until` (shifted times). gone: models whose records are
    left out.
    """

    periods: Sequence[Period]
    weeks: dict[str, int]
    after: datetime | None = None
    until: datetime | None = None
    gone: Sequence[str] = ()

    def shift(self, name: str, at: datetime) -> timedelta:
        """The time by which a record of a file is shifted."""
        return self.weeks[period_at(self.periods, name, at).name] * WEEK

    def wants(self, arrived: datetime, model: str | None) -> bool:
        """Whether a record is wanted, given its model and the time at which it arrived."""
        return model not in self.gone and (self.after is None or arrived > self.after) and (self.until is None or arrived <= self.until)


def moved_copy(source: Path, target: Path, kind: str | None, moves: Moves) -> int:
    """Write the wanted records of a file with shifted times, and return their number. If there are none, nothing is written.

    kind: the kind of all records of a Parquet file; each line of a JSON file states its own kind.
    """
    write = _moved_table if source.suffix == ".parquet" else _moved_lines
    return write(source, target, kind, moves)


def _moved_lines(source: Path, target: Path, _kind: str | None, moves: Moves) -> int:
    moved = []
    with source.open(encoding="utf-8") as lines:
        for line in lines:
            record = moved_record(json.loads(line), source.name, moves)
            if moves.wants(datetime.fromisoformat(record.get("received_at") or record["at"]), record.get("model")):
                moved.append(json.dumps(record, ensure_ascii=False))
    if moved:
        target.write_text("\n".join(moved) + "\n", encoding="utf-8")
    return len(moved)


def moved_record(record: dict[str, Any], name: str, moves: Moves) -> dict[str, Any]:
    """A record of a file with all its times shifted."""
    shift = moves.shift(name, datetime.fromisoformat(record["at"]))
    found = dict(record)
    for each in KINDS[record["kind"]].fields.values():
        held = record.get(each.name)
        if held is None:
            continue
        if each.type == "time":
            found[each.name] = _moved_text(held, shift)
        elif each.members == "time":
            found[each.name] = {member: _moved_text(text, shift) for member, text in held.items()}
    return found


def _moved_text(text: str, shift: timedelta) -> str:
    return (datetime.fromisoformat(text) + shift).isoformat()


def _moved_table(source: Path, target: Path, kind: str | None, moves: Moves) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(source)
    at = _microseconds(table["at"])
    starts = [datetime.fromtimestamp(second, UTC) for second in pc.unique(pc.divide(at, 86_400 * 10**6)).to_numpy() * 86_400]
    by_day = {int(day.timestamp()) // 86_400: moves.shift(source.name, day) // timedelta(microseconds=1) for day in starts}
    shifts = pa.array([by_day[day] for day in pc.divide(at, 86_400 * 10**6).to_pylist()], pa.int64())
    times = [each.name for each in KINDS[kind or ""].fields.values() if each.type == "time" and each.name in table.column_names]
    for name in times:
        moved = pc.add(_microseconds(table[name]), shifts).cast(pa.timestamp("us", "UTC"))
        table = table.set_column(table.column_names.index(name), name, moved)
    arrived = pc.coalesce(table["received_at"], table["at"]) if "received_at" in times else table["at"]
    wanted = pa.chunked_array([pa.repeat(pa.scalar(True), table.num_rows)])
    if moves.after is not None:
        wanted = pc.and_(wanted, pc.greater(arrived, moves.after))
    if moves.until is not None:
        wanted = pc.and_(wanted, pc.less_equal(arrived, moves.until))
    if "model" in table.column_names and moves.gone:
        wanted = pc.and_(wanted, pc.invert(pc.is_in(table["model"], pa.array(moves.gone))))
    table = table.filter(wanted)
    if table.num_rows:
        pq.write_table(table, target)
    return table.num_rows


def _microseconds(times: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """Times as microseconds since 1970."""
    import pyarrow as pa

    return times.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
