"""Was this said before?

An analyzer is pure: of equal frames, in the same window, it says the same. Most faults leave most questions with the answers of the clean days (a slow replica changes
no feature), so that a lab judges what they change and says the rest again. Equal means each byte of each column.
"""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.core.analyzer import Analyzer, Context
    from observability.core.finding import Finding


@dataclass
class Remembered:
    """What analyzers of one lab said. digests: of frames that the lab keeps, by id, with the frame, whose id nothing else can take while it is held."""

    said: "dict[Any, tuple[Finding, ...]]" = field(default_factory=dict)
    digests: "dict[int, tuple[DataFrame, bytes]]" = field(default_factory=dict)

    def keep(self, frame: "DataFrame") -> None:
        """A frame that is asked for again and again is read through once."""
        self.digests[id(frame)] = frame, digest(frame)

    def digest(self, frame: "DataFrame") -> bytes:
        """What a frame holds, in few bytes."""
        known = self.digests.get(id(frame))
        return digest(frame) if known is None else known[1]

    def ask(self, analyzer: "Analyzer", frames: "Mapping[str, DataFrame]", context: "Context") -> "list[Finding]":
        """What an analyzer says, now or before."""
        counters = repr(sorted(context.counters.items()))
        held = tuple((name, self.digest(frame)) for name, frame in frames.items())
        key = analyzer.name, context.version.name, context.window, context.now, context.budget, counters, held
        if key not in self.said:
            self.said[key] = tuple(analyzer.analyze(frames, context))
        return list(self.said[key])


def digest(frame: "DataFrame") -> bytes:
    """Names, types and values of a frame. Text that is equal may be held in other bytes: then it is judged again."""
    made = blake2b(digest_size=16)
    made.update(f"{len(frame)} {frame.index!r}".encode())
    for name in frame.columns:
        column = frame[name]
        made.update(f"\0{name}\0{column.dtype}\0".encode())
        if isinstance(column.dtype, np.dtype) and column.dtype != object:
            made.update(np.ascontiguousarray(column.to_numpy()).view(np.uint8).data)
        elif column.dtype == object:
            made.update(repr(column.tolist()).encode())
        else:
            made.update(pickle.dumps(column.array, 5))
    return made.digest()
