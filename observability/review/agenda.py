"""The agenda of the weekly review. The most urgent items come first; urgency depends on the change since last week and on exposure.

The ranking is fixed when the week is frozen. Items that people pin, remove or add are recorded later and only rearrange it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, cast

from observability.core.finding import STATE_OF, Severity, State, urgency

MAX_ITEMS = 7
"""Maximum number of items on the agenda. Overdue items beyond it are appended; all other items are folded."""
OUTCOMES = ("accept", "watch", "act")
"""Changes that give an item its outcome."""
UNDECIDED = 3
"""After this number of consecutive weeks without a decision, an item moves to the top of its severity and gets a flag."""
Change = Literal["new", "worse", "as before", "better", "due"]
Sort = Literal["incident", "action", "decision", "signature", "audit", "added"]
WEIGHT_OF_CHANGE: dict[str, float] = {"new": 1.0, "worse": 0.8, "due": 0.8, "as before": 0.3, "better": 0.2}
WEIGHT_OF_SEVERITY: dict[str, float] = {"act": 1.0, "watch": 0.35, "unknown": 0.1, "ok": 0.05}
MIN_EXPOSURE, MIN_DUE = 0.05, 0.5
"""Minimum exposure of items about a model with little traffic; minimum exposure of actions, decisions and signatures that are due, which do
not depend on traffic.
"""


@dataclass(frozen=True)
class Item:
    """One agenda item.

    item: id, stable from week to week. title: one sentence. reasons: why it is on the agenda, in short sentences. score: severity × change
    × exposure × weight, by which items are ordered. exposure: share of the fleet's weekly predictions that it may affect. weight: 1 if
    outcomes are wrong, late or unequal; less if only inputs changed. rank: the rank of the leading finding, for ties. weeks: number of
    consecutive weeks on an agenda without a decision, including this one. about: ids of the things on which it is based (incident, finding,
    action, slice). also: further models with the same fault, each with model, item (the id that a separate item for it would have),
    incident and finding. acknowledged: whether its incident is critical and a person had acted on it before the week was frozen. Its
    severity is then `watch`.
    """

    item: str
    sort: Sort
    title: str
    severity: Severity
    change: Change
    exposure: float
    model: str | None = None
    reasons: tuple[str, ...] = ()
    score: float = 0.0
    weeks: int = 1
    about: dict[str, str] = field(default_factory=dict)
    weight: float = 1.0
    rank: float = 0.0
    also: tuple[dict[str, str], ...] = ()
    acknowledged: bool = False

    @property
    def state(self) -> State:
        """The state of the item, as of an incident: an acknowledged item stays critical."""
        return "critical" if self.acknowledged else STATE_OF[self.severity]

    @property
    def shown_severity(self) -> Severity:
        """The severity that determines word, icon and colour on pages and in files. It is the severity of the state."""
        return "act" if self.acknowledged else self.severity

    @property
    def models(self) -> tuple[str, ...]:
        """All models that the item is about."""
        return (*((self.model,) if self.model else ()), *(other["model"] for other in self.also))

    @property
    def ids(self) -> frozenset[str]:
        """The item's id, and the ids that it has in weeks in which only one of the other models shows the fault."""
        return frozenset((self.item, *(other["item"] for other in self.also if "item" in other)))

    @property
    def incidents(self) -> frozenset[str]:
        """The incidents of all models of the item."""
        return frozenset(other["incident"] for other in (self.about, *self.also) if "incident" in other)

    def of(self, model: str | None) -> dict[str, str]:
        """The ids of the item's incident, finding, action or slice in one of its models."""
        own = next((other for other in self.also if other["model"] == model), {})
        return self.about | {name: value for name, value in own.items() if name in ("incident", "finding")}

    def of_model(self, model: str) -> list["Item"]:
        """The items that would exist for the incidents of one model alone, each with the severity of its incident."""
        own = (*((self.about,) if self.model == model else ()), *(other for other in self.also if other["model"] == model))
        return [
            replace(self, severity=cast(Severity, each["severity"]), acknowledged="acknowledged" in each) if "severity" in each else self
            for each in own
        ]

    @property
    def overdue(self) -> bool:
        """Whether the item has been without a decision for UNDECIDED weeks."""
        return self.weeks >= UNDECIDED

    @property
    def late(self) -> bool:
        """Whether the item is never folded, because it is overdue or its date has passed."""
        return self.overdue or (self.change == "due" and self.severity == "act")

    def to_json(self) -> dict[str, Any]:
        """The item as JSON for the frozen week."""
        return asdict(self) | {"reasons": list(self.reasons), "also": list(self.also)}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "Item":
        """The item from a frozen week. Older formats name only the other models, in `about`."""
        named = [{"model": name} for name in body["about"].get("also", "").split(",") if name]
        return cls(**{**body, "reasons": tuple(body["reasons"]), "also": tuple(body.get("also", named))})


def ranked_agenda(items: Iterable[Item]) -> list[Item]:
    """Items with their scores, most urgent first (`urgency`), in the same order as incidents on Home. An overdue item counts as new, so it
    is first among items of its severity. Equally urgent items are ordered by score, weight and rank.
    """
    scored = [replace(item, score=agenda_score(item)) for item in items]

    def key(item: Item) -> tuple[tuple[int, bool], bool, float, float, float, str, str]:
        stands = item.change in ("as before", "better") and not item.overdue
        urgent = urgency(item.severity, stands)
        return urgent, not item.overdue, -item.score, -item.weight, -item.rank, item.model or "", item.item

    return sorted(scored, key=key)


def agenda_score(item: Item) -> float:
    """Severity × change × exposure × weight."""
    least = MIN_DUE if item.change == "due" else MIN_EXPOSURE
    return round(WEIGHT_OF_SEVERITY[item.severity] * WEIGHT_OF_CHANGE[item.change] * max(item.exposure, least) * item.weight, 6)


def incident_change(severity: str, value: float | None, before: Mapping[str, Any] | None, higher_is_worse: bool | None = None) -> Change:
    """How an incident changed compared with last week's incident with the same id; `new` if there was none. before: severity and value in
    the frozen week.
    """
    if before is None:
        return "new"
    order = ("ok", "unknown", "watch", "act")
    step = order.index(severity) - order.index(before["severity"])
    if step:
        return "worse" if step > 0 else "better"
    earlier = before.get("value")
    if value is None or earlier is None or higher_is_worse is None or abs(value - earlier) <= 0.1 * abs(earlier):
        return "as before"
    return "worse" if (value > earlier) == higher_is_worse else "better"


@dataclass(frozen=True)
class Arranged:
    """The agenda after its readers rearranged it. pinned, removed: ids."""

    items: tuple[Item, ...]
    folded: tuple[Item, ...]
    pinned: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()


def arranged_agenda(items: Sequence[Item], said: Sequence[Mapping[str, Any]]) -> Arranged:
    """The agenda after the changes in `said`, oldest first: {"item", "does": pin, unpin, rank or add, "text", "author", "model"}.

    Pinned and added items come first, in the order of their changes. Ranked items follow, up to MAX_ITEMS in total, and then late items.
    Unpinned items are folded; `rank` puts an item back at its rank. The last change of an item counts.
    """
    known = {item.item: item for item in items}
    pinned: list[str] = []
    removed: set[str] = set()
    for change in said:
        name, does = change["item"], change["does"]
        if does == "add" and name not in known:
            reasons = (f"Added by {change['author']}.",)
            known[name] = Item(name, "added", str(change.get("text") or "No text"), "unknown", "new", 0.0, change.get("model"), reasons)
        if does in ("pin", "add") and name in known:
            removed.discard(name)
            pinned += [] if name in pinned else [name]
        elif does in ("unpin", "rank"):
            (removed.add if does == "unpin" else removed.discard)(name)
            pinned = [other for other in pinned if other != name]
    first = [known[name] for name in pinned]
    rest = [item for item in known.values() if item.item not in pinned and item.item not in removed]
    kept = [*first, *(item for place, item in enumerate(rest, len(first)) if place < MAX_ITEMS or item.late)]
    folded = [item for item in known.values() if item not in kept]
    return Arranged(tuple(kept), tuple(folded), frozenset(pinned), frozenset(removed))
