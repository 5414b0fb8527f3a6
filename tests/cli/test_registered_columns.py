"""Column settings of a registered reference also apply to files that are loaded later."""

import json

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


def test_columns_taken_for_ids_at_registration_are_not_reported_as_unregistered_later(store, tmp_path):
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


def probabilities(store, model, prediction):
    found = store.row(model, prediction)["probabilities"]
    return json.loads(found) if isinstance(found, str) else found


def three_classes(seed):
    random = np.random.default_rng(seed)
    p = random.dirichlet([1, 1, 1], ROWS).round(4)
    names = np.array(["cat", "dog", "eel"])
    label = names[[random.choice(3, p=row / row.sum()) for row in p]]
    columns = {"size": random.random(ROWS).round(4), "p_cat": p[:, 0], "p_dog": p[:, 1], "p_eel": p[:, 2]}
    return pd.DataFrame(columns), label


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_probabilities_in_one_column_a_class_are_loaded_as_they_were_registered(store, tmp_path, ending):
    reference, log = tmp_path / "held_out.csv", tmp_path / f"log.{ending}"
    frame, label = three_classes(0)
    frame.assign(kind_of=label).to_csv(reference, index=False)
    of = ("--model", f"pets {ending}", "--version", "1")
    scores = [f"--score={name}=p_{name}" for name in ("cat", "dog", "eel")]
    done = run(store, "register", *of, "--task", "multiclass", "--reference", reference, "--label", "kind_of", *scores)
    assert done.exit_code == 0, done

    def load(rows, *options):
        rows.to_csv(log, index=False) if ending == "csv" else rows.to_parquet(log, index=False)
        return run(store, "load", log, "--kind", "prediction", *of, *options)

    frame, _ = three_classes(1)
    frame.loc[3, "p_eel"] = np.nan
    assert f"{ROWS} stored" in load(frame.assign(id=[f"a{i}" for i in range(ROWS)], at="2026-07-01T10:00:00Z")).out
    assert probabilities(store, of[1], "a7") == frame.loc[7, ["p_cat", "p_dog", "p_eel"]].set_axis(["cat", "dog", "eel"]).to_dict()
    assert set(probabilities(store, of[1], "a3")) == {"cat", "dog"}, "a class without a value is left out"
    assert [column.name for column in store.catalog().model(of[1]).columns] == ["size"]

    other = frame.dropna().assign(at="2026-07-01T10:00:00Z").rename(columns={"p_cat": "of cat", "p_dog": "of dog", "p_eel": "of eel"})
    other["id"] = [f"b{i}" for i in range(len(other))]
    refused = load(other)
    assert refused.exit_code == 2 and "--score 'cat=of cat' --score 'dog=of dog' --score 'eel=of eel'" in refused.error, refused.error
    refused = load(other, "--score", "cat=of cat")
    assert refused.exit_code == 2 and "dog, eel have no score column" in refused.error
    done = load(other, "--score", "cat=of cat", "--score", "dog=of dog", "--score", "eel=of eel")
    assert f"{len(other)} stored" in done.out, done
    assert probabilities(store, of[1], "b5")["dog"] == other["of dog"].iloc[5]
    assert [column.name for column in store.catalog().model(of[1]).columns] == ["size"]


def test_the_suggested_column_mapping_is_based_on_column_content(store, tmp_path):
    log = tmp_path / "log.csv"
    frame = served(2)[["income", "score"]].assign(
        prediction_key=[f"k{i}" for i in range(ROWS)],
        scored_at="2026-07-01 10:00",
        row=range(ROWS),
        noise=np.random.default_rng(0).random(ROWS),
    )
    for rows in (frame, frame.rename(columns={"prediction_key": "key", "scored_at": "when"})):
        key, when = rows.columns[2:4]
        for ending in ("csv", "parquet"):
            log = tmp_path / f"log.{ending}"
            rows.to_csv(log, index=False) if ending == "csv" else rows.astype({when: "datetime64[us]"}).to_parquet(log)
            done = run(store, "load", log, "--kind", "prediction", "--model", "new", "--version", "1")
            assert done.exit_code == 2
            assert "needs the column 'id' and the column 'at'" in done.error
            assert f"Name them: --map {key}=id --map {when}=at. The times of '{when}' have no offset: add their time zone" in done.error
    done = run(
        store,
        "load",
        log,
        "--kind",
        "prediction",
        "--model",
        "new",
        "--version",
        "1",
        "--map",
        "key=id",
        "--map",
        "when=at",
        "--timezone",
        "UTC",
    )
    assert f"{ROWS} stored" in done.out, done


def test_no_column_is_suggested_if_several_fit(store, tmp_path):
    log = tmp_path / "log.csv"
    rows = served(3)[["income", "score"]].assign(one=[f"a{i}" for i in range(ROWS)], two=[f"b{i}" for i in range(ROWS)], at="2026-07-01")
    rows.to_csv(log, index=False)
    done = run(store, "load", log, "--kind", "prediction", "--model", "new", "--version", "1")
    assert "--map THEIR_NAME=id" in done.error and "offset" not in done.error
