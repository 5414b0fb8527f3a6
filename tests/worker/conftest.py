"""The worker shared by the tests of one module."""

import pytest

from observability.worker.process import Worker


@pytest.fixture(scope="module")
def worker():
    # One thread: on a busy machine several threads wait on each other.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        made = Worker()
        yield made
        made.close()
