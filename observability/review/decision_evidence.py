"""What does a decision rest on? One text for each piece: readable, searchable, and with the ids that lead back to it.

`2013-W27: Mean absolute error 30.5 … [incident:flights-delay:serving/performance/model/mae/]` names the review, says the item's title, and ends in its id.
"""

import re
from dataclasses import dataclass

SHAPE = re.compile(r"(?P<review>\d{4}-W\d{2}): (?P<title>.*?)(?: \[(?P<item>[^\[\]]+)\])?", re.DOTALL)
STEPS = {"challenger": "changes", "action": "promises"}
"""Where in the room a piece stands that is no item of the agenda, by how its id begins."""


@dataclass(frozen=True)
class Evidence:
    """One piece. review, item: ids, None where a text does not name them (written elsewhere, or before ids were kept)."""

    title: str
    review: str | None = None
    item: str | None = None

    def __str__(self) -> str:
        return f"{self.review}: {self.title}" + (f" [{self.item}]" if self.item else "")

    @property
    def words(self) -> str:
        """Without the id, as people read it."""
        return f"{self.review}: {self.title}" if self.review else self.title

    @property
    def step(self) -> str:
        """The step of the room that shows it."""
        return STEPS.get(str(self.item).partition(":")[0], "agenda")


def read(written: str) -> Evidence:
    """A stored text as a piece of evidence; any other text is its own title."""
    found = SHAPE.fullmatch(written)
    return Evidence(found["title"], found["review"], found["item"]) if found else Evidence(written)
