"""Tests of what is inferred from a reference file, and of the description of the file."""

import json
import time
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, mean_absolute_error, roc_auc_score

from observability.core.catalog import band_names
from observability.core.errors import UsageError
from observability.store.registry.describe import describe_inference
from observability.store.registry.infer import infer_version
from observability.store.registry.sensitive import looks_sensitive, sensitive_bands
from observability.store.types.registration import RegistrationRequest, corrected_request
from tests.support.length import repeats

BINARY = RegistrationRequest("loan", "3", task="binary", label="outcome", score=("p",))


def loans(n=600, seed=0, **more):
    random = np.random.default_rng(seed)
    p = random.random(n)
    label = np.where(random.random(n) < p, "yes", "no")
    columns = {
        "income": random.normal(3e4, 1e4, n),
        "age": random.integers(18, 90, n),
        "sex": random.choice(["F", "M"], n),
        "owner": random.random(n) < 0.5,
        "kids": random.integers(0, 4, n),
        "p": p,
        "outcome": label,
    }
    return pa.table({**columns, **more})


def test_kinds_roles_and_figures_of_a_binary_file_are_inferred():
    table = loans()
    found = infer_version(table, BINARY)
    assert found.kinds == {"income": "number", "age": "number", "sex": "category", "owner": "boolean", "kids": "number"}
    assert (found.classes, found.positive, found.label, found.scores) == (("no", "yes"), "yes", "outcome", ((None, "p"),))
    frame = table.to_pandas()
    y = (frame["outcome"] == "yes").astype(int)
    assert found.metrics["accuracy"] == pytest.approx(accuracy_score(y, frame["p"] >= 0.5), abs=1e-12)
    assert found.metrics["roc_auc"] == pytest.approx(roc_auc_score(y, frame["p"]), abs=1e-12)
    assert found.metrics["majority_share"] == pytest.approx(y.value_counts(normalize=True).max())
    assert found.class_counts == ((y == 0).sum(), (y == 1).sum())
    assert found.suggested_sensitive == ("age", "sex") and found.sensitive == ()
    assert found.warnings == ()


def test_the_inference_is_described_in_sentences():
    table = loans(customer=[f"c{i}" for i in range(600)], note=[["a"]] * 600, constant=[1.5] * 600)
    text = "\n".join(describe_inference(infer_version(table, replace(BINARY, sensitive=("sex",)))))
    for part in (
        "loan version 3: binary, 600 reference rows",
        "yes is the positive class",
        "p is the score, the probability of the positive class",
        "5 features: 4 numbers (income, age, kids, constant); 1 true or false (owner)",
        "customer (it has a different value in every row",
        "note (it holds lists)",
        "Sensitive attributes: sex (not a feature)",
        "Does the model take sex? That cannot be known from this file. If so, register again with --features income,age,",
        "otherwise log it under `groups`.",
        "age looks sensitive by name",
        "always predicting the most frequent class",
        "Whole numbers with at most 12 different values, treated as numbers with one bin per value: kids",
        "Same value in every row: constant",
    ):
        assert part in text, part


def test_a_sensitive_column_is_a_feature_only_where_it_is_named():
    table, named = loans(), ("income", "age", "sex", "owner")
    for features, role in ((None, "group"), (("income", "age"), "group"), (named, "feature")):
        found = infer_version(table, replace(BINARY, sensitive=("sex",), features=features))
        (sex,) = [each for each in found.columns if each.name == "sex"]
        assert (sex.role, sex.sensitive, sex.kind) == (role, True, "category")
        assert ("sex" in {each.name for each in found.features}) == (role == "feature")
        said = "\n".join(describe_inference(found))
        assert ("Does the model take sex?" in said) == (features is None) and ("sex (a feature)" in said) == (role == "feature")
        assert ("Log sex under `groups`: the named features do not include it." in said) == (features == ("income", "age"))
    with pytest.raises(UsageError, match="all of them are sensitive: age, income"):
        infer_version(table.select(["income", "age", "p", "outcome"]), replace(BINARY, sensitive=("age", "income")))


@pytest.mark.parametrize(
    "label, positive, classes",
    [
        ([0, 1] * 60, None, ("0", "1")),
        ([0.0, 1.0] * 60, None, ("0", "1")),
        ([True, False] * 60, None, ("0", "1")),
        (["true", "false"] * 60, None, ("0", "1")),
        (["No", "YES"] * 60, None, ("No", "YES")),
        ([-1, 1] * 60, None, ("-1", "1")),
        (["good", "bad"] * 60, "bad", ("good", "bad")),
        ([0, 1] * 60, "0", ("1", "0")),
        ([1] * 120, None, ("0", "1")),
        (["bad"] * 120, "bad", ("not bad", "bad")),
        (["good"] * 120, "bad", ("good", "bad")),
    ],
)
def test_the_classes_of_a_binary_label_are_inferred_in_order(label, positive, classes):
    random = np.random.default_rng(1)
    table = pa.table({"x": random.random(120), "y": label, "p": random.random(120)})
    found = infer_version(table, RegistrationRequest("m", "1", task="binary", label="y", score=("p",), positive=positive))
    assert found.classes == classes
    assert sum(found.class_counts) == 120


@pytest.mark.parametrize(
    "change, table, parts",
    [
        ({}, {"outcome": ["good", "bad"] * 300}, ["plainly the positive class", "good (300 rows)", "bad (300 rows)", "--positive"]),
        ({}, {"outcome": ["a", "b", "c"] * 200}, ["3 different values", "a (200 rows)", "multiclass"]),
        ({"positive": "best"}, {"outcome": ["good", "bad"] * 300}, ["no row has the positive label 'best'", "good (300 rows)"]),
        ({"score": ("pp",)}, {}, ["score column 'pp' is not in the file", "Did you mean 'p'?"]),
        ({"label": "OUTCOM"}, {}, ["label column 'OUTCOM'", "Did you mean 'outcome'?"]),
        ({"label": "zzz"}, {}, ["It has income, age, sex"]),
        ({}, {"p": np.linspace(0, 2, 600)}, ["outside 0 to 1", "row 301", "--task"]),
        ({}, {"p": np.linspace(0, 100, 600)}, ["Divide percentages by 100"]),
        ({}, {"p": ["high"] * 600}, ["holds no numbers", "high"]),
        ({}, {"p": pa.nulls(600, pa.float64())}, ["no row has a score or a prediction"]),
        ({}, {"outcome": pa.nulls(600, pa.string())}, ["label column 'outcome' is empty"]),
        ({"task": "regression"}, {}, ["does not hold numbers, but a regression needs numbers", "no", "--task"]),
        ({"task": "multiclass"}, {}, ["one number a row", "class=COLUMN"]),
        ({"features": ("income", "agee")}, {}, ["feature column 'agee'", "Did you mean 'age'?"]),
        ({"features": ("income", "p")}, {}, ["'p' is a score, so it cannot be a feature"]),
        ({"sensitive": ("gender",)}, {}, ["sensitive column 'gender'"]),
        ({"score": ("p", "income")}, {}, ["one score column is enough"]),
        ({"score": ("no=p",)}, {}, ["positive class", "--score yes=COLUMN"]),
        ({"kinds": {"sex": "number"}}, {}, ["'sex' cannot be a number"]),
        ({"renames": {"nix": "x"}}, {}, ["renamed column 'nix'"]),
        ({"renames": {"age": "income"}}, {}, ["stands twice"]),
    ],
)
def test_wrong_requests_give_one_clear_sentence(change, table, parts):
    full = loans()
    for name, values in table.items():
        full = full.set_column(full.column_names.index(name), name, pa.array(values))
    with pytest.raises(UsageError) as raised:
        infer_version(full, replace(BINARY, **change), where="file.csv")
    text = str(raised.value)
    assert all(part in text for part in parts), text
    assert "\n" not in text


def test_an_empty_file_is_refused_and_a_small_file_gives_a_warning():
    with pytest.raises(UsageError, match="no rows"):
        infer_version(loans(0), BINARY)
    found = infer_version(loans(12), BINARY)
    assert any("Only 12 labelled rows" in each for each in found.warnings)
    one = infer_version(loans(1).set_column(6, "outcome", pa.array(["yes"])), BINARY)
    assert one.rows == 1 and len(one.features) == 5


def test_metrics_of_a_regression_equal_those_of_scikit_learn_and_it_has_no_classes():
    random = np.random.default_rng(2)
    y = random.normal(10, 5, 400)
    table = pa.table({"x": random.random(400), "delay": y, "guess": y + random.normal(0, 2, 400)})
    found = infer_version(table, RegistrationRequest("m", "1", task="regression", label="delay", score=("guess",)))
    assert found.metrics["mae"] == pytest.approx(mean_absolute_error(y, table["guess"].to_numpy()))
    assert found.classes == () and found.class_counts == ()
    assert "predicted value" in "\n".join(describe_inference(found))


def multiclass(n=300):
    random = np.random.default_rng(3)
    p = random.dirichlet([1, 1, 1], n)
    names = np.array(["cat", "dog", "eel"])
    return random, p, names, names[[random.choice(3, p=row) for row in p]]


def test_every_form_of_multiclass_scores_gives_the_same_inference():
    random, p, names, label = multiclass()
    x = random.random(300)
    wide = pa.table({"x": x, "y": label, "p cat": p[:, 0], "p=dog": p[:, 1], "p_eel": p[:, 2]})
    objects = [dict(zip(names.tolist(), map(float, row))) for row in p]
    request = RegistrationRequest("m", "1", task="multiclass", label="y", score=("probabilities",))
    forms = [
        infer_version(wide, replace(request, score=("cat=p cat", "dog=p=dog", "eel=p_eel"))),
        infer_version(pa.table({"x": x, "y": label, "probabilities": objects}), request),
        infer_version(pa.table({"x": x, "y": label, "probabilities": [json.dumps(each) for each in objects]}), request),
        infer_version(
            pa.table(
                {
                    "x": x,
                    "y": label,
                    "probabilities": pa.array([list(each.items()) for each in objects], pa.map_(pa.string(), pa.float64())),
                }
            ),
            request,
        ),
    ]
    expected = accuracy_score(label, names[p.argmax(axis=1)])
    for found in forms:
        assert found.classes == ("cat", "dog", "eel") and [name for name, _ in found.scores] == ["cat", "dog", "eel"]
        assert found.metrics["accuracy"] == pytest.approx(expected)
        assert [each.name for each in found.features] == ["x"] and found.warnings == ()


def test_invalid_or_incomplete_multiclass_scores_are_refused():
    _, p, _, label = multiclass()
    table = pa.table({"x": p[:, 0] * 3, "y": label, "a": p[:, 0], "b": p[:, 1], "o": ["{bad"] * 300})
    request = RegistrationRequest("m", "1", task="multiclass", label="y")
    with pytest.raises(UsageError, match="row 1"):
        infer_version(table, replace(request, score=("o",)))
    with pytest.raises(UsageError, match="have no classes"):
        infer_version(table, replace(request, score=("a", "b")))
    with pytest.raises(UsageError, match=r"eel has no score column.*Add --score eel=COLUMN"):
        infer_version(table, replace(request, score=("cat=a", "dog=b")))
    assert any("do not add up to 1" in each for each in infer_version(table, replace(request, score=("cat=a", "dog=b", "eel=b"))).warnings)
    numbered = pa.table({"x": p[:, 0], "y": np.arange(300) % 11, "pred": np.arange(300) % 11})
    found = infer_version(numbered, RegistrationRequest("m", "1", task="multiclass", label="y", prediction="pred"))
    assert found.classes == tuple(str(i) for i in range(11)) and found.metrics["accuracy"] == 1


def test_a_class_without_a_score_column_is_refused_so_that_it_becomes_no_feature():
    _, p, _, label = multiclass()
    table = pa.table({"x": p[:, 0] * 3, "y": label, "p_cat": p[:, 0], "p_dog": p[:, 1], "p_eel": p[:, 2]})
    request = RegistrationRequest("m", "1", task="multiclass", label="y")
    with pytest.raises(UsageError, match=r"dog, eel have no score column.*got cat=p_cat.*Add --score dog=p_dog --score eel=p_eel"):
        infer_version(table, replace(request, score=("cat=p_cat",)))
    found = infer_version(table, replace(request, score=("cat=p_cat", "dog=p_dog", "eel=p_eel", "fox=p_eel")))
    assert [each.name for each in found.features] == ["x"], "a class without labels may have a score"


@pytest.mark.parametrize("name", ["prediction", "predicted"])
def test_a_prediction_of_fractions_is_the_score_of_a_binary_model(name):
    table = loans(80).rename_columns(["income", "age", "sex", "owner", "kids", name, "target"])
    found = infer_version(table, RegistrationRequest("m", "1"))
    assert (found.scores, found.prediction) == (((None, name),), None)
    assert any(f"{name} holds fractions from 0 to 1" in note for note in found.notes)
    decided = table.set_column(5, name, pa.array((table[name].to_numpy() > 0.5).astype(float)))
    found = infer_version(decided.set_column(6, "target", pa.array([0, 1] * 40)), RegistrationRequest("m", "1"))
    assert (found.scores, found.prediction) == ((), name) and not any("fractions" in note for note in found.notes)


def test_task_label_and_score_are_inferred_from_usual_names_if_they_are_not_given():
    random, p, _, label = multiclass()
    table = pa.table({"x": random.random(300), "Target": label == "cat", "y_prob": p[:, 0]})
    found = infer_version(table, RegistrationRequest("m", "1"))
    assert (found.task, found.label, found.scores) == ("binary", "Target", ((None, "y_prob"),))
    with pytest.raises(UsageError, match="usual name of the label"):
        infer_version(table.drop_columns(["Target"]), RegistrationRequest("m", "1"))
    with pytest.raises(UsageError, match="usual name of the score"):
        infer_version(table.drop_columns(["y_prob"]), RegistrationRequest("m", "1"))


def test_corrections_round_trip_through_json():
    table = loans()
    first = infer_version(table, BINARY)
    body = json.loads(json.dumps(first.as_json()))
    request = corrected_request(
        BINARY, {name: body[name] for name in ("task", "label", "score", "prediction", "at", "positive", "features", "kinds")}
    )
    assert infer_version(table, request).as_json() == body
    changed = corrected_request(request, {"sensitive": ["sex", "age"], "kinds": {"kids": "category"}, "positive": "no", "score": ["p"]})
    second = infer_version(table, changed)
    assert second.sensitive == ("age", "sex") and second.kinds["kids"] == "category" and second.classes == ("yes", "no")
    assert any("other class" in each for each in second.warnings)
    with pytest.raises(UsageError, match="cannot be corrected"):
        corrected_request(BINARY, {"model": "x"})


def test_scores_in_objects_are_read_back_unchanged_from_json_too():
    random, p, names, label = multiclass()
    table = pa.table({"x": random.random(300), "y": label, "probabilities": [dict(zip(names.tolist(), map(float, row))) for row in p]})
    request = RegistrationRequest("m", "1", task="multiclass", label="y", score=("probabilities",))
    body = infer_version(table, request).as_json()
    assert body["score"] == ["probabilities"]
    assert infer_version(table, corrected_request(request, {"score": body["score"]})).as_json() == body


def test_sensitive_numbers_are_grouped_into_bands_and_the_bands_are_described():
    table = loans(2000)
    found = infer_version(table, replace(BINARY, sensitive=("age", "kids"), features=("income", "age")))
    age = next(each for each in found.columns if each.name == "age")
    kids = next(each for each in found.columns if each.name == "kids")
    assert age.role == "feature" and kids.role == "group" and kids.bands == ()
    sizes = np.bincount(np.searchsorted(age.bands, table["age"].to_numpy(), side="right"), minlength=len(age.bands) + 1)
    assert 3 <= sizes.size <= 5 and sizes.min() > 200
    text = "\n".join(describe_inference(found))
    assert f"age is grouped into below {age.bands[0]:g}" in text and "kids (not a feature)" in text
    assert all(limit == round(limit / 5) * 5 for limit in age.bands)


@settings(max_examples=repeats(30, 60), deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60))
def test_sensitive_bands_of_any_values_are_increasing(values):
    limits = sensitive_bands(np.array(values, np.float64))
    assert list(limits) == sorted(set(limits))
    assert len(band_names(limits)) == (len(limits) + 1 if limits else 0)


@pytest.mark.parametrize(
    "name",
    ["sex", "SEX", "Gender", "AGEP", "RAC1P", "applicantAge", "marital_status", "personal-status-sex", "Nationality", "is_disabled", "age"],
)
def test_sensitive_names_are_recognised(name):
    assert looks_sensitive(name)


@pytest.mark.parametrize(
    "name", ["mileage", "page", "vehicle_age", "income", "sexton", "message", "trace", "", "x1", "race_car", "age_of_account"]
)
def test_names_that_are_not_sensitive_are_not_recognised_as_such(name):
    assert not looks_sensitive(name)


def test_leaks_copies_and_perfect_models_are_warned_about():
    table = loans()
    label = (table["outcome"].to_numpy(zero_copy_only=False) == "yes").astype(float)
    table = table.append_column("paid_back", pa.array(label * -3 + 7)).append_column(
        "state", pa.array(np.where(label == 1, "closed", "open"))
    )
    table = table.append_column("p_again", table["p"])
    text = "\n".join(infer_version(table, BINARY).warnings)
    assert "paid_back follows the label" in text and "state determines the label" in text and "Same values as the score: p_again" in text
    perfect = infer_version(table.append_column("done", pa.array(label)), replace(BINARY, score=("done",), features=("income",)))
    assert any("makes no error" in each for each in perfect.warnings)
    assert not any(
        "makes no error" in each
        for each in infer_version(
            table.append_column("done", pa.array(label)), replace(BINARY, score=("done",), features=("income",), in_sample=True)
        ).warnings
    )


def test_columns_with_hostile_names_or_values_are_handled():
    odd = ["", " ", "a'b", 'a"b', "Ünï", "x\ny", "drop table;--", "A", "a", "😀", "f1", "x" * 300, "a=b"]
    n = 200
    random = np.random.default_rng(5)
    table = pa.table(
        {
            "outcome": random.choice(["yes", "no"], n),
            "p": random.random(n),
            **{name: random.random(n) for name in odd},
            "nothing": pa.nulls(n),
            "typed nothing": pa.nulls(n, pa.string()),
            "nan": np.full(n, np.nan),
            "inf": np.full(n, np.inf),
            "big": [2**63 - 1 - i % 7 for i in range(n)],
            "huge": random.random(n) * 1e308,
            "day": ["2024-01-02"] * n,
            "bytes": [b"x"] * n,
            "span": pa.array([1] * n, pa.duration("s")),
            "coded": pa.array(["u", "v"] * (n // 2)).dictionary_encode(),
            "decimal": pa.array([1, 2] * (n // 2)).cast(pa.decimal128(24, 2)),
        }
    )
    found = infer_version(table, BINARY)
    assert [each.name for each in found.features][: len(odd)] == odd
    assert found.kinds["coded"] == "category" and found.kinds["decimal"] == "number" and found.kinds["typed nothing"] == "category"
    assert set(found.left_out) == {"day", "bytes", "span"}
    assert any("No value in the reference" in each and "nothing" in each for each in found.warnings)
    for sentence in describe_inference(found):
        assert sentence.isprintable(), sentence
    with pytest.raises(UsageError, match="'p' stands twice"):
        infer_version(table.append_column("p", table["p"]), BINARY)


def test_reserved_fields_are_no_features_unless_named():
    table = loans(cost=np.random.default_rng(0).random(600), device=["d1", "d2"] * 300)
    found = infer_version(table, BINARY)
    assert found.left_out == {"cost": "it is a field of the record", "device": "it is a field of the record"}
    assert [each.name for each in infer_version(table, replace(BINARY, features=("cost", "device"))).features] == ["cost", "device"]


def test_nested_records_give_features_and_groups():
    table = (
        loans()
        .rename_columns(["income", "features.score", "sex", "owner", "kids", "score", "label"])
        .append_column("other", pa.array([1.0] * 600))
    )
    nested = {
        "income": ("feature", "income"),
        "features.score": ("feature", "score"),
        "owner": ("feature", "owner"),
        "sex": ("group", "sex"),
        "kids": ("group", "kids"),
    }
    found = infer_version(table, RegistrationRequest("loan", "3", task="binary"), nested=nested)
    assert [(each.name, each.source) for each in found.features] == [("income", "income"), ("score", "features.score"), ("owner", "owner")]
    assert [(each.name, each.sensitive) for each in found.groups] == [("sex", True), ("kids", True)]
    assert "other" in found.left_out and found.scores == ((None, "score"),)


def test_null_labels_and_scores_are_counted():
    table = loans()
    p = table["p"].to_pylist()
    label = table["outcome"].to_pylist()
    table = table.set_column(5, "p", pa.array([None] * 10 + [float("nan")] * 5 + p[15:])).set_column(
        6, "outcome", pa.array(label[:500] + [None] * 100)
    )
    found = infer_version(table, BINARY)
    assert (found.rows, found.usable, found.labelled) == (600, 585, 485)
    assert any("15 of 600 rows" in each for each in found.warnings) and any("100 rows have no label" in each for each in found.warnings)


def test_decisions_come_from_the_prediction_where_there_is_one():
    table = loans()
    label = table["outcome"].to_pylist()
    found = infer_version(table.append_column("said", pa.array(label)), replace(BINARY, prediction="said"))
    assert found.metrics["accuracy"] == 1 and "Decisions are read from said." in describe_inference(found)
    strange = infer_version(table.append_column("said", pa.array(["maybe", *label[1:]])), replace(BINARY, prediction="said"))
    assert any("not classes: maybe" in each for each in strange.warnings)


def test_the_order_of_rows_does_not_matter():
    frame = loans().to_pandas()
    first = infer_version(pa.Table.from_pandas(frame, preserve_index=False), replace(BINARY, sensitive=("age",)))
    second = infer_version(
        pa.Table.from_pandas(frame.sample(frac=1, random_state=1), preserve_index=False), replace(BINARY, sensitive=("age",))
    )
    assert replace(first, metrics={}) == replace(second, metrics={})
    assert first.metrics == pytest.approx(second.metrics)


def test_inference_grows_with_columns_and_with_rows_and_not_faster():
    def table(columns: int, rows: int) -> pa.Table:
        random = np.random.default_rng(6)
        numbers = {f"x{i}": random.normal(size=rows) for i in range(columns)}
        return pa.table({"outcome": random.choice(["yes", "no"], rows), "p": random.random(rows), **numbers})

    def seconds(columns: int, rows: int) -> float:
        given, start = table(columns, rows), time.process_time()
        found = infer_version(given, BINARY)
        assert len(found.features) == columns and found.usable == rows
        return time.process_time() - start

    seconds(4, 5000)  # imports
    assert seconds(200, 2000) < 12 * seconds(40, 2000)
    assert seconds(4, 200_000) < 12 * seconds(4, 40_000)
