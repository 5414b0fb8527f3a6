"""The order of answers equals that of a sort by all their columns, whichever values are equal."""

import numpy as np
import pandas as pd
import pytest

from observability.metrics.annotations import FIELDS, PAIR, annotator_shares, first_answers, texts_or_none
from observability.metrics.crowd_quality import newest_answers
from observability.stats.strata import clustered_rate_interval
from tests.support.labelling_world import project

TEXTS = ("label", "gold", "suggestion", "guideline")


def annotations(seed: int, n: int = 400) -> pd.DataFrame:
    """Labels, many of which have the same project, item, annotator and time; without a guideline if the seed is even."""
    rng = np.random.default_rng(seed)
    rows = {name: rng.integers(0, 4, n).astype(str).astype(object) for name in ("project", "item", "annotator", *TEXTS)}
    rows |= {name: rng.integers(0, 2, n).astype(float) for name in ("seconds", "suggestion_confidence")}
    rows["at"] = np.datetime64("2026-03-02", "us") + rng.integers(0, 30, n).astype("timedelta64[s]")
    found = pd.DataFrame(rows)
    for name in ("gold", "suggestion", "seconds", "suggestion_confidence"):
        found.loc[rng.random(n) < 0.3, name] = None
    return found.assign(guideline=None if seed % 2 == 0 else found["guideline"])[list(FIELDS)]


@pytest.mark.parametrize("seed", range(6))
def test_answers_are_in_the_order_of_all_their_columns(seed: int) -> None:
    rows = annotations(seed)
    others = ["label", "gold", "suggestion", "seconds", "suggestion_confidence", "guideline"]
    expected = rows.sort_values([*PAIR, "at", *others], kind="stable").drop_duplicates(PAIR).reset_index(drop=True)
    found = first_answers(rows)[list(FIELDS)]
    pd.testing.assert_frame_equal(found.fillna(""), expected.fillna(""), check_dtype=False)
    expected = rows.sort_values(["at", "item", "annotator", "label"], kind="stable").drop_duplicates(["item", "annotator"], keep="last")
    pd.testing.assert_frame_equal(newest_answers(rows), expected.reset_index(drop=True))
    assert first_answers(rows[:0]).empty and newest_answers(rows[:0]).empty


def test_equal_values_of_different_types_keep_their_own_texts() -> None:
    values = pd.Series([1, 1.0, True, "a", None, float("nan")], dtype=object)
    assert texts_or_none(values).tolist() == ["1", "1.0", "True", "a", None, None]
    assert texts_or_none(pd.Series(["b", None, "a", "b"], dtype=object)).tolist() == ["b", None, "a", "b"]


def test_the_shares_of_the_other_annotators_exclude_the_persons_own_rows() -> None:
    answers = first_answers(project(5, days=6))
    gold = answers[answers["known"]]
    found = {person.name: person for person in annotator_shares(gold, "right")}
    assert len(found) == 6
    for name, person in found.items():
        others = gold[gold["annotator"] != name].groupby("item")["right"]
        expected = clustered_rate_interval(others.sum(), others.count())
        assert (person.rest, person.others) == (others.sum().sum(), others.count().sum())
        assert person.effective.triple == pytest.approx(expected.triple, rel=1e-9) and person.effective.n == pytest.approx(expected.n)
