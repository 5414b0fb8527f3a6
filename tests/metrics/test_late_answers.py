"""Late answers are counted as a share of the answers that state when they were sent."""

import json
from datetime import datetime, timedelta

import pandas as pd

from observability.metrics.late_answers import late_answers

START = datetime(2026, 3, 2)


def rows(without: int) -> pd.DataFrame:
    """40 answers of one day that were sent three days later, and others that state no sending time."""
    sent = json.dumps({"synced_at": (START + timedelta(days=3)).isoformat() + "Z"})
    return pd.DataFrame({"at": [START] * (40 + without), "extra": [sent] * 40 + [None] * without})


def test_answers_without_a_sending_time_are_left_out_and_reported() -> None:
    known = late_answers(rows(8600))
    assert known is not None and known.days[["answers", "late"]].values.tolist() == [[40, 40]]
    assert (known.share.value, known.share.n, known.unsent) == (1.0, 40, 8600)
    assert "100 % came later. 99.5 % of the answers do not say when they were sent; they are left out." in known.words
    assert "left out" not in late_answers(rows(0)).words and late_answers(rows(9).iloc[40:]) is None
