"""The limits of each token: records and requests per minute, and new models and columns per hour. Each process counts in its own memory."""

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from observability.core.limits import QUOTAS, IntakeLimits
from observability.store.types.loading import NewModelLimit

HOUR = 3600.0
SETTING = "in limits.toml"


@dataclass
class _Bucket:
    """An allowance that fills up evenly, to at most one minute's worth. A single request may overdraw it."""

    left: float
    filled_at: float

    def seconds_short(self, per_minute: int, now: float) -> float:
        """Seconds until one unit of the allowance is available; 0 if one is available now."""
        self.left = min(self.left + (now - self.filled_at) * per_minute / 60, per_minute)
        self.filled_at = now
        return 0.0 if self.left >= 1 else (1 - self.left) * 60 / per_minute


@dataclass
class _Names:
    """Names that were new in the last hour, oldest first: (time, token, name)."""

    entries: deque[tuple[float, str, object]] = field(default_factory=deque)
    names: set[object] = field(default_factory=set)

    def forget_old(self, now: float) -> None:
        """Drop entries older than an hour."""
        while self.entries and self.entries[0][0] <= now - HOUR:
            self.names.discard(self.entries.popleft()[2])

    def add(self, token: str, names: Iterable[object], now: float) -> None:
        """Count the names that are not counted yet."""
        for name in names:
            if name not in self.names:
                self.names.add(name)
                self.entries.append((now, token, name))

    def of(self, token: str) -> int:
        """The number of names that one token has sent."""
        return sum(owner == token for _, owner, _ in self.entries)


class TokenQuotas:
    """The quotas of all tokens. Thread-safe."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        self._models, self._columns = _Names(), _Names()

    def seconds_to_wait(self, token: str, limits: IntakeLimits, now: float | None = None) -> tuple[float, str]:
        """Seconds until the token may send again (0: now), and which quota is used up. If the request may be sent now, it is counted."""
        now = time.monotonic() if now is None else now
        with self._mutex:
            waits = [(self._bucket(token, name, limits, now).seconds_short(getattr(limits, name), now), name) for name in QUOTAS]
            if max(waits)[0] == 0:
                self._buckets[token, "requests_per_minute"].left -= 1
            return max(waits)

    def count_records(self, token: str, records: int, limits: IntakeLimits) -> None:
        """Take the records of a request from the token's quota."""
        with self._mutex:
            self._bucket(token, "records_per_minute", limits, time.monotonic()).left -= records

    def new_model_limit(self, token: str, limits: IntakeLimits, unregistered: Iterable[str], now: float | None = None) -> NewModelLimit:
        """The new models that a request of this token may add. unregistered: names of the models without a registered version."""
        now = time.monotonic() if now is None else now
        with self._mutex:
            self._models.forget_old(now)
            admitted = frozenset(map(str, self._models.names))
            taken = len({*unregistered, *admitted})
            rooms = [
                (
                    limits.new_models_per_request,
                    f"one request may bring {limits.new_models_per_request} new models (new_models_per_request",
                ),
                (
                    limits.new_models_per_hour - self._models.of(token),
                    f"one token may bring {limits.new_models_per_hour} new models an hour (new_models_per_hour",
                ),
                (
                    limits.new_models_of_all_per_hour - len(self._models.entries),
                    f"all tokens may bring {limits.new_models_of_all_per_hour} new models an hour (new_models_of_all_per_hour",
                ),
                (
                    limits.unregistered_models - taken,
                    f"the store takes {limits.unregistered_models} unregistered models (unregistered_models",
                ),
            ]
        most, why = min(rooms)
        return NewModelLimit(admitted, max(most, 0), f"{why} {SETTING}). Register the model, or raise the limit")

    def seconds_to_wait_for_columns(
        self, token: str, columns: Iterable[tuple[str, str]], limits: IntakeLimits, now: float | None = None
    ) -> float:
        """Seconds until the token may bring these new columns (model, column); 0: now."""
        now = time.monotonic() if now is None else now
        with self._mutex:
            self._columns.forget_old(now)
            fresh = set(columns) - self._columns.names
            if not fresh or self._columns.of(token) + len(fresh) <= limits.new_columns_per_hour:
                return 0.0
            oldest = next((at for at, owner, _ in self._columns.entries if owner == token), now)
            return oldest + HOUR - now

    def count_new_names(self, token: str, models: Iterable[str], columns: Iterable[tuple[str, str]], now: float | None = None) -> None:
        """Count the new models and columns of an accepted request."""
        now = time.monotonic() if now is None else now
        with self._mutex:
            self._models.add(token, models, now)
            self._columns.add(token, columns, now)

    def _bucket(self, token: str, name: str, limits: IntakeLimits, now: float) -> _Bucket:
        return self._buckets.setdefault((token, name), _Bucket(getattr(limits, name), now))
