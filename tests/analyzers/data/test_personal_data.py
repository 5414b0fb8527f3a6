"""data/personal_data: columns with personal data are named with the kinds and counts, but no text is quoted. Ids, tweets and columns with
few texts raise nothing.
"""

import json
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from observability.analyzers.data.personal_data import ANALYZER
from observability.core.finding import Finding
from tests.support.analyzer_worlds import START, context_for
from tests.support.length import repeats

METRIC = "personal_data_share"


def rows(n: int, note: str = "fine") -> pd.DataFrame:
    rng = np.random.default_rng(1)
    at = START.replace(tzinfo=None) + pd.to_timedelta(rng.random(n), unit="D")
    return pd.DataFrame({
        "id": [f"p{i}" for i in range(n)], "at": at, "arrived": at, "score": rng.random(n), "label": np.nan, "age": rng.normal(40, 10, n),
        "note": [note] * n, "region": rng.choice(["north", "south"], n).astype(object), "subject": [f"s{i}" for i in range(n)], "extra": [None] * n,
    })  # fmt: skip


def said(current: pd.DataFrame, limit: float | None = None) -> dict[str, Finding]:
    context = context_for(rows(500), features=("age", "note", "region"))
    if limit is not None:
        settings = replace(context.model.settings, limits={f"{ANALYZER.name}/{METRIC}": limit})
        context = replace(context, model=replace(context.model, settings=settings))
    columns = ANALYZER.needs(context)["texts"].aggregate.columns
    frame = pd.DataFrame({column: current[column.partition(".")[2] or column] for column in columns})
    found = ANALYZER.analyze({"texts": frame}, context)
    assert all(each.metric == METRIC and each.severity != "act" for each in found)
    return {each.subject: each for each in found}


def test_a_column_with_personal_data_is_named_with_kinds_and_counts_and_no_text() -> None:
    current = rows(400)
    current.loc[:9, "note"] = [f"write to ann{i}@mail.example" for i in range(10)]
    current.loc[5:6, "note"] = "call +44 20 7946 0958, or ann5@mail.example"
    found = said(current)
    assert set(found) == {"note", "model"} and found["model"].severity == "ok" and found["model"].n == 800
    claim = found["note"]
    assert (claim.severity, claim.n, claim.value) == ("watch", 400, 10 / 400) and claim.low < claim.value < claim.high
    assert claim.evidence["kinds"] == {"e-mail addresses": 10, "phone numbers": 2} and "hash or drop" in claim.because
    assert claim.evidence["reasons"] == [
        {"kind": "e-mail addresses", "why": "form name@domain", "texts": 10},
        {"kind": "phone numbers", "why": "+ and country code", "texts": 2},
    ]
    assert claim.because.endswith("Found by: form name@domain (10); + and country code (2).")
    assert "ann" not in json.dumps({name: str(value) for name, value in asdict(claim).items()}).replace("annotat", "")
    current["subject"] = [f"ann{i}@mail.example" for i in range(400)]
    assert "log a pseudonym" in said(current)["subject"].because


def test_undefined_record_fields_are_searched_for_personal_data_by_name() -> None:
    current = rows(400)
    current["extra"] = [
        json.dumps(
            {"note": f"from ann{i}@mail.example", "trace": f"t-{i}", "form": {"contact": [f"+44 20 7946 {1000 + i}"], "n": 3}, "k": i}
        )
        for i in range(400)
    ]
    found = said(current)
    assert set(found) == {"extra.note", "extra.form", "model"}
    assert found["extra.note"].evidence["kinds"] == {"e-mail addresses": 400} and found["extra.note"].severity == "watch"
    assert found["extra.form"].evidence["kinds"] == {"phone numbers": 400} and found["extra.form"].n == 400
    assert "leave it out of the log" in found["extra.note"].because and found["model"].n == 4 * 400, (
        "the trace and the other columns are clean"
    )
    assert len({each.id for each in found.values()}) == 3
    assert "ann1" not in json.dumps({name: str(value) for name, value in asdict(found["extra.note"]).items()})
    current["extra"] = ['{"note":"fine"}'] * 400
    assert set(said(current)) == {"model"}


def test_few_texts_are_unknown_and_an_owner_limit_is_used() -> None:
    small = rows(60, "ann@mail.example")
    assert said(small)["note"].severity == "unknown" and "about 40 more" in said(small)["note"].because
    assert said(rows(20))["model"].severity == "unknown" and "about 40 more" in said(rows(20))["model"].because
    current = rows(400)
    current.loc[:3, "note"] = "ann@mail.example"
    assert said(current, 0.05)["note"].severity == "ok" and said(current, 0.005)["note"].severity == "watch"
    assert said(current.iloc[:1])["model"].severity == "unknown", "a single text with personal data may be a coincidence"
    nothing = said(current.iloc[:0])["model"].because
    assert nothing.startswith("Features, groups, subjects and other logged fields of these dates hold no text")


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("bank account numbers", ["DE89370400440532013000", "GB82 WEST 1234 5698 7654 32"], ["DE88370400440532013000", "GB81 WEST 1234 5698 7654 32"]),
        ("payment card numbers", ["4111 1111 1111 1111", "5500-0000-0000-0004"], ["4111 1111 1111 1112", "5500-0000-0000-0005"]),
        ("national identifiers", ["2 55 08 14 168 025 38", "185057800608491"], ["2 55 08 14 168 025 39", "185057800608492"]),
        ("national identifiers", ["RSSMRA85T10A562S"], ["RSSMRA85Z10A562S"]),
    ],
)  # fmt: skip
def test_only_numbers_with_valid_check_digits_count_as_personal_data(kind: str, good: list[str], bad: list[str]) -> None:
    right, wrong = (rows(200, "plain") for _ in range(2))
    for frame, texts in ((right, good * 2), (wrong, bad * 2)):
        frame.loc[: len(texts) - 1, "note"] = texts
    assert said(right)["note"].evidence["kinds"] == {kind: 2 * len(good)} and set(said(wrong)) == {"model"}


def test_clean_weeks_of_texts_with_numbers_raise_nothing() -> None:
    """Order numbers, amounts and dates of 300 weeks are no personal data."""
    for seed in range(repeats(5, 300)):
        rng, current = np.random.default_rng([7, seed]), rows(200)
        orders, day, cents = rng.integers(10_000, 9_999_999, 200), rng.integers(1, 29, 200), rng.integers(100, 90_000, 200)
        texts = zip(orders.tolist(), day.tolist(), cents.tolist(), strict=True)
        current["note"] = [f"order {number} of 2026-03-{at:02} over {amount / 100:.2f} EUR is late" for number, at, amount in texts]
        assert {each.severity for each in said(current).values()} == {"ok"}, seed
