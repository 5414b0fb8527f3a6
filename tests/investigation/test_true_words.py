"""Checks sentences and columns of a case that used to claim more than was measured, or something else."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import takewhile
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from observability.cli.commands_case import case_lines
from observability.core.catalog import Edges
from observability.core.settings import ModelSettings, parse_settings
from observability.dashboard.case import case as case_page
from observability.dashboard.case import cases, explanation, inputs
from observability.dashboard.charts import case as charts_case
from observability.dashboard.scope import Scope
from observability.investigation import (
    comparison_rows,
    error_rule,
    error_tree,
    evidence_types,
    explanation_sentences,
    input_checks,
    label_evidence,
    neighbours,
    source_triage,
)
from observability.investigation.case import open_case
from observability.investigation.desired_outcome import margin_of
from observability.investigation.excess_errors import ExcessErrors
from observability.investigation.label_types import Revision
from observability.investigation.model_answers import AttributionContrast, Bar
from observability.investigation.outcome_facts import answer_text, error_cost_words, outcome_story
from observability.investigation.sampled_rows import real_rows
from observability.investigation.score_explanation import with_stability
from observability.investigation.version_comparison import SharedRequestTally
from observability.worker.requests import ContrastExplanation
from tests.support.case_world import World


def test_the_percentile_of_a_tied_value_gives_the_shares_below_and_equal() -> None:
    edges = Edges(edges=(0.0, np.nextafter(0.0, 1.0), 1.0, 2.0))
    place = input_checks.reference_percentile(0.0, edges, {1: 60, 2: 30, 3: 10})
    assert (place.below, place.equal, place.percentile) == (0.0, 60.0, 30.0)
    assert input_checks.place_text(place) == "0 % of the reference's values are below it, 60 % equal to it."
    between = input_checks.reference_percentile(1.5, edges, {1: 60, 2: 30, 3: 10})
    assert input_checks.place_text(between) == "About 95 % of the reference's values are below it."


def test_the_shares_below_and_equal_agree_with_the_raw_reference(case_world: World) -> None:
    raw = case_world.loan_reference["age"].to_numpy()
    case = open_case(case_world.store, "loan-7", model="loan")
    age = next(each for each in case.part("inputs") if each.feature == "age")
    if age.equal is not None:
        assert age.below == pytest.approx(100 * (raw < age.value).mean())
        assert age.equal == pytest.approx(100 * (raw == age.value).mean())
    else:
        assert not age.exact or age.below == pytest.approx(100 * (raw < age.value).mean())


@pytest.mark.parametrize("share", [1.0, 0.999, 0.5])
def test_shares_in_sentences_are_written_without_an_exponent(share: float) -> None:
    found = ExcessErrors(1_000, round(1_000 * share), 1_000 * share, 0.0, 20)
    assert "e+" not in found.sentence and " % of 1,000 rows on 20 UTC days are errors, " in found.sentence
    assert "e+" not in label_evidence.chance_text(share)


def test_an_axis_of_probabilities_does_not_start_below_zero() -> None:
    frame = pd.DataFrame({"value": [1.0, 2.0], "score": [0.0, 0.9]})
    options = {"feature": "x", "kind": "number", "at": 1.0, "score": 0.0, "edge": None}
    assert charts_case.ice_curve(frame, **options, share=True).layout.yaxis.rangemode == "nonnegative"
    assert charts_case.ice_curve(frame, **options, share=False).layout.yaxis.rangemode == "normal"


def test_a_number_of_fifteen_digits_is_shown_with_six(case_world: World) -> None:
    case = open_case(case_world.store, "price-10", model="price")
    case.row = replace(case.row, score=123.456789012345)
    assert "123.457" in outcome_story(case).sentence and "123.4567" not in outcome_story(case).sentence


def test_a_column_has_no_more_digits_than_its_values() -> None:
    assert cases._value_words(509.0) == "509"
    assert cases._value_words(0.03) == "0.03"


def test_a_split_of_the_error_tree_is_a_value_with_the_digits_of_the_data(case_world: World) -> None:
    """A cut half-way between two values has one digit more than the values, and equals neither."""
    assert error_tree.measured_cut(np.array([1.0, 2.0, 5.0]), 1.5) == 2.0
    assert error_tree.measured_cut(np.array([1.25, 2.5]), 1.37) == 1.38
    assert error_tree.measured_cut(np.array([17.46, 17.48]), 17.47) == 17.48


def test_a_figure_of_a_sample_says_that_it_is_one(case_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = case_world.loan
    wrong = raw.index[((raw["score"] >= 0.5) != (raw["label"] == 1)) & (raw.index > 400) & (raw.index < 1500)][0]
    case = open_case(case_world.store, f"loan-{wrong}", model="loan")
    assert (
        f"of {len(comparison_rows.labelled_rows_of(case)):,} other labelled predictions"
        in source_triage.ordinary_error_source(case).because
    )
    monkeypatch.setattr(comparison_rows, "row_limit", lambda _model, rows=500, _cells=0: min(rows, 500))
    monkeypatch.setattr(neighbours, "CALIBRATED_ON", 150)
    small = open_case(case_world.store, f"loan-{wrong}", model="loan")
    rows, total = len(comparison_rows.labelled_rows_of(small)), comparison_rows.labelled_total(small) - 1
    assert rows < total
    assert f"of a sample of {rows:,} of {total:,} other labelled predictions" in source_triage.ordinary_error_source(small).because
    (far,) = source_triage.far_from_reference(small)
    assert "a sample of 150 of 1,200 reference rows" in far.because
    margin = margin_of(small.row, real_rows(small.store, small.row, production=False))
    assert f"{margin.rows:,} reference rows are at least as near" in margin.because


def test_the_limit_of_a_large_error_says_that_it_is_of_a_sample(case_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = comparison_rows.error_definition(open_case(case_world.store, "price-10", model="price"))
    assert whole.text.endswith(f", the largest fifth of {len(case_world.price_reference):,} reference rows")
    monkeypatch.setattr(comparison_rows, "row_limit", lambda _model, rows=500, _cells=0: min(rows, 300))
    small = comparison_rows.error_definition(open_case(case_world.store, "price-10", model="price"))
    assert small.text.endswith(f", the largest fifth of a sample of 300 of {len(case_world.price_reference):,} reference rows")


def test_one_row_of_150_does_not_show_that_a_case_is_unlike_the_reference(case_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    case = open_case(case_world.store, "loan-20", model="loan")
    monkeypatch.setattr(source_triage.neighbours, "reference_distance", lambda _case: neighbours.Far(3.0, 1 / 150, 150, 1 / 150, 150))
    assert all(each.score < 0.5 for each in source_triage.far_from_reference(case))
    monkeypatch.setattr(source_triage.neighbours, "reference_distance", lambda _case: neighbours.Far(3.0, 0.0, 600, 0.0, 600))
    assert [each.score for each in source_triage.far_from_reference(case)] == [0.7]


def test_the_stability_for_another_base_value_names_that_base_value() -> None:
    values = np.random.default_rng(3).normal([1.0, 0.5, 0.1], 0.2, (40, 3))
    held = ContrastExplanation(values, np.full(40, 0.25), 1.85, 0.8, "logit", "shap tree", ("a", "b", "c"), None, 0.0, "")
    bars = tuple(Bar(name, 1.0, float(value)) for name, value in zip("abc", values.mean(axis=0), strict=True))
    shown = AttributionContrast("average", "the trees' own counts", None, 0.25, 1.85, 0.0, True, "logit", bars, "shap tree", "stored")
    same = with_stability(shown, held).stability
    assert same is not None and same.because.startswith("Over ")
    other = with_stability(replace(shown, base_value=0.9), held).stability
    assert other is not None and "whose base value is 0.25 (the waterfall's is 0.9)" in other.because


def test_the_stability_of_a_wide_model_names_the_number_of_compared_features() -> None:
    names, values = tuple(f"f{place}" for place in range(150)), np.random.default_rng(3).normal(1.0, 0.2, (40, 150))
    held = ContrastExplanation(values, np.full(40, 0.25), 1.85, 0.8, "logit", "shap tree", names, None, 0.0, "")
    bars = tuple(Bar(name, 1.0, float(value)) for name, value in zip(names, values.mean(axis=0), strict=True))
    shown = AttributionContrast("average", "the trees' own counts", None, 0.25, 1.85, 0.0, True, "logit", bars, "shap tree", "stored")
    said = {n: with_stability(replace(shown, bars=bars[:n]), held).stability.because for n in (100, 150)}
    assert "the rank correlation of the 100 shown features is" in said[100]
    assert "the rank correlation of all features is" in said[150]


@pytest.mark.parametrize(("share", "flag"), [(0.4, "missing, common"), (0.001, "Missing")])
def test_a_missing_value_is_shown_as_missing_however_common(share: float, flag: str) -> None:
    """If no value is missing, neither a row of the table nor a sentence says that one is."""
    cells = inputs._input_row(evidence_types.Input("age", None, flags=("null",), share=share), Scope())["cells"]
    assert cells["value"]["t"] == "missing" and cells["flag"]["t"] == flag


@pytest.mark.parametrize(
    ("source", "annotators", "said"),
    [
        (None, (None,), ""),
        ("outcome", (None,), "outcome"),
        ("human", ("ann",), "human, 1 annotator"),
        (None, ("ann", "bob"), "2 annotators, 2 revisions"),
    ],
)
def test_the_origin_of_a_label_is_its_source_and_never_a_time(source: str | None, annotators: tuple[str | None, ...], said: str) -> None:
    at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    revisions = tuple(
        Revision("1", at, at, source=source, annotator=name, current=place == len(annotators) - 1) for place, name in enumerate(annotators)
    )
    assert case_page._label_origin(SimpleNamespace(revisions=revisions)) == said


def test_units_and_class_names_come_from_the_settings(case_world: World) -> None:
    loan, price = (open_case(case_world.store, "both-1", model=name) for name in ("loan", "price"))
    loan.row = replace(
        loan.row, model=replace(loan.row.model, settings=replace(loan.row.model.settings, class_names={"1": "repaid", "0": "lost"}))
    )
    sentence = outcome_story(loan).sentence
    assert sentence.startswith(("Predicted repaid at", "Predicted lost: repaid at")) and (
        "outcome repaid" in sentence or "outcome lost" in sentence
    )
    assert "label repaid" in loan.part("label_check").because or "label lost" in loan.part("label_check").because
    price.row = replace(price.row, model=replace(price.row.model, settings=replace(price.row.model.settings, unit="euros")))
    assert " euros. Real outcome " in outcome_story(price).sentence and " euros too " in outcome_story(price).sentence
    assert (
        comparison_rows.error_definition(price).text.startswith("an absolute error above ")
        and " euros," in comparison_rows.error_definition(price).text
    )


def test_a_right_prediction_has_no_cost_of_an_error(case_world: World) -> None:
    """Regression: a right decision was described as an error that costs 0."""
    raw = case_world.loan
    wrong = ((raw["score"] >= 0.5) != (raw["label"] == 1)).to_numpy()
    for is_wrong in (True, False):
        place = next(int(place) for place in raw.index[wrong == is_wrong] if 400 < place < 1500)
        case = open_case(case_world.store, f"loan-{place}", model="loan")
        assert case.row.wrong is is_wrong
        assert (error_cost_words(case.row, outcome_story(case)) != "") is is_wrong
        told = SimpleNamespace(row=case.row, also_in=(), happened=outcome_story(case), triage=None, inputs=None)
        lines = list(takewhile(lambda line: "inputs flagged" not in line, case_lines(told)))
        assert any(line.startswith("Cost of this error: ") for line in lines) is is_wrong


def test_class_names_are_a_table_of_words() -> None:
    found = parse_settings({"settings": {"class_names": {"1": "late"}, "unit": "minutes"}})
    assert found == ModelSettings(class_names={"1": "late"}, unit="minutes")
    with pytest.raises(Exception, match="class_names is a table of words"):
        parse_settings({"settings": {"class_names": ["late"]}})


@pytest.mark.parametrize("name", ["loan-20", "k-7"])
def test_the_nearest_rows_exclude_the_case_itself_and_count_each_row_once(
    case_world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The rows of the period, including the case, also occur in the reference, under ids of the reference."""
    case = open_case(case_world.store, name)
    kept, period = comparison_rows.rows_of_reference(case), comparison_rows.labelled_rows_of(case)
    before, far = neighbours.nearest_labelled(case), neighbours.reference_distance(case)
    monkeypatch.setattr(neighbours, "space_of", lambda *_: before.space)
    own = neighbours.case_frame(case.row).assign(id="own", label=case.row.label_code, decision=case.row.decision, score=case.row.score)
    twice = pd.concat([kept, pd.concat([period, own]).assign(id=lambda rows: [f"reference/1/{place}" for place in range(len(rows))])])
    monkeypatch.setattr(comparison_rows, "rows_of_reference", lambda _case: twice.reset_index(drop=True))
    again = open_case(case_world.store, name)
    found = neighbours.nearest_labelled(again).frame
    assert found["id"].tolist() == before.frame["id"].tolist() and (found["distance"] > 0).all()
    monkeypatch.setattr(comparison_rows, "rows_of_reference", lambda _case: pd.concat([kept, own], ignore_index=True))
    assert neighbours.reference_distance(again).distance == far.distance


@pytest.mark.parametrize("name", ["price-50", "k-7", "k-3"])
def test_the_tree_counts_the_rows_and_errors_of_the_rule(case_world: World, name: str) -> None:
    case = open_case(case_world.store, name)
    rows = comparison_rows.same_decision_rows(case)
    wrong = comparison_rows.similar_error(case).of(rows)
    try:
        root = error_tree.error_tree_nodes(case)[0]
    except evidence_types.NotGivenError as reason:
        assert len(rows) < error_rule.MIN_LABELLED, reason
        return
    held = ~error_rule.search_half(len(rows))
    assert (root.n, root.errors) == (held.sum(), wrong[held].sum())


def test_a_path_of_the_tree_names_each_bound_once(case_world: World) -> None:
    """Errors become more frequent at age 16 and at age 23. Of two lower bounds, only the larger one is given."""
    rng = np.random.default_rng(1)
    age = rng.integers(0, 60, 6_000).astype(float)
    wrong = rng.random(6_000) < np.select([age < 16, age < 23], [0.0, 0.5], 0.62)
    column = next(each for each in open_case(case_world.store, "loan-20", model="loan").row.model.columns if each.name == "age")
    grown = error_tree.fitted_tree(age[:, None], wrong)
    inside = np.asarray(grown.decision_path(age[:, None].astype(np.float32)).todense(), bool)
    found = error_tree.tree_nodes(grown.tree_, [error_tree.Encoded(column)], age[:, None], inside, wrong, inside[0])
    assert any(each.search.count(">=") > 1 for each in found if each.search), "at least one path has two lower bounds"
    for place, each in enumerate(found):
        assert max(each.where.count("at or above"), each.where.count("below")) <= 1
        bounds = [float(word) for word in each.where.replace("age is", "").split() if word.isdigit()]
        low = max([bound for bound in bounds if f"at or above {bound:g}" in each.where], default=-1.0)
        high = min([bound for bound in bounds if f"below {bound:g}" in each.where], default=99.0)
        assert ((age >= low) & (age < high)).sum() == inside[:, place].sum() == each.n


def test_versions_that_were_not_compared_say_which_days() -> None:
    assert SharedRequestTally("2", 0, 0, 0, "3 to 17 Jul 2013").sentence.startswith(
        "No labelled request of 3 to 17 Jul 2013 was scored by both"
    )
    few = SharedRequestTally("2", 80, 2, 3, "3 to 17 Jul 2013").sentence
    assert (
        few == "Of 80 labelled requests of 3 to 17 Jul 2013 that both scored, exactly one version is right in 5: too few to compare them."
    )


def test_a_logged_probability_is_not_attributed_to_another_output() -> None:
    found = SimpleNamespace(mismatch="", class_name="positive")
    assert explanation.logged_share_words(found, 0.407) == ", probability 40.7 %"
    assert explanation.logged_share_words(found, None) == ""
    found.mismatch = "The model file gives 0.4432, logged was 0.4066."
    assert explanation.logged_share_words(found, 0.407) == "; its logged probability, 40.7 %, is not that of this output"


def test_the_command_line_says_that_the_model_file_gives_other_scores_and_names_classes(case_world: World) -> None:
    case = open_case(case_world.store, "loan-20", model="loan")
    row = replace(
        case.row, model=replace(case.row.model, settings=replace(case.row.model.settings, class_names={"0": "lost", "1": "repaid"}))
    )
    note = "The model file gives 0.4432, logged was 0.4066: it may not be the model that served."
    told = evidence_types.Case(
        row,
        explanation=evidence_types.Explained({"age": 0.1}, 0.2, "logit", 0.0, "native pred_contrib", mismatch=note),
        counterfactuals=(),
        versions=(evidence_types.Replayed("2", 0.4902, "1"),),
    )
    lines = list(case_lines(told))
    place = lines.index(f"Other scores: {note}")
    assert lines[place + 1].startswith("Attributions (")
    assert told.to_json()["why"] == {"attributions": note, "counterfactuals": note}
    assert "  version 2 predicts repaid (0.490)" in lines


def test_a_row_at_exactly_the_same_distance_counts_as_at_least_as_near(case_world: World) -> None:
    """0.711 and 0.289 are equally far from 0.5, but not in floating-point arithmetic."""
    case = open_case(case_world.store, "loan-20", model="loan")
    rows = SimpleNamespace(facts=pd.DataFrame({"score": [0.289, 0.1, 0.6, 0.9]}))
    found = margin_of(replace(case.row, score=0.711), rows)  # type: ignore[arg-type]  # it reads no more of the rows
    assert abs(0.289 - 0.5) > abs(0.711 - 0.5) or abs(0.289 - 0.5) != abs(0.711 - 0.5)
    assert found.share_nearer == 0.5


def test_the_spread_of_a_measured_label_is_named(case_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    case = open_case(case_world.store, "price-50")
    for spread, whose in ((1e6, "the model's errors"), (0.0, "its neighbours' labels")):
        monkeypatch.setattr(label_evidence, "robust_error_deviation", lambda _case, size=spread: size)
        found = label_evidence.label_check(case).because
        assert f", that of {whose}) from its neighbours' median" in found


def test_only_a_small_margin_is_described_as_changed_by_a_small_change(case_world: World) -> None:
    case = open_case(case_world.store, "k-7")
    names = case.row.model.classes
    for second, said in ((0.44, "a small change gives another decision"), (0.36, "near another decision, but no small change reaches it")):
        case.row = replace(
            case.row, decision=(case.row.label_code + 1) % 3, probabilities=dict(zip(names, (0.5, second, 0.5 - second), strict=True))
        )
        (found,) = source_triage.decision_boundary_source(case)
        assert found.because.endswith(f": {said}.") and found.score > 0


def test_the_reason_explains_why_a_suspect_label_is_no_source(case_world: World) -> None:
    case = open_case(case_world.store, wrong_kind(case_world))
    case.known["label_check"] = evidence_types.LabelCheck(True, "the label is suspect.", doubt=0.4)
    assert "other raters would hardly choose the predicted class" in source_triage.ordinary_error_source(case).because
    strong = (evidence_types.Triage("label", 0.7, ""),)
    assert "suspect" not in source_triage.ordinary_error_source(case, strong).because


def wrong_kind(world: World) -> str:
    """The id of an item of three classes that was decided wrongly."""
    return next(f"k-{place}" for place in range(2, 60) if open_case(world.store, f"k-{place}").row.wrong)


def test_the_score_of_a_negative_decision_is_named_after_its_class(case_world: World) -> None:
    case = open_case(case_world.store, "loan-20", model="loan")
    model = replace(case.row.model, settings=replace(case.row.model.settings, class_names={"0": "lost", "1": "repaid"}))
    row = replace(case.row, model=model, decision=0, score=0.05)
    assert answer_text(row).startswith("Predicted lost: repaid at 0.05 (threshold ")
    assert answer_text(replace(row, decision=1, score=0.95)).startswith("Predicted repaid at 0.95 (threshold ")


def test_latent_inputs_that_push_to_both_sides_are_not_netted() -> None:
    bars = [Bar("words", 19.0, 0.2), *(Bar(f"component_0{place}", 0.1, size) for place, size in enumerate((0.7, -0.4, 0.3, -0.5), 1))]
    up, down, end = explanation_sentences.explanation_sentences(bars, -1.0, -0.7, "logit", "the average")
    assert up == "Pushed up by 1.2 log-odds: 2 latent inputs (+1) and words = 19 (+0.2)."
    assert down == "Pushed down by 0.9 log-odds: 2 latent inputs (−0.9)."
    assert end.endswith(": a probability of 33.2 %, where the base value stands for 26.9 %.")
