"""Are the people who label right where the answer is known, do they think for themselves where a machine suggests one, and do they tire?

From records of kind `annotation` with `gold`, `suggestion` and `seconds`, project by project, the first answer of each person to each item. Nothing is said
of a project that logs none of these fields. A project names no model, so nothing here is about one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Finding, Severity
from observability.core.numerals import figure, percent
from observability.core.questions import Records
from observability.core.time import naive_utc
from observability.metrics import gold_accuracy, labelling_speed, suggestions
from observability.metrics.annotations import ACT, FIELDS, LEAST, NAME, PAST_DAYS, WATCH, Look, answers_of, rate_of
from observability.stats.interval import Interval
from observability.stats.multiple import benjamini_hochberg

if TYPE_CHECKING:
    from pandas import DataFrame

ANNOTATED = Records("annotation", FIELDS)


@dataclass(frozen=True)
class Project:
    """One project: the first answers of the window and of the four weeks before, what they are held against, who saw no suggestion, and how its sessions went."""

    name: str
    now: "DataFrame"
    past: "DataFrame"
    looks: tuple[Look, ...]
    blind: suggestions.Blind
    tired: labelling_speed.Fatigue | None

    @property
    def subject(self) -> str:
        """As findings name it."""
        return f"project:{self.name}"


def needs(context: Context) -> dict[str, Ask]:
    """Labels of the window and of the four weeks before it."""
    return {"annotated": Ask(ANNOTATED), "past annotated": Ask(ANNOTATED, span="past", days=PAST_DAYS)}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Gold, suggestions, time and sessions of each project, in the order of their names."""
    projects = list(projects_of(frames["past annotated"], frames["annotated"], context))
    p_values = [look.p_value for each in projects for look in each.looks] + [each.tired.p_value for each in projects if each.tired]
    adjusted = iter(benjamini_hochberg(p_values, context.budget)[0].tolist())
    judged = [[(look, next(adjusted)) for look in each.looks] for each in projects]
    return [
        finding
        for each, looks in zip(projects, judged, strict=True)
        for finding in about(each, looks, next(adjusted) if each.tired else 1.0, context)
    ]


def projects_of(past: "DataFrame", now: "DataFrame", context: Context) -> Iterator[Project]:
    """Every project with labels in the window."""
    import pandas as pd

    both = pd.concat([each for each in (past, now) if len(each)] or [now], ignore_index=True)
    start = naive_utc(context.window.start)
    for name, part in both.groupby("project", sort=True):
        answers = answers_of(part)
        inside = (answers["at"] >= start).to_numpy()
        here, before = answers[inside], answers[~inside]
        if here.empty:
            continue
        subject = f"project:{name}"
        blind = suggestions.blind_of(here, before)
        looks = [*gold_accuracy.looked_at(here, before, subject), *suggestions.looked_at(here, before, blind, subject)]
        yield Project(str(name), here, before, tuple(looks), blind, labelling_speed.fatigue(answers))


def about(project: Project, looks: list[tuple[Look, float]], tired_p: float, context: Context) -> Iterator[Finding]:
    """The findings about one project: of what it logs, the figure, and everything that stands out."""
    yield from about_gold(project, looks, context)
    yield from about_suggestions(project, looks, context)
    timed = project.now["seconds"].to_numpy(float)
    if np.isfinite(timed).any():
        yield about_time(project, context)
    if project.tired is not None:
        yield about_sessions(project, project.tired, tired_p, context)


def blank(context: Context, project: Project, metric: str, n: int, because: str = "", subject: str = "") -> Finding:
    """A finding about a project that cannot tell, to be filled in where it can."""
    found = context.undecided(NAME, subject or project.subject, metric, n, because, against="past")
    return replace(found, model=None, version=None)


def measured(found: Finding, rate: Interval, severity: Severity, because: str, **rest: Any) -> Finding:
    """A finding with its figure."""
    return replace(found, value=rate.value, low=rate.low, high=rate.high, severity=severity, because=because, **rest)


def about_gold(project: Project, looks: list[tuple[Look, float]], context: Context) -> Iterator[Finding]:
    """Accuracy on gold items: of all, of the newest guideline where it is worse, and of everybody who is below the others."""
    gold = project.now[project.now["known"]]
    if gold.empty:
        return
    people = gold_accuracy.people(project.now, context.budget)
    evidence = {"people": listed(people[people["n"] > 0])}
    rate, n = rate_of(gold, "right"), len(gold)
    told = f"{percent(rate.value or 0)} of {n:,} first answers to gold items are right"
    own = [(look, p) for look, p in looks if look.metric == gold_accuracy.METRIC]
    named = [look.name for look, p in own if look.severity(p, context.budget) != "ok"]
    young = int(((people["more"] > 0) & ~people["annotator"].isin(named)).sum())
    more = f"; {young} of {len(people)} people have too few gold items to be told from the others yet" if young else ""
    whole = next(((look, p) for look, p in own if look.subject == project.subject), None)
    base = blank(context, project, gold_accuracy.METRIC, n)
    if n < LEAST:
        yield replace(base, because=f"How often people of {project.name} are right cannot be told: {n:,} answers to gold items in this window, it needs about {LEAST - n} more.", evidence=evidence)  # fmt: skip
    elif whole is None:
        yield measured(base, rate, "ok", f"In {project.name} {told} (95 %: {reach(rate)}){more}.", against="level", evidence=evidence)
    else:
        look, p = whole
        severity = look.severity(p, context.budget)
        word = f"fewer than in the {PAST_DAYS // 7} weeks before ({percent(look.there.value or 0)} of {look.there.n:,.0f})"
        beside = word if severity != "ok" else f"{percent(look.there.value or 0)} in the {PAST_DAYS // 7} weeks before"
        step = " Look at the newest gold items and the guideline with the people." if severity != "ok" else ""
        yield measured(base, rate, severity, f"In {project.name} {told} (95 %: {reach(rate)}), {beside}{more}.{step}", limit=limit(look, severity), evidence=evidence | gap(look, p), **source(severity, look))  # fmt: skip
    for look, p in own:
        severity = look.severity(p, context.budget)
        if look.subject == project.subject or severity == "ok":
            continue
        yield replace(of_guideline(base, look) if "/guideline:" in look.subject else of_person(base, project, look), severity=severity, limit=limit(look, severity), evidence=gap(look, p), **source(severity, look))  # fmt: skip


def listed(people: "DataFrame") -> list[list[Any]]:
    """[annotator, right on gold, low, high, gold items, that of the others, their gold items, more that it takes] of each person with gold items."""
    rows = people[["annotator", "value", "low", "high", "n", "others", "others_n", "more"]].astype(object).to_numpy().tolist()
    return [[None if each != each else each for each in row] for row in rows]


def of_person(base: Finding, project: Project, look: Look) -> Finding:
    """One person is below the others on gold items."""
    already = f"; as in the {PAST_DAYS // 7} weeks before" if look.standing else ""
    because = (
        f"Annotator {look.name} of {project.name} is right on {percent(look.here.value or 0)} of {look.here.n:,.0f} gold items (95 %: {reach(look.here)}), the others on"
        f" {percent(look.there.value or 0)} of {look.there.n:,.0f}{already}. Go through their wrong answers with them before their labels are used."
    )
    return replace(measured(base, look.here, "ok", because), subject=look.subject, n=int(look.here.n), against="peers")


def of_guideline(base: Finding, look: Look) -> Finding:
    """People are right less often under the newest guideline."""
    old, _, new = look.name.partition("\n")
    because = (
        f"Under guideline {new} {percent(look.here.value or 0)} of {look.here.n:,.0f} answers to gold items are right (95 %: {reach(look.here)}), under {old} before it"
        f" {percent(look.there.value or 0)} of {look.there.n:,.0f}. See which classes are confused since, and whether the gold answers follow the new guideline."
    )
    return replace(measured(base, look.here, "ok", because), subject=look.subject, n=int(look.here.n))


def about_suggestions(project: Project, looks: list[tuple[Look, float]], context: Context) -> Iterator[Finding]:
    """How often suggestions are taken over, how often wrong ones are, and whether people give a wrong answer because it is suggested."""
    shown = project.now[project.now["shown"]]
    if shown.empty:
        return
    rate = rate_of(shown, "taken")
    base = blank(context, project, suggestions.ACCEPTANCE, len(shown))
    yield measured(base, rate, "ok", f"In {project.name} {percent(rate.value or 0)} of {len(shown):,} suggestions that people saw became their label (95 %: {reach(rate)}).", against="level")  # fmt: skip
    own = {look.subject: (look, p) for look, p in looks if look.metric == suggestions.TAKEN}
    yield taken(project, own.pop(project.subject, None), context)
    base = blank(context, project, suggestions.TAKEN, 0)
    for look, p in own.values():
        if (severity := look.severity(p, context.budget)) != "ok":
            already = f"; as in the {PAST_DAYS // 7} weeks before" if look.standing else ""
            because = (
                f"Annotator {look.name} of {project.name} took over {percent(look.here.value or 0)} of {look.here.n:,.0f} wrong suggestions (95 %: {reach(look.here)}), the others"
                f" {percent(look.there.value or 0)} of {look.there.n:,.0f}{already}. Give them items without a suggestion for a while, and compare."
            )
            found = replace(measured(base, look.here, severity, because), subject=look.subject, n=int(look.here.n), against="peers")
            yield replace(found, limit=limit(look, severity), evidence=gap(look, p), **source(severity, look))
    yield anchoring(project, next(((look, p) for look, p in looks if look.metric == suggestions.ANCHORING), None), context)


def taken(project: Project, whole: tuple[Look, float] | None, context: Context) -> Finding:
    """How many wrong suggestions became labels, beside the weeks before."""
    wrong = project.now[project.now["wrong"]]
    base, n = blank(context, project, suggestions.TAKEN, len(wrong)), len(wrong)
    if n < LEAST:
        return replace(base, because=f"How often wrong suggestions are taken over in {project.name} cannot be told: {n:,} were wrong by gold, it needs about {LEAST - n} more (gold items that are shown with a suggestion).")  # fmt: skip
    rate = rate_of(wrong, "taken")
    told = (
        f"In {project.name} {percent(rate.value or 0)} of {n:,} suggestions that are wrong by gold became the label (95 %: {reach(rate)})"
    )
    if whole is None:
        return measured(base, rate, "ok", f"{told}; the {PAST_DAYS // 7} weeks before have too few to compare with.", against="level")
    look, p = whole
    severity = look.severity(p, context.budget)
    step = " Hide suggestions until a person has answered, or show them to fewer." if severity != "ok" else ""
    because = f"{told}, {percent(look.there.value or 0)} of {look.there.n:,.0f} in the {PAST_DAYS // 7} weeks before.{step}"
    return measured(base, rate, severity, because, limit=limit(look, severity), evidence=gap(look, p), **source(severity, look))


def anchoring(project: Project, seen: tuple[Look, float] | None, context: Context) -> Finding:
    """Whether people give a wrong answer because it is suggested."""
    blind, items = project.blind, len(project.blind.shown)
    base = replace(blank(context, project, suggestions.ANCHORING, items), against="peers")
    if seen is None:
        return replace(base, because=f"Whether people of {project.name} follow wrong suggestions because they see them cannot be told: it takes gold items that some see with the suggestion and others without; there are {items:,}, about {max(LEAST - items, 1)} more are needed.")  # fmt: skip
    look, p = seen
    told, severity = blind.stratified.difference, look.severity(p, context.budget)
    known = project.now[project.now["shown"] & project.now["known"]]
    harm = float(known["wrong"].mean()) * max(told.value or 0.0, 0.0)
    weeks = f" of the window and the {PAST_DAYS // 7} weeks before" if blind.weeks else ""
    rates = f"{percent(look.here.value or 0)} give a wrong answer that is suggested, {percent(look.there.value or 0)} of those who see no suggestion give the same one"
    much = f"a difference of {100 * (told.value or 0):.0f} points (95 %: {100 * (told.low or 0):.0f} to {100 * (told.high or 0):.0f}) on {items:,} items{weeks}"
    if severity == "ok":
        because = f"In {project.name} nothing shows that people follow wrong suggestions because they see them: {rates}, {much}."
    else:
        because = f"People of {project.name} follow wrong suggestions because they see them: {rates}, {much}. About {percent(harm, 2)} of the labels are wrong for it (estimated). Hide suggestions until a person has answered."
    evidence = gap(look, p) | {"here": ends(look.here), "there": ends(look.there), "harm": harm}
    return measured(base, told, severity, because, limit=ACT if severity == "act" else WATCH, evidence=evidence, **source(severity, look))


def about_time(project: Project, context: Context) -> Finding:
    """The median time of a label."""
    seconds = project.now["seconds"].to_numpy(float)
    rate = labelling_speed.median_of(seconds)
    late = float(np.nanquantile(seconds, 0.9))
    because = f"A label of {project.name} takes {figure(rate.value or 0, 3)} s at the median, {figure(late, 3)} s or more for one in ten ({int(rate.n):,} labels)."
    return measured(blank(context, project, labelling_speed.SECONDS, int(rate.n)), rate, "ok", because, against="level")


def about_sessions(project: Project, tired: labelling_speed.Fatigue, p: float, context: Context) -> Finding:
    """Whether accuracy falls the longer a session lasts; at most a watch."""
    slope = tired.slope
    falls = p <= context.budget and (slope.value or 0) <= -labelling_speed.SLOPE_WATCH
    told = f"{figure(100 * (slope.value or 0), 2, sign=True)} points an hour (95 %: {figure(100 * (slope.low or 0), 2, sign=True)} to {figure(100 * (slope.high or 0), 2, sign=True)}), within {tired.sessions:,} sessions"
    if falls:
        because = f"People of {project.name} get less right the longer they sit: accuracy on gold items changes by {told}. Shorter sessions, or breaks, would help."
    else:
        because = f"Nothing shows that people of {project.name} tire: accuracy on gold items changes by {told}."
    base = blank(context, project, labelling_speed.SLOPE, int(slope.n))
    return measured(base, slope, "watch" if falls else "ok", because, against="peers", limit=-labelling_speed.SLOPE_WATCH, evidence={"p_adjusted": p, "sessions": tired.sessions}, likely_source="label" if falls else None)  # fmt: skip


def reach(rate: Interval) -> str:
    """`88 % to 95 %`."""
    return f"{percent(rate.low or 0)} to {percent(rate.high or 0)}" if rate.low is not None and rate.high is not None else "no interval"


def ends(rate: Interval) -> list[float | None]:
    """Value, low, high and n, for a page."""
    return [rate.value, rate.low, rate.high, rate.n]


def limit(look: Look, severity: Severity) -> float:
    """What the share was held against."""
    step = ACT if severity == "act" else WATCH
    other = look.there.value or 0.0
    return min(other + step, 1.0) if look.metric == suggestions.TAKEN else max(other - step, 0.0)


def gap(look: Look, p: float) -> dict[str, Any]:
    """What a finding rests on."""
    return {
        "baseline": look.there.value,
        "peers": look.there.n,
        "gap": look.gap,
        "before": look.before,
        "standing": look.standing,
        "p_adjusted": p,
    }


def source(severity: Severity, look: Look) -> dict[str, Any]:
    """Where it comes from, and its place among others."""
    return {"likely_source": "label", "rank": 2.0 + look.gap} if severity != "ok" else {}


ANALYZER = Analyzer(
    NAME, "Are the people who label right on gold items, and do they think for themselves?", needs, analyze, exceptions=frozenset({1}), about="records"
)  # fmt: skip
