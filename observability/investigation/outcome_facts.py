"""What did we say, what was true, when did we know, and what did it cost?"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from observability.core.numerals import worded
from observability.core.questions import Records
from observability.core.time import aware_utc, naive_utc
from observability.core.window import EPOCH, Window
from observability.investigation.case_parts import Look
from observability.investigation.evidence_types import Happened, Mark
from observability.investigation.logged_prediction import Row
from observability.store.query import listing, records

EVENT_DAYS = 7
MOST_EVENTS = 20
STEPS = ((86_400 * 2, 86_400, "days"), (3_600 * 2, 3_600, "hours"), (120, 60, "minutes"))


def happened(look: Look) -> Happened:
    """The verdict sentence, the timeline and the cost of the error."""
    amount, currency, why = cost_of(look.row)
    return Happened(sentence(look.row), tuple(timeline(look)), amount, currency, why)


def sentence(row: Row) -> str:
    """What was predicted and what turned out, in one or two sentences."""
    return f"{said(row)} {truth(row)}"


def said(row: Row) -> str:
    """What the model answered."""
    if row.answer is None and row.score is None:
        return f"No answer was given: status {row.status}."
    if row.model.task == "regression":
        return f"Predicted {worded(row.answer)}."
    if row.model.task == "binary":
        score = "" if row.score is None else f" at {row.score:.2f} (cut-off {row.threshold:.2f})"
        return f"Predicted {row.answer or 'no class'}{score}."
    return f"Predicted {row.answer or 'no class'}{'' if row.score is None else f' at {row.score:.2f}'}."


def truth(row: Row) -> str:
    """What turned out to be true, and when it was known."""
    if row.label is None:
        return "What really happened is not known yet: no label has arrived."
    after = row.label.at - row.at
    known = "known at once" if after <= timedelta(seconds=1) else f"known {spoken(after)} later"
    error = ""
    if row.error is not None:
        error = f", so it was {abs(row.error):.4g} too {'high' if row.error > 0 else 'low'}" if row.error else ", so it was exact"
    elif row.wrong is not None:
        error = ": wrong" if row.wrong else ": right"
    revised = (
        f" The label was revised {len(row.revisions) - 1} time{'s' if len(row.revisions) > 2 else ''}." if len(row.revisions) > 1 else ""
    )
    return f"Real outcome {worded(row.label.value)}, {known}{error}.{revised}"


def spoken(span: timedelta) -> str:
    """A length of time in words: 41 days, 2 hours, 90 seconds."""
    seconds = span.total_seconds()
    for least, unit, name in STEPS:
        if seconds >= least:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} seconds"


def timeline(look: Look) -> Iterator[Mark]:
    """Features read, scored, acted on, labels, complaints, and the nearest events, in order of time."""
    yield from sorted([*own_marks(look.row), *event_marks(look)], key=lambda mark: mark.at)


def own_marks(row: Row) -> Iterator[Mark]:
    """What the prediction and its labels say of themselves."""
    read = [(instant(text), name) for name, text in (row.stored.get("feature_at") or {}).items()]
    times = sorted((at, name) for at, name in read if at is not None)
    if times:
        first, last = times[0], times[-1]
        yield Mark(
            last[0], "read", f"{len(times)} features with a time of reading; the oldest, {first[1]}, {spoken(row.at - first[0])} before"
        )
    took = row.stored.get("latency_ms")
    yield Mark(row.at, "scored", f"{said(row)}{'' if took is None else f' It took {took:.4g} ms.'}")
    if row.stored.get("acted_at") is not None:
        yield Mark(aware_utc(row.stored["acted_at"]), "acted", "Somebody acted on it.")
    for place, each in enumerate(row.revisions):
        by = "".join(f", {name} {value}" for name, value in (("by", each.annotator), ("source", each.source)) if value)
        yield Mark(each.arrived, "correction" if place else "label", f"Label {worded(each.value)}{by}, about {each.at:%Y-%m-%d %H:%M} UTC")


def event_marks(look: Look) -> Iterator[Mark]:
    """Complaints and notes about this prediction whenever they came, and the nearest events of its model within a week."""
    row = look.row
    window = Window(row.model.name, EPOCH, max(look.now, EPOCH) + timedelta(seconds=1), as_of=look.as_of)
    about = records.fetch(look.store, Records("event", ever=True, rows=MOST_EVENTS, only=(("prediction", row.id),)), replace_model(window))
    for each in about.to_dict("records"):
        if each["model"] in (None, row.model.name):
            yield Mark(aware_utc(each["at"].to_pydatetime()), each["what"], each["text"])
    span = timedelta(days=EVENT_DAYS)
    near = listing.events(look.store, row.model.name, row.at - span, min(row.at + span, max(look.now, row.at)))
    near = near[near["prediction"].isna()]
    far = (near["at"] - naive_utc(row.at)).abs()
    for each in near.loc[far.sort_values(kind="stable").index[:MOST_EVENTS]].to_dict("records"):
        yield Mark(aware_utc(each["at"].to_pydatetime()), each["what"], each["text"])


def replace_model(window: Window) -> Window:
    """The same window over all models: an event may name the prediction without its model."""
    return Window("", window.start, window.end, as_of=window.as_of)


def instant(text: object) -> datetime | None:
    """A stored time of reading, None where it cannot be read."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else aware_utc(found)


def cost_of(row: Row) -> tuple[float | None, str | None, str | None]:
    """What this error cost by the model's settings, its currency, and a sentence where that is not known."""
    settings = row.model.settings
    if row.model.task != "binary":
        return None, None, "Costs of errors are settings of binary models."
    if row.wrong is None:
        return None, None, "Whether it was an error is not known yet."
    if not row.wrong:
        return 0.0, settings.cost_currency, "It was right."
    name = "cost_false_positive" if row.decision == 1 else "cost_false_negative"
    amount = getattr(settings, name)
    if amount is None:
        return None, None, f"Nobody said what such an error costs: set {name} in the model's settings."
    return float(amount), settings.cost_currency, None
