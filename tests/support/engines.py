"""The engines of the conformance suite (tests/store/test_engine_questions.py), and the files that test the other engines."""

import ast
import importlib
from collections.abc import Callable, Iterator

from observability.simulation.memory_engine import MemoryEngine
from observability.simulation.replay import ReplayLab
from observability.store.engine import Engine, Store
from tests.support.import_graph import source_files
from tests.support.reference_engine import ReferenceEngine


def memory_engine(lab: ReplayLab) -> MemoryEngine:
    """An engine that holds the rows of a simulated log in memory."""
    memory = MemoryEngine(lab.model, {}, lab.reference)
    memory.add(part for parts in lab.clean.values() for part in parts)
    return memory


ENGINES: dict[str, Callable[[Store, ReplayLab], Engine]] = {
    "DuckStore": lambda store, lab: store,
    "MemoryEngine": lambda store, lab: memory_engine(lab),
    "ReferenceEngine": lambda store, lab: ReferenceEngine(store),
}
"""How the suite makes each engine, by class, from a store and a simulated log with the same rows. A new engine needs a line here.
"""
OTHER_SUITES = {
    "LakeEngine": "tests/store/test_lake_questions.py",
    "PublishedStore": "tests/server/test_replica.py",
    "SparkEngine": "tests/store/test_spark_engine.py",
}
"""Engines that need more than a store and a log, with the file that tests their answers."""


def engine_classes() -> set[str]:
    """Names of the product's classes that answer questions: subclasses of `Engine` that define or inherit `ask`."""
    bases = {"Engine"}
    places: set[str] = set()
    parsed = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in source_files().items()}
    while True:
        found = {
            (name, node.name)
            for name, tree in parsed.items()
            for node in tree.body
            if isinstance(node, ast.ClassDef) and any(isinstance(base, ast.Name) and base.id in bases for base in node.bases)
        }
        if {name for _, name in found} <= bases:
            break
        bases |= {name for _, name in found}
        places |= {name for name, _ in found}
    for name in places:
        importlib.import_module(name)
    own = (each for each in _subclasses(Engine) if each.__module__.startswith("observability."))
    return {each.__name__ for each in own if each.ask is not Engine.ask}


def without_suite(classes: set[str]) -> list[str]:
    """The classes that no suite tests, each with the line that must be written."""
    return [
        f"tests/support/engines.py, ENGINES: how to make {name} from a store and a log; or OTHER_SUITES: the file that compares its answers"
        for name in sorted(classes - ENGINES.keys() - OTHER_SUITES.keys())
    ]


def _subclasses(base: type[Engine]) -> Iterator[type[Engine]]:
    """All imported subclasses of a class."""
    for each in base.__subclasses__():
        yield each
        yield from _subclasses(each)
