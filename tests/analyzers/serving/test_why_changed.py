"""serving/why_changed: changed inputs and a changed relation between inputs and label are both named, a changed relation also with its
slice."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from observability.analyzers.serving.why_changed import ANALYZER
from tests.support import analyzer_worlds
from tests.support.analyzer_worlds import context_for
from tests.support.length import allowed, repeats
from tests.support.slice_rows import FEATURES, frame_of, rows


def priced(n: int, seed: int, age: float = 0.0) -> pd.DataFrame:
    """Rows whose prediction error grows with age."""
    frame, rng = rows(n, seed), np.random.default_rng(seed + 70)
    frame["age"] += age
    frame["label"] = frame["score"] + rng.normal(0, 1, n) * np.clip(frame["age"], 10, 80) / 4
    return frame


def said(current: pd.DataFrame, reference: pd.DataFrame | None, past: pd.DataFrame | None = None, **options):
    context = context_for(reference, task="regression", features=FEATURES, **options)
    kinds = {"region": "category", "plan": "category"}
    columns = tuple(replace(each, kind=kinds.get(each.name, "number")) for each in context.model.columns)
    context = replace(context, model=replace(context.model, columns=columns))
    of = {"current": current, "reference": reference, "past": current.iloc[:0] if past is None else past}
    frames = {
        name: frame_of(of[ask.span], ask.aggregate.columns)
        if hasattr(ask.aggregate, "columns")
        else analyzer_worlds.answer(ask.aggregate, of[ask.span], context)
        for name, ask in ANALYZER.needs(context).items()
        if name != "versions"
    }
    return {each.metric: each for each in ANALYZER.analyze(frames, context)}


def test_a_performance_change_from_moved_inputs_is_attributed_to_inputs() -> None:
    found = said(priced(3500, 1, age=12), priced(3500, 2))
    inputs, relation = found["change_from_inputs"], found["change_from_relation"]
    assert inputs.low > 0 and relation.low < 0 < relation.high and inputs.value > 3 * abs(relation.value)
    assert "most by `age`" in inputs.because and inputs.evidence["carried"][0]["name"] == "age"
    parts = inputs.evidence["parts"]
    assert parts["now"][0] - parts["before"][0] == pytest.approx(inputs.value + relation.value)
    assert {each.severity for each in found.values()} == {"ok"}


def test_a_changed_input_label_relation_is_attributed_to_it_and_to_its_slice() -> None:
    current = priced(3500, 3)
    current.loc[current["region"] == "east", "label"] += 30
    found = said(current, priced(3500, 4))
    relation = found["change_from_relation"]
    assert relation.low > 0 and found["change_from_inputs"].low < 0 < found["change_from_inputs"].high
    first = relation.evidence["carried"][0]
    assert (
        (first["name"], first["level"]) == ("region", "east") and first["of_part"] > 0.8 and first["share"] == pytest.approx(0.2, abs=0.03)
    )
    assert (
        "Concept drift: a higher mean absolute error at equal inputs" in relation.because
        and "most where `region` is `east`" in relation.because
    )


def test_a_worse_relation_hidden_by_easier_inputs_is_a_warning() -> None:
    current = priced(3500, 5, age=-12)
    current["label"] = current["score"] + (current["label"] - current["score"]) * 1.45
    found = said(current, priced(3500, 6))
    assert found["change_from_relation"].severity == "watch" and found["change_from_inputs"].high < 0


def test_an_unchanged_model_is_ok_and_too_few_rows_or_labels_are_unknown() -> None:
    found = said(priced(3500, 7), priced(3500, 8))
    assert {each.severity for each in found.values()} == {"ok"} and "no significant difference" in found["change_from_relation"].because
    few = said(priced(150, 9), priced(3500, 8))
    assert [each.severity for each in few.values()] == ["unknown"] and "about 50 more" in few["change_from_relation"].because
    assert "register" in said(priced(3500, 9), None)["change_from_relation"].because
    current = priced(3500, 7)
    current.loc[np.random.default_rng(1).random(3500) < 0.4, "label"] = np.nan
    young = said(current, priced(3500, 8))
    assert {each.severity for each in young.values()} == {"unknown"} and all(
        "too few labels have arrived" in each.because for each in young.values()
    )


def test_a_window_unlike_the_reference_is_compared_with_the_month_before_or_unknown() -> None:
    far, near = priced(3500, 11, age=60), priced(3500, 12, age=60)
    alone = said(far, priced(3500, 13))
    assert alone["change_from_relation"].severity == "unknown" and "did not occur in the reference" in alone["change_from_relation"].because
    found = said(far, priced(3500, 13), near)
    assert found["change_from_relation"].against == "past" and found["change_from_relation"].severity == "ok"
    assert "in a sample of the month before" in found["change_from_relation"].because


def test_clean_weeks_raise_no_critical_finding_and_few_warnings() -> None:
    weeks, raised = repeats(2, 300), []
    for seed in range(weeks):
        raised += [each.severity for each in said(priced(1200, 5000 + seed), priced(1200, 9000 + seed)).values() if each.needs_action]
    assert "act" not in raised and len(raised) <= allowed(0.03, weeks)
