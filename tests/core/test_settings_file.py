"""A settings file with wrong tables is refused, and the error shows the lines to write."""

import pytest

from observability.core.errors import UsageError
from observability.core.settings import parse_settings


def test_a_setting_outside_its_table_is_refused_with_the_table_it_belongs_to() -> None:
    with pytest.raises(UsageError) as refused:
        parse_settings({"threshold": 0.3})
    assert refused.value.attempt == "Write it below a line [settings]"
    with pytest.raises(UsageError) as refused:
        parse_settings({"tresh": 0.3})
    assert refused.value.attempt is None


@pytest.mark.parametrize("name", ["settings", "importance", "limits", "protect", "columns"])
@pytest.mark.parametrize("value", [3, "x", [1]])
def test_a_value_where_a_table_is_expected_is_refused(name: str, value: object) -> None:
    with pytest.raises(UsageError) as refused:
        parse_settings({name: value})
    assert (refused.value.what, refused.value.expected) == ("a table was expected", f"[{name}]")
