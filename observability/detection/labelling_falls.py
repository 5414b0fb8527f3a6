"""Finds why gold accuracy fell or more wrong suggestions were accepted: fatigue, a guideline, or a new rule that some people follow.

For each cause, its share of the change since the weeks before the window is measured, in the answers concerned: answers late in sessions,
answers under the newest guideline, or one kind of wrong answer that several people began to give. The part of a change that no cause covers
remains unexplained (docs/decisions/0150).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.finding import Finding
from observability.core.formatting import format_day, join_words
from observability.core.numerals import percent
from observability.detection.annotator_agreement import METRIC as AGREEMENT
from observability.detection.onset import estimate_onset
from observability.metrics import suggestions
from observability.metrics.annotations import MIN_ANNOTATION_ROWS, lower_share_p_value
from observability.metrics.gold_accuracy import METRIC as GOLD
from observability.metrics.labelling_speed import SLOPE, labelling_sessions
from observability.stats.arrays import Array

if TYPE_CHECKING:
    from pandas import DataFrame

EXPLAINS = 0.5
"""A suspected cause is named only if it explains at least this share of a change."""
ONE_KIND = 2 / 3
"""At least this share of the additional errors of the people who follow a new rule must be of one kind. Random errors go in both
directions.
"""
SURE = 0.001
"""One person's kind of error is significantly more frequent than in the person's own past if its p-value is at most this. The number of
tests is the number of people times the number of kinds.
"""


@dataclass(frozen=True)
class NewRule:
    """A rule that several people began to follow: they give one wrong answer instead of the right one. since: the first day; None if it is
    unknown.
    """

    gold: str
    label: str
    people: tuple[str, ...]
    since: datetime | None

    def given(self, rows: "DataFrame") -> Array:
        """A mask of the answers that were given by this rule."""
        return (rows["gold"] == self.gold).to_numpy() & (rows["label"] == self.label).to_numpy() & self.of_people(rows)

    def of_people(self, rows: "DataFrame") -> Array:
        """A mask of the answers of these people."""
        return rows["annotator"].astype(str).isin(self.people).to_numpy()


def new_rule(now: "DataFrame", past: "DataFrame", start: datetime) -> NewRule | None:
    """The wrong answer to gold items that at least two people began to give in the window, while their other errors did not increase.

    now, past: first answers of the window, and of the weeks before. start: start of the window.
    """
    gold, before = now[now["known"]], past[past["known"]]
    people = sorted(set(gold["annotator"].astype(str)) & set(before["annotator"].astype(str)))
    wrong = gold[~gold["right"]]
    found = []
    for truth, said in sorted(set(zip(wrong["gold"], wrong["label"], strict=True))):
        named = tuple(who for who in people if _began(gold, before, who, truth, said))
        rule = NewRule(truth, said, named, None)
        if len(named) > 1 and _is_one_kind(rule, gold, before):
            found.append((int(rule.given(gold).sum()), rule))
    if not found:
        return None
    rule = max(found, key=lambda each: each[0])[1]
    return NewRule(rule.gold, rule.label, rule.people, _first_day(rule, gold, before, start))


def _began(gold: "DataFrame", before: "DataFrame", who: str, truth: str, said: str) -> bool:
    """Whether a person gives this wrong answer significantly more often than before the window."""
    mine, then = (rows.loc[(rows["annotator"].astype(str) == who) & (rows["gold"] == truth), "label"] == said for rows in (gold, before))
    if len(mine) < MIN_ANNOTATION_ROWS / 2 or len(then) < MIN_ANNOTATION_ROWS:
        return False
    return lower_share_p_value(float(then.sum()), len(then), float(mine.sum()), len(mine)) <= SURE


def _is_one_kind(rule: NewRule, gold: "DataFrame", before: "DataFrame") -> bool:
    """Whether most of the additional errors of the rule's people are of this kind, when each gold class counts equally."""
    rose = {}
    mine, then = (rows[rule.of_people(rows)] for rows in (gold, before))
    classes = sorted(set(mine["gold"]) & set(then["gold"]))
    for truth, said in product(classes, sorted(set(mine["label"]))):
        if truth != said:
            here, there = (rows.loc[rows["gold"] == truth, "label"] == said for rows in (mine, then))
            rose[truth, said] = max(float(here.mean() - there.mean()), 0.0)
    return rose.get((rule.gold, rule.label), 0.0) >= ONE_KIND * sum(rose.values())


def _first_day(rule: NewRule, gold: "DataFrame", before: "DataFrame", start: datetime) -> datetime | None:
    """The day since which the rule is followed, estimated from its daily share among the answers of its people; None if no day is
    significant.
    """
    import pandas as pd

    both = pd.concat([before, gold], ignore_index=True)
    both = both[rule.of_people(both) & (both["gold"] == rule.gold).to_numpy()]
    daily = pd.Series(rule.given(both), index=both.index).groupby(both["at"].dt.floor("D")).agg(["sum", "count"])
    hits, n = daily["sum"].to_numpy(float), daily["count"].to_numpy(float)
    smooth = (hits + 0.5) / (n + 1)
    onset = estimate_onset(daily.index.to_numpy(), hits / n, np.sqrt(smooth * (1 - smooth) / n), start=start, worse=1)
    return None if onset.known != "dated" else onset.at


def share_of_rule(rule: NewRule, bad: str, now: "DataFrame", past: "DataFrame") -> float:
    """The share of the additional bad answers that were given by the rule. bad: the name of a boolean column."""
    there, here = (float((rows[bad].to_numpy(bool) & rule.given(rows)).mean()) for rows in (past, now))
    return _part(here - there, float(now[bad].mean() - past[bad].mean()))


def share_late_in_sessions(bad: str, chosen: str, now: "DataFrame", past: "DataFrame") -> float:
    """The share of the additional bad answers that is explained by the hours since the start of a session, using a line fitted to the
    answers of each side.

    The unexplained rest is the difference at the start of sessions, when nobody is tired. chosen: the name of a boolean column of the
    answers that count.
    """
    begins, means = [], []
    for rows in (past, now):
        counted = labelling_sessions(rows)
        counted = counted[counted[chosen]]
        hours, values = counted["hours"].to_numpy(float), counted[bad].to_numpy(float)
        spread = float(((hours - hours.mean()) ** 2).sum())
        slope = float(((hours - hours.mean()) * values).sum()) / spread if spread > 0 else 0.0
        means.append(float(values.mean()))
        begins.append(means[-1] - slope * float(hours.mean()))
    return _part((means[1] - means[0]) - (begins[1] - begins[0]), means[1] - means[0])


def share_under_guideline(newest: str, bad: str, now: "DataFrame", past: "DataFrame") -> float:
    """The share of the additional bad answers that the newest guideline explains. Answers under this guideline are compared with earlier
    answers under other guidelines.
    """
    others = past.loc[past["guideline"] != newest, bad]
    if others.empty:
        return 0.0
    usual, parts = float(others.mean()), []
    for rows in (past, now):
        under = (rows["guideline"] == newest).to_numpy()
        parts.append(float((under * (rows[bad].to_numpy(float) - usual)).mean()))
    return _part(parts[1] - parts[0], float(now[bad].mean() - past[bad].mean()))


def _part(explained: float, change: float) -> float:
    """The explained part of an increase, as a share from 0 to 1; 0 if nothing increased."""
    return min(max(explained / change, 0.0), 1.0) if change > 0 else 0.0


def share_of_own_gap(rule: NewRule, who: str, now: "DataFrame") -> float:
    """A person gives more wrong answers than people who do not follow the rule: the share of these additional wrong answers that were given
    by the rule.
    """
    if who not in rule.people:
        return 0.0
    mine, others = now[(now["annotator"].astype(str) == who).to_numpy()], now[~rule.of_people(now)]
    if others.empty:
        return 0.0
    here, there = (float(((rows["gold"] == rule.gold) & (rows["label"] == rule.label)).mean()) for rows in (mine, others))
    return _part(here - there, float(others["right"].mean() - mine["right"].mean()))


def explained_findings(found: Sequence[Finding], project: str, now: "DataFrame", past: "DataFrame", start: datetime) -> Iterator[Finding]:
    """The findings about a project, unchanged except that findings about gold answers and accepted wrong suggestions name the cause that
    explains most of the change.
    """
    explained = [each for each in found if each.needs_action and each.metric in (GOLD, suggestions.TAKEN)]
    rule = new_rule(now, past, start) if explained else None
    for finding in found:
        reasons = _explanations(finding, found, project, rule, now, past) if finding in explained else []
        share, follows, because = max(reasons, key=lambda each: each[0], default=(0.0, {}, ""))
        if share < EXPLAINS:
            yield finding
            continue
        told = f"{finding.because} {because} ({percent(share, 2)} of the {'gap' if finding.against == 'peers' else 'change'})."
        yield replace(finding, because=told, evidence=finding.evidence | {"follows": follows | {"share": share}})


def _explanations(
    finding: Finding, found: Sequence[Finding], project: str, rule: NewRule | None, now: "DataFrame", past: "DataFrame"
) -> list[tuple[float, dict[str, Any], str]]:
    """For each possible cause: the share of the change that it explains, the evidence, and the sentence."""
    whole, who = f"project:{project}", finding.subject.partition("/annotator:")[2]
    chosen, bad = ("known", "failed") if finding.metric == GOLD else ("wrong", "taken")
    sides = [rows.assign(failed=~rows["right"]) for rows in (now, past)]
    here, there = (rows[rows[chosen]] for rows in sides)
    reasons: list[tuple[float, dict[str, Any], str]] = []
    if here.empty or there.empty:
        return []
    if rule is not None and (who or finding.subject == whole):
        share = share_of_rule(rule, bad, here, there) if not who else share_of_own_gap(rule, who, here) if finding.metric == GOLD else 0.0
        since = rule.since.isoformat() if rule.since else None
        follows = {"metric": AGREEMENT, "project": project, "since": since, "people": list(rule.people), "answers": [rule.gold, rule.label]}
        day = f" since {format_day(rule.since)}" if rule.since else ""
        told = f"Consistent with a new rule{day}: {join_words(list(rule.people), 3)} answer `{rule.label}` for `{rule.gold}`"
        reasons.append((share, follows, told))
    for cause in found:
        if finding.subject != whole or not cause.needs_action:
            continue
        follows = {"metric": cause.metric, "subject": cause.subject}
        newest = cause.subject.partition("/guideline:")[2]
        if cause.metric == SLOPE:
            share = share_late_in_sessions(bad, chosen, *sides)
            reasons.append((share, follows, "Consistent with fatigue: wrong answers grow with the hours into a session"))
        elif newest:
            reasons.append((share_under_guideline(newest, bad, here, there), follows, f"Consistent with guideline {newest}"))
    return reasons
