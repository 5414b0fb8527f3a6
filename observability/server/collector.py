"""A collector: a process with the HTTP addresses that accept records, but without a store. Any number of collectors can run behind a load
balancer.

A collector validates records by the same rules as the owner (the process that owns the store): the owner writes its configuration into a
shared folder or bucket (the place), and collectors read it there. Before a collector responds, it has written the records to the place as
one complete segment (file of records). A collector keeps no data of its own. If it is killed at any moment, nothing that it acknowledged is
lost.
"""

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from observability.core.catalog import Catalog
from observability.core.errors import ObservabilityError, StoreBrokenError, StoreBusyError
from observability.core.limits import limits_in_force
from observability.lake.file_place import FilePlace
from observability.lake.segment_place import CONFIG, OWNER, SEGMENTS, TAKEN, require_mounted
from observability.records.keyed_hash import stored_key
from observability.server import process_lock
from observability.server.collector_config import CollectorConfig, apply_config
from observability.server.group_commit import GroupCommit
from observability.server.quotas import TokenQuotas

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from observability.store.types.loading import CheckedLines, NewModelLimit

LOG = logging.getLogger(__name__)
LOOK_EVERY = 5.0
"""Seconds between two looks at the configuration."""
OLD_AFTER = 300.0
"""If the configuration could not be checked for this many seconds, no more records are accepted, because a token may have been revoked
since.
"""
AWAY_AFTER = 24 * 3600.0
"""If the owner has given no heartbeat for this many seconds, no more records are accepted, because the configuration may have changed
since.
"""
PREFIX, HELD = "collector-", "held"
"""Prefix of the name of a collector's temporary folder, and the name of the lock file in it, which the running process keeps locked."""
GATHER_SECONDS = 0.01
"""Requests that come within this time share a segment."""


class SegmentCommit(GroupCommit):
    """Writes each group of records to the place as one segment. The segment is complete when `commit` returns."""

    def __init__(self, place: FilePlace) -> None:
        self._prepare()
        self.place, self.number = place, secrets.token_hex(8)

    def publish(self) -> None:
        """Do nothing, because every segment is published when it is written."""

    def _gather(self) -> None:
        time.sleep(GATHER_SECONDS)  # runs in the thread of one request; the other requests of its group wait for it

    def _append(self, lines: bytes, count: int) -> str | None:
        del count
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-c{self.number}-{self.groups:010}.jsonl"
        try:
            require_mounted(self.place, CONFIG)
            self.place.put(f"{SEGMENTS}/{name}", lines)
            require_mounted(self.place, CONFIG)
            require_mounted(self.place, f"{SEGMENTS}/{name}", f"{TAKEN}/{name}")  # fails if a disk was mounted over the place meanwhile
        except ObservabilityError as error:
            self.number = secrets.token_hex(8)  # the place may hold the segment despite the error, so its name is not used again
            return str(error)
        return None


class CollectingStore:
    """The methods of a store that the HTTP addresses need; records are validated against the catalog in the configuration. Thread-safe."""

    def __init__(self, home: Path, place: FilePlace) -> None:
        self.home, self.place = home, place
        self.config: CollectorConfig | None = None
        self.looked_at: float | None = None
        self.owner_at = time.monotonic()
        self.owner_sign: bytes | None = None
        self.failure: str | None = None

    def look(self) -> None:
        """Read the configuration again if it changed. Never raises."""
        try:
            content = self.place.get(CONFIG)
            if content is None:
                raise StoreBrokenError("the owner of the store left no configuration", where=self.place.address, attempt=HOW)
            self.config = apply_config(content, self.home)
            self._look_for_owner()
            self.looked_at, self.failure = time.monotonic(), None
        except Exception as error:
            self.failure = str(error) if isinstance(error, ObservabilityError) else f"{type(error).__name__}: {error}"
            LOG.warning("the configuration could not be read: %s", self.failure)

    def _look_for_owner(self) -> None:
        """Note when the owner gave its last heartbeat. The age of the first heartbeat is this machine's time minus the time in the
        heartbeat; the age of later ones is counted from when this process saw them. A heartbeat that cannot be read does not count.
        """
        sign = self.place.get(OWNER)
        if sign is None or sign == self.owner_sign:
            return
        try:
            age = (datetime.now(UTC) - datetime.fromisoformat(json.loads(sign)["at"])).total_seconds() if self.owner_sign is None else 0.0
        except (ValueError, KeyError, TypeError) as error:
            LOG.warning("the sign of the owner cannot be read: %s", error)
            return
        self.owner_sign, self.owner_at = sign, time.monotonic() - max(age, 0.0)

    def require_space(self) -> None:
        """Raise StoreBrokenError if no records may be taken."""
        if self.config is None or self.looked_at is None:
            raise StoreBrokenError("the collector has no configuration", got=self.failure, attempt=HOW)
        if time.monotonic() - self.looked_at > OLD_AFTER:
            raise StoreBrokenError("the configuration could not be read for minutes", got=self.failure, attempt="Check the shared place")
        if (away := time.monotonic() - self.owner_at) > AWAY_AFTER:
            raise StoreBrokenError(
                "the owner of the store is away: a token may have been revoked since",
                got=f"no sign of it for {away / 3600:.0f} hours",
                attempt="Start the dashboard that owns the store",
            )
        if self.config.protects and stored_key(self.home) is None:
            attempt = "Give the collector a copy of HOME/secret.key: OBSERVABILITY_KEY_FILE=FILE"
            raise StoreBrokenError("features are protected and the collector lacks their key", attempt=attempt)

    def catalog(self) -> Catalog:
        """The catalog of the configuration."""
        return self.config.catalog if self.config is not None else Catalog()

    def check_lines(self, body: bytes, new_models: "NewModelLimit | None" = None) -> "CheckedLines":
        """The result of loading the lines of a JSONL body, without loading them."""
        from observability.store.ingest.parse import checked_body

        return checked_body(body, self.catalog(), new_models)


HOW = 'Name the place in the home of the dashboard: lake.toml with [collectors] place = "…" (docs/collectors.md)'


class Collecting:
    """The state of a collector process. It stands in for the `Owner` object that the HTTP handlers expect."""

    def __init__(self, home: Path, place: FilePlace) -> None:
        self.home, self.store = home, CollectingStore(home, place)
        self.records, self.quotas = SegmentCommit(place), TokenQuotas()
        self.waiting = SimpleNamespace(count=dict[str, int])
        self.stopping = threading.Event()

    def look_again(self) -> None:
        """Look at the configuration regularly until the process ends."""
        while not self.stopping.wait(LOOK_EVERY):
            self.store.look()


def collector_routes(owner: Collecting) -> list[Any]:
    """The addresses of a collector. Every other address returns an error that says where to send the request."""
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    from observability.server import api, open_metrics

    async def ready(_request: "Request") -> "Response":
        try:
            await asyncio.to_thread(owner.store.require_space)
        except ObservabilityError as error:
            return api.failure_response(error)
        return JSONResponse({"ready": True})

    async def metrics(request: "Request") -> "Response":
        api.query_parameters(request, ())
        text = await asyncio.to_thread(open_metrics.collector_metrics_text, owner, owner.store.looked_at, owner.store.owner_at)
        return Response(text, media_type=open_metrics.MEDIA_TYPE)

    async def elsewhere(_request: "Request") -> "Response":
        return api.error_response(
            404, "a collector takes records only", "Ask the dashboard; here are /api/v1/records, /api/v1/labels, /v1/traces"
        )

    taking = (("/api/v1/records", api.records), ("/api/v1/labels", api.labels), ("/v1/traces", api.traces))
    return [
        Route("/readyz", ready),
        *(Route(path, api.guarded_handler("POST", "write", answer), methods=["GET", "POST", "PUT", "DELETE"]) for path, answer in taking),
        Route("/metrics", api.guarded_handler("GET", "read", metrics)),
        Route("/{rest:path}", elsewhere, methods=["GET", "POST", "PUT", "DELETE"]),
    ]


def collector_application(owner: Collecting) -> "Starlette":
    """The application of a collector. It checks its configuration regularly while it runs."""
    from starlette.applications import Starlette

    @contextlib.asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        await asyncio.to_thread(owner.store.look)
        process_lock.started_thread("configuration", owner.look_again)
        try:
            yield
        finally:
            owner.stopping.set()

    return Starlette(routes=collector_routes(owner), lifespan=lifespan)


@contextlib.contextmanager
def collector_folder() -> Iterator[Path]:
    """A temporary folder of this process, held by a lock. Folders left behind by collectors that were killed are removed first."""
    remove_left_folders(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder, (Path(folder) / HELD).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield Path(folder)


def remove_left_folders(parent: Path) -> list[str]:
    """Remove folders of this user's collectors whose process has ended, so that the kernel released their lock. Returns the names of the
    folders. A folder without a lock file is not touched, because its collector may be about to take the lock.
    """
    removed = []
    for folder in parent.glob(f"{PREFIX}*"):
        try:
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            with (folder / HELD).open("r+") as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
        except OSError:
            continue
        removed.append(folder.name)
    return removed


def run_collector(place: FilePlace, host: str, port: int) -> None:
    """Serve requests until the process ends. Raises StoreBusyError if the port is in use."""
    import uvicorn

    from observability.server.half_open import close_half_open_connections

    with collector_folder() as folder:
        owner = Collecting(folder, place)
        process_lock.stand_for_owner(cast("process_lock.Owner", owner))  # the handlers in api.py use this object as the owner
        close_half_open_connections(lambda: limits_in_force(owner.home).limits)
        try:
            uvicorn.run(collector_application(owner), host=host, port=port, log_level="warning", server_header=False)
        except SystemExit as error:
            raise StoreBusyError("the collector could not start", got=f"{host}:{port}", attempt="Choose another --port") from error
