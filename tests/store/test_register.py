"""Registration is all or nothing, and its counts equal those of numpy and scikit-learn on the reference file."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    confusion_matrix,
    log_loss,
    mean_absolute_error,
    mean_squared_error,
    roc_auc_score,
)

from observability.core.catalog import band_names
from observability.core.errors import UsageError
from observability.stats.scores import SCORE_EDGES, bin_middles
from observability.store.db.schema import ERROR, OUTCOMES, SCORE, SUM_MEASURES
from observability.store.ingest.stage import insert_predictions
from observability.store.registry import register as registering
from observability.store.registry.artifacts import is_intact, stored_artifact
from observability.store.registry.infer import infer_reference_file
from observability.store.registry.register import register_version
from observability.store.rollup.rollup import rebuild_rollups
from observability.store.types.registration import RegistrationRequest
from tests.support.length import some
from tests.support.loan_reference import FEATURES, all_contents, loan_request, loans, stored_rows, write_reference
from tests.support.new_store import new_store

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    with new_store(tmp_path / "home", threads=1) as opened:
        yield opened


def histogram(store, key, measure, stream):
    return dict(
        stored_rows(
            store,
            f"SELECT bin, sum(n)::BIGINT FROM counts_{key} WHERE measure = ? AND slice = 0 AND stream = ? GROUP BY bin",
            measure,
            stream,
        )
    )


def test_a_reference_is_stored_and_counted_as_numpy_counts_the_file(store, tmp_path):
    frame = loans()
    done = register_version(
        store, loan_request(write_reference(tmp_path, frame), features=FEATURES, sensitive=("sex", "age", "race")), now=NOW
    )
    model = store.catalog().model("loan")
    version = model.version("3")
    assert (model.task, model.classes, done.rows, version.reference_rows) == ("binary", ("no", "yes"), 1500, 1500)
    assert version.registered_at == NOW and version.inferred == done.sentences and not version.in_sample
    assert version.features == FEATURES
    kinds = {each.name: (each.kind, each.role, each.sensitive) for each in model.columns}
    assert (
        kinds["race"] == ("category", "feature", True)
        and kinds["age"] == ("number", "feature", True)
        and kinds["owner"] == ("boolean", "feature", False)
    )

    for name in ("income", "age"):
        column = model.column(f"feature.{name}")
        edges = np.array(version.edges[column.reference].edges)
        values = frame[name].to_numpy(np.float64)
        expected = np.bincount(np.searchsorted(edges, values[np.isfinite(values)], side="right"))
        found = histogram(store, model.key, column.id, 0)
        missing = int(np.isnan(values).sum())
        assert found.pop(-1, 0) + found.pop(-2, 0) == missing
        assert found == {i: n for i, n in enumerate(expected) if n}
        total, n = stored_rows(store, f"SELECT sum(total), sum(n) FROM sums_{model.key} WHERE measure = ? AND slice = 0", column.id)[0]
        assert total == pytest.approx(np.nansum(values), rel=1e-12) and n == 1500 - missing
    for name in ("sex", "race", "owner"):
        column = model.column(f"feature.{name}")
        counts = frame[name].map(lambda value: str(value).lower() if isinstance(value, bool) else str(value)).value_counts()
        levels = version.edges[column.reference].levels
        assert {levels[i]: n for i, n in histogram(store, model.key, column.id, 0).items()} == counts.to_dict()
    assert "band.age" in version.edges and band_names(version.edges["band.age"].edges)[0] in "\n".join(done.sentences)


def test_figures_from_the_rollups_agree_with_scikit_learn(store, tmp_path):
    frame = loans()
    register_version(store, loan_request(write_reference(tmp_path, frame), features=FEATURES, sensitive=("sex",)))
    y, p = (frame["outcome"] == "yes").astype(int), frame["p"]
    counts = stored_rows(
        store, f"SELECT label, decision, bin, sum(n)::BIGINT FROM counts_1 WHERE measure = {OUTCOMES} AND slice = 0 GROUP BY ALL"
    )
    matrix = np.zeros((2, 2), int)
    for label, decision, _, n in counts:
        matrix[label, decision] += n
    assert (matrix == confusion_matrix(y, p >= 0.5)).all()
    middles = bin_middles(SCORE_EDGES)
    labels, scores, weights = zip(*[(label, middles[bin_], n) for label, _, bin_, n in counts])
    assert roc_auc_score(labels, scores, sample_weight=weights) == pytest.approx(roc_auc_score(y, p), abs=1e-3)
    for name, exact in (("log_loss", log_loss(y, p)), ("brier", brier_score_loss(y, p)), ("correct", accuracy_score(y, p >= 0.5))):
        ((mean,),) = stored_rows(store, f"SELECT sum(total) / sum(w) FROM sums_1 WHERE measure = {SUM_MEASURES[name]} AND slice = 0")
        assert mean == pytest.approx(exact, rel=1e-9)
    by_sex = stored_rows(
        store,
        f"""SELECT level, sum(n) FILTER (label = decision)::BIGINT, sum(n)::BIGINT FROM counts_1 JOIN slices_1 s USING (slice)
        WHERE measure = {OUTCOMES} AND s.reference = 'feature.sex' GROUP BY level""",
    )
    for level, right, n in by_sex:
        mask = frame["sex"] == level
        assert (right, n) == (((p >= 0.5) == (y == 1))[mask].sum(), mask.sum())
    assert len(by_sex) == 2


def test_the_raw_rows_of_a_reference_are_stored_with_their_times_scores_and_labels(store, tmp_path):
    frame = loans(50)
    register_version(store, loan_request(write_reference(tmp_path, frame)), now=NOW)
    found = stored_rows(store, 'SELECT id, "at", arrived, status, score, prediction, decision FROM predictions_1 ORDER BY "at"')
    instants = frame["day"].dt.tz_convert("UTC").dt.tz_localize(None)
    assert [row[0] for row in found] == [f"reference/3/{i}" for i in range(1, 51)]
    assert [row[1] for row in found] == [each.to_pydatetime() for each in instants]
    assert {row[2] for row in found} == {NOW.replace(tzinfo=None)} and {row[3] for row in found} == {"ok"}
    assert [row[4] for row in found] == frame["p"].tolist()
    assert [row[6] for row in found] == (frame["p"] >= 0.5).astype(int).tolist()
    labels = stored_rows(store, "SELECT value, number FROM labels_1 ORDER BY split_part(id, '/', 3)::INT")
    assert [row[0] for row in labels] == frame["outcome"].tolist() and {row[1] for row in labels} == {None}
    assert stored_rows(store, "SELECT version, environment FROM streams") == [("3", "reference")]


@pytest.mark.parametrize("as_text", [False, True])
def test_times_of_a_reference_without_an_offset_are_utc_or_of_the_named_zone(store, tmp_path, as_text):
    frame = loans(50)
    local = frame["day"].dt.tz_localize(None)
    path = write_reference(tmp_path, frame.assign(day=local.dt.strftime("%Y-%m-%d %H:%M:%S") if as_text else local))
    query = 'SELECT "at" FROM predictions_1 ORDER BY "at"'

    told = register_version(store, loan_request(path, features=FEATURES), now=NOW).sentences
    assert any("The times of day have no offset and are taken as UTC" in each and "--timezone" in each for each in told)
    assert [at for (at,) in stored_rows(store, query)] == [each.to_pydatetime() for each in local]

    told = register_version(store, loan_request(path, features=FEATURES, timezone="Europe/Paris"), now=NOW).sentences
    assert not any("offset" in each for each in told)
    assert [at for (at,) in stored_rows(store, query)] == [
        each.to_pydatetime().replace(tzinfo=None) for each in frame["day"].dt.tz_convert("UTC")
    ]

    with pytest.raises(UsageError, match="no such time zone"):
        register_version(store, loan_request(path, timezone="Europe/Pari"), now=NOW)


def test_a_regression_has_edges_of_score_and_error(store, tmp_path):
    random = np.random.default_rng(1)
    frame = pd.DataFrame({"x": random.normal(size=800), "y": random.normal(10, 3, 800)})
    frame["guess"] = frame["y"] + random.normal(0.5, 2, 800)
    frame.loc[:9, "y"] = np.nan
    register_version(
        store, RegistrationRequest("delay", "1", task="regression", label="y", score=("guess",), reference=write_reference(tmp_path, frame))
    )
    model = store.catalog().model("delay")
    edges = model.version("1").edges
    assert set(edges) == {"feature.x", "score", "error"} and model.classes == ()
    known = frame.dropna()
    error = (known["guess"] - known["y"]).to_numpy()
    for measure, values, name in ((ERROR, error, "error"), (SCORE, frame["guess"].to_numpy(), "score")):
        expected = np.bincount(np.searchsorted(edges[name].edges, values, side="right"))
        assert histogram(store, model.key, measure, 0) == {i: n for i, n in enumerate(expected) if n}
    sums = dict(stored_rows(store, "SELECT measure, sum(total) / sum(w) FROM sums_1 WHERE slice = 0 GROUP BY measure"))
    assert sums[SUM_MEASURES["absolute_error"]] == pytest.approx(mean_absolute_error(known["y"], known["guess"]), rel=1e-9)
    assert sums[SUM_MEASURES["squared_error"]] == pytest.approx(mean_squared_error(known["y"], known["guess"]), rel=1e-9)
    assert sums[SUM_MEASURES["error"]] == pytest.approx(error.mean(), rel=1e-9)


def test_registering_again_replaces_the_reference_and_equals_registering_once(store, tmp_path):
    register_version(store, loan_request(write_reference(tmp_path, loans(900, seed=9)), sensitive=("sex",)), now=NOW)
    later = NOW.replace(hour=20)
    register_version(store, loan_request(write_reference(tmp_path, loans(700)), sensitive=("sex",)), now=later)
    with new_store(tmp_path / "other", threads=1) as other:
        register_version(other, loan_request(write_reference(tmp_path, loans(700)), sensitive=("sex",)), now=later)
        first, second = all_contents(store), all_contents(other)
    for table in ("predictions_1", "labels_1", "counts_1", "edges"):
        assert first[table] == second[table], table
    version = store.catalog().model("loan").version("3")
    assert version.reference_rows == 700 and version.registered_at == NOW


def test_a_new_version_with_other_features_adds_columns(store, tmp_path):
    frame = loans()
    register_version(store, loan_request(write_reference(tmp_path, frame), sensitive=("sex", "age")))
    before = store.catalog().model("loan")
    second = frame.drop(columns=["income"]).assign(Age=frame["age"] / 2, score=frame["p"] ** 2)
    register_version(
        store,
        replace(
            loan_request(write_reference(tmp_path, second), features=("Age", "age", "owner", "race"), sensitive=("race", "age")),
            version="4",
        ),
    )
    model = store.catalog().model("loan")
    assert model.columns[: len(before.columns)][0] == before.columns[0]
    assert {each.name for each in model.columns} == {"income", "age", "sex", "race", "owner", "Age"}
    assert model.version("3").edges.keys() == before.version("3").edges.keys()
    assert model.version("4").features == ("Age", "age", "owner", "race")
    assert model.version("4").edges["band.age"] == model.version("3").edges["band.age"]
    assert model.column("feature.race").kind == "number"
    assert {each.name for each in model.columns if each.sensitive} == {"sex", "age", "race"}
    expected = np.bincount(np.searchsorted(model.version("4").edges["feature.Age"].edges, second["Age"], side="right"))
    assert histogram(store, 1, model.column("feature.Age").id, 1) == {i: n for i, n in enumerate(expected) if n}
    assert sum(histogram(store, 1, model.column("feature.income").id, 0).values()) == 1500


@pytest.mark.parametrize(
    "change, frame, parts",
    some(
        [
            ({"task": "regression", "label": "age", "score": ("p",)}, {}, ["loan is a binary model", "another name"]),
            ({}, {"outcome": ["good", "bad"] * 750}, ["positive class"]),
            ({"positive": "good"}, {"outcome": ["good", "bad"] * 750}, ["classes are not those", "bad, good", "no, yes"]),
            ({}, {"income": ["low", "high"] * 750}, ["feature 'income' is a number in another version", "a category"]),
            ({"settings": "missing.toml"}, {}, ["settings file does not exist"]),
            ({"artifact": "model.pkl"}, {}, ["run code"]),
            ({"reference": "nothing.parquet"}, {}, ["file is not there"]),
            ({"score": ("q",)}, {}, ["score column 'q'"]),
        ],
        4,
    ),
)
def test_a_registration_that_does_not_fit_changes_nothing(store, tmp_path, change, frame, parts):
    register_version(store, loan_request(write_reference(tmp_path, loans())))
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04.")
    before = all_contents(store)
    change = {name: tmp_path / value if name in ("settings", "artifact", "reference") else value for name, value in change.items()}
    path = write_reference(tmp_path, loans().assign(**frame), "second.parquet")
    with pytest.raises(UsageError) as raised:
        register_version(store, replace(loan_request(path), version="4", **change))
    assert all(part in str(raised.value) for part in parts), raised.value
    assert all_contents(store) == before
    assert not (store.home / "artifacts").exists()


@pytest.mark.parametrize("step", some(["rebuild_rollups", "insert_predictions", "save_version", "reference_edges"], 2))
def test_a_registration_that_fails_half_way_leaves_everything_as_it_was(store, tmp_path, monkeypatch, step):
    artifact = tmp_path / "model.txt"
    artifact.write_text("tree\nversion=v4\nfirst")
    register_version(store, loan_request(write_reference(tmp_path, loans(300)), artifact=artifact))
    before, files = all_contents(store), sorted(store.home.rglob("artifacts/**/*"))
    artifact.write_text("tree\nversion=v4\nsecond")

    def broken(*_, **__):
        raise RuntimeError("broken")

    with monkeypatch.context() as patched:
        patched.setattr(registering, step, broken)
        with pytest.raises(RuntimeError, match="broken"):
            register_version(store, loan_request(write_reference(tmp_path, loans(400)), artifact=artifact))
        with pytest.raises(RuntimeError, match="broken"):
            register_version(store, replace(loan_request(write_reference(tmp_path, loans(400)), artifact=artifact), model="brand new"))
    assert all_contents(store) == before and [each for each in sorted(store.home.rglob("artifacts/**/*")) if each.is_file()] == [
        each for each in files if each.is_file()
    ]
    register_version(store, loan_request(write_reference(tmp_path, loans(400)), artifact=artifact))
    kept = stored_artifact(store.catalog().model("loan").version("3").artifact)
    assert kept.kind == "lightgbm" and is_intact(store.home, kept) and kept.file(store.home).read_text().endswith("second")
    assert len([each for each in store.home.rglob("artifacts/**/*") if each.is_file()]) == 1
    register_version(store, loan_request(write_reference(tmp_path, loans(400))))
    assert stored_artifact(store.catalog().model("loan").version("3").artifact) == kept


def test_predictions_logged_before_the_registration_are_judged_afterwards(store, tmp_path):
    from observability.store.db.catalog_store import add_columns, add_model, find_model

    frame = loans(400, seed=4)
    at = pa.array(frame["day"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]"))
    ids = pa.array([f"id{i}" for i in range(400)])
    empty = {
        name: pa.nulls(400, kind)
        for name, kind in (
            ("received_at", pa.timestamp("us")),
            ("status", pa.string()),
            ("prediction", pa.string()),
            ("threshold", pa.float64()),
            ("probabilities", pa.string()),
        )
    }
    predictions = pa.table(
        {
            "id": ids,
            "version": ["3"] * 400,
            "environment": ["production"] * 400,
            "at": at,
            "score": frame["p"].to_numpy(),
            **empty,
            "feature.income": frame["income"].to_numpy(),
            "feature.race": frame["race"].to_numpy().astype(float),
        }
    )
    labels = pa.table(
        {
            "id": ids,
            "at": at,
            "received_at": empty["received_at"],
            "value": frame["outcome"].to_numpy(object),
            "number": pa.nulls(400, pa.float64()),
            **{name: pa.nulls(400, pa.string()) for name in ("source", "annotator", "guideline", "extra")},
        }
    )
    with store.write() as writer:
        add_model(writer, "loan")
        add_columns(writer, 1, [("feature", "income", "number"), ("feature", "race", "number")])
        insert_predictions(writer, find_model(writer, "loan"), predictions, labels, now=NOW)
        rebuild_rollups(writer, "loan")
    register_version(store, loan_request(write_reference(tmp_path, loans()), features=FEATURES, sensitive=("race",)))
    model = store.catalog().model("loan")
    streams = {environment: stream for stream, environment in stored_rows(store, "SELECT stream, environment FROM streams")}
    column = model.column("feature.income")
    values = frame["income"].dropna().to_numpy()
    expected = np.bincount(np.searchsorted(model.version("3").edges["feature.income"].edges, values, side="right"))
    found = histogram(store, 1, column.id, streams["production"])
    assert {bin_: n for bin_, n in found.items() if bin_ >= 0} == {i: n for i, n in enumerate(expected) if n}
    race = model.column("feature.race")
    levels = model.version("3").edges["feature.race"].levels
    assert (
        race.kind == "category"
        and {levels[i]: n for i, n in histogram(store, 1, race.id, streams["production"]).items()}
        == frame["race"].astype(str).value_counts().to_dict()
    )
    counts = stored_rows(
        store,
        f"SELECT label, decision, sum(n)::BIGINT FROM counts_1 WHERE measure = {OUTCOMES} AND slice = 0 AND stream = ? GROUP BY ALL",
        streams["production"],
    )
    matrix = np.zeros((2, 2), int)
    for label, decision, n in counts:
        matrix[label, decision] = n
    assert (matrix == confusion_matrix(frame["outcome"] == "yes", frame["p"] >= 0.5)).all()


def test_records_with_features_give_the_same_edges_as_flat_rows(store, tmp_path):
    frame = loans(500)
    register_version(
        store,
        loan_request(
            write_reference(tmp_path, frame.drop(columns=["day"])), at=None, features=("income", "age", "owner"), sensitive=("sex",)
        ),
    )
    lines = []
    for i, row in enumerate(frame.to_dict("records")):
        features = {"income": None if row["income"] != row["income"] else row["income"], "age": row["age"], "owner": row["owner"]}
        record = {
            "kind": "prediction",
            "id": str(i),
            "at": row["day"].isoformat(),
            "model": "loan",
            "version": "4",
            "features": features,
            "groups": {"sex": row["sex"]},
            "score": row["p"],
        }
        if i % 2:
            record["label"] = row["outcome"] if i % 4 == 1 else {"value": row["outcome"], "source": "human"}
        lines.append(record)
        if not i % 2:
            lines.append({"kind": "label", "id": str(i), "at": "2025-01-01T00:00:00Z", "model": "loan", "value": "wrong"})
            lines.append({"kind": "label", "id": str(i), "at": "2025-02-01T00:00:00Z", "model": "loan", "value": row["outcome"]})
    lines.append(
        {
            "kind": "prediction",
            "id": "failed",
            "at": "2025-01-01T00:00:00Z",
            "model": "loan",
            "version": "4",
            "features": {},
            "status": "timeout",
        }
    )
    path = tmp_path / "records.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    done = register_version(store, RegistrationRequest("loan", "4", task="binary", label="label", score=("score",), reference=path))
    model = store.catalog().model("loan")
    flat, nested = model.version("3"), model.version("4")
    assert nested.edges == flat.edges and nested.features == flat.features and done.rows == 500
    where = f"measure = {OUTCOMES} AND slice = 0 AND stream = ?"
    outcomes = f"SELECT bin, decision, label, sum(n) FROM counts_1 WHERE {where} GROUP BY ALL ORDER BY ALL"
    assert stored_rows(store, outcomes, 0) == stored_rows(store, outcomes, 1)
    assert any("1 predictions failed" in each for each in done.sentences)


def test_json_lines_with_mixed_values_are_described_and_broken_lines_are_refused(store, tmp_path):
    random = np.random.default_rng(0)
    lines = [{"x": float(v), "c": "a", "y": int(v > 0), "p": 0.5} for v in random.normal(size=200)]
    lines[3]["x"], lines[4]["x"], lines[5]["x"], lines[6]["c"] = "NaN", "-Infinity", "broken", 7
    path = tmp_path / "mixed.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    done = register_version(store, RegistrationRequest("m", "1", task="binary", label="y", score=("p",), reference=path))
    text = "\n".join(done.sentences)
    assert "1 values of 'x' are not of its main type, number" in text and "'c' are not of its main type, text" in text
    found = histogram(store, 1, store.catalog().model("m").column("feature.x").id, 0)
    assert found[-1] == 1 and found[-2] == 1 and found[0] == 1
    path.write_text('{"x": 1}\n{"x": \n')
    with pytest.raises(UsageError, match="line 2"):
        infer_reference_file(RegistrationRequest("m", "1", reference=path))


def test_an_in_sample_reference_and_the_progress_are_reported(store, tmp_path):
    said = []
    done = register_version(store, loan_request(write_reference(tmp_path, loans()), in_sample=True, sample=True), progress=said.append)
    model = store.catalog().model("loan")
    assert model.version("3").in_sample and model.sample and "figures are optimistic" in done.sentences[0]
    assert said[0] == "reading the reference" and said[-1] == "counting"


def test_hostile_column_names_are_stored_and_read_back(store, tmp_path):
    names = ["a b", "a'b", 'a"b', "Ünï", "x\ny", "drop table;--", "A", "a", "feature.a", "a=b", "score ", "f1", "at"]
    random = np.random.default_rng(3)
    frame = pd.DataFrame({"y'": random.integers(0, 2, 300), "p;": random.random(300), **{name: random.random(300) for name in names}})
    wanted = RegistrationRequest(
        "m'odel\"",
        "v/1 '",
        task="binary",
        label="y'",
        score=("p;",),
        reference=write_reference(tmp_path, frame),
        features=tuple(names),
        sensitive=("A",),
    )
    register_version(store, wanted)
    model = store.catalog().model("m'odel\"")
    assert [each.name for each in model.features()] == names
    for column in model.columns:
        found = histogram(store, 1, column.id, 0)
        assert sum(found.values()) == 300 and min(found) > 0


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 201])
def test_invalid_names_of_models_and_versions_are_refused(name):
    with pytest.raises(UsageError, match="needs a name"):
        RegistrationRequest(name, "1")
    with pytest.raises(UsageError, match="needs a name"):
        RegistrationRequest("m", name)
