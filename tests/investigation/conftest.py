"""One store with cases, for all tests of cases."""

from collections.abc import Iterator

import pytest

from observability.worker.process import Worker
from tests.support.case_model_world import ModelWorld
from tests.support.case_model_world import build as model_world_of
from tests.support.case_world import World, build


@pytest.fixture(scope="session")
def case_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A store with cases that no test changes."""
    world = build(tmp_path_factory.mktemp("case"))
    yield world
    world.store.close()


@pytest.fixture(scope="session")
def model_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelWorld]:
    """A store with models and their files, which no test changes."""
    world = model_world_of(tmp_path_factory.mktemp("case-models"))
    yield world
    world.store.close()


@pytest.fixture(scope="session")
def model_worker(worker: Worker) -> Worker:
    """The warm worker."""
    return worker
