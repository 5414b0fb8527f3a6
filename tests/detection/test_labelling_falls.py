"""A fall of gold accuracy is attributed to fatigue, a guideline or a new rule only if it occurs in the answers concerned."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from observability.core.time import aware_utc
from observability.detection import labelling_falls
from observability.metrics.annotations import first_answers
from tests.support.labelling_world import PEOPLE, START, project

SINCE = START + timedelta(days=1)


def sides(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The first answers of the window, and those of the weeks before."""
    found = first_answers(rows)
    found = found.assign(failed=~found["right"])
    inside = found["at"] >= START
    return found[inside], found[~inside]


def swapped(rows: pd.DataFrame, people: tuple[str, ...], share: float = 0.7, seed: int = 5) -> pd.DataFrame:
    """The labels; from SINCE on, these people answer `neutral` instead of `negative` in a share of the items."""
    rng = np.random.default_rng(seed)
    chosen = (rows["at"] >= SINCE) & rows["annotator"].isin(people) & (rows["label"] == "negative") & (rng.random(len(rows)) < share)
    return rows.assign(label=rows["label"].where(~chosen, "neutral"))


def test_a_new_labelling_rule_of_two_people_is_found_with_its_date_and_share() -> None:
    now, past = sides(swapped(project(3, items_a_day=80), PEOPLE[:2]))
    rule = labelling_falls.new_rule(now, past, aware_utc(START))
    assert rule is not None and (rule.gold, rule.label, rule.people) == ("negative", "neutral", PEOPLE[:2])
    assert rule.since is not None and abs(rule.since - aware_utc(SINCE)) <= timedelta(days=1)
    known, before = now[now["known"]], past[past["known"]]

    def of_rule(rows: pd.DataFrame) -> float:
        return sum(
            (each.annotator in PEOPLE[:2]) and each.gold == "negative" and each.label == "neutral" for each in rows.itertuples()
        ) / len(rows)

    whole = (known["label"] != known["gold"]).mean() - (before["label"] != before["gold"]).mean()
    by_hand = (of_rule(known) - of_rule(before)) / whole
    assert labelling_falls.share_of_rule(rule, "failed", known, before) == pytest.approx(min(by_hand, 1.0)) and by_hand > 0.5
    assert labelling_falls.share_of_own_gap(rule, PEOPLE[0], known) > 0.5 and labelling_falls.share_of_own_gap(rule, PEOPLE[4], known) == 0


def test_errors_of_one_person_or_of_every_kind_are_not_a_new_labelling_rule() -> None:
    for rows in (
        project(3, items_a_day=80),
        swapped(project(3, items_a_day=80), PEOPLE[:1]),
        project(3, items_a_day=80, weak="ann-2", weak_by=0.35),
        project(3, items_a_day=80, guideline_at=START, guideline_costs=0.3),
    ):
        assert labelling_falls.new_rule(*sides(rows), aware_utc(START)) is None


def test_a_labelling_rule_already_used_before_does_not_explain_a_new_fall() -> None:
    rows = project(3, items_a_day=80)
    always = rows["annotator"].isin(PEOPLE[:2]) & (rows["label"] == "negative")
    assert labelling_falls.new_rule(*sides(rows.assign(label=rows["label"].where(~always, "neutral"))), aware_utc(START)) is None


def test_a_fall_late_in_sessions_is_fatigue_and_one_from_their_beginning_is_not() -> None:
    """Before the window, people lose no accuracy over a session. In the window, they lose 0.1 an hour. Other people lose 0.25 at any hour,
    whether or not they tire as before."""
    fresh, tired = project(8), project(8, tired=0.1)
    mixed = pd.concat([fresh[fresh["at"] < START], tired[tired["at"] >= START]], ignore_index=True)
    assert labelling_falls.share_late_in_sessions("failed", "known", *sides(mixed)) > 0.6
    for usual in (0.0, 0.08):
        flat = project(8, tired=usual, guideline_at=START, guideline_costs=0.25)
        assert labelling_falls.share_late_in_sessions("failed", "known", *sides(flat)) < 0.2


def test_a_guideline_explains_the_fall_only_of_its_own_answers() -> None:
    now, past = sides(project(6, items_a_day=60, guideline_at=START, guideline_costs=0.2))
    known, before = now[now["known"]], past[past["known"]]
    assert labelling_falls.share_under_guideline("v2", "failed", known, before) == pytest.approx(1.0)
    assert labelling_falls.share_under_guideline("v1", "failed", known, before) == 0.0
    late, then = sides(project(6, items_a_day=60, guideline_at=START + timedelta(days=6), guideline_costs=0.0))
    late = late.assign(failed=late["failed"] | (late["guideline"] == "v1"))
    assert labelling_falls.share_under_guideline("v2", "failed", late[late["known"]], then[then["known"]]) < 0.1
