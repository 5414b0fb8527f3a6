"""What is known of one prediction so far? The parts of a case, each computed when it is first asked for, and once.

A part is one function in one file, from this look to its shape. One that cannot be given or fails is None, and says why; it stops nothing else.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from observability.core.errors import ObservabilityError
from observability.investigation.logged_prediction import Row

if TYPE_CHECKING:
    from observability.store.db.database import Store
    from observability.worker.process import Worker

LOG = logging.getLogger(__name__)
Part = Callable[["Look"], Any]
Progress = Callable[[float, str], None]


@dataclass
class Look:
    """One prediction, and where to ask about it. worker: the process that runs models; None: only what is stored or was logged is given.

    now: the instant of the question; as_of: only what had arrived by then counts. Not shared between threads.
    """

    store: "Store"
    row: Row
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    as_of: datetime | None = None
    worker: "Worker | None" = None
    progress: Progress | None = None
    why: dict[str, str] = field(default_factory=dict)
    known: dict[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Part] = field(default_factory=dict)

    def part(self, name: str) -> Any:
        """A part by its name (`parts`), None where it cannot be given: `why[name]` is then a sentence."""
        if name not in self.known:
            self.known[name] = None  # a part that asks for itself gets None
            try:
                self.known[name] = self.parts[name](self)
            except ObservabilityError as error:
                self.why[name] = str(error)
            except Exception as error:
                LOG.exception("part %s of case %s failed", name, self.row.id)
                self.why[name] = f"This could not be worked out: {type(error).__name__}: {error}"
        return self.known[name]

    def shared(self, name: str, make: Callable[[], Any]) -> Any:
        """Something that several parts need, made once; it raises again for each part where it failed."""
        key = f"shared:{name}"
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]
