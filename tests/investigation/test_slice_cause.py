"""A slice that only another cause has filled, such as a changed input, is not named as the source of its errors."""

import re

import numpy as np
import pandas as pd
import pytest

from observability.investigation import comparison_rows, input_faults, slice_cause, source_triage
from observability.investigation.case import open_case
from observability.investigation.case_parts import CaseInProgress
from observability.investigation.error_rule import rule_figures, search_half
from observability.investigation.evidence_types import Condition, Input, Triage
from tests.support.case_world import World

NORTH = Condition("feature.area", "area is north", levels=("north",))


def rows(north: float, error: float, seed: int, n: int = 4_000) -> pd.DataFrame:
    """Rows decided as positive over twenty days. The given share is in the north and errs at the given rate; the others err as their scores
    state.
    """
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"at": pd.Timestamp("2026-03-02") + pd.to_timedelta(rng.uniform(0, 20, n), unit="D")})
    frame["feature.area"] = np.where(rng.random(n) < north, "north", "south")
    frame["feature.income"], frame["feature.city"], frame["feature.debt"] = 50.0, "Rome", 5.0
    frame["score"], frame["decision"], frame["group.sex"] = rng.uniform(0.6, 0.9, n), 1, "F"
    frame["label"] = 1 - (rng.random(n) < np.where(frame["feature.area"] == "north", error, 1 - frame["score"])).astype(int)
    return frame


@pytest.fixture
def case(case_world: World) -> CaseInProgress:
    """The case of a loan that was wrongly decided as positive, without unusual inputs."""
    raw = case_world.loan.iloc[400:1500]
    found = open_case(case_world.store, f"loan-{raw.index[(raw['score'] >= 0.5) & (raw['label'] == 0)][0]}", model="loan")
    found.known["inputs"] = ()
    return found


def named(case: CaseInProgress, monkeypatch: pytest.MonkeyPatch, now: pd.DataFrame, reference: pd.DataFrame) -> Triage:
    """The slice `north` as a suspected source, for these current and reference rows."""
    monkeypatch.setattr(comparison_rows, "same_decision_rows", lambda _case: now)
    monkeypatch.setattr(comparison_rows, "rows_of_reference", lambda _case: reference)
    held = now[~search_half(len(now))].reset_index(drop=True)
    wrong = comparison_rows.similar_error(case).of(held)
    case.known["rule"] = rule_figures(case.row.model, (NORTH,), held, wrong, comparison_rows.ErrorDefinition("an error"))
    case.known.pop("shared:slice_errors", None)
    (found,) = source_triage.weak_slice(case)
    return found


def test_a_slice_that_grew_because_its_inputs_changed_is_no_source(case: CaseInProgress, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of the slice are four times as frequent among the answers as in the reference. They err more than stated there; the slice's rows
    in the reference do not.
    """
    found = named(case, monkeypatch, rows(0.2, 0.7, 1), rows(0.05, 0.25, 2))
    assert found.score < source_triage.UNKNOWN
    assert re.search(
        r"Such rows are (19|2\d) % of the [\d,]+ compared “[^”]+” rows, and [45](\.\d)? % of the 4,000 “[^”]+” rows among", found.because
    )


def test_a_concept_that_changed_in_a_slice_is_a_source(case: CaseInProgress, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors in the slice are more frequent, but its rows are not."""
    found = named(case, monkeypatch, rows(0.1, 0.7, 1), rows(0.1, 0.25, 2))
    assert found.score > source_triage.UNKNOWN
    assert "precedes" not in found.because


def test_a_slice_that_was_weak_in_the_reference_stays_a_source_where_it_is_more_frequent(
    case: CaseInProgress, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = named(case, monkeypatch, rows(0.2, 0.7, 1), rows(0.1, 0.7, 2))
    assert found.score > source_triage.UNKNOWN
    assert found.because.endswith("Such reference rows have more errors than others of the same scores as well.")


def test_rows_that_share_the_odd_input_of_the_case_do_not_make_a_slice_weak(case: CaseInProgress, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the north the income is often missing, and only these rows err more than their scores state."""
    now = rows(0.2, 0.25, 1)
    missing = np.asarray((now["feature.area"] == "north") & (np.random.default_rng(3).random(len(now)) < 0.6))
    now.loc[missing, ["feature.income", "label"]] = [np.nan, 0]
    assert named(case, monkeypatch, now, rows(0.2, 0.25, 2)).score > source_triage.UNKNOWN, "this case has no unusual input"
    case.known["inputs"] = (Input("income", None, flags=("null",), share=0.001),)
    del case.known["shared:odd_inputs"]
    found = named(case, monkeypatch, now, rows(0.2, 0.25, 2))
    assert found.score == 0
    assert f"({int(missing[~search_half(len(now))].sum()):,} rows with the same odd input left out)" in found.because


@pytest.mark.parametrize(
    ("given", "same"),
    [
        (Input("income", None, flags=("null",), share=0.001), [True, False, False, False]),
        (Input("debt", 900.0, flags=("out_of_range",)), [False, True, False, False]),
        (Input("debt", -900.0, flags=("out_of_range",)), [False, False, True, False]),
        (Input("city", "Paris", flags=("unseen",)), [False, False, False, True]),
    ],
)
def test_rows_share_an_odd_input_only_if_it_is_odd_in_the_same_way(
    case: CaseInProgress, monkeypatch: pytest.MonkeyPatch, given: Input, same: list[bool]
) -> None:
    frame = pd.DataFrame(
        {
            "feature.income": [np.nan, 50.0, 50.0, 50.0],
            "feature.debt": [5.0, 800.0, -800.0, 5.0],
            "feature.city": ["Rome", "Rome", "Rome", "Paris"],
        }
    )
    monkeypatch.setattr(input_faults, "moved_with_others", lambda *_: False)
    case.known["inputs"] = (given,)
    assert slice_cause.share_odd_input(case, frame).tolist() == same
