"""Outcome of a prediction: what was predicted, the label and when it arrived, a timeline, and the cost of the error."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from observability.core.formatting import format_number, plural
from observability.core.numerals import format_figure, score_beside_threshold
from observability.core.questions import Records
from observability.core.time import aware_utc, naive_utc
from observability.core.window import EPOCH, Window
from observability.investigation.case_parts import CaseInProgress
from observability.investigation.evidence_types import Happened, Mark
from observability.investigation.label_types import class_words, outcome_words, with_unit
from observability.investigation.logged_prediction import Row
from observability.metrics.error_cost import UNPRICED_TASK

EVENT_DAYS = 7
MAX_EVENTS = 20
STEPS = ((86_400 * 2, 86_400, "days"), (3_600 * 2, 3_600, "hours"), (120, 60, "minutes"))


def outcome_story(case: CaseInProgress) -> Happened:
    """Sentence, timeline and cost of the error."""
    amount, currency, why = cost_of(case.row)
    return Happened(f"{answer_text(case.row)} {truth_text(case.row)}", tuple(timeline(case)), amount, currency, why)


def answer_text(row: Row) -> str:
    """The prediction as a sentence."""
    if row.answer is None and row.score is None:
        return f"No prediction: status {row.status}."
    if row.model.task == "regression":
        return f"Predicted {outcome_words(row.model, row.answer or '')}."
    named = outcome_words(row.model, row.answer) if row.answer else "no class"
    if row.model.task == "binary":
        of_class = "" if row.decision == 1 else f": {class_words(row.model, row.model.classes[1])}"  # the score is that of the second class
        score = "" if row.score is None else f"{of_class} at {binary_score_text(row)} (threshold {format_figure(row.threshold)})"
        return f"Predicted {named}{score}."
    return f"Predicted {named}{'' if row.score is None else f' at {row.score:.2f}'}."


def binary_score_text(row: Row) -> str:
    """The score of a binary model with two decimals, or with more if they are needed to show which side of the threshold it is on."""
    assert row.score is not None
    return score_beside_threshold(row.score, row.threshold, f"{row.score:.2f}")


def score_digits(row: Row) -> str:
    """The score with four digits. For a binary model, with more digits if they are needed to show which side of the threshold it is on."""
    text = format_number(row.score, 4)
    return score_beside_threshold(row.score, row.threshold, text) if row.score is not None and row.model.task == "binary" else text


def truth_text(row: Row, *, verdict: bool = True) -> str:
    """The label and when it was known, as a sentence. verdict: whether the sentence also says if the decision was right."""
    if row.label is None:
        return "Outcome unknown: no label has arrived."
    after = row.label.at - row.at
    known = "known at once" if after <= timedelta(seconds=1) else f"known {duration_text(after)} later"
    error = ""
    if row.error is not None:
        error = (
            f", so it was {with_unit(row.model, format_figure(abs(row.error)))} too {'high' if row.error > 0 else 'low'}"
            if row.error
            else ", so it was exact"
        )
    elif verdict and row.wrong is not None:
        error = ": wrong" if row.wrong else ": right"
    revised = f" The label was revised {plural(len(row.revisions) - 1, 'time')}." if len(row.revisions) > 1 else ""
    return f"Real outcome {outcome_words(row.model, row.label.value)}, {known}{error}.{revised}"


def duration_text(span: timedelta) -> str:
    """A duration as text: 41 days, 2 hours, 90 seconds."""
    seconds = span.total_seconds()
    for least, unit, name in STEPS:
        if seconds >= least:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} seconds"


def timeline(case: CaseInProgress) -> Iterator[Mark]:
    """In order of time: when features were read, scoring, actions, labels, complaints and the nearest events."""
    yield from sorted([*prediction_event_marks(case.row), *event_marks(case)], key=lambda mark: mark.at)


def prediction_event_marks(row: Row) -> Iterator[Mark]:
    """Events of the prediction and its labels."""
    read = [(reading_instant(text), name) for name, text in (row.stored.get("feature_at") or {}).items()]
    times = sorted((at, name) for at, name in read if at is not None)
    if times:
        first, last = times[0], times[-1]
        oldest = f"oldest {first[1]}, {duration_text(row.at - first[0])} before"
        yield Mark(last[0], "read", f"{plural(len(times), 'feature')} with a reading time; {oldest}")
    took = row.stored.get("latency_ms")
    yield Mark(row.at, "scored", f"{answer_text(row)}{'' if took is None else f' It took {took:.4g} ms.'}")
    if row.stored.get("acted_at") is not None:
        yield Mark(aware_utc(row.stored["acted_at"]), "acted", "The decision was acted on.")
    for place, each in enumerate(row.revisions):
        by = "".join(f", {name} {value}" for name, value in (("by", each.annotator), ("source", each.source)) if value)
        yield Mark(
            each.arrived,
            "correction" if place else "label",
            f"Label {outcome_words(row.model, each.value)}{by}, of {each.at:%Y-%m-%d %H:%M} UTC",
        )


def event_marks(case: CaseInProgress) -> Iterator[Mark]:
    """Complaints and notes about this prediction at any time, and the nearest events of its model within a week."""
    row = case.row
    # An event may name the prediction without naming its model, so the window covers all models.
    window = Window("", EPOCH, max(case.now, EPOCH) + timedelta(seconds=1), as_of=case.as_of)
    about = case.store.ask(Records("event", ever=True, rows=MAX_EVENTS, only=(("prediction", row.id),)), window)
    for each in about.to_dict("records"):
        if each["model"] in (None, row.model.name):
            yield Mark(aware_utc(each["at"].to_pydatetime()), each["what"], each["text"])
    span = timedelta(days=EVENT_DAYS)
    near = case.store.events(row.model.name, row.at - span, min(row.at + span, max(case.now, row.at)), case.as_of)
    near = near[near["prediction"].isna()]
    far = (near["at"] - naive_utc(row.at)).abs()
    for each in near.loc[far.sort_values(kind="stable").index[:MAX_EVENTS]].to_dict("records"):
        yield Mark(aware_utc(each["at"].to_pydatetime()), each["what"], each["text"])


def reading_instant(text: object) -> datetime | None:
    """A stored reading time; None if it cannot be parsed."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else aware_utc(found)


def error_cost_words(row: Row, known: Happened | None) -> str:
    """The cost of the error with its currency, as `50 USD`; empty if the prediction is not an error, or the cost is unknown."""
    if known is None or known.cost is None or not row.wrong:
        return ""
    return f"{format_figure(known.cost, 6)} {known.currency or ''}".strip()


def cost_of(row: Row) -> tuple[float | None, str | None, str | None]:
    """Cost of this error by the model's settings, its currency, and a sentence with the reason if it is unknown or 0."""
    settings = row.model.settings
    if row.model.task != "binary":
        return None, None, UNPRICED_TASK
    if row.wrong is None:
        return None, None, "It is not known yet whether this was an error."
    if not row.wrong:
        return 0.0, settings.cost_currency, "The prediction was right."
    name = "cost_false_positive" if row.decision == 1 else "cost_false_negative"
    amount = getattr(settings, name)
    if amount is None:
        return None, None, f"No cost is set for such an error: set {name} in the model's settings."
    return float(amount), settings.cost_currency, None
