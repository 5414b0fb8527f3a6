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
def test_an_error_sentence_ends_with_one_punctuation_mark(attempt: str | None, end: str) -> None:
    assert str(NotFoundError("the column is not there", attempt=attempt)).endswith(end)


def test_a_window_that_ends_before_it_starts_is_refused_in_the_accepted_time_format() -> None:
    with pytest.raises(UsageError) as refused:
        Window("loan", datetime(2026, 7, 8, tzinfo=UTC), datetime(2026, 7, 1, 6, tzinfo=UTC))
    assert refused.value.got == "2026-07-08T00:00:00Z to 2026-07-01T06:00:00Z"
    assert refused.value.expected and refused.value.attempt
