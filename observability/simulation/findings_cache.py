"""A cache of findings by the frames that an analyzer read.

An analyzer is a pure function, so equal frames in the same window give the same findings. Most faults leave most query results unchanged (a
slow replica changes no feature), so a replay runs an analyzer only if its frames changed. Two frames are equal if the bytes of each column
are equal.
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
class FindingsCache:
    """Findings by analyzer, context and frames. digests: digests of frames that the replay keeps, by the id of the frame object. Each frame
    is kept with its digest, so that its id is not used again for another object.
    """

    said: "dict[Any, tuple[Finding, ...]]" = field(default_factory=dict)
    digests: "dict[int, tuple[DataFrame, bytes]]" = field(default_factory=dict)

    def keep(self, frame: "DataFrame") -> None:
        """Compute the digest of a frame once and keep it, because it is needed repeatedly."""
        self.digests[id(frame)] = frame, frame_digest(frame)

    def digest(self, frame: "DataFrame") -> bytes:
        """The digest of a frame."""
        known = self.digests.get(id(frame))
        return frame_digest(frame) if known is None else known[1]

    def ask(self, analyzer: "Analyzer", frames: "Mapping[str, DataFrame]", context: "Context") -> "list[Finding]":
        """The findings of an analyzer, from the cache if they are known."""
        counters = repr(sorted(context.counters.items()))
        held = tuple((name, self.digest(frame)) for name, frame in frames.items())
        key = analyzer.name, context.version.name, context.window, context.now, context.budget, counters, held
        if key not in self.said:
            self.said[key] = tuple(analyzer.analyze(frames, context))
        return list(self.said[key])


def frame_digest(frame: "DataFrame") -> bytes:
    """A digest of the names, types and values of a frame. If equal text is stored in other bytes, the digest may differ; the frame is then
    only analyzed again.
    """
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
