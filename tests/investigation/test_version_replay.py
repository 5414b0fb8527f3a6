"""Answers of other versions. In shadow they equal the logged ones, and from model files the library's scores. Churn is counted by hand."""

import dataclasses

import numpy as np
import pytest

from observability.investigation import churn, version_replay
from observability.investigation.evidence_types import NotGivenError
from observability.investigation.find_prediction import prediction_row
from observability.stats.interval import rate_interval
from tests.support.case_model_world import inputs

pytestmark = pytest.mark.filterwarnings("ignore")


def row_of(world, name, model="credit"):
    return prediction_row(world.store, name, model=model)


def test_the_answer_of_each_version_is_that_of_its_own_model(model_world, model_worker):
    frame = model_world.frames["credit"]
    said = []
    early, late = row_of(model_world, "c-5"), row_of(model_world, "c-200")
    found = {
        each.version: each
        for each in version_replay.replayed_answers(model_world.store, early, worker=model_worker, progress=lambda s, t: said.append(t))
    }
    assert next(iter(found)) == "1" and found["1"].source == "logged" and found["1"].score == early.score
    assert found["2"].source == "shadow" and found["2"].role == "challenger" and found["2"].basis == "measured"
    assert found["2"].score == pytest.approx(model_world.models["credit 2"].predict(inputs(frame.iloc[[5]]))[0])
    assert found["3"].missing == ("tenure",) and found["3"].source is None and "tenure" in found["3"].why
    assert "no model file is stored for version 4" in found["4"].why
    assert {found[name].role for name in "34"} == {"next"} and len(said) == 3
    later = {each.version: each for each in version_replay.replayed_answers(model_world.store, late, worker=model_worker)}
    assert later["2"].source == "computed" and later["2"].basis == "simulated"
    assert later["2"].score == pytest.approx(model_world.models["credit 2"].predict(inputs(frame.iloc[[200]]))[0])
    for row, each in ((early, found), (late, later)):
        for name in "12":
            assert each[name].prediction == str(int(each[name].score >= 0.4)) and each[name].right == (
                each[name].prediction == row.label.value
            )
    given = version_replay.version_scores(model_world.store, late, worker=model_worker)
    assert [each.version for each in given] == ["1", "2"] and given[1].prediction == later["2"].prediction


def test_a_shadow_prediction_finds_the_answer_of_production(model_world, model_worker):
    row = row_of(model_world, "s-5")
    found = {each.version: each for each in version_replay.replayed_answers(model_world.store, row, worker=model_worker)}
    assert found["1"].source == "shadow" and found["1"].role == "previous" and found["1"].score == row_of(model_world, "c-5").score


def test_the_baseline_is_the_commonest_class_or_the_mean(model_world):
    row = row_of(model_world, "c-5")
    labels = (
        model_world.store.cursor()
        .execute(f"SELECT value, count(*) FROM labels_{row.model.key} WHERE id LIKE 'reference/1/%' GROUP BY 1 ORDER BY 2 DESC")
        .fetchall()
    )
    found = version_replay.simple_baseline(model_world.store, row)
    shares = {value: count / sum(count for _, count in labels) for value, count in labels}
    assert found.prediction == labels[0][0] == "0" and found.score == pytest.approx(shares["1"])  # scores are chances of the positive class
    rent = row_of(model_world, "r-3", "rent")
    mean = (
        model_world.store.cursor().execute(f"SELECT avg(number) FROM labels_{rent.model.key} WHERE id LIKE 'reference/1/%'").fetchone()[0]
    )
    assert version_replay.simple_baseline(model_world.store, rent).score == pytest.approx(mean)
    assert version_replay.answer_with_verdict(
        rent, version_replay.simple_baseline(model_world.store, rent)
    ).absolute_error == pytest.approx(abs(mean - rent.label_number))
    assert (
        version_replay.simple_baseline(
            model_world.store, dataclasses.replace(row, version=dataclasses.replace(row.version, reference_rows=0))
        )
        is None
    )


def test_versions_that_cannot_answer_say_why(model_world, model_worker):
    with pytest.raises(NotGivenError, match="no other version"):
        version_replay.version_scores(model_world.store, row_of(model_world, "l-3", "logged"), worker=model_worker)
    row = row_of(model_world, "c-210")
    with pytest.raises(
        NotGivenError, match=r"no other version can score this input.*version 2: .*not computed yet.*version 3: it needs tenure"
    ):
        version_replay.version_scores(model_world.store, row)


def by_hand(a, b, label, known):
    """Numbers of flips, of changes from right to wrong, and of changes from wrong to right."""
    return [(a != b).sum(), (known & (a == label) & (b != label)).sum(), (known & (b == label) & (a != label)).sum()]


def counts(found):
    return [found.flips.n, found.worse.n, found.better.n]


def test_churn_is_what_a_count_by_hand_gives(model_world, model_worker):
    frame, truth = model_world.frames["credit"], model_world.frames["credit truth"]["y"].to_numpy()
    scores = [model_world.models[f"credit {version}"].predict(inputs(frame)) for version in "12"]
    a, b = (each >= 0.4 for each in scores)
    place = np.arange(len(frame))
    known = place % 10 != 9
    row = row_of(model_world, "c-20")
    found = churn.churn(model_world.store, row, "2", worker=None)
    assert (found.source, found.basis, found.rows, found.labelled) == ("shadow", "measured", 150, known[:150].sum())
    assert counts(found) == by_hand(a[:150], b[:150], truth[:150], known[:150])
    interval = rate_interval(found.flips.n, 150)
    assert (found.flips.value, found.flips.low, found.flips.high) == (interval.value, interval.low, interval.high)
    assert f"{found.flips.n}" in found.because and "from version 2" in found.because
    part = (frame["town"] == "Oslo").to_numpy() & (place < 150)
    sliced = churn.churn(model_world.store, row, "2", slice="town=Oslo")
    first, last = (2 + int(place[part][end] // 48) for end in (0, -1))  # one request every half hour from 2 March on
    days = f"{first} to {last} Mar 2026"
    assert sliced.because.startswith(f"Of {sliced.flips.of:,} requests of {days} where town = Oslo that both scored, ")
    assert counts(sliced) == by_hand(a[part], b[part], truth[part], known[part])
    names = {f"c-{each}" for each in place[part & known & (a == truth) & (b != truth)]}
    assert {each.id for each in sliced.regressed} == names or len(names) > churn.WORST


def test_churn_computed_from_the_model_file_equals_a_count_by_hand(model_world, model_worker):
    frame = model_world.frames["credit"].head(150)
    scores = [model_world.models[f"credit {version}"].predict(inputs(frame)) for version in "21"]
    row = row_of(model_world, "s-20")
    found = churn.churn(model_world.store, row, "1", worker=model_worker)
    assert (found.source, found.basis, found.rows, found.labelled) == ("computed", "simulated", 150, 0)
    assert found.flips.n == ((scores[0] >= 0.4) != (scores[1] >= 0.4)).sum() and "has a label yet" in found.because
    assert found.worse.value is None and found.regressed == ()


def test_churn_that_cannot_be_computed_raises_an_error_with_the_reason(model_world, model_worker):
    row = row_of(model_world, "c-20")
    for other, words in (
        ("3", "needs tenure"),
        ("4", "no model file"),
        ("1", "no such other version"),
        ("nobody", "no such other version"),
    ):
        with pytest.raises(NotGivenError, match=words):
            churn.churn(model_world.store, row, other, worker=model_worker)


def test_churn_of_a_regression_counts_by_the_usual_error(model_world):
    row = row_of(model_world, "r-3", "rent")
    both = churn.ChurnRows(
        ["a", "b", "c", "d"],
        np.array([10.0, 10, 10, 10]),
        np.array([10.5, 14, 10, 20]),
        np.full(4, -1),
        np.full(4, -1),
        np.array([10.0, 14, np.nan, 11]),
    )
    found = churn.churn_figures(row, row.version, both, 2.0, "computed", None)
    assert (found.flips.n, found.flips.of) == (2, 4) and (found.worse.n, found.better.n, found.worse.of) == (1, 1, 3)
    assert [(each.id, each.label) for each in found.regressed] == [("d", "11")]


def test_logged_values_are_compared_by_content():
    assert (
        version_replay.equal_values(None, float("nan"))
        and version_replay.equal_values(1.0, 1)
        and not version_replay.equal_values(None, 0)
        and not version_replay.equal_values("a", "b")
    )
