"""A state that is there since the first examined day began on that day if the model served nothing before; otherwise it may be older."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from observability.core.finding import Finding
from observability.core.standing_since import StandingSince
from observability.core.window import Window
from observability.incidents.since_words import finding_since
from observability.monitoring.began_with_serving import began_with_serving
from tests.support.new_store import new_store

FIRST = datetime(2025, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "earlier", "words"),
    [
        (0, True, "since 2 Mar 2025"),
        (1, True, "since 3 Mar 2025 or earlier"),
        (1, False, "since 3 Mar 2025"),
        (0, False, "since 2 Mar 2025"),
    ],
)
def test_no_finding_is_dated_before_the_model_began_to_serve(tmp_path: Path, day: int, earlier: bool, words: str) -> None:
    body = {"kind": "prediction", "model": "loan", "version": "1", "features": {"age": 3.0}, "score": 0.5}
    with new_store(tmp_path / "home", threads=1) as store:
        served = [FIRST + timedelta(days=day, hours=9) for day in range(5)]
        store.write_records([body | {"id": f"p{at:%d}", "at": at, "received_at": at} for at in served])
        store.load_landing()
        window = Window("loan", FIRST + timedelta(days=2), FIRST + timedelta(days=5), version="1")
        since = StandingSince((FIRST + timedelta(days=day)).date(), earlier)
        standing = Finding(
            "serving/drift", "loan", "1", "age", "psi", 0.4, 900, "act", "`age` differs from the reference.", window.start, window.end,
            "reference", evidence={"standing": True, **since.evidence},
        )  # fmt: skip
        (found,) = began_with_serving(store, [standing], window)
    assert finding_since(found) == words
