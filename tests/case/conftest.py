"""One store with cases, for every test of them."""

from collections.abc import Iterator

import pytest

from tests.case.world import World, build


@pytest.fixture(scope="session")
def case_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A store that no test changes."""
    world = build(tmp_path_factory.mktemp("case"))
    yield world
    world.store.close()
