"""The store of every released version opens with today's code, and returns the data that the version stored."""

import json
import tarfile
from datetime import timedelta
from pathlib import Path

import pytest

from observability.core.version import VERSION
from observability.monitoring.check import check
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
from tests.support import released_stores
from tests.support.length import some

STORES = Path(__file__).parent / "released"
SENT = [json.loads(json.dumps(record)) for record in released_stores.records()]
PSI_OF_AGE = 6.560621848286319
"""The PSI of `age`. It is the same for every version that counted the rows."""
OTHER_KINDS = {record["kind"] for record in SENT} - {"prediction", "label"}


@pytest.mark.parametrize("version", some(released_stores.COMMITS, 6))
def test_a_store_of_a_released_version_opens_with_all_its_data(version: str, tmp_path: Path) -> None:
    with tarfile.open(STORES / f"{version}.tar.xz") as packed:
        packed.extractall(tmp_path / "home", filter="data")
    with open_store(tmp_path / "home", threads=1) as store:
        models = {model["model"]: model for model in store.status()["models"]}
        assert {name: model["predictions"] for name, model in models.items()} == {
            "loan": released_stores.PREDICTIONS,
            "price": released_stores.FREE,
        }
        assert models["loan"]["labels"] == released_stores.LABELLED
        for kind in sorted(OTHER_KINDS):
            rows = store.query_views(f'SELECT count(*) FROM "{kind}s"').rows
            assert rows == [(sum(record["kind"] == kind for record in SENT),)], kind
        end = released_stores.START + timedelta(days=released_stores.DAYS)
        report = check(store, model="loan", start=end - timedelta(days=released_stores.FALLEN_DAYS), end=end, only=("serving/drift",))
        [psi] = [finding.value for finding in report.findings if (finding.subject, finding.metric) == ("age", "psi")]
        assert psi == pytest.approx(PSI_OF_AGE)
        again = tmp_path / "again.jsonl"
        again.write_text("\n".join([*map(json.dumps, SENT), *released_stores.WRONG, ""]), encoding="utf-8")
        loaded = store.load_files([again], LoadDefaults())
        assert (loaded.stored, loaded.rejected) == (0, len(released_stores.WRONG)), loaded


def test_every_released_version_has_its_store() -> None:
    text = (released_stores.ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = [line.split()[1] for line in text.splitlines() if line.startswith("## ")]
    released = [name for name in headings if tuple(map(int, name.split("."))) >= (0, 6, 0) and name != VERSION]
    assert set(released) <= set(released_stores.COMMITS)
