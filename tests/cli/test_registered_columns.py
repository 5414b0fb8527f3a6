"""What registration says of the columns of a reference holds for the files that are loaded later."""

import numpy as np
import pandas as pd
import pytest

from observability.cli.execute import execute
from observability.store.opener import open_store

ROWS = 80


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with open_store(tmp_path_factory.mktemp("columns") / "home", threads=1) as opened:
        yield opened


def run(store, *argv):
    return execute(store, [str(word) for word in argv], lambda _: None)


def served(seed):
    random = np.random.default_rng(seed)
    p = random.random(ROWS).round(4)
    return pd.DataFrame(
        {
            "counter": np.arange(ROWS) + 1000 * seed,
            "customer_key": [f"c{seed}-{i}" for i in range(ROWS)],
            "income": random.normal(3e4, 1e4, ROWS).round(2),
            "score": p,
            "label": (random.random(ROWS) < p).astype(int),
        }
    )


def test_columns_that_registration_calls_ids_are_no_unregistered_columns_later(store, tmp_path):
    reference, log = tmp_path / "held_out.csv", tmp_path / "log.csv"
    served(0).to_csv(reference)
    options = ("--model", "loan", "--version", "3")
    done = run(store, "register", *options, "--task", "binary", "--reference", reference, "--label", "label", "--score", "score")
    assert "customer_key (it has a different value in every row, like an id)" in done.out
    version = store.catalog().model("loan").version("3")
    assert version.features == ("income",)
    assert list(version.left_out) == ["Unnamed: 0", "counter", "customer_key"]

    logged = served(1).assign(id=[f"r{i}" for i in range(ROWS)], at="2026-07-01T10:00:00Z", channel="web")
    logged.to_csv(log)
    done = run(store, "load", log, "--kind", "prediction", *options)
    assert done.exit_code == 0 and f"{ROWS} stored" in done.out, done
    assert [column.name for column in store.catalog().model("loan").columns] == ["income", "channel"], "an unknown column is a feature"
    assert store.row("loan", "r7")["extra"] is not None and "c1-7" in str(store.row("loan", "r7")["extra"])
    checked = run(store, "check", "--model", "loan", "--json").out
    assert "1 unregistered column arrived: `channel`" in checked and "customer_key" not in checked

    named = logged.assign(id=[f"s{i}" for i in range(ROWS)])
    named.to_csv(log, index=False)
    run(store, "load", log, "--kind", "prediction", *options, "--features", "income,customer_key")
    assert store.catalog().model("loan").column("feature.customer_key") is not None
    run(store, "remove", "loan")
    with store.cursor() as cursor:
        assert cursor.execute("SELECT count(*) FROM reference_columns").fetchone() == (0,)
