"""For two data frames the report has the findings of the command line, and leaves no files behind."""

import re
import tempfile

import numpy as np
import pandas as pd
import pytest

import observability as obs
from observability.core.errors import UsageError
from observability.export.frames import column_drawing


def frames(shift: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A reference, and current rows whose mean age is larger by `shift`."""
    random = np.random.default_rng(7)

    def drawn(rows: int, moved: float) -> pd.DataFrame:
        age = random.normal(40 + moved, 10, rows)
        score = 1 / (1 + np.exp(-(age - 40) / 10))
        return pd.DataFrame(
            {
                "age": age,
                "city <b>": random.choice(["Paris", "Rome"], rows),
                "target": (random.random(rows) < score).astype(int),
                "prediction_proba": score,
            }
        )

    return drawn(3000, 0), drawn(1500, shift)


def test_a_moved_column_leads_the_report_and_an_unchanged_one_is_not_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    moved = obs.report(*frames(15.0), label="target")
    found = {(finding["subject"], finding["metric"]): finding for finding in moved.findings}
    assert found["age", "psi"]["severity"] == "act"
    assert "<svg" in moved.html and "share of rows, reference and current" in moved.html
    assert "<b>" not in moved.html and "<script" not in moved.html
    assert moved._repr_html_().count("<iframe") == 1
    assert moved.save(tmp_path / "report.html").read_text() == moved.html
    quiet = obs.report(*frames(0.0), label="target")
    assert not [finding for finding in quiet.findings if finding["severity"] == "act"], quiet.findings
    assert "0 findings critical" in quiet.html and "share of rows" not in quiet.html
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_infinite_values_are_counted_and_not_drawn():
    numbers = pd.Series(np.arange(90.0))
    drawing = str(column_drawing("age", numbers, pd.concat([numbers, pd.Series([np.inf, -np.inf] * 45)], ignore_index=True)))
    assert "nan" not in " ".join(re.findall(r">([^<]+)</text>", drawing))
    assert drawing.count(">8.89 %<") == drawing.count(">4.44 %<") == 6


def test_frames_that_do_not_fit_are_refused_in_one_sentence():
    reference, current = frames(0.0)
    with pytest.raises(UsageError, match="goal"):
        obs.report(reference, current, label="goal")
    with pytest.raises(UsageError, match="prediction_proba"):
        obs.report(reference, current.drop(columns="prediction_proba"), label="target")
