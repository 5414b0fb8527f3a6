"""Quotas of a single token: records and requests per minute, new models and columns per hour."""

from observability.core.limits import IntakeLimits
from observability.server.quotas import TokenQuotas


def test_a_quota_of_records_fills_again_evenly_and_is_each_tokens_own(monkeypatch):
    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    quotas, limits = TokenQuotas(), IntakeLimits(records_per_minute=60)
    assert quotas.seconds_to_wait("a", limits, 0)[0] == 0
    quotas.count_records("a", 90, limits)
    assert quotas.seconds_to_wait("a", limits, 0) == (31, "records_per_minute")
    assert quotas.seconds_to_wait("b", limits, 0)[0] == 0
    assert quotas.seconds_to_wait("a", limits, 32)[0] == 0
    assert quotas.seconds_to_wait("a", limits, 10_000)[0] == 0
    quotas.count_records("a", 60, limits)
    assert quotas.seconds_to_wait("a", limits, 10_000)[0] == 1


def test_a_quota_of_requests_refuses_the_one_too_many():
    quotas, limits = TokenQuotas(), IntakeLimits(requests_per_minute=3)
    waits = [quotas.seconds_to_wait("a", limits, 0.0)[0] for _ in range(4)]
    assert waits == [0, 0, 0, 20]


def test_the_tightest_limit_of_new_models_holds_and_those_of_the_hour_are_not_counted_twice():
    limits = IntakeLimits(new_models_per_request=4, new_models_per_hour=6, new_models_of_all_per_hour=7, unregistered_models=10)
    quotas = TokenQuotas()
    limit = quotas.new_model_limit("a", limits, (), 0.0)
    assert (limit.most, limit.admitted) == (4, frozenset()) and "new_models_per_request" in limit.why
    quotas.count_new_names("a", ["m1", "m2", "m3", "m4"], [], 0.0)
    quotas.count_new_names("a", ["m1"], [], 0.0)
    limit = quotas.new_model_limit("a", limits, ("m1",), 1.0)
    assert limit.most == 2 and "new_models_per_hour" in limit.why and "m1" in limit.admitted
    limit = quotas.new_model_limit("b", limits, (), 1.0)
    assert limit.most == 3 and "new_models_of_all_per_hour" in limit.why
    limit = quotas.new_model_limit("b", limits, tuple("uvwxy"), 1.0)
    assert limit.most == 1 and "unregistered_models" in limit.why
    assert quotas.new_model_limit("a", limits, (), 3600.0).most == 4


def test_new_columns_are_counted_once_and_wait_for_the_end_of_the_hour():
    limits, quotas = IntakeLimits(new_columns_per_hour=3), TokenQuotas()
    first = [("m", "feature.a"), ("m", "feature.b")]
    assert quotas.seconds_to_wait_for_columns("a", first, limits, 0.0) == 0
    quotas.count_new_names("a", [], first, 0.0)
    assert quotas.seconds_to_wait_for_columns("a", [*first, ("m", "feature.c")], limits, 10.0) == 0
    assert quotas.seconds_to_wait_for_columns("a", [("n", "feature.a"), ("n", "feature.b")], limits, 10.0) == 3590
    assert quotas.seconds_to_wait_for_columns("b", [("n", "feature.a"), ("n", "feature.b")], limits, 10.0) == 0
    assert quotas.seconds_to_wait_for_columns("a", [("n", "feature.a"), ("n", "feature.b")], limits, 3601.0) == 0
