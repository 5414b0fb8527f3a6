"""Check annotators: accuracy on gold items, acceptance of wrong suggestions, anchoring, labelling time, fatigue, and agreement.

Reads records of kind `annotation` with `gold`, `suggestion` and `seconds`, by project; the first answer of each annotator to each item
counts. If a project never logs a field, there is no finding about it. Agreement is measured on the newest answers, for projects without a
model (data/labels analyzes the projects of models). Projects name no model, so the findings have no model.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Finding, Severity
from observability.core.numerals import format_figure, percent
from observability.core.questions import Records
from observability.core.time import naive_utc
from observability.core.window import EPOCH, Window
from observability.detection import annotator_agreement, labelling_falls
from observability.metrics import annotators, gold_accuracy, labelling_speed, suggestions
from observability.metrics.annotations import (
    ACT,
    FIELDS,
    MIN_ANNOTATION_ROWS,
    NAME,
    PAST_DAYS,
    WATCH,
    LabellingComparison,
    item_clustered_rate,
)
from observability.metrics.labelled_window import LABELLED, LabelledWindow, labelled_window
from observability.metrics.labelling_projects import ProjectLabels, recent_labels
from observability.proofs.labelling import LABELLING_PROOFS
from observability.stats.interval import Interval
from observability.stats.multiple_testing import ACT_SHARE, benjamini_hochberg

if TYPE_CHECKING:
    from pandas import DataFrame

ANNOTATED = Records("annotation", FIELDS)
NO_PAST = f"the {PAST_DAYS // 7} weeks before have too few to compare with"


@dataclass(frozen=True)
class ProjectAgreement:
    """Agreement of a project without a model: its labels, and how agreement and single annotators changed."""

    labels: ProjectLabels
    changes: list[annotator_agreement.AgreementChange]
    people: list[annotators.AgreementComparison]

    @property
    def p_values(self) -> list[float]:
        """p-values of all comparisons: first the changes of agreement, then the annotators."""
        return [change.p_value for change in self.changes] + [person.p_value for person in self.people]


@dataclass(frozen=True)
class Project:
    """One project: its first answers in the window and in the four weeks before, their comparisons, answers without suggestions, and
    sessions.
    """

    name: str
    now: "DataFrame"
    past: "DataFrame"
    looks: tuple[LabellingComparison, ...]
    blind: suggestions.BlindItems
    tired: labelling_speed.Fatigue | None
    agreement: "ProjectAgreement | None"

    @property
    def subject(self) -> str:
        """The subject of the findings about this project."""
        return f"project:{self.name}"


def needs(context: Context) -> dict[str, Ask]:
    """Ask for the labels of the window and of the four weeks before it; nothing if the context has them already."""
    if LABELLED in context.counters:
        return {}
    return {"annotated": Ask(ANNOTATED), "past annotated": Ask(ANNOTATED, span="past", days=PAST_DAYS)}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return the findings about gold items, suggestions, time and sessions of each project, ordered by name."""
    if LABELLED in context.counters:
        labelled = context.counters[LABELLED]()
    else:
        labelled = labelled_window(frames["past annotated"], frames["annotated"], context.window.start)
    projects = list(projects_of(labelled, context))
    p_values = [look.p_value for each in projects for look in each.looks] + [each.tired.p_value for each in projects if each.tired]
    p_values += [p for each in projects if each.agreement for p in each.agreement.p_values]
    adjusted = iter(benjamini_hochberg(p_values, context.budget)[0].tolist())
    judged = [[(look, next(adjusted)) for look in each.looks] for each in projects]
    found = [
        finding
        for each, looks in zip(projects, judged, strict=True)
        for finding in project_findings(each, looks, next(adjusted) if each.tired else 1.0, context)
    ]
    return found + [finding for each in projects if each.agreement for finding in about_agreement(each, each.agreement, adjusted, context)]


def read_labelled_window(ask: Callable[[Records, Window], "DataFrame"], window: Window) -> LabelledWindow:
    """Return the labels of a window and of the four weeks before it. ask: answers a question about records."""
    now = ask(ANNOTATED, window)
    past = ask(ANNOTATED, window.past(PAST_DAYS)) if window.start > EPOCH else now.iloc[:0]
    return labelled_window(past, now, window.start)


def projects_of(labelled: LabelledWindow, context: Context) -> Iterator[Project]:
    """Return every project with labels in the window."""
    for name, project in labelled.projects.items():
        here, before = project.now, project.past
        if here.empty:
            continue
        subject = f"project:{name}"
        blind = suggestions.blind_items(here, before)
        looks = [
            *gold_accuracy.gold_accuracy_comparisons(here, before, subject),
            *suggestions.suggestion_comparisons(here, before, blind, subject),
        ]
        agreement = None
        if name not in context.counters.get("model_projects", ()):
            labels = recent_labels(project.labels, naive_utc(context.window.end), context.window.days + PAST_DAYS)
            changes = annotator_agreement.agreement_changes(labels, context)
            agreement = ProjectAgreement(labels, changes, annotators.agreement_comparisons(labels, context.window.days))
        yield Project(name, here, before, tuple(looks), blind, labelling_speed.fatigue_slope(project.answers), agreement)


def project_findings(
    project: Project, looks: list[tuple[LabellingComparison, float]], tired_p: float, context: Context
) -> Iterator[Finding]:
    """Yield the findings about one project, for the fields that it logs. A finding that is explained by another says so."""
    found = [*about_gold(project, looks, context), *about_suggestions(project, looks, context)]
    timed = project.now["seconds"].to_numpy(float)
    if np.isfinite(timed).any():
        found.append(about_time(project, context))
    if project.tired is not None:
        found.append(about_sessions(project, project.tired, tired_p, context))
    yield from labelling_falls.explained_findings(found, project.name, project.now, project.past, context.window.start)


def about_agreement(project: Project, agreement: ProjectAgreement, adjusted: Iterator[float], context: Context) -> Iterator[Finding]:
    """Yield the findings about agreement and about annotators who agree less than the others; nothing if there is only one annotator.

    adjusted: an iterator whose next adjusted p-values belong to this project.
    """
    own, theirs = ([next(adjusted) for _ in several] for several in (agreement.changes, agreement.people))
    if len(agreement.labels.annotators) < 2:
        return
    blank = undecided_labelling(context, project, annotator_agreement.METRIC, 0)
    yield annotator_agreement.about_agreement(blank, agreement.labels, agreement.changes, own, context)
    blank = replace(undecided_labelling(context, project, annotators.METRIC, 0), against="peers")
    act = context.budget * ACT_SHARE
    for found in annotators.annotator_findings(blank, agreement.labels, agreement.people, theirs, act, context):
        name = found.subject.removeprefix("annotator=")
        yield found if name == found.subject else replace(found, subject=f"{project.subject}/annotator:{name}")


def undecided_labelling(context: Context, project: Project, metric: str, n: int, because: str = "", subject: str = "") -> Finding:
    """Return the finding of severity `unknown` about a project, on which the other findings are based."""
    found = context.undecided(NAME, subject or project.subject, metric, n, because, against="past")
    return replace(found, model=None, version=None)


def with_rate(found: Finding, rate: Interval, severity: Severity, because: str, **rest: Any) -> Finding:
    """Return a finding with a rate as its value and interval."""
    return replace(found, value=rate.value, low=rate.low, high=rate.high, severity=severity, because=because, **rest)


def about_gold(project: Project, looks: list[tuple[LabellingComparison, float]], context: Context) -> Iterator[Finding]:
    """Yield findings about accuracy on gold items: overall, under the newest guideline if it is worse, and for each annotator who is less
    accurate than the others.
    """
    gold = project.now[project.now["known"]]
    if gold.empty:
        return
    people = gold_accuracy.gold_accuracy_by_annotator(project.now, context.budget)
    evidence = {"people": gold_table(people[people["n"] > 0])}
    rate, n = item_clustered_rate(gold, "right"), len(gold)
    told = f"{percent(rate.value or 0)} of {n:,} first answers to gold items are right"
    own = [(look, p) for look, p in looks if look.metric == gold_accuracy.METRIC]
    named = [look.name for look, p in own if look.severity(p, context.budget) != "ok"]
    young = int(((people["more"] > 0) & ~people["annotator"].isin(named)).sum())
    more = f"; {young} of {len(people)} people have too few gold items to be compared with the others yet" if young else ""
    whole = next(((look, p) for look, p in own if look.subject == project.subject), None)
    base = undecided_labelling(context, project, gold_accuracy.METRIC, n)
    if n < MIN_ANNOTATION_ROWS:
        yield replace(
            base,
            because=f"Accuracy in {project.name} is unknown: {n:,} answers to gold items in this window, it needs about "
            f"{MIN_ANNOTATION_ROWS - n} more.",
            evidence=evidence,
        )
    elif whole is None:
        because = f"In {project.name} {told} (95 %: {rate_range(rate)}){more}; {NO_PAST}."
        yield with_rate(base, rate, "unknown", because, evidence=evidence)
    else:
        look, p = whole
        severity = look.severity(p, context.budget)
        word = f"fewer than in the {PAST_DAYS // 7} weeks before ({percent(look.there.value or 0)} of {look.there.n:,.0f})"
        beside = word if severity != "ok" else f"{percent(look.there.value or 0)} in the {PAST_DAYS // 7} weeks before"
        step = " Look at the newest gold items and the guideline with the people." if severity != "ok" else ""
        yield with_rate(
            base,
            rate,
            severity,
            f"In {project.name} {told} (95 %: {rate_range(rate)}), {beside}{more}.{step}",
            limit=labelling_limit(look, severity),
            evidence=evidence | comparison_evidence(look, p),
            **label_source(severity, look),
        )
    for look, p in own:
        severity = look.severity(p, context.budget)
        if look.subject == project.subject or severity == "ok":
            continue
        yield replace(
            of_guideline(base, look) if "/guideline:" in look.subject else of_person(base, project, look),
            severity=severity,
            limit=labelling_limit(look, severity),
            evidence=comparison_evidence(look, p),
            **label_source(severity, look),
        )


def gold_table(people: "DataFrame") -> list[list[Any]]:
    """Return one row for each annotator with gold items.

    Columns: annotator, accuracy, low, high, number of gold items, accuracy of the others, number of their gold items, items still needed.
    """
    rows = people[["annotator", "value", "low", "high", "n", "others", "others_n", "more"]].astype(object).to_numpy().tolist()
    return [[None if each != each else each for each in row] for row in rows]


def of_person(base: Finding, project: Project, look: LabellingComparison) -> Finding:
    """Return the finding that one annotator is less accurate than the others on gold items."""
    already = f"; as in the {PAST_DAYS // 7} weeks before" if look.standing else ""
    because = (
        f"Annotator {look.name} of {project.name} is right on {percent(look.here.value or 0)} of {look.here.n:,.0f} gold "
        f"items (95 %: {rate_range(look.here)}), the others on"
        f" {percent(look.there.value or 0)} of {look.there.n:,.0f}{already}. Go through their wrong answers with them "
        "before their labels are used."
    )
    return replace(with_rate(base, look.here, "ok", because), subject=look.subject, n=int(look.here.n), against="peers")


def of_guideline(base: Finding, look: LabellingComparison) -> Finding:
    """Return the finding that accuracy is lower under the newest guideline."""
    old, _, new = look.name.partition("\n")
    because = (
        f"Under guideline {new} {percent(look.here.value or 0)} of {look.here.n:,.0f} answers to gold items are right (95 "
        f"%: {rate_range(look.here)}), under {old} before it"
        f" {percent(look.there.value or 0)} of {look.there.n:,.0f}. See which classes are confused since, and whether the "
        "gold answers follow the new guideline."
    )
    return replace(with_rate(base, look.here, "ok", because), subject=look.subject, n=int(look.here.n))


def about_suggestions(project: Project, looks: list[tuple[LabellingComparison, float]], context: Context) -> Iterator[Finding]:
    """Yield findings about suggestions: acceptance rate, acceptance of wrong ones, and anchoring."""
    shown = project.now[project.now["shown"]]
    if shown.empty:
        return
    rate = item_clustered_rate(shown, "taken")
    base = undecided_labelling(context, project, suggestions.ACCEPTANCE, len(shown))
    because = f"In {project.name} {percent(rate.value or 0)} of {len(shown):,} suggestions that people saw became their label"
    because += f" (95 %: {rate_range(rate)}). Not judged by itself: see the acceptance of wrong suggestions."
    yield with_rate(base, rate, "unknown", because)
    own = {look.subject: (look, p) for look, p in looks if look.metric == suggestions.TAKEN}
    yield wrong_suggestions_finding(project, own.pop(project.subject, None), context)
    base = undecided_labelling(context, project, suggestions.TAKEN, 0)
    for look, p in own.values():
        if (severity := look.severity(p, context.budget)) != "ok":
            already = f"; as in the {PAST_DAYS // 7} weeks before" if look.standing else ""
            because = (
                f"Annotator {look.name} of {project.name} took over {percent(look.here.value or 0)} of {look.here.n:,.0f} "
                f"wrong suggestions (95 %: {rate_range(look.here)}), the others"
                f" {percent(look.there.value or 0)} of {look.there.n:,.0f}{already}. Give them items without a suggestion "
                "for a while, and compare."
            )
            found = replace(with_rate(base, look.here, severity, because), subject=look.subject, n=int(look.here.n), against="peers")
            yield replace(
                found, limit=labelling_limit(look, severity), evidence=comparison_evidence(look, p), **label_source(severity, look)
            )
    yield from follower_findings(project, looks, context)
    yield anchoring_finding(project, next(((look, p) for look, p in looks if look.metric == suggestions.ANCHORING), None), context)


def follower_findings(project: Project, looks: list[tuple[LabellingComparison, float]], context: Context) -> Iterator[Finding]:
    """Yield a warning about each person who accepts suggestions more often than the others. This needs no gold items.

    Accepting more suggestions is not wrong if the suggestions are right, so the finding is never critical. The person must also be above
    the median of the others, because one annotator who seldom accepts lowers the pooled rate of the others.
    """
    shown = project.now[project.now["shown"]]
    shares = shown.groupby(shown["annotator"].astype(str))["taken"].mean()
    base = undecided_labelling(context, project, suggestions.ACCEPTANCE, 0)
    for look, p in looks:
        if look.metric != suggestions.ACCEPTANCE or look.severity(p, context.budget) == "ok":
            continue
        if shares[look.name] - shares.drop(look.name).median() < WATCH:
            continue
        already = f"; as in the {PAST_DAYS // 7} weeks before" if look.standing else ""
        because = (
            f"Annotator {look.name} of {project.name} accepted {percent(look.here.value or 0)} of {look.here.n:,.0f} suggestions (95 %: "
            f"{rate_range(look.here)}), the others {percent(look.there.value or 0)} of {look.there.n:,.0f}{already}. "
            "Give them items without a suggestion for a while, and compare."
        )
        found = replace(with_rate(base, look.here, "watch", because), subject=look.subject, n=int(look.here.n), against="peers")
        yield replace(found, limit=labelling_limit(look, "watch"), evidence=comparison_evidence(look, p), **label_source("watch", look))


def wrong_suggestions_finding(project: Project, whole: tuple[LabellingComparison, float] | None, context: Context) -> Finding:
    """Return the finding about the acceptance rate of wrong suggestions, compared with the weeks before."""
    wrong = project.now[project.now["wrong"]]
    base, n = undecided_labelling(context, project, suggestions.TAKEN, len(wrong)), len(wrong)
    if n < MIN_ANNOTATION_ROWS:
        return replace(
            base,
            because=f"The acceptance rate of wrong suggestions in {project.name} is unknown: {n:,} contradict the gold answer, it needs "
            f"about {MIN_ANNOTATION_ROWS - n} more (gold items shown with a suggestion).",
        )
    rate = item_clustered_rate(wrong, "taken")
    share = f"{percent(rate.value or 0)} of {n:,} suggestions that contradict the gold answer"
    told = f"In {project.name} {share} became the label (95 %: {rate_range(rate)})"
    if whole is None:
        return with_rate(base, rate, "unknown", f"{told}; {NO_PAST}.")
    look, p = whole
    severity = look.severity(p, context.budget)
    step = " Hide suggestions until a person has answered, or show them to fewer." if severity != "ok" else ""
    because = f"{told}, {percent(look.there.value or 0)} of {look.there.n:,.0f} in the {PAST_DAYS // 7} weeks before.{step}"
    return with_rate(
        base,
        rate,
        severity,
        because,
        limit=labelling_limit(look, severity),
        evidence=comparison_evidence(look, p),
        **label_source(severity, look),
    )


def anchoring_finding(project: Project, seen: tuple[LabellingComparison, float] | None, context: Context) -> Finding:
    """Return the finding about anchoring: wrong answers that people give because they were suggested."""
    blind, items = project.blind, len(project.blind.shown)
    base = replace(undecided_labelling(context, project, suggestions.ANCHORING, items), against="peers")
    if seen is None:
        return replace(
            base,
            because=f"Anchoring in {project.name} is unknown: it takes gold items that some see with the suggestion and others "
            f"without; there are {items:,}, about {max(MIN_ANNOTATION_ROWS - items, 1)} more are needed.",
        )
    look, p = seen
    told, severity = blind.stratified.difference, look.severity(p, context.budget)
    known = project.now[project.now["shown"] & project.now["known"]]
    harm = float(known["wrong"].mean()) * max(told.value or 0.0, 0.0)
    weeks = f" of the window and the {PAST_DAYS // 7} weeks before" if blind.weeks else ""
    rates = (
        f"{percent(look.here.value or 0)} give a wrong answer that is suggested, {percent(look.there.value or 0)} of those who "
        "see no suggestion give the same one"
    )
    much = (
        f"a difference of {100 * (told.value or 0):.0f} points (95 %: {100 * (told.low or 0):.0f} to "
        f"{100 * (told.high or 0):.0f}) on {items:,} items{weeks}"
    )
    if severity == "ok":
        because = f"No evidence of anchoring on suggestions in {project.name}: {rates}, {much}."
    else:
        because = (
            f"People of {project.name} follow wrong suggestions because they see them: {rates}, {much}. About "
            f"{percent(harm, 2)} of the labels are wrong as a result (estimated). Hide suggestions until a person has answered."
        )
    evidence = comparison_evidence(look, p) | {
        "baseline": 0.0,
        "here": rate_evidence(look.here),
        "there": rate_evidence(look.there),
        "harm": harm,
        "weeks": blind.weeks,
    }
    return with_rate(
        base, told, severity, because, limit=ACT if severity == "act" else WATCH, evidence=evidence, **label_source(severity, look)
    )


def about_time(project: Project, context: Context) -> Finding:
    """Return the finding about the median time of a label."""
    seconds = project.now["seconds"].to_numpy(float)
    rate = labelling_speed.median_label_seconds(seconds)
    late = float(np.nanquantile(seconds, 0.9))
    because = (
        f"Time per label in {project.name}: median {format_figure(rate.value or 0, 3)} s, p90 {format_figure(late, 3)} s "
        f"({int(rate.n):,} labels); not judged."
    )
    return with_rate(undecided_labelling(context, project, labelling_speed.SECONDS, int(rate.n)), rate, "unknown", because)


def about_sessions(project: Project, tired: labelling_speed.Fatigue, p: float, context: Context) -> Finding:
    """Return the finding about the change of accuracy within sessions. It is at most `watch`."""
    slope = tired.slope
    falls = p <= context.budget and (slope.value or 0) <= -labelling_speed.SLOPE_WATCH
    told = (
        f"{format_figure(100 * (slope.value or 0), 2, sign=True)} points an hour (95 %: "
        f"{format_figure(100 * (slope.low or 0), 2, sign=True)} to {format_figure(100 * (slope.high or 0), 2, sign=True)}), "
        f"within {tired.sessions:,} sessions"
    )
    if falls:
        because = (
            f"Accuracy in {project.name} falls during sessions: on gold items it changes by {told}. Shorter sessions, or "
            "breaks, would help."
        )
    else:
        because = f"No evidence of fatigue in {project.name}: accuracy on gold items changes by {told}."
    base = undecided_labelling(context, project, labelling_speed.SLOPE, int(slope.n))
    return with_rate(
        base,
        slope,
        "watch" if falls else "ok",
        because,
        against="peers",
        limit=-labelling_speed.SLOPE_WATCH,
        evidence={"p_adjusted": p, "sessions": tired.sessions},
        likely_source="label" if falls else None,
        rank=3.0 if falls else 0.0,
    )


def rate_range(rate: Interval) -> str:
    """Return an interval in words: `88 % to 95 %`."""
    return f"{percent(rate.low or 0)} to {percent(rate.high or 0)}" if rate.low is not None and rate.high is not None else "no interval"


def rate_evidence(rate: Interval) -> list[float | None]:
    """Return value, low, high and n of a rate."""
    return [rate.value, rate.low, rate.high, rate.n]


def labelling_limit(look: LabellingComparison, severity: Severity) -> float:
    """Return the limit with which the share was compared."""
    step = ACT if severity == "act" else WATCH
    other = look.there.value or 0.0
    return min(other + step, 1.0) if look.metric in (suggestions.TAKEN, suggestions.ACCEPTANCE) else max(other - step, 0.0)


def comparison_evidence(look: LabellingComparison, p: float) -> dict[str, Any]:
    """Return the evidence of a comparison."""
    return {
        "baseline": look.there.value,
        "peers": look.there.n,
        "gap": look.gap,
        "before": look.before,
        "standing": look.standing,
        "p_adjusted": p,
    }


def label_source(severity: Severity, look: LabellingComparison) -> dict[str, Any]:
    """Return the likely source and the rank of a finding."""
    return {"likely_source": "label", "rank": 2.0 + look.gap} if severity != "ok" else {}


ANALYZER = Analyzer(
    NAME,
    "Do annotators answer gold items correctly, and independently of suggestions?",
    needs,
    analyze,
    exceptions=frozenset({1}),
    about="records",
    proofs=LABELLING_PROOFS,
)
