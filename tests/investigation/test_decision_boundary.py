"""Distance to the decision boundary: margins agree with hand calculations, curves with the model's scores, opposite rows with brute force;
counterfactuals flip the decision and respect the locks.
"""

import dataclasses
import sys
import types

import numpy as np
import pandas as pd
import pytest

from observability.core.errors import UsageError
from observability.core.numerals import format_figure
from observability.investigation import counterfactuals, decision_boundary
from observability.investigation.desired_outcome import decided_class, goal_of, margin_of, median_error, meets_goal
from observability.investigation.evidence_types import NotGivenError
from observability.investigation.find_prediction import prediction_row
from observability.investigation.model_answers import Goal
from observability.investigation.nearest_rows import row_distances
from observability.investigation.sampled_rows import real_rows, stored_input, version_features
from tests.support.case_model_world import CLASSES, FEATURES, inputs
from tests.support.length import some

pytestmark = pytest.mark.filterwarnings("ignore")


def row_of(world, name, model):
    return prediction_row(world.store, name, model=model)


def scores_of(world, model, table):
    """The scores that the library itself computes."""
    if model == "rent":
        return world.models["rent"].predict(table)
    return world.models[{"credit": "credit 1", "mood": "mood"}[model]].predict(inputs(table))


def test_margins_equal_those_computed_by_hand(model_world):
    row = row_of(model_world, "c-5", "credit")
    found = decision_boundary.margin(model_world.store, row)
    reference = real_rows(model_world.store, row, production=False).facts["score"].to_numpy(float)
    assert found.edge == 0.4 and found.margin == pytest.approx(row.score - 0.4)
    assert found.share_nearer == pytest.approx((np.abs(reference - 0.4) <= abs(found.margin)).mean()) and found.rows == len(reference)
    kind = row_of(model_world, "m-2", "mood")
    first, second = sorted(kind.probabilities.values(), reverse=True)[:2]
    found = decision_boundary.margin(model_world.store, kind)
    assert found.margin == pytest.approx(first - second) and kind.probabilities[found.runner_up] == second
    rent = row_of(model_world, "r-5", "rent")
    rows = real_rows(model_world.store, rent, production=False)
    found = decision_boundary.margin(model_world.store, rent)
    assert found.margin == pytest.approx(np.median(np.abs(rows.facts["score"] - rows.facts["label_value"])))
    assert (found.low, found.high) == pytest.approx((rent.score - found.margin, rent.score + found.margin))
    unscored = dataclasses.replace(row, score=None)
    assert decision_boundary.margin(model_world.store, unscored).because.startswith("No score was logged")


def test_a_score_meets_a_goal_only_on_the_required_side():
    with np.errstate(all="raise"):
        assert list(meets_goal(Goal("above", "", low=0.4), np.array([0.4, 0.39, np.nan]))) == [True, False, False]
        assert list(meets_goal(Goal("below", "", high=0.4), np.array([0.4, 0.39, np.nan]))) == [False, True, False]
        assert list(meets_goal(Goal("outside", "", low=1, high=2), np.array([1.0, 2.0, 2.1, np.nan]))) == [False, False, True, False]
        assert list(meets_goal(Goal("inside", "", low=1, high=2), np.array([1.0, 2.0, 2.1, np.nan]))) == [True, True, False, False]
        assert list(meets_goal(Goal("other", "", place=1), np.array([[0.2, 0.8], [0.9, 0.1]]))) == [False, True]


def test_the_goal_of_a_regression_is_to_leave_its_band_or_to_come_near_its_label(model_world):
    far, near = row_of(model_world, "r-0", "rent"), row_of(model_world, "r-9", "rent")
    rows = real_rows(model_world.store, far)
    band = median_error(rows)
    goal = goal_of(far, rows)
    assert goal.kind == "inside" and (goal.low, goal.high) == pytest.approx((far.label_number - band, far.label_number + band))
    assert near.label is None and goal_of(near, rows).kind == "outside"
    labelled = int(np.isfinite(rows.absolute_error).sum())
    assert f"(the median absolute error of {labelled:,} sampled rows)" in goal.text
    bare = dataclasses.replace(rows, facts=rows.facts.assign(label_value=np.nan))
    assert f"(half a standard deviation of the scores of {len(rows):,} sampled rows, since none has a label)" in goal_of(near, bare).text
    assert "(a tenth of the score)" in goal_of(near, None).text
    assert margin_of(far, rows).because.endswith(
        f": {format_figure(far.score - band)} to {format_figure(far.score + band)} around this prediction"
    )
    assert margin_of(near, bare).because.startswith("Half a standard deviation of the scores ")
    assert ", without labels): " in margin_of(near, bare).because


def test_response_curves_show_the_scores_of_the_model_itself(model_world, model_worker):
    for name, model in (("c-5", "credit"), ("m-2", "mood"), ("r-3", "rent")):
        row = row_of(model_world, name, model)
        found = decision_boundary.ice_curves(model_world.store, row, worker=model_worker)
        assert 1 <= len(found) <= decision_boundary.CURVES
        held = model_world.frames[f"{model} held"]
        goal = goal_of(row, real_rows(model_world.store, row))
        for curve in found:
            table = stored_input(row).iloc[np.zeros(len(curve.values), int)].reset_index(drop=True)
            table[curve.feature] = pd.Series(curve.values, dtype=table[curve.feature].dtype)
            theirs = scores_of(model_world, model, table)
            shown = theirs[:, CLASSES.index(row.answer)] if theirs.ndim == 2 else theirs
            assert np.allclose(curve.scores, shown, rtol=1e-9) and list(curve.flips) == list(meets_goal(goal, theirs))
            assert len(curve.values) <= decision_boundary.POINTS + 1 and curve.basis == "simulated"
            assert curve.locked == (model == "credit" and curve.feature in ("age", "town"))
            if curve.kind == "number":
                own = row.features[curve.feature]
                inner = [value for value in curve.values if value != own]
                assert min(inner) >= held[curve.feature].min() and max(inner) <= held[curve.feature].max()
    one = decision_boundary.ice_curves(model_world.store, row_of(model_world, "c-5", "credit"), worker=model_worker, features=["rooms"])
    assert [curve.feature for curve in one] == ["rooms"] and one[0].values == (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)


def test_the_nearest_opposite_is_the_nearest_by_brute_force_and_needs_no_model(model_world):
    for name, model in (("c-5", "credit"), ("m-2", "mood"), ("l-3", "logged")):
        row = row_of(model_world, name, model)
        found = decision_boundary.nearest_opposite_row(model_world.store, row)
        rows = real_rows(model_world.store, row)
        far = row_distances(stored_input(row), rows.inputs, version_features(row.model, row.version), rows.scale)
        other = ((rows.facts["decision"] != row.decision) & (rows.facts["decision"] >= 0)).to_numpy()
        assert found.distance == pytest.approx(far[other].min()) and found.prediction != row.answer and found.searched == len(rows)
        theirs = prediction_row(model_world.store, found.id, model=model)
        assert theirs.answer == found.prediction
        for feature, (mine, its) in found.changes.items():
            assert (row.features[feature], theirs.features[feature]) == (mine, its) and mine != its
        assert set(found.changes) == {each for each in row.features if row.features[each] != theirs.features[each] and each != "tenure"}
    rent = row_of(model_world, "r-9", "rent")
    found = decision_boundary.nearest_opposite_row(model_world.store, rent)
    assert abs(found.score - rent.score) > median_error(real_rows(model_world.store, rent))


def test_when_all_rows_have_the_same_decision_no_opposite_row_is_found(model_world, monkeypatch):
    row = row_of(model_world, "c-5", "credit")
    rows = real_rows(model_world.store, row)
    alike = dataclasses.replace(rows, facts=rows.facts.assign(decision=row.decision))
    monkeypatch.setattr(decision_boundary, "real_rows", lambda *_, **__: alike)
    with pytest.raises(NotGivenError, match="has another decision"):
        decision_boundary.nearest_opposite_row(model_world.store, row)
    with pytest.raises(NotGivenError, match="no answer was logged"):
        decision_boundary.nearest_opposite_row(model_world.store, dataclasses.replace(row, score=None, decision=-1, status="timeout"))


def checked(world, row, model, found, table_features):
    """Check that every counterfactual flips the decision of the library's own model and keeps locked features."""
    held = world.frames[f"{model} held"]
    own = stored_input(row)
    assert 1 <= len(found.counterfactuals) <= 3
    for each in found.counterfactuals:
        assert each.reached and each.changes and not set(each.changes) & set(row.model.settings.immutable)
        table = own.copy()
        for name, (before, after) in each.changes.items():
            stored = row.features[name]
            assert before == stored or (before is None and stored is None)
            assert after is not None and after != before and name in table_features
            if isinstance(after, str):
                assert after in set(held[name])
            elif not isinstance(after, bool):
                assert held[name].min() <= after <= held[name].max()
                if model != "rent" and name in ("age", "rooms"):
                    assert isinstance(after, int)
            table[name] = pd.Series([after], dtype=table[name].dtype)
        scores = scores_of(world, model, table)
        if model == "credit":
            assert (scores[0] >= 0.4) != (scores_of(world, model, own)[0] >= 0.4) and each.score == pytest.approx(scores[0])
        elif model == "mood":
            assert CLASSES[int(scores[0].argmax())] != CLASSES[int(scores_of(world, model, own)[0].argmax())]
            assert each.score == pytest.approx(dict(zip(CLASSES, scores[0])))
        else:
            assert meets_goal(found.goal, scores)[0]
    sets = [frozenset(each.changes) for each in found.counterfactuals]
    assert len(sets) == 1 or len({str(each.changes) for each in found.counterfactuals}) == len(sets)


@pytest.mark.parametrize("model", some(["credit", "mood", "rent"], 1))
def test_counterfactuals_flip_the_model_and_respect_the_locks(model_world, model_worker, model):
    prefix, places = {"credit": ("c", range(0, 90, 7)), "mood": ("m", range(0, 30, 7)), "rent": ("r", (0, 3, 9))}[model]
    found, proposed = 0, 0
    for place in places:
        row = row_of(model_world, f"{prefix}-{place}", model)
        try:
            each = counterfactuals.search(model_world.store, row, worker=model_worker)
        except NotGivenError as error:
            assert "free features" in str(error) and "were scored" in str(error)
            continue
        found += 1
        assert "failed" not in each.note and "not installed" not in each.note
        proposed += each.proposals["dice-ml"]
        checked(model_world, row, model, each, [column.name for column in version_features(row.model, row.version)])
    assert found >= len(list(places)) // 2 and proposed > 0


def test_without_dice_ml_the_other_searches_run_and_a_note_names_the_missing_package(model_world, monkeypatch):
    from observability.worker import counterfactual_dice, counterfactual_job, counterfactual_types
    from observability.worker.model import OpenModel, Task

    rows = pd.DataFrame({"a": np.linspace(0, 10, 40), "b": ["x", "y"] * 20})
    model = OpenModel(
        ("a", "b"), ("a", "b"), lambda frame: frame, lambda frame: (frame["a"].to_numpy() > 6) * 0.9 * (frame["b"] == "y").to_numpy()
    )
    row = pd.DataFrame({"a": [2], "b": pd.Series(["x"], dtype=object)})  # an integer that has to become a fraction
    free = [
        counterfactual_types.FreeFeature("a", "number", 2.0, 0.0, 10.0, 1, 3.0),
        counterfactual_types.FreeFeature("b", "category", "x", levels=("x", "y")),
    ]
    monkeypatch.setitem(sys.modules, "dice_ml", None)
    monkeypatch.setattr(counterfactual_job, "open_model", lambda *_: model)
    said = []
    output = counterfactual_job.search_counterfactuals(
        {"row": row, "rows": rows},
        {
            "kind": "skops",
            "task": "binary",
            "classes": ["0", "1"],
            "goal": {"kind": "above", "low": 0.5, "high": None, "place": -1},
            "free": [
                {
                    "name": each.name,
                    "kind": each.kind,
                    "low": each.low,
                    "high": each.high,
                    "decimals": each.decimals,
                    "scale": each.scale,
                    "levels": list(each.levels),
                }
                for each in free
            ],
            "number": 3,
            "seed": 0,
        },
        {"model": None},
        lambda share, text: said.append(share),
    )
    # By hand: both have to change, and 6.1 is the smallest step of `a` that suffices.
    assert output.frames["found"].to_dict("records")[0] == {"a": 6.1, "b": "y"} and output.values["reached"][0]
    assert "dice-ml is not installed" in output.values["note"] and said == sorted(said)
    state = counterfactual_types.CounterfactualSearch(model, Task("binary", ("0", "1")), {"kind": "above", "low": 0.5}, row, free)
    coded = counterfactual_dice.encode_levels(free, {"a": "c0", "b": "c1"}, rows)
    assert counterfactual_dice.decode_levels(state, free, {"a": "c0", "b": "c1"}, coded)["b"].tolist() == rows["b"].tolist()


def test_a_what_if_scores_the_changed_inputs_and_refuses_values_that_do_not_fit(model_world, model_worker):
    row = row_of(model_world, "c-5", "credit")
    found = decision_boundary.what_if(model_world.store, row, {"rooms": 6, "town": "Oslo", "income": None}, worker=model_worker)
    table = stored_input(row).assign(rooms=6.0, town="Oslo", income=np.nan)
    assert found.score == pytest.approx(scores_of(model_world, "credit", table)[0]) and found.basis == "simulated"
    assert found.before == pytest.approx(row.score) and found.flips == (decided_class(row, np.array([found.score])) != row.decision)
    assert found.changes["rooms"] == (row.features["rooms"], 6.0)
    kind = decision_boundary.what_if(model_world.store, row_of(model_world, "m-2", "mood"), {"rooms": 1}, worker=model_worker)
    assert sum(kind.probabilities.values()) == pytest.approx(1) and kind.prediction in CLASSES
    for changes, words in (
        ({"nobody": 1}, "does not take this feature"),
        ({"rooms": "six"}, "a finite number"),
        ({"rooms": float("nan")}, "a finite number"),
        ({"member": 1}, "true or false"),
        ({"town": "x" * 5001}, "at most 5000"),
        ({"rooms": True}, "a finite number"),
    ):
        with pytest.raises(UsageError, match=words):
            decision_boundary.what_if(model_world.store, row, changes, worker=model_worker)
    with pytest.raises(NotGivenError, match="no model file"):
        decision_boundary.what_if(model_world.store, row_of(model_world, "l-3", "logged"), {"x": 1}, worker=model_worker)
    assert set(FEATURES) >= set(decision_boundary.top_features(model_world.store, row))


def test_the_number_of_decimals_is_taken_from_the_reference_values():
    assert [counterfactuals.decimals_of(np.array(each)) for each in ([1.0, 2.0], [0.25, 1.5], [1 / 3])] == [0, 2, 6]


def test_a_search_that_found_no_change_says_how_many_it_tried(model_world, model_worker, monkeypatch):
    """Regression: the page said that no change gives the other decision, although the search is not exhaustive."""
    from observability.worker import requests

    nothing = types.SimpleNamespace(found=[], asked=6467)
    monkeypatch.setattr(requests, "find_counterfactuals", lambda *asked, **options: nothing)
    with pytest.raises(NotGivenError, match=r"^None of 6,467 changed inputs gives a score of at least .* 3 features could change"):
        counterfactuals.search_in_worker(model_world.store, row_of(model_world, "c-5", "credit"), model_worker, None)
