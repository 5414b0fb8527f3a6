"""What is worth people's time this week: what changed since last time, times who is exposed to it?

The ranking is made when the week is frozen; what people pin, unpin or add is said afterwards, and only arranges it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

MOST = 7
"""Items on the agenda; the rest is folded under it."""
UNDECIDED = 3
"""Weeks after which an item that nobody decided goes to the top with a flag."""
Change = Literal["new", "worse", "as before", "better", "due"]
Sort = Literal["incident", "action", "decision", "signature", "audit", "added"]
WEIGHT_OF_CHANGE: dict[str, float] = {"new": 1.0, "worse": 0.8, "due": 0.8, "as before": 0.3, "better": 0.2}
WEIGHT_OF_SEVERITY: dict[str, float] = {"act": 1.0, "watch": 0.35, "unknown": 0.1, "ok": 0.05}
LEAST_EXPOSURE, LEAST_DUE = 0.05, 0.5
"""An item about a model that serves little still counts as if it served this share of the fleet's predictions; what somebody promised, decided or signed,
and is due, as if it concerned so much of the fleet: people's word does not weigh less where the traffic is small."""


@dataclass(frozen=True)
class Item:
    """One thing to talk about.

    item: its id, the same from week to week. title: one sentence. reasons: why it stands here, one short text each. score: severity x change x
    exposure x weight, the order. exposure: share of the fleet's predictions of the week that it may concern. weight: how much of it hurts, 1 where
    somebody gets wrong, late or unequal answers, less for inputs that moved by themselves. rank: of its leading finding, for ties. weeks: how many
    weeks running it has been on an agenda without a decision, this one included. about: ids of what it rests on (incident, finding, action, slice).
    also: the other models that the same fault concerns, each with what stands for it there: model, item (its id, were it alone), incident, finding.
    """

    item: str
    sort: Sort
    title: str
    severity: str
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

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that it concerns."""
        return (*((self.model,) if self.model else ()), *(each["model"] for each in self.also))

    @property
    def ids(self) -> frozenset[str]:
        """Its id, and those that it has in weeks in which only another of its models shows the fault."""
        return frozenset((self.item, *(each["item"] for each in self.also if "item" in each)))

    @property
    def incidents(self) -> frozenset[str]:
        """The incidents of all of its models."""
        return frozenset(each["incident"] for each in (self.about, *self.also) if "incident" in each)

    def of(self, model: str | None) -> dict[str, str]:
        """What it rests on in one of its models."""
        own = next((each for each in self.also if each["model"] == model), {})
        return self.about | {name: value for name, value in own.items() if name in ("incident", "finding")}

    @property
    def overdue(self) -> bool:
        """Whether it has been undecided for so long that it comes first."""
        return self.weeks >= UNDECIDED

    def to_json(self) -> dict[str, Any]:
        """The item in the frozen week."""
        return asdict(self) | {"reasons": list(self.reasons), "also": list(self.also)}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "Item":
        """The item back from the frozen week. Weeks that were frozen earlier name the other models only."""
        named = [{"model": each} for each in body["about"].get("also", "").split(",") if each]
        return cls(**{**body, "reasons": tuple(body["reasons"]), "also": tuple(body.get("also", named))})


def ranked(items: Iterable[Item]) -> list[Item]:
    """Scored, most worth talking about first: what nobody decided for three weeks, then by score; of equals what hurts most, then the higher rank."""
    scored = [replace(each, score=score(each)) for each in items]
    return sorted(scored, key=lambda each: (not each.overdue, -each.score, -each.weight, -each.rank, each.model or "", each.item))


def score(item: Item) -> float:
    """Severity x change x exposure x weight."""
    least = LEAST_DUE if item.change == "due" else LEAST_EXPOSURE
    return round(WEIGHT_OF_SEVERITY[item.severity] * WEIGHT_OF_CHANGE[item.change] * max(item.exposure, least) * item.weight, 6)


def change_of(severity: str, value: float | None, before: Mapping[str, Any] | None, higher_is_worse: bool | None = None) -> Change:
    """How an incident stands to last week's of the same id: new where there was none. before: its frozen severity and value."""
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
    """The agenda as the people who meet arranged it. pinned, removed: ids that somebody put on it or took off."""

    items: tuple[Item, ...]
    folded: tuple[Item, ...]
    pinned: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()


def arranged(items: Sequence[Item], said: Sequence[Mapping[str, Any]]) -> Arranged:
    """The items with what people said about them, oldest first: {"item", "does": pin, unpin, rank or add, "text", "author", "model"}.

    Pinned and added items come first, in the order in which that was said; then the ranking, up to MOST in all; unpinned ones are folded.
    `rank` takes either back: the item stands where its rank puts it. The last word about an item counts.
    """
    known = {each.item: each for each in items}
    pinned: list[str] = []
    removed: set[str] = set()
    for each in said:
        item, does = each["item"], each["does"]
        if does == "add" and item not in known:
            known[item] = Item(
                item,
                "added",
                str(each.get("text") or "No text"),
                "unknown",
                "new",
                0.0,
                each.get("model"),
                (f"Added by {each['author']}.",),
            )
        if does in ("pin", "add") and item in known:
            removed.discard(item)
            pinned += [] if item in pinned else [item]
        elif does in ("unpin", "rank"):
            (removed.add if does == "unpin" else removed.discard)(item)
            pinned = [other for other in pinned if other != item]
    first = [known[item] for item in pinned]
    rest = [each for each in known.values() if each.item not in pinned and each.item not in removed]
    kept = [*first, *rest][: max(MOST, len(first))]
    folded = [each for each in known.values() if each not in kept]
    return Arranged(tuple(kept), tuple(folded), frozenset(pinned), frozenset(removed))
