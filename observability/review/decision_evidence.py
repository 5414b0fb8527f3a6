"""References to the evidence for a decision, as texts with ids that people can read and search.

For example, `2013-W27: Mean absolute error 30.5 … [incident:flights-delay:serving/performance/model/mae/]` states the review, the title of
the item, and its id.
"""

import re
from dataclasses import dataclass

SHAPE = re.compile(r"(?P<review>\d{4}-W\d{2}): (?P<title>.*?)(?: \[(?P<item>[^\[\]]+)\])?", re.DOTALL)
STEPS = {"challenger": "changes", "action": "promises"}
"""The step of the review that shows evidence which is not an agenda item, by the first part of the evidence's id."""


@dataclass(frozen=True)
class Evidence:
    """One reference to evidence. review, item: ids; None if the text does not contain them."""

    title: str
    review: str | None = None
    item: str | None = None

    def __str__(self) -> str:
        return f"{self.review}: {self.title}" + (f" [{self.item}]" if self.item else "")

    @property
    def words(self) -> str:
        """The text without the id."""
        return f"{self.review}: {self.title}" if self.review else self.title

    @property
    def step(self) -> str:
        """The step of the review that shows the evidence."""
        return STEPS.get(str(self.item).partition(":")[0], "agenda")


def read_evidence(written: str) -> Evidence:
    """A stored text as a reference; text of another form becomes the title."""
    found = SHAPE.fullmatch(written)
    return Evidence(found["title"], found["review"], found["item"]) if found else Evidence(written)
