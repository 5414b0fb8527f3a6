"""Records other than predictions, and the pages that show them.

A store may hold training runs, batches or events long before the first prediction, and is then not called empty.
"""

from dataclasses import dataclass

from observability.core import formatting
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.dashboard import load

PLACES = {
    "run": ("run", "training run", None, "runs"),
    "batch": ("batch", "batch", "batches", "batches"),
    "cleaning": ("rule", "cleaning rule", None, "cleaning"),
    "annotation": ("project", "labelling project", None, "labelling"),
    "dataset": ("dataset", "dataset", None, "datasets"),
    "event": ("what", "kind of event", "kinds of events", "changes"),
}
"""By kind of record: the field that names it, the words for one and for several, and the page that shows them."""


@dataclass(frozen=True)
class OtherRecords:
    """Records of one kind: their number in words, and the page that shows them."""

    words: str
    page: str


def other_records_present() -> tuple[OtherRecords, ...]:
    """The kinds of records in the store other than predictions."""
    always, found = Window("", EPOCH, load.page_clock()), []
    for kind, (field, one, many, page) in PLACES.items():
        names = load.ask_store(Records(kind, (field,), ever=True), always)[field]
        if len(names):
            found.append(OtherRecords(formatting.plural(names.nunique(), one, many), page))
    return tuple(found)
