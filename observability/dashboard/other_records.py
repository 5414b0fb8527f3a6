"""What is in the store beside predictions, and on which page does it stand?

A store may hold training runs, batches or events long before a model answers, and then nobody is told that it is empty.
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
"""Of each kind: the field that names one, the words for one and for several, and the page that shows them."""


@dataclass(frozen=True)
class Other:
    """Records of one kind: how many different ones there are in words, and the page that shows them."""

    words: str
    page: str


def there() -> tuple[Other, ...]:
    """What the store holds beside predictions; nothing where it is empty."""
    always, found = Window("", EPOCH, load.now()), []
    for kind, (field, one, many, page) in PLACES.items():
        names = load.records(Records(kind, (field,), ever=True), always)[field]
        if len(names):
            found.append(Other(formatting.plural(names.nunique(), one, many), page))
    return tuple(found)


def listed(found: tuple[Other, ...]) -> str:
    """`2 training runs and 1 batch`."""
    words = [each.words for each in found]
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
