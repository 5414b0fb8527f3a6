"""How are the frozen parts of a week said in words? One wording for the page and the file."""

from typing import Any

from observability.views import text
from observability.window import Slice

Body = dict[str, Any]
OLDER = "This week was frozen before that was kept."


def stake(part: Body, incident: str) -> tuple[str, str] | None:
    """(what an incident touches and costs, which groups bear more of it); None where its stake was not counted."""
    if "stakes" not in part:
        return (OLDER, "")
    if "why" in part["stakes"]:
        return (part["stakes"]["why"], "")
    found = part["stakes"]["incidents"].get(incident)
    if found is None:
        return None
    if "why" in found:
        return (found["why"], "")
    return (f"{touches(found)} {money(found)}".strip(), groups(found))


def touches(found: Body) -> str:
    """How many answers, and which."""
    where = Slice.parse(found["slice"])
    named = (
        " and ".join(f"{name} is missing" if value == "null" else f"{name} is {value}" for name, value in where.conditions) if where else ""
    )
    return f"Touches {text.count(round(found['rows']))} of {text.count(round(found['of']))} answers{f', those whose {named}' if named else ''}."


def money(found: Body) -> str:
    """What errors on the touched answers cost, said as an estimate; nothing where no costs are set."""
    cost = found["money"]
    if cost is None:
        return str(found["no_money"])
    unit = f" {cost['currency']}".rstrip()
    reach = f" ({text.number(cost['low'])} to {text.number(cost['high'])})" if cost["low"] is not None and cost["high"] is not None else ""
    elsewhere = f", {text.number(cost['elsewhere'])} on the others" if cost["elsewhere"] is not None else ""
    return (
        f"Estimated: errors on them cost {text.number(cost['value'])}{unit}{reach}, from {text.count(round(cost['n']))} labelled ones "
        f"at {text.number(cost['an_answer'])}{unit} an answer{elsewhere}."
    )


def groups(found: Body) -> str:
    """Which groups bear more or less of it than their share."""
    if found["groups"] is None:
        return str(found["no_groups"])
    if not found["groups"]:
        return "No group's share among the touched answers differs beyond chance."
    named = (f"{each['group']} is {text.share(each['touched'])} of the touched answers, {text.share(each['others'])} of the others" for each in found["groups"])  # fmt: skip
    return f"{'; '.join(named)}."
