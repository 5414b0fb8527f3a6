"""The effect in a cleaning record is read in each of its forms; a record without an effect gives none."""

import pytest

from observability.metrics.cleaning_effect import stated_effect


def test_an_effect_with_the_metric_before_and_after_gives_the_change_with_its_interval() -> None:
    found = stated_effect({"effect": {"metric": "accuracy", "before": 0.81, "after": 0.82, "low": 0.004, "high": 0.016}})
    assert found is not None and (found.metric, found.low, found.high) == ("accuracy", 0.004, 0.016)
    assert found.change == pytest.approx(0.01) and (found.before, found.after) == (0.81, 0.82)


@pytest.mark.parametrize("effect", [0.01, {"value": 0.01}, {"value": 0.01, "low": 0.004}, {"value": 0.01, "low": 0.2, "high": 0.1}])
def test_a_change_alone_is_an_effect_without_an_interval(effect: object) -> None:
    found = stated_effect({"effect": effect})
    assert found is not None and found.change == 0.01 and found.low is found.high is found.metric is found.before is None


@pytest.mark.parametrize("further", [None, {}, {"effect": "better"}, {"effect": True}, {"effect": {"before": 0.8}}, {"effect": {"low": 1}}])
def test_values_that_are_not_numbers_give_no_effect(further: object) -> None:
    assert stated_effect(further) is None
