"""A published state of a store (store/published.py)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

WriteBeside = Callable[[Path, Mapping[str, int], tuple[int, int]], object]
"""A function that writes further files into the folder of a state. Its arguments are the folder, the number of the last commit by model
(`Database.generations`), and the size and modification time (ns) of the database file.
"""


@dataclass(frozen=True)
class PublishedState:
    """A complete copy of a store in a folder, for reading.

    as_of: nothing changed in the store up to this instant. run: id of the run of the process that owns the store and wrote the state.
    generation, generations, rewrites: counters of the store (`Database`); they can be compared only between states of one run. every:
    seconds between two states. settings: digest of the settings beside the store. schema: version of the tables. files: names of the
    settings that lie beside the copy, in the order in which a reader takes them. seconds: time that the copy took, without the wait for
    other writers. size: bytes of the database.
    """

    folder: Path
    as_of: datetime
    run: str
    every: int
    settings: str
    generation: int = 0
    generations: Mapping[str, int] = field(default_factory=dict)
    rewrites: int = 0
    schema: int = 0
    files: tuple[str, ...] = ()
    seconds: float = 0.0
    size: int = 0
