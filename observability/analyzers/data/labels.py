"""Do the people who label agree as they did, does one of them answer otherwise than the rest, does the work keep up, and what does a label cost?

From records of the kinds `annotation`, `assignment` and `price`, of the projects that the model's settings name (else the one of its name). Nothing is said
of a model that has no labelling.
"""

from dataclasses import replace

import numpy as np

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Finding
from observability.core.questions import Records
from observability.core.time import naive_utc
from observability.detection import annotator_agreement, label_queue
from observability.metrics import annotators, repeat_labels
from observability.metrics.labelling_projects import NAME, PAST_DAYS, labels_of, own
from observability.metrics.prices import PRICES
from observability.stats.multiple import ACT_SHARE, benjamini_hochberg

LIMITS = {
    annotator_agreement.METRIC: annotator_agreement.ACT,
    annotators.METRIC: annotators.ACT,
    repeat_labels.REPEATS: repeat_labels.ACT,
    label_queue.METRIC: label_queue.ACT,
    repeat_labels.PRICE: repeat_labels.MUCH_DEARER,
}
"""A fall of alpha, points below the others, a rise of the share, days longer, times the price: from so much somebody is needed."""
ANNOTATED = Records("annotation", ("project", "item", "annotator", "at", "label"))
DONE = Records("annotation", ("project", "item", "annotator", "at"), ever=True)
ASSIGNED = Records("assignment", ("project", "item", "annotator", "at"), ever=True)


def needs(context: Context) -> dict[str, Ask]:
    """Labels of the window and of the four weeks before it; assignments and when they were done, whenever that was; prices."""
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
    """Agreement, annotators, labels that contradict earlier ones, queues, and the price of a label; nothing where nobody labels."""
    import pandas as pd

    if not frames:
        return []
    both = [own(frames[name], context) for name in ("past annotated", "annotated")]
    annotated = pd.concat([each for each in both if len(each)] or both[:1], ignore_index=True)
    assigned = own(frames["assigned"], context)
    if annotated.empty and assigned.empty:
        return []
    end, days = naive_utc(context.window.end), context.window.days
    labels = labels_of(annotated, end, days + PAST_DAYS)
    work = label_queue.given(assigned, own(frames["done"], context), end) if len(assigned) else None
    agreements, people = annotator_agreement.looked_at(labels, context), annotators.looked_at(labels, days)
    repeats = repeat_labels.looked_at(annotated, end, days)
    queues = label_queue.looked_at(work, context) if work is not None else []
    p_values = [
        [each.p_value for each in agreements],
        [each.p_value for each in people],
        [each.p_value for each in repeats],
        [each.p_value for each in queues],
    ]
    adjusted, act = benjamini_hochberg([p for several in p_values for p in several], context.budget)[0], context.budget * ACT_SHARE
    parts = [each.tolist() for each in np.split(adjusted, np.cumsum([len(each) for each in p_values])[:-1])]
    inside = int((annotated["at"] >= naive_utc(context.window.start)).sum())
    found = [
        annotator_agreement.about_agreement(blank(context, annotator_agreement.METRIC), labels, agreements, parts[0], act, context),
        *annotators.about_annotators(replace(blank(context, annotators.METRIC), against="peers"), labels, people, parts[1], act, context),
        repeat_labels.about_repeats(blank(context, repeat_labels.REPEATS), inside, repeats, parts[2], act, context),
    ]
    if work is not None:
        found += label_queue.about_queues(blank(context, label_queue.METRIC), work, queues, parts[3], act, context)
    price = repeat_labels.about_price(blank(context, repeat_labels.PRICE), annotated, frames["prices"], context)
    return [*found, *([price] if price else [])]


def blank(context: Context, metric: str, because: str = "") -> Finding:
    """A finding about all versions that cannot tell, to be filled in where it can."""
    return context.undecided(NAME, "model", metric, 0, because, against="past", whole_model=True)


ANALYZER = Analyzer(
    NAME, "Do annotators agree as they did, and does the labelling keep up?", needs, analyze, exceptions=frozenset({1}), limits=LIMITS
)
