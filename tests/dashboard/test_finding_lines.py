"""The line of a finding states whether it is new, and shows further sentences on demand."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from streamlit.testing.v1 import AppTest

from observability.core.finding import Finding
from observability.dashboard.widgets import finding_news
from tests.support.dashboard_pages import WHOLE, opened, words
from tests.support.dashboard_world import World

START, END = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 9, tzinfo=UTC)
DRIFT = Finding(
    "serving/drift", "loan", "1", "age", "psi", 0.4, 900, "act", "`age` moved.", START, END, "reference", news="worse",
    onset=datetime(2026, 3, 5, tzinfo=UTC), evidence={"details": ["It *was* 0.1 before.", "Ask its owner."]},
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ["worse than before", "since 5 Mar 2026"]),
        ({"news": "ongoing", "evidence": {"onset_known": "open"}}, ["ongoing since 5 Mar 2026 or earlier"]),
        ({"news": None, "evidence": {"onset_known": "vague"}}, []),
        ({"because": "`age` moved since 5 Mar 2026."}, ["worse than before"]),  # the sentence already states the date
    ],
)  # fmt: skip
def test_the_news_of_a_finding_is_written_in_words(changes: dict, said: list[str]) -> None:
    assert finding_news(replace(DRIFT, **changes)) == said


def draw_line(finding: "Finding") -> None:
    from observability.dashboard.widgets import finding_line

    finding_line(finding)


def test_a_finding_line_shows_its_news_and_keeps_details_in_a_tooltip() -> None:
    (line,) = AppTest.from_function(draw_line, default_timeout=300, kwargs={"finding": DRIFT}).run().markdown
    assert line.value.endswith("moved\\. :gray[· worse than before · since 5 Mar 2026]")
    assert line.proto.help == "It \\*was\\* 0\\.1 before\\.\n\nAsk its owner\\."


def test_the_page_of_drift_says_whether_a_drift_is_new(current: World) -> None:
    """Regression: the claim did not say whether the drift is new, and looked the same in its first week and in its tenth."""
    said = words(opened("drift", model="price", feature="size", **WHOLE))
    assert ":gray[· new" in said or ":gray[· ongoing" in said or ":gray[· worse" in said, said[:600]
