"""The sentence of an error: what, where, got, expected, and what to try."""

from datetime import UTC, datetime

import pytest

from observability.core.errors import NotFoundError, UsageError
from observability.core.window import Window


@pytest.mark.parametrize(
    ("attempt", "end"),
    [
        ("Did you mean 'age'?", "there. Did you mean 'age'?"),
        ("Check it.", "there. Check it."),
        ("Check it", "there. Check it."),
        (None, "there."),
    ],
)
def test_the_sentence_ends_with_one_mark(attempt: str | None, end: str) -> None:
    assert str(NotFoundError("the column is not there", attempt=attempt)).endswith(end)


def test_a_window_that_ends_before_it_starts_is_told_in_the_form_that_is_taken() -> None:
    with pytest.raises(UsageError) as refused:
        Window("loan", datetime(2026, 7, 8, tzinfo=UTC), datetime(2026, 7, 1, 6, tzinfo=UTC))
    assert refused.value.got == "2026-07-08T00:00:00Z to 2026-07-01T06:00:00Z"
    assert refused.value.expected and refused.value.attempt
