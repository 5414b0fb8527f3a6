"""Formulas in a CSV export are made inert; everything else is unchanged."""

import csv
import io

import numpy as np
import pandas as pd
import pytest

from observability.export.csv import inert_csv, inert_text


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "  =1",
        "\u202e=1",
        "\ufeff=1",
        "＝1+1",
        '=HYPERLINK("x")',
    ],
)
def test_spreadsheet_formulas_are_neutralised(text):
    assert inert_text(text) == "'" + text
    (head, row) = csv.reader(io.StringIO(inert_csv(pd.DataFrame({text: [text]}))))
    assert head == row == ["'" + text]


@pytest.mark.parametrize("text", ["-5", "+5", "-1.5e-3", "a=b", "UA", "", "1-2", "x@y"])
def test_numbers_and_plain_texts_are_unchanged(text):
    assert inert_text(text) == text


def test_numbers_times_and_missing_values_are_unchanged():
    frame = pd.DataFrame(
        {"n": [-1.5, np.nan], "at": pd.to_datetime(["2024-01-01", None]), "mixed": [-3, None], "flag": [True, False], "text": ["=x", None]}
    )
    back = pd.read_csv(io.StringIO(inert_csv(frame)))
    assert back["n"].tolist()[0] == -1.5 and back["mixed"].tolist()[0] == -3 and back["text"].tolist()[0] == "'=x"
    assert inert_csv(frame).count("\n") == 3 and frame["text"].iloc[0] == "=x", "the data frame itself is not changed"
