"""Limits come from limits.toml, and a change of the file takes effect. A wrong file changes nothing and is reported."""

import os

import pytest

from observability.core.errors import UsageError
from observability.core.limits import FILE, IntakeLimits, checked_limits, limits_in_force


def write(home, text, stamp):
    (home / FILE).write_text(text)
    os.utime(home / FILE, (stamp, stamp))


def test_the_limits_file_is_reloaded_on_change_and_an_invalid_one_changes_nothing(tmp_path):
    assert limits_in_force(tmp_path).limits == IntakeLimits()
    write(tmp_path, "[limits]\nunregistered_models = 3\n[tokens.aa]\nrecords_per_minute = 5\n", 1)
    found = limits_in_force(tmp_path)
    assert (found.limits.unregistered_models, found.problem) == (3, None)
    assert found.limits.of_token("aa").records_per_minute == 5
    assert found.limits.of_token("bb").records_per_minute == IntakeLimits().records_per_minute
    write(tmp_path, "[limits]\nunregistered_models = 0\n", 2)
    wrong = limits_in_force(tmp_path)
    assert wrong.limits == found.limits
    assert "unregistered_models" in wrong.problem and "earlier limits" in wrong.problem
    write(tmp_path, "[limits", 3)
    assert FILE in limits_in_force(tmp_path).problem
    (tmp_path / FILE).unlink()
    assert limits_in_force(tmp_path).limits == IntakeLimits()


@pytest.mark.parametrize(
    "body",
    [{"limit": {}}, {"limits": {"models": 3}}, {"limits": {"body_bytes": True}}, {"limits": 3}, {"tokens": {"a": {"body_bytes": 3}}}],
)
def test_an_invalid_limit_is_refused(body):
    with pytest.raises(UsageError):
        checked_limits(body)
