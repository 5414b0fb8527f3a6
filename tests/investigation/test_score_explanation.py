"""Explanations of a score: logged, stored and computed; compared with neighbours and with similar rows; with residual, stability
and words.
"""

import dataclasses
from datetime import timedelta
from unittest import mock

import numpy as np
import pandas as pd
import pytest

from observability.core.catalog import ARTIFACT_DIFFERS
from observability.core.errors import ObservabilityError
from observability.enrichment.explanations import explain_rows
from observability.investigation import known_attributions, score_explanation
from observability.investigation.evidence_types import NotGivenError
from observability.investigation.explanation_sentences import explanation_sentences
from observability.investigation.explanation_stability import stability
from observability.investigation.find_prediction import prediction_row
from observability.investigation.nearest_rows import nearest_places, row_distances
from observability.investigation.sampled_rows import real_rows, stored_input, version_features
from observability.worker.limits import WorkerError
from tests.support.case_model_world import START, copied_store, inputs

pytestmark = pytest.mark.filterwarnings("ignore")


def row_of(world, name, model):
    return prediction_row(world.store, name, model=model)


def test_logged_attributions_are_shown_as_they_are_and_compared_with_the_score(model_world):
    row = row_of(model_world, "l-3", "logged")
    found = score_explanation.explain(model_world.store, row)
    assert found.method == "logged" and found.link == "logit" and found.base_value == 0.2
    assert found.attributions == {"x": row.features["x"], "y": -0.5 * row.features["y"]}
    assert abs(found.residual) < 1e-9
    bad = known_attributions.logged_or_stored_contrast(model_world.store, row_of(model_world, "l-bad", "logged"))
    assert bad is not None and not bad.adds_up and abs(bad.residual) > 1
    assert "do not add up" in score_explanation.explain(model_world.store, row_of(model_world, "l-bad", "logged")).note
    bare = score_explanation.explain(model_world.store, row_of(model_world, "l-bare", "logged"))
    assert bare.base_value is None and bare.residual is None and len(bare.attributions) == 2 and "without a base value" in bare.note


def test_without_a_model_file_the_missing_parts_say_how_to_get_them(model_world, model_worker):
    found = score_explanation.attribution_contrasts(model_world.store, row_of(model_world, "l-3", "logged"), worker=model_worker)
    assert found.average is not None and found.similar is None and found.twins is None
    assert "no model file is stored" in found.why["similar"] and "--artifact" in found.why["twins"]


def test_computed_attributions_equal_those_of_the_library_and_stored_ones_are_used_if_present(model_world, model_worker):
    import shap

    booster, frame = model_world.models["credit 1"], model_world.frames["credit"]
    theirs = np.asarray(booster.predict(inputs(frame.iloc[[5]]), pred_contrib=True))[0]
    said = []
    row = row_of(model_world, "c-5", "credit")
    with pytest.raises(NotGivenError, match="not computed yet"):
        score_explanation.explain(model_world.store, row)
    found = score_explanation.explain(model_world.store, row, worker=model_worker, progress=lambda share, text: said.append(share))
    assert found.method == "native pred_contrib" and found.base_value == pytest.approx(theirs[-1], rel=1e-6)
    assert np.allclose([found.attributions[name] for name in frame], theirs[:-1], atol=1e-6)
    explainer = shap.TreeExplainer(booster)
    coded = inputs(frame.iloc[[5]])
    coded = coded.assign(town=coded["town"].cat.codes.replace(-1, np.nan)).to_numpy(float)
    assert np.allclose([found.attributions[name] for name in frame], explainer.shap_values(coded)[0], atol=1e-6)


def test_similar_and_twins_are_the_nearest_rows_by_scikit_learn_and_their_attributions_are_exact(model_world, model_worker):
    import shap
    from sklearn.neighbors import NearestNeighbors

    row = row_of(model_world, "r-3", "rent")
    rows = real_rows(model_world.store, row)
    assert row.id not in set(rows.facts["id"]) and {"reference", "production"} == set(rows.facts["environment"])
    backgrounds, lacking = score_explanation.backgrounds_of(row, rows)
    assert lacking == {}
    scale = rows.inputs[rows.of_reference].std(ddof=0)
    for name, chosen, among in (
        ("similar", score_explanation.SIMILAR_ROWS, np.ones(len(rows), bool)),
        ("twins", score_explanation.TWIN_ROWS, rows.right),
    ):
        of = rows.only(among)
        theirs = NearestNeighbors(n_neighbors=chosen).fit(of.inputs / scale).kneighbors(stored_input(row) / scale)[1][0]
        assert list(backgrounds[name].rows.facts["id"]) == list(of.facts["id"].iloc[theirs])
    errors = np.abs(rows.facts["score"] - rows.facts["label_value"])
    assert (np.abs(backgrounds["twins"].rows.facts["score"] - backgrounds["twins"].rows.facts["label_value"]) <= errors.median()).all()
    found = score_explanation.attribution_contrasts(model_world.store, row, worker=model_worker)
    assert found.why == {}
    model = model_world.models["rent"]
    for name in ("similar", "twins"):
        contrast = getattr(found, name)
        masker = shap.maskers.Independent(backgrounds[name].rows.inputs, max_samples=100)
        theirs = shap.LinearExplainer(model, masker).shap_values(stored_input(row))[0]
        ours = {bar.feature: bar.attribution for bar in contrast.bars}
        assert np.allclose([ours[each] for each in stored_input(row).columns], theirs, atol=1e-6 * np.abs(theirs).max())
        assert contrast.adds_up and contrast.base_value == pytest.approx(model.predict(backgrounds[name].rows.inputs).mean())
        assert contrast.output == pytest.approx(row.score) and contrast.background_rows == len(backgrounds[name].rows)
        sizes = [abs(bar.attribution) for bar in contrast.bars]
        assert sizes == sorted(sizes, reverse=True)


def test_distances_of_categories_booleans_and_nulls_equal_those_of_a_one_hot_table(model_world):
    from sklearn.neighbors import NearestNeighbors

    row = row_of(model_world, "c-17", "credit")
    rows = real_rows(model_world.store, row)
    columns = version_features(row.model, row.version)
    both = pd.concat([stored_input(row), rows.inputs], ignore_index=True)
    table = pd.DataFrame(index=both.index)
    for name in ("age", "income", "rooms"):
        given = rows.scale[name]
        table[name] = ((both[name] - given.mean()) / given.std(ddof=0)).clip(-6, 6).fillna(0.0)
        table[f"no {name}"] = both[name].isna().astype(float)
    for name in ("town", "member"):
        table = pd.concat([table, pd.get_dummies(both[name].astype(str), prefix=name).astype(float) / np.sqrt(2)], axis=1)
    theirs, places = NearestNeighbors(n_neighbors=25).fit(table.iloc[1:]).kneighbors(table.iloc[[0]])
    order, ours = nearest_places(stored_input(row), rows.inputs, 25, columns, rows.scale)
    assert np.allclose(ours, theirs[0], atol=1e-5) and rows.inputs["income"].isna().any()
    assert np.allclose(row_distances(stored_input(row), rows.inputs, columns, rows.scale)[places[0]], theirs[0], atol=1e-5)
    assert len(set(order) & set(places[0])) >= 23  # ties at the end may be broken in another way


def test_attributions_against_neighbours_add_up_for_classes_and_trees(model_world, model_worker):
    found = score_explanation.attribution_contrasts(model_world.store, row_of(model_world, "m-2", "mood"), worker=model_worker)
    row = row_of(model_world, "m-2", "mood")
    for each in (found.average, found.similar, found.twins):
        assert each.class_name == row.answer and each.link == "raw" and each.adds_up and abs(each.residual) < 1e-6
    assert sum(found.similar.outcomes.values()) == score_explanation.SIMILAR_ROWS
    credit = score_explanation.attribution_contrasts(model_world.store, row_of(model_world, "c-8", "credit"), worker=model_worker)
    for each in (credit.average, credit.similar, credit.twins):
        assert each.adds_up and 1 / (1 + np.exp(-each.output)) == pytest.approx(row_of(model_world, "c-8", "credit").score, abs=1e-6)
        assert (1 <= each.stability.stars <= 5 and each.stability.rows == each.background_rows) or each.background_rows is None
        assert each.words[0].startswith(("Pushed up", "No feature pushes")) and "a probability of" in each.words[2]


def test_when_the_worker_fails_each_missing_part_gives_the_reason(model_world):
    class Broken:
        def call(self, *given, **more):
            raise WorkerError("the job took too long and was ended", reason="time", attempt="Ask for fewer rows")

    found = score_explanation.attribution_contrasts(model_world.store, row_of(model_world, "c-258", "credit"), worker=Broken())
    assert found.average is None and found.similar is None and set(found.why) == {"average", "similar", "twins"}
    assert all("took too long" in each for each in found.why.values())


def test_an_unusable_model_file_removes_only_the_parts_that_need_the_model(model_world, model_worker, tmp_path, monkeypatch):
    import shutil

    from observability.investigation import counterfactuals, decision_boundary, version_replay

    store = copied_store(model_world, tmp_path / "home")
    try:
        row = prediction_row(store, "c-5", model="credit")
        asked = {
            "why": lambda: score_explanation.explain(store, row, worker=model_worker),
            "curves": lambda: decision_boundary.ice_curves(store, row, worker=model_worker),
            "flips": lambda: counterfactuals.counterfactuals(store, row, worker=model_worker),
            "what-if": lambda: decision_boundary.what_if(store, row, {"rooms": 1}, worker=model_worker),
        }
        for each in asked.values():
            with pytest.raises(NotGivenError, match=r"gone or was changed.*--artifact"):
                each()
        shutil.copytree(model_world.home / "artifacts", tmp_path / "home" / "artifacts")
        file = tmp_path / "home" / row.version.artifact
        file.write_bytes(file.read_bytes()[:-2000])
        with pytest.raises(NotGivenError, match="gone or was changed"):
            asked["why"]()
        # A stranger's file with the registered checksum: its first tree is cut off, or refers to itself.
        monkeypatch.setattr("observability.store.registry.artifacts.is_intact", lambda *_: True)
        text = file.read_text()
        for broken in (text[: len(text) // 3], text.replace("left_child=", "left_child=0 0 ", 1), "tree\nversion=v4\n"):
            file.write_text(broken)
            for each in asked.values():
                with pytest.raises(ObservabilityError) as caught:
                    each()
                assert str(caught.value)
        assert decision_boundary.nearest_opposite_row(store, row).searched > 100 and decision_boundary.margin(store, row).edge == 0.4
        others = {each.version: each for each in version_replay.replayed_answers(store, row, worker=model_worker)}
        assert others["1"].source == "logged" and others["2"].source == "shadow"
        found = score_explanation.attribution_contrasts(store, row, worker=model_worker)
        assert found.average is None and set(found.why) == {"average", "similar", "twins"}
    finally:
        store.close()


def test_labels_that_arrived_after_as_of_are_not_counted(model_world):
    before = START + timedelta(days=10)  # the labels came on the twentieth day
    row = prediction_row(model_world.store, "c-20", model="credit", as_of=before)
    rows = real_rows(model_world.store, row)
    production = rows.facts[rows.facts["environment"] == "production"]
    assert len(production) > 10 and (production["label"] == -1).all() and (rows.facts["label"] >= 0).any()
    assert (real_rows(model_world.store, row_of(model_world, "c-20", "credit")).facts["label"] >= 0).sum() > (
        rows.facts["label"] >= 0
    ).sum()


def test_few_labels_say_how_many_more_are_needed(model_world, model_worker):
    row = row_of(model_world, "c-8", "credit")
    rows = real_rows(model_world.store, row)
    poor = dataclasses.replace(rows, facts=rows.facts.assign(label=-1))
    backgrounds, lacking = score_explanation.backgrounds_of(row, poor)
    assert "twins" not in backgrounds and "about 10 more are needed" in lacking["twins"]


def test_the_stability_of_an_explanation_falls_when_attributions_vary_with_the_background():
    rng = np.random.default_rng(0)
    steady = np.tile([3.0, 2.0, 1.0, 0.5, 0.1], (40, 1))
    found = stability(steady.mean(axis=0), steady)
    assert (found.stars, found.score, found.overlap, found.draws) == (5, 1.0, 1.0, 200)
    noise = rng.normal(0, 1, (40, 8))
    shaky = stability(noise.mean(axis=0), noise)
    assert shaky.stars < 4 and shaky.score < found.score
    again = stability(noise.mean(axis=0), noise)
    assert again == shaky and stability(noise.mean(axis=0), noise[:9]) is None
    # By hand: each resample gives one of two rankings; half of the leading features also lead in the other ranking.
    from scipy.stats import spearmanr

    from observability.investigation.explanation_stability import rank_correlations, shared_leaders

    one, many = np.array([5.0, 4.0, 3.0, 2.0, 1.0, 0.0]), np.array([[5.0, 1.0, 2.0, 4.0, 3.0, 0.0], [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]])
    assert np.allclose(shared_leaders(one, many), [1 / 3, 1.0])
    assert np.allclose(rank_correlations(one, many), [spearmanr(one, many[0])[0], 1.0])
    assert list(rank_correlations(np.zeros(3), np.array([[1.0, 2.0, 3.0]]))) == [0.0]


def test_the_explanation_sentences_name_what_pushed_up_and_down_and_the_probability():
    from observability.investigation.model_answers import Bar

    bars = [Bar("income", 52000.0, 1.5), Bar("age", 41, -0.5), Bar("town", None, 0.25)]
    up, down, end = explanation_sentences(bars, -1.25, 0.0, "logit", "the average")
    assert up == "Pushed up by 1.75 log-odds: income = 52000 (+1.5) and town = missing (+0.25)."
    assert down == "Pushed down by 0.5 log-odds: age = 41 (\u22120.5)."
    assert end == "Base value \u22121.25 (the average), output 0 log-odds: a probability of 50.0 %, where the base value stands for 22.3 %."
    assert explanation_sentences([Bar("a", True, 2.0)], 1.0, 3.0, "identity", "similar cases")[1:] == (
        "No feature lowers the output.",
        "Base value 1 (similar cases), output 3.",
    )
    assert explanation_sentences([Bar("a", True, 2.0)], 1.0, 3.0, "identity", "similar cases", None, "minutes") == (
        "Pushed up by 2 minutes: a = true (+2).",
        "No feature lowers the output.",
        "Base value 1 (similar cases), output 3 minutes.",
    )


def test_attributions_computed_in_advance_are_read_from_the_store(model_world, model_worker, tmp_path):
    import shutil
    import threading

    store = copied_store(model_world, tmp_path / "home")
    shutil.copytree(model_world.home / "artifacts", tmp_path / "home" / "artifacts")
    try:
        model = store.catalog().model("credit")
        while explain_rows(store, model_worker, model, lambda *_: None, threading.Event()):
            pass
        row = prediction_row(store, "c-5", model="credit")
        with mock.patch("observability.investigation.score_explanation.computed_attributions", side_effect=AssertionError):
            kept = known_attributions.logged_or_stored_contrast(store, row)
        assert kept is not None and kept.source == "stored"
        fresh = score_explanation.computed_attributions(store, row, model_worker, None)
        assert kept.base_value == pytest.approx(fresh.base_value) and [b.feature for b in kept.bars] == [b.feature for b in fresh.bars]
        assert np.allclose([b.attribution for b in kept.bars], [b.attribution for b in fresh.bars], atol=1e-5) and kept.adds_up
    finally:
        store.close()


def test_a_model_file_with_other_scores_is_reported_separately_from_the_notes(model_world, model_worker):
    """The page draws this sentence above the waterfall."""
    row = row_of(model_world, "c-9", "credit")
    served = score_explanation.computed_attributions(model_world.store, row, model_worker, None)
    assert served.mismatch == ""
    other = score_explanation.computed_attributions(model_world.store, dataclasses.replace(row, score=row.score + 0.3), model_worker, None)
    assert "logged was" in other.mismatch and "may not be the model that served" in other.mismatch
    recorded = dataclasses.replace(row.version, inferred=(f"{ARTIFACT_DIFFERS} by 0.02 on average and 0.1 at most, over 500 rows.",))
    earlier = score_explanation.computed_attributions(model_world.store, dataclasses.replace(row, version=recorded), model_worker, None)
    assert earlier.mismatch.startswith("The scores of the model file differ from the logged ones by 0.02")


def test_the_average_of_some_rows_says_of_how_many() -> None:
    """Regression: the base value of a sample, 100 of 1,680 rows, was called the average."""
    assert known_attributions.base_words("average", 100) == "the average of 100 rows"
    base_words = known_attributions.base_words
    assert (base_words("average", None), base_words("twins", 30)) == ("the average", "correct twins")
