"""Evidence that is written as text and read back is unchanged."""

import pytest

from observability.review.decision_evidence import Evidence, read_evidence


@pytest.mark.parametrize(
    "piece",
    [
        Evidence("MAE [min] 30.5: up.", "2013-W27", "incident:flights-delay:serving/performance/model/mae/"),
        Evidence("A title", "2013-W27"),
        Evidence("https://example.org/notes"),
        Evidence("", "2013-W27", "action:a1"),
    ],
)
def test_decision_evidence_is_read_back_unchanged(piece):
    assert read_evidence(str(piece) if piece.review else piece.title) == piece


def test_evidence_is_shown_without_ids_and_links_to_the_step_that_shows_it():
    assert read_evidence("2013-W27: A title [action:a1]").words == "2013-W27: A title"
    assert [read_evidence(f"2013-W27: x [{item}]").step for item in ("action:a1", "challenger:m:2", "incident:m:x")] == [
        "promises",
        "changes",
        "agenda",
    ]
