"""Reliance: errors that people followed and right answers that they overrode, and which logged actions count."""

import pandas as pd

from observability.core.catalog import Model
from observability.metrics.reliance import acted_pairs, all_simulated, reliance_of


def test_reliance_counts_followed_errors_and_overridden_right_answers() -> None:
    found = reliance_of([(True, True)] * 6 + [(True, False)] * 3 + [(False, False)] * 1 + [(False, True)] * 2)
    assert found.over_reliance.value == 3 / 4 and found.under_reliance.value == 2 / 8
    assert reliance_of([]).over_reliance.value is None


def test_an_action_counts_where_decision_and_label_are_known() -> None:
    rows = pd.DataFrame(
        [
            (1, 1, '{"action": "yes"}'),
            (1, 0, '{"action": "no", "note": "checked"}'),
            (0, 1, '{"action": "no"}'),
            (0, -1, '{"action": "no"}'),
            (-1, 1, '{"action": "no"}'),
            (1, 1, '{"action": "later"}'),
            (1, 1, '{"note": "an \\"action\\" follows"}'),
            (1, 1, None),
        ],
        columns=["decision", "label", "extra"],
    )
    assert acted_pairs(rows, Model(1, "loan", "binary", ("no", "yes"))) == [(True, True), (False, False), (True, False)]
    assert acted_pairs(rows, Model(1, "price", "regression")) == []


def test_a_field_is_simulated_where_every_record_that_has_it_says_so() -> None:
    made = '{"action": "yes", "action_source": "simulated"}'
    assert all_simulated([made, None, '{"note": 1}'], "action")
    for other in ('{"action": "no"}', '{"action": "no", "action_source": "measured"}'):
        assert not all_simulated([made, other], "action")
    assert not all_simulated([None, '{"note": 1}'], "action") and not all_simulated([made], "subject")
    assert all_simulated(['{"subject_source": "simulated"}'], "subject"), "a field that belongs to the kind is not among the extra fields"
