"""Reliance: followed errors and overridden right answers, and which logged actions count."""

import pandas as pd

from observability.core.catalog import Model
from observability.metrics.reliance import acted_pairs, reliance_of


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
