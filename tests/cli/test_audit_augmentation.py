"""`audit-augmentation` computes an audit from the predictions of training runs, saves it and prints its result."""

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from observability.cli.execute import execute
from observability.core.window import EPOCH, Window
from observability.metrics.augmentation import AUGMENTATION_AUDITS, augmentation_audits
from observability.store.engine import Store
from observability.store.opener import open_store
from tests.support.augmentation_audits import predictions

FOREVER = EPOCH.replace(year=9999)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory):
    with closing(open_store(tmp_path_factory.mktemp("augmentation"), threads=1)) as opened:
        opened.write_records(
            [{"kind": "prediction", "id": "a", "model": "loan", "version": "3", "at": "2026-03-02T06:00:00Z", "features": {}, "score": 0.4}]
        )
        yield opened


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("predictions") / "predictions.csv"
    predictions(np.random.default_rng(3), rows=500, seeds=4, harm=0.4).to_csv(path, index=False)
    return path


def test_the_audit_is_stored_and_summarised(store: Store, table: Path) -> None:
    command = ["audit-augmentation", str(table), "--model", "loan", "--version", "3", "--name", "jitter", "--group", "region"]
    done = execute(store, [*command, "--checked", "12/200"], lambda _: None)
    assert done.exit_code == 0, done.error
    assert "lowers accuracy in region `south`" in done.out and "12 of 200" in done.out and "(not kept)" not in done.out
    (audit,) = augmentation_audits(store.ask(AUGMENTATION_AUDITS, Window("", EPOCH, FOREVER)))
    assert (audit.model, audit.version, audit.name, audit.seeds, audit.in_use) == ("loan", "3", "jitter", 4, True)
    record = json.loads(execute(store, [*command, "--tried", "--dry-run", "--json"], lambda _: None).out)
    assert record["results"]["in_use"] is False and len(record["results"]["gained"]) == 4


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (("--group", "shoe"), "the file lacks columns"),
        (("--checked", "200/12"), "--checked takes changed copies"),
        (("--days", "0"), "--days takes a number above 0"),
    ],
)
def test_wrong_use_is_refused_with_the_reason(store: Store, table: Path, more: tuple[str, ...], reason: str) -> None:
    command = ["audit-augmentation", str(table), "--model", "loan", "--version", "3", "--name", "jitter", "--dry-run"]
    done = execute(store, [*command, *more], lambda _: None)
    assert done.exit_code == 2 and reason in done.error
