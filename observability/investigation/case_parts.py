"""A case whose parts are each computed once, on first access.

A part is a function of the case; each part has a separate module. If a part fails, it is None, `why` has the reason, and no other part is
affected.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import wraps
from typing import Any, TypeVar

from observability.core.errors import ObservabilityError
from observability.investigation.logged_prediction import Row
from observability.store.engine import Store
from observability.worker.process import Progress, Worker

LOG = logging.getLogger(__name__)
CasePart = Callable[["CaseInProgress"], Any]
Result = TypeVar("Result")


@dataclass
class CaseInProgress:
    """One prediction, with the store that has the data about it. worker: runs models; None: only stored or logged results are returned.

    now: time of the request; as_of: records that arrived later are ignored. An object must not be shared between threads.
    """

    store: Store
    row: Row
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    as_of: datetime | None = None
    worker: Worker | None = None
    progress: Progress | None = None
    why: dict[str, str] = field(default_factory=dict)
    known: dict[str, Any] = field(default_factory=dict)
    parts: Mapping[str, CasePart] = field(default_factory=dict)

    def part(self, name: str) -> Any:
        """The part with a name (in `parts`). None if it fails, with a sentence in `why[name]`."""
        if name not in self.known:
            self.known[name] = None  # set first, so that a part that requests itself gets None
            try:
                self.known[name] = self.parts[name](self)
            except ObservabilityError as error:
                self.why[name] = str(error)
            except Exception as error:
                LOG.exception("part %s of case %s failed", name, self.row.id)
                self.why[name] = f"This could not be computed: {type(error).__name__}: {error}"
        return self.known[name]

    def shared(self, name: str, make: Callable[[], Any]) -> Any:
        """A value that several parts need, computed once. An error is not stored: each part tries to compute the value again."""
        key = f"shared:{name}"
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]


def computed_once(compute: Callable[[CaseInProgress], Result]) -> Callable[[CaseInProgress], Result]:
    """Turn a function into one that computes its result once for each case, so that all parts share the result."""

    @wraps(compute)
    def cached(case: CaseInProgress) -> Result:
        found: Result = case.shared(compute.__name__, lambda: compute(case))
        return found

    return cached
