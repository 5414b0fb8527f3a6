"""Audits by group and slice: a group that is easier to attack or more exposed is named; equal groups are not."""

from typing import Any

import numpy as np
import pytest

from observability.dashboard.trust.audit_figures import attacked_group_words
from observability.detection.audit_groups import most_attacked_group
from observability.enrichment.audit_curves import HEADLINE_EPSILON, curves_by_group, exposure_by_group
from tests.support.length import repeats

ROWS, DRAWS = 600, repeats(60, 300)


def groups(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The level of each row in two attributes and a slice; some rows have no sex."""
    sex = rng.choice(["F", "M", None], ROWS, p=[0.3, 0.6, 0.1]).astype(object)
    outside = rng.choice(["in it", "outside"], ROWS, p=[0.2, 0.8]).astype(object)
    return {"sex": sex, "class": rng.choice(["0", "1"], ROWS).astype(object), "region=north": outside}


def robustness(rng: np.random.Generator, planted: str | None) -> dict[str, Any]:
    """Results of an attack; the rows of the planted level already break at a quarter of the cost."""
    parts = groups(rng)
    several = rng.exponential(1.0, ROWS)
    if planted:
        name, level = planted.split(": ")
        several = np.where(parts[name] == level, several / 4, several)
    found = curves_by_group(parts, rng.random(ROWS) < 0.9, several * 1.5, several)
    return {"epsilon": [], "headline": {"at": HEADLINE_EPSILON}, "groups": found}


def membership(rng: np.random.Generator, planted: str | None) -> dict[str, Any]:
    """Results of a membership attack; the model remembers records of the planted level."""
    parts = groups(rng)
    parts = {name: np.concatenate([values, values]) for name, values in parts.items()}
    members = np.repeat([True, False], ROWS)
    statistic = rng.normal(0, 1, 2 * ROWS)
    if planted:
        name, level = planted.split(": ")
        statistic = statistic + np.where(members & (parts[name] == level), 1.5, 0.0)
    return {"headline": {"at": 0.01}, "groups": exposure_by_group(statistic, members, parts)}


@pytest.mark.parametrize("planted", ["sex: F", "region=north: in it"])
@pytest.mark.parametrize(("audit", "words"), [(robustness, "differs most clearly: at cost 0.25, "), (membership, "differs most clearly: ")])
def test_a_planted_group_is_named_with_its_share(audit: Any, words: str, planted: str) -> None:
    said = [attacked_group_words(audit(np.random.default_rng([seed, 5]), planted)) for seed in range(20)]
    assert sum(each.startswith(f"{planted.replace(':', '')} {words}") for each in said) >= 18, said


@pytest.mark.parametrize(("audit", "words"), [(robustness, "easier to attack"), (membership, "more exposed")])
def test_equal_groups_rarely_name_one(audit: Any, words: str) -> None:
    said = [attacked_group_words(audit(np.random.default_rng([seed, 6]), None)) for seed in range(DRAWS)]
    assert sum(each != f"No group is significantly {words} than the others." for each in said) <= max(0.07 * DRAWS, 5), said


def test_the_shares_of_the_named_group_match_hand_counts() -> None:
    cells = {"sex": {"F": {"value": 0.3, "n": 100}, "M": {"value": 0.1, "n": 300}}, "age": {"old": {"value": 0.15, "n": 400}}}
    found = most_attacked_group(cells)
    assert found is not None and (found.attribute, found.level, found.n) == ("sex", "F", 100)
    assert (found.rate, found.rest) == pytest.approx((0.3, 0.1)) and found.p_adjusted < 0.001
    assert most_attacked_group({"age": cells["age"]}) is None and most_attacked_group({}) is None
    assert attacked_group_words({"headline": {}, "groups": {}}) == ""
