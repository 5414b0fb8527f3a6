"""Do cleaning rules do what they did: do they drop or change more rows than in their earlier runs, and does one of them drop one group more than others?

From records of kind `cleaning`, each run of the window beside the same rule's runs of the year before. Groups are held against each other within the
window: a rule that takes more of one group than of the others changes whom the model learns from.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import SEVERITIES, Finding, Severity, needs_action
from observability.core.numerals import percent
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.window import Slice
from observability.detection import cleaning_history
from observability.detection.cleaning_history import CHANGED, DROPPED, GROUP, GROUP_ROWS, WATCH, Group, Look, Rule
from observability.detection.own_history import LEAST
from observability.stats.interval import rate_interval
from observability.stats.multiple import ACT_SHARE, benjamini_hochberg

NAME = "data/cleaning"
PAST_DAYS = 365
NOTHING = 0.005
"""A rule that usually drops (or changes) a smaller share of the rows, and none now, is not there to do so."""
CLEANINGS = Records("cleaning", ("rule", "at", "rows_in", "rows_changed", "rows_dropped", "dataset", "groups"))


def needs(context: Context) -> dict[str, Ask]:
    """Runs of cleaning rules in the window and in the year before it."""
    return {"cleanings": Ask(CLEANINGS), "past cleanings": Ask(CLEANINGS, span="past", days=PAST_DAYS)}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """For each rule that ran: the share it drops, the share it changes, and the group of each column that loses most; nothing where no rule ran."""
    rules = list(cleaning_history.rules_of(frames["past cleanings"], frames["cleanings"]))
    p_values = [p for rule in rules for p in (*(each.p_value for each in rule.looks), *(each.p_value for each in rule.groups))]
    adjusted = iter(benjamini_hochberg(p_values, context.budget)[0].tolist())
    found: list[Finding] = []
    for rule in rules:
        looks = [(each, next(adjusted)) for each in rule.looks]
        groups = [(each, next(adjusted)) for each in rule.groups]
        found += [*about_shares(rule, looks, context), *about_groups(rule, groups, context)]
    return found


def blank(context: Context, rule: Rule, metric: str, n: int, because: str = "") -> Finding:
    """A finding about a rule that cannot tell, to be filled in where it can."""
    return replace(context.undecided(NAME, rule.subject, metric, n, because, against="past"), model=None, version=None)


def about_shares(rule: Rule, looks: list[tuple[Look, float]], context: Context) -> Iterator[Finding]:
    """The finding about what the rule drops and the one about what it changes, as far as it does either."""
    both = {metric: [each for each in looks if each[0].metric == metric] for metric in (DROPPED, CHANGED)}
    does = [metric for metric, own in both.items() if any(each.hits or each.usual > NOTHING for each, _ in own)]
    for metric in does or ([DROPPED] if both[DROPPED] else []):
        yield about_share(rule, metric, both[metric], context)


def about_share(rule: Rule, metric: str, own: list[tuple[Look, float]], context: Context) -> Finding:
    """What the run that is furthest out says about a rule."""
    severities = [look.severity(p, context.budget, context.budget * ACT_SHARE) for look, p in own]
    worst = min(
        range(len(own)), key=lambda place: (SEVERITIES.index(severities[place]), own[place][1], -own[place][0].share, own[place][0].at)
    )
    (look, p), severity = own[worst], severities[worst]
    share = rate_interval(look.hits, look.rows)
    verb = "drops" if metric == DROPPED else "changes"
    said = f"{percent(look.share)} of {look.rows:,} rows"
    found = replace(
        blank(context, rule, metric, look.rows), value=share.value, low=share.low, high=share.high, evidence={"runs": rule.runs}
    )
    if np.isnan(look.usual):
        more = max(LEAST - rule.earlier, 1)
        because = f"Rule {named(rule)} {verb} {said}; whether that is usual cannot be told from {runs(rule.earlier)} before this window, it needs about {more} more."
        if rule.runs > LEAST:
            because += f" Of its {runs(rule.runs)} in this window the later ones can be judged in a shorter one."
        return replace(found, because=because)
    less = look.share < look.usual
    limit = cleaning_history.LESS * look.usual if less and severity == "watch" else max(WATCH[0] * look.usual, look.usual + WATCH[1])
    found = replace(
        found,
        severity=severity,
        limit=limit,
        evidence=found.evidence | {"baseline": look.usual, "baseline_n": rule.earlier, "p_adjusted": p},
    )
    usual = f"in its {runs(rule.earlier)} before it was {percent(look.usual)}"
    if severity == "ok":
        return replace(found, because=f"Rule {named(rule)} {verb} no more than its runs vary: {said} in the run furthest off; {usual}.")
    unusual = [each.at for (each, _), bad in zip(own, severities, strict=True) if needs_action(bad)]
    onset = max(aware_utc(min(unusual)), context.window.start)
    return replace(
        found, likely_source="input", onset=onset, rank=2.0 if metric == DROPPED else 1.0, evidence=found.evidence | {"onset_known": "dated", "unusual": [f"{each:%Y-%m-%dT%H:%M:%S.%f}" for each in unusual]},
        because=f"Rule {named(rule)} {verb} {'less' if less else 'more'} than it did: {said} on {look.at:%Y-%m-%d}; {usual}.",
    )  # fmt: skip


def about_groups(rule: Rule, groups: list[tuple[Group, float]], context: Context) -> Iterator[Finding]:
    """For each column the level that loses most rows beyond the others."""
    for column in dict.fromkeys(each.column for each, _ in groups):
        own = [each for each in groups if each[0].column == column]
        judged = [each for each in own if not np.isnan(each[0].p_value)]
        base = replace(blank(context, rule, cleaning_history.GAP, 0), against="peers")
        if not judged:
            rows = int(sum(each.rows for each, _ in own))
            because = f"Whether rule {named(rule)} drops one `{column}` more than another cannot be told from {rows:,} rows; each group needs {GROUP_ROWS} rows."
            yield replace(base, n=rows, slice=str(Slice(((column, own[0][0].level),))), because=because)
            continue
        yield about_group(rule, base, *max(judged, key=lambda each: (each[0].gap.value or 0.0, each[0].level)), context)


def about_group(rule: Rule, base: Finding, group: Group, p: float, context: Context) -> Finding:
    """Whether the group that loses most loses more than chance explains, and much more."""
    gap, rate, others = group.gap.value or 0.0, group.dropped / group.rows, group.others_dropped / group.others
    severity: Severity = "watch" if gap >= GROUP and p <= context.budget else "ok"
    who = f"`{group.column} = {group.level}`"
    how = f"{percent(rate)} of {group.rows:,.0f} rows against {percent(others)} of the other {group.others:,.0f}"
    words = (
        f"Rule {named(rule)} drops more rows of {who}: {how}."
        if severity == "watch"
        else f"Rule {named(rule)} drops no group of `{group.column}` by much more than the others: most of {who}, {how}."
    )
    return replace(
        base, n=int(group.rows + group.others), value=group.gap.value, low=group.gap.low, high=group.gap.high, limit=GROUP, severity=severity,
        slice=str(Slice(((group.column, group.level),))), because=words, onset=context.window.start if severity == "watch" else None,
        likely_source="input" if severity == "watch" else None, rank=1.5,
        evidence={"baseline": others, "p_adjusted": p} | ({"onset_known": "vague"} if severity == "watch" else {}),
    )  # fmt: skip


def named(rule: Rule) -> str:
    """The rule, and the dataset that it cleans."""
    return f"`{rule.name}`" + (f" on `{rule.dataset}`" if rule.dataset else "")


def runs(n: int) -> str:
    """`1 run`, `5 runs`."""
    return f"{n:,} {'run' if n == 1 else 'runs'}"


ANALYZER = Analyzer(NAME, "Do cleaning rules drop and change what they did, and of all groups alike?", needs, analyze, about="records")
