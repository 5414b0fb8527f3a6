"""How are the frozen parts of a week said in words? One wording for the page and the file."""

from typing import Any

from observability.alerts import alarm_rules
from observability.core import formatting
from observability.core.metric_definitions import METRICS
from observability.core.window import Slice

Body = dict[str, Any]
UNJUDGED = frozenset(("owner", "description", "importance", "explanations_per_day", "projects", "region", "immutable"))
"""Settings that decide nothing about what is good or bad."""
IDLE = frozenset(("threshold", task) for task in ("regression", "multiclass", None))
"""Settings that a task does not use."""
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
    return f"Touches {formatting.count(round(found['rows']))} of {formatting.count(round(found['of']))} answers{f', those whose {named}' if named else ''}."


def money(found: Body) -> str:
    """What errors on the touched answers cost, said as an estimate; nothing where no costs are set."""
    cost = found["money"]
    if cost is None:
        return str(found["no_money"])
    unit = f" {cost['currency']}".rstrip()
    reach = (
        f" ({formatting.number(cost['low'])} to {formatting.number(cost['high'])})"
        if cost["low"] is not None and cost["high"] is not None
        else ""
    )
    elsewhere = f", {formatting.number(cost['elsewhere'])} on the others" if cost["elsewhere"] is not None else ""
    return (
        f"Estimated: errors on them cost {formatting.number(cost['value'])}{unit}{reach}, from {formatting.count(round(cost['n']))} labelled answers "
        f"at {formatting.number(cost['an_answer'])}{unit} an answer{elsewhere}."
    )


def groups(found: Body) -> str:
    """Which groups bear more or less of it than their share."""
    if found["groups"] is None:
        return str(found["no_groups"])
    if not found["groups"]:
        return "No group's share among the touched answers differs beyond chance."
    named = (f"{each['group']} is {formatting.share(each['touched'])} of the touched answers, {formatting.share(each['others'])} of the others" for each in found["groups"])  # fmt: skip
    return f"{'; '.join(named)}."


def judged_by(part: Body) -> tuple[str, str]:
    """(the decisions and limits that a model was judged by, from when on they held)."""
    decided = {name: value for name, value in part["settings"].items() if name not in UNJUDGED and (name, part["task"]) not in IDLE}
    limits = decided.pop("limits", {})
    words = [f"{name.replace('_', ' ')} {alarm_rules.shown(value)}" for name, value in decided.items()]
    words += [f"limit of {name} {formatting.number(value)}" for name, value in sorted(limits.items())]
    said = f"{', '.join(words) if words else 'nothing decided'}{'' if limits else '; the usual limits'}"
    if "settings_known" not in part:
        return said, "Those of the moment of freezing: this week was frozen before they were kept with their times."
    if part["settings_known"]:
        return said, f"In force at the week's end, since {part['settings_since'][:16].replace('T', ' ')}."
    return said, f"What held at the week's end was not recorded; these are of {(part['settings_since'] or 'the freezing')[:10]}."


def settings_of_when(body: Body) -> str:
    """Of which moment the settings and limits are that a week was judged by; the step about the fleet has them for each model."""
    known = [part.get("settings_known") for part in body["models"]]
    if None in known or not any(known):
        return "Settings and limits are those of that moment." if known else ""
    if all(known):
        return "Settings and limits are those that held at the week's end."
    return "Settings and limits are those that held at the week's end, as far as they were recorded."


def exceeded(each: Body) -> bool:
    """Whether a criterion's figure is beyond what is accepted; it may raise nothing, where it stood so in the reference."""
    limit, value, metric = each["limit"], each["value"], METRICS.get(each["metric"])
    if value is None or not isinstance(limit, int | float) or metric is None:
        return False
    return bool(value < limit if metric.better == "high" else value > limit)


def results(audit: Body) -> str:
    """What an audit found, each number with what the audit before it found."""
    before = audit["before"] or {}
    said = [
        f"{name} {formatting.number(value)}" + (f" ({formatting.number(before[name])})" if name in before else "")
        for name, value in audit["results"].items()
    ]
    return ", ".join(said) or "no number"


def inputs(part: Body) -> str:
    """The first three inputs by drift and importance, in a sentence; empty where none was ranked."""
    found = part.get("inputs", {})
    if "rows" not in found:
        return str(found.get("why", "")) if part["served"] else ""
    named = (
        f"{each['feature']} (PSI {formatting.number(each['drift'])}" + (f", importance {formatting.share(each['share'])})" if each["share"] is not None else ")")
        for each in found["rows"][:3]
    )  # fmt: skip
    return f"Inputs first: {', '.join(named)}. {found['said']}"


def labelling(found: Body) -> dict[str, tuple[str | None, str | None]]:
    """(figure, what stands below it) of the queue, agreement, price and budget; None where nothing is known."""
    line, agreed, price, month = (found.get(name) for name in ("queue", "agreement", "price", "budget"))
    cells: dict[str, tuple[str | None, str | None]] = dict.fromkeys(("queue", "agreement", "price", "budget"), (None, None))
    if line:
        aged = f"the oldest {formatting.number(line['oldest_days'])} days, half of them over {formatting.number(line['median_days'])}" if line["waiting"] else "nothing waits"  # fmt: skip
        cells["queue"] = (f"{formatting.count(line['waiting'])} of {formatting.count(line['of'])} given", aged)
    if agreed:
        reach = f"{formatting.number(agreed['low'])} to {formatting.number(agreed['high'])}, " if agreed["low"] is not None else ""
        cells["agreement"] = (
            formatting.number(agreed["value"]) if agreed["value"] is not None else "cannot tell",
            f"{reach}{formatting.plural(agreed['n'], 'item')}. {agreed['said']}",
        )
    if price:
        cells["price"] = (f"{formatting.number(price['value'])} {price['currency'] or ''}".strip(), f"{formatting.plural(price['labels'], 'label')} this week, {formatting.number(price['spent'])} spent")  # fmt: skip
    if month and month["value"] is not None:
        limit = f" of {formatting.number(month['limit'])}" if month["limit"] is not None else ""
        mark = "" if month["basis"] == "measured" else f"{month['basis']}, "
        reach = f"{formatting.number(month['low'])} to {formatting.number(month['high'])}, " if month["low"] is not None else ""
        cells["budget"] = (f"{formatting.number(month['value'])}{limit} {month['currency'] or ''}".strip(), f"{mark}{reach}{formatting.number(month['spent'])} spent{'' if month['limit'] is not None else '; no budget is set'}")  # fmt: skip
    return cells


def labelling_lines(part: Body) -> list[str]:
    """The same as sentences."""
    names = {
        "queue": "Labels waiting",
        "agreement": "Agreement (Krippendorff's alpha)",
        "price": "A label costs",
        "budget": "The month's cost",
    }
    return [
        f"{names[name]}: {said} ({(below or '').rstrip('.')})."
        for name, (said, below) in labelling(part.get("labelling", {})).items()
        if said
    ]


def slices(card: Body) -> list[str]:
    """Slices in which a challenger is worse on the same rows, one line each."""
    found = card.get("slices")
    if not found or not found["looked_at"]:
        return []
    if not found["rows"]:
        return [f"In none of {formatting.plural(found['looked_at'], 'slice')} of the same rows is it worse beyond chance."]
    what, unit = ("mean absolute error", "") if found["loss"] == "absolute_error" else ("wrong decisions", "share")
    return [
        f"Worse where {each['name']}: {what} {formatting.amount(each['new'], unit)} against {formatting.amount(each['then'], unit)} "
        f"(change {formatting.amount(each['low'], unit)} to {formatting.amount(each['high'], unit)}, n = {formatting.count(each['n'])}); one of {formatting.count(found['looked_at'])} slices."
        for each in found["rows"]
    ]
