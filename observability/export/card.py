"""What must somebody know who uses a model: its card (Mitchell et al. 2019), from the tables that the pages read, stamped with the last review?"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from observability.core import formatting
from observability.core.catalog import Model, Version
from observability.core.finding import iso
from observability.core.questions import Records
from observability.core.window import Window
from observability.export.review import environment
from observability.monitoring import check
from observability.records.values import AFTER_LAST, FIRST
from observability.review import freeze
from observability.review.agenda_items import rows
from observability.store.query import listing, records

if TYPE_CHECKING:
    from observability.store.db.database import Store

Body = dict[str, Any]
MEASURED = ("serving/performance", "serving/calibration", "serving/latency")
ANALYSED = ("trust/fairness", "serving/slices", "trust/explanations")
MOST = 12


def page(store: "Store", name: str, now: datetime) -> str:
    """The card of a model as one HTML file. Raises NotFoundError for an unknown model."""
    model = store.catalog().model(name)
    review, part = last_review(store, name)
    window, _ = check.window_of(model, listing.activity(store), start=None, end=None, as_of=None, now=now)
    findings: Sequence[Body] = (
        part["findings"] if part else [each.to_json() for each in check.check(store, model=name, now=now, with_records=False).findings]
    )
    return environment().get_template("card.html").render(
        model=model,
        settings=model.settings,
        review=review,
        start=iso(window.start),
        end=iso(window.end),
        made_at=iso(now),
        versions=[described(each) for each in model.versions],
        factors=[each.name for each in model.columns if each.sensitive],
        metrics=[each for each in findings if each["analyzer"] in MEASURED and each["subject"] == "model" and each["value"] is not None],
        target=target,
        runs=list(trained(store, model)),
        analyses=[each for each in findings if each["analyzer"] in ANALYSED and each["value"] is not None][:MOST],
        signatures=list(signed(store, name)),
        caveats=list(caveats(model, findings)),
    )  # fmt: skip


def last_review(store: "Store", name: str) -> tuple[Body | None, Body | None]:
    """The newest frozen week in which the model served, and its part in it."""
    for each in freeze.frozen_weeks(store):
        body = freeze.body_of(store, each.review)
        part = next((one for one in (body or {}).get("models", ()) if one["model"] == name and one["served"]), None)
        if part is not None:
            return body, part
    return None, None


def described(version: Version) -> Body:
    """A version in words."""
    when = (
        f"registered {formatting.day(version.registered_at)}"
        if version.registered_at
        else "not registered: it was seen in predictions only"
    )
    held = "rows that the model was fitted on, which flatter it" if version.in_sample else "held-out rows"
    reference = f"{version.reference_rows:,} {held}." if version.reference_rows else "no reference."
    model_file = "its file is stored" if version.artifact else "its file is not stored"
    return {"name": version.name, "words": f"{when}; {len(version.features)} features; {model_file}.", "reference": reference}


def target(finding: Body) -> str:
    """The limit that a figure is held against."""
    limit = finding["limit"]
    if limit is None:
        return formatting.DASH
    both = limit if isinstance(limit, list) else [limit]
    return " to ".join(formatting.amount(each, finding["unit"]) for each in both)


def trained(store: "Store", model: Model) -> Iterable[str]:
    """The training runs of a model, the newest first, in words."""
    frame = records.fetch(store, Records("run", ever=True, rows=200, only=(("event", "start"),)), Window(model.name, FIRST, AFTER_LAST))
    for row in list(reversed(frame.to_dict("records")))[:MOST]:
        data = f" on {row['dataset']}" if row["dataset"] else ""
        params = ", ".join(f"{name} {value}" for name, value in list((row["params"] or {}).items())[:8])
        yield f"{row['run']}, {formatting.day(row['at'])}{data}{': ' + params if params else ''}."


def signed(store: "Store", name: str) -> Iterable[str]:
    """What risk owners accepted, the newest signature of each state."""
    newest = {row["subject"]: row for row in rows(store, "signature") if row["model"] == name}
    for subject, row in newest.items():
        note = f" {row['note']}" if row["note"] else ""
        yield f"{row['author']} accepts {subject} until {row['until']:%Y-%m-%d}.{note}"


def caveats(model: Model, findings: Sequence[Body]) -> Iterable[str]:
    """What a reader has to keep in mind: a flattering reference, what needs a person, what cannot be told."""
    for version in model.versions:
        if version.in_sample:
            yield f"The reference of version {version.name} holds rows that it was fitted on: comparisons with it flatter."
        if not version.registered:
            yield f"Version {version.name} serves without a reference."
    yield from [each["because"] for each in findings if each["severity"] == "act"][:MOST]
    yield from [each["because"] for each in findings if each["severity"] == "unknown" and each["subject"] == "model"][: MOST // 2]


def file_name(name: str, now: datetime) -> str:
    """A file's name without any sign that a system could take for something else."""
    return f"model-card-{formatting.file_part(name, 'model')}-{now:%Y-%m-%d}.html"
