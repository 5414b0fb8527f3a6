"""Check labelling: annotator agreement, deviating annotators, contradicted labels, the label queue, and the price of a label.

Reads records of the kinds `annotation`, `assignment` and `price` of the projects that the model's settings name (by default the project
with the model's name). A model without labelling has no finding.
"""

from dataclasses import replace

import numpy as np

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Finding
from observability.core.questions import Records
from observability.core.time import naive_utc
from observability.detection import annotator_agreement, label_queue
from observability.metrics import annotators, repeat_labels
from observability.metrics.labelling_projects import NAME, PAST_DAYS, project_records, recent_labels
from observability.metrics.prices import PRICES
from observability.proofs.labelling import LABEL_PROOFS
from observability.stats.multiple_testing import ACT_SHARE, benjamini_hochberg

LIMITS = {
    annotator_agreement.METRIC: annotator_agreement.ACT,
    annotators.METRIC: annotators.ACT,
    repeat_labels.REPEATS: repeat_labels.ACT,
    label_queue.METRIC: label_queue.ACT,
    repeat_labels.PRICE: repeat_labels.MUCH_DEARER,
}
"""Limits for `act`, in this order: fall of alpha, points below the others, rise of the share, additional days, ratio to the earlier
price.
"""
ANNOTATED = Records("annotation", ("project", "item", "annotator", "at", "label"))
DONE = Records("annotation", ("project", "item", "annotator", "at"), ever=True)
ASSIGNED = Records("assignment", ("project", "item", "annotator", "at"), ever=True)


def needs(context: Context) -> dict[str, Ask]:
    """Ask for labels of the window and of the four weeks before it, all assignments with their completion, and prices."""
    if context.window.slice is not None:
        return {}
    return {
        "annotated": Ask(ANNOTATED, scope="model"),
        "past annotated": Ask(ANNOTATED, span="past", days=PAST_DAYS, scope="model"),
        "assigned": Ask(ASSIGNED, scope="model"),
        "done": Ask(DONE, scope="model"),
        "prices": Ask(PRICES, scope="model"),
    }


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return findings about agreement, annotators, contradicted labels, queues and the price of a label; empty without labels."""
    import pandas as pd

    if not frames:
        return []
    both = [project_records(frames[name], context) for name in ("past annotated", "annotated")]
    annotated = pd.concat([each for each in both if len(each)] or both[:1], ignore_index=True)
    assigned = project_records(frames["assigned"], context)
    if annotated.empty and assigned.empty:
        return []
    end, days = naive_utc(context.window.end), context.window.days
    labels = recent_labels(annotated, end, days + PAST_DAYS)
    work = label_queue.assignments_of(assigned, project_records(frames["done"], context), end) if len(assigned) else None
    agreements, people = annotator_agreement.agreement_changes(labels, context), annotators.agreement_comparisons(labels, days)
    repeats = repeat_labels.label_conflicts(annotated, end, days)
    queues = label_queue.label_queues(work, context) if work is not None else []
    p_values = [
        [each.p_value for each in agreements],
        [each.p_value for each in people],
        [each.p_value for each in repeats],
        [each.p_value for each in queues],
    ]
    adjusted, act = benjamini_hochberg([p for several in p_values for p in several], context.budget)[0], context.budget * ACT_SHARE
    parts = [each.tolist() for each in np.split(adjusted, np.cumsum([len(each) for each in p_values])[:-1])]
    inside = int((annotated["at"] >= naive_utc(context.window.start)).sum())
    agreement = annotator_agreement.about_agreement(
        undecided_labels(context, annotator_agreement.METRIC), labels, agreements, parts[0], context
    )
    of_projects = {"projects": list(context.model.settings.projects or (context.model.name,))}
    found = [
        replace(agreement, evidence=agreement.evidence | of_projects),
        *annotators.annotator_findings(
            replace(undecided_labels(context, annotators.METRIC), against="peers"), labels, people, parts[1], act, context
        ),
        repeat_labels.label_conflict_finding(undecided_labels(context, repeat_labels.REPEATS), inside, repeats, parts[2], act, context),
    ]
    if work is not None:
        found += label_queue.about_queues(undecided_labels(context, label_queue.METRIC), work, queues, parts[3], context)
    price = repeat_labels.label_price_finding(undecided_labels(context, repeat_labels.PRICE), annotated, frames["prices"], context)
    return [*found, *([price] if price else [])]


def undecided_labels(context: Context, metric: str, because: str = "") -> Finding:
    """Return the finding of severity `unknown` about all versions, on which the other findings are based."""
    return context.undecided(NAME, "model", metric, 0, because, against="past", whole_model=True)


ANALYZER = Analyzer(
    NAME,
    "Do annotators agree as before, and is the label queue no older?",
    needs,
    analyze,
    exceptions=frozenset({1}),
    limits=LIMITS,
    proofs=LABEL_PROOFS,
)
