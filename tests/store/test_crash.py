"""Every acknowledged event is stored exactly once, even if writers, the loader and the owner are killed at any moment.

Real processes and SIGKILL (tests/support/killing.py); tests/benchmarks/bench_kills.py is the long form.
"""

from observability.store.opener import open_store
from observability.store.rollup import rollup
from tests.store.conftest import query, rollups
from tests.support.killing import BATCH, compared, killed_again_and_again, seed_of_today


def test_nothing_acknowledged_is_lost_and_nothing_is_stored_twice(tmp_path):
    home, seed = tmp_path / "home", seed_of_today()
    killed = killed_again_and_again(home, kills=12, events=2500, pause=0.7, seed=seed)
    for kind, found in compared(home, killed.acknowledged).items():
        assert (found.lost, found.twice) == ([], 0), f"seed {seed}"
        writers = killed.kills["writer"] + 2
        posts = BATCH * (killed.kills["owner"] + 2)  # a batch may be stored even if its answer was lost
        assert found.stored <= found.acknowledged + writers + (posts if kind == "p" else 0), f"seed {seed}"
    assert len(killed.acknowledged["p"]) > 500
    with open_store(home) as store:
        reasons = query(store, "SELECT DISTINCT reason FROM rejected WHERE model IS NOT NULL")
        assert reasons == [], reasons
        assert query(store, "SELECT count(*) FROM rejected")[0][0] <= writers
        before = rollups(store)
        with store.write() as writer:
            rollup.rebuild_rollups(writer, "loan")
        assert rollups(store) == before
