"""Sentences for the parts of a frozen week; the page and the file share them."""

from datetime import datetime
from typing import Any

from observability.alerts import alarm_rules
from observability.core.formatting import format_count, format_iso_day, format_minute, format_number, format_share, format_value, plural
from observability.core.metric_definitions import METRICS
from observability.core.window import Slice

Body = dict[str, Any]
UNJUDGED = frozenset(
    (
        *("owner", "risk_owners", "team", "tags", "description"),
        *("importance", "explanations_per_day", "projects", "region", "immutable", "runbooks"),
    )
)
"""Settings that do not affect any severity."""
IDLE = frozenset(("threshold", task) for task in ("regression", "multiclass", None))
"""Settings that a task does not use."""
OLDER = "Not recorded when this week was frozen."


def stake_sentences(part: Body, incident: str) -> tuple[str, str] | None:
    """For an incident: (affected predictions and cost, affected groups); None if its stakes were not computed."""
    if "stakes" not in part:
        return (OLDER, "")
    if "why" in part["stakes"]:
        return (part["stakes"]["why"], "")
    found = part["stakes"]["incidents"].get(incident)
    if found is None:
        return None
    if "why" in found:
        return (found["why"], "")
    return (f"{affected_words(found)} {error_cost_sentence(found)}".strip(), group_sentence(found))


def affected_words(found: Body) -> str:
    """In words: number and share of the affected predictions, and their slice."""
    conditions = where.conditions if (where := Slice.parse(found["slice"])) else ()
    named = " and ".join(f"{name} is {'missing' if value == 'null' else value}" for name, value in conditions)
    share = f" ({format_share(found['rows'] / found['of'])})" if found["of"] else ""
    return f"Affects {format_count(found['rows'])} of {format_count(found['of'])} predictions{share}{f', where {named}' if named else ''}."


def error_cost_sentence(found: Body) -> str:
    """The estimated cost of errors on affected predictions, or why it is unknown. In weeks frozen by an earlier version of the program, it
    is the cost of all errors, on affected and on all other predictions.
    """
    cost = found["money"]
    if cost is None:
        return str(found["no_money"])
    unit = f" {cost['currency']}".rstrip()
    if "usual" in cost:
        return excess_cost_sentence(cost)
    reach = "" if None in (cost["low"], cost["high"]) else f" ({format_number(cost['low'])} to {format_number(cost['high'])})"
    elsewhere = f", {format_number(cost['elsewhere'])} on other predictions" if cost["elsewhere"] is not None else ""
    return (
        f"Estimated cost of errors: {format_number(cost['value'])}{unit}{reach}, from {format_count(cost['n'])} labelled predictions "
        f"at {format_number(cost['an_answer'])}{unit} each{elsewhere}."
    )


def excess_cost_sentence(cost: Body) -> str:
    """A sentence that states the estimated cost of errors above that of the reference, or that it is not significant."""
    unit = f" {cost['currency']}".rstrip()
    each, usual = format_number(cost["an_answer"]), format_number(cost["usual"])
    if cost["low"] is None or cost["low"] <= 0:
        return f"Cost of errors beyond the reference is not significant: {each}{unit} per labelled prediction, {usual} in the reference."
    value, low, high = (format_number(cost[name]) for name in ("value", "low", "high"))
    return (
        f"Estimated cost of errors beyond the reference: {value}{unit} ({low} to {high}), from {format_count(cost['n'])} labelled "
        f"predictions at {each}{unit} each, {usual} in the reference."
    )


def group_sentence(found: Body) -> str:
    """In words: the groups that are over- or underrepresented among affected predictions."""
    if found["groups"] is None:
        return str(found["no_groups"])
    if not found["groups"]:
        return "No group is significantly over- or underrepresented."
    shares = [
        f"{group['group']}: {format_share(group['touched'])} of affected predictions, {format_share(group['others'])} of the others"
        for group in found["groups"]
    ]
    return f"{'; '.join(shares)}."


def settings_sentence(part: Body) -> tuple[str, str]:
    """(settings and limits of a model, since when they were in force)."""
    settings = {name: value for name, value in part["settings"].items() if name not in UNJUDGED and (name, part["task"]) not in IDLE}
    limits = settings.pop("limits", {})
    words = [f"{name.replace('_', ' ')} {alarm_rules.setting_text(value)}" for name, value in settings.items()]
    words += [f"limit of {name} {format_number(value)}" for name, value in sorted(limits.items())]
    text = f"{', '.join(words) if words else 'no settings'}{'' if limits else '; default limits'}"
    if "settings_known" not in part:
        return text, "Settings as of the freezing (their times were not recorded)."
    if part["settings_known"]:
        return text, f"In force at the week's end, since {format_minute(datetime.fromisoformat(part['settings_since']))}."
    when = format_iso_day(part["settings_since"]) if part["settings_since"] else "the freezing"
    return text, f"Settings as of {when} (earlier not recorded)."


def erased_when(body: Body) -> str:
    """A sentence that lists the days on which mentions of a subject were erased from a frozen week on request; empty if nothing was
    erased.
    """
    days = ", ".join(body.get("erased", ()))
    return f"Erased on request on {days}: mentions of a subject and of its predictions. Figures are as they were frozen." if days else ""


def settings_of_when(body: Body, made: str = "the freezing") -> str:
    """A sentence that says as of when the settings and limits of a week are; the fleet step shows this for each model. made: how the week
    was computed.
    """
    known = [part.get("settings_known") for part in body["models"]]
    if None in known or not any(known):
        return f"Settings and limits as of {made}." if known else ""
    return f"Settings and limits as of the week's end{'' if all(known) else ', where recorded'}."


def is_beyond_limit(row: Body) -> bool:
    """Whether a criterion's value is beyond its limit. The criterion can still be OK if the gap existed before."""
    limit, value, metric = row["limit"], row["value"], METRICS.get(row["metric"])
    if value is None or not isinstance(limit, int | float) or metric is None:
        return False
    return bool(value < limit if metric.better == "high" else value > limit)


def audit_results_words(audit: Body) -> str:
    """The results of an audit; in brackets, the interval and the result of the previous audit. In weeks that were frozen without intervals,
    these are missing.
    """
    before, intervals = audit["before"] or {}, audit.get("intervals", {})
    words = []
    for name, value in audit["results"].items():
        notes = [f"{format_number(low)} to {format_number(high)}" for low, high in [intervals[name]]] if name in intervals else []
        notes += [f"previously {format_number(before[name])}"] if name in before else []
        words.append(f"{name} {format_number(value)}" + (f" ({'; '.join(notes)})" if notes else ""))
    more = audit.get("more", 0)
    return (", ".join(words) + (f" and {more:,} more" if more else "")) or "no numeric result"


def inputs_sentence(part: Body) -> str:
    """A sentence with the first three inputs by drift and importance; empty if no inputs were ranked."""
    found = part.get("inputs", {})
    if "rows" not in found:
        return str(found.get("why", "")) if part["served"] else ""
    named = []
    for row in found["rows"][:3]:
        importance = "" if row["share"] is None else f", importance {format_share(row['share'])}"
        named.append(f"{row['feature']} (PSI {format_number(row['drift'])}{importance})")
    return f"Top inputs: {', '.join(named)}. {found['said']}"


def label_intake_sentences(found: Body) -> dict[str, tuple[str | None, str | None]]:
    """(figure, text below it) for the queue, the agreement, the price and the budget; None for what is unknown."""
    queue, agreed, price, month = (found.get(name) for name in ("queue", "agreement", "price", "budget"))
    cells: dict[str, tuple[str | None, str | None]] = dict.fromkeys(("queue", "agreement", "price", "budget"), (None, None))
    if queue:
        aged = f"oldest {format_number(queue['oldest_days'])} days, median {format_number(queue['median_days'])}"
        cells["queue"] = (
            f"{format_count(queue['waiting'])} of {format_count(queue['of'])} assigned",
            aged if queue["waiting"] else "empty queue",
        )
    if agreed:
        figure = format_number(agreed["value"]) if agreed["value"] is not None else "unknown"
        cells["agreement"] = (figure, f"{interval_prefix(agreed)}{plural(agreed['n'], 'item')}. {agreed['said']}")
    if price:
        labels = f"{plural(price['labels'], 'label')} this week, {format_number(price['spent'])} spent"
        cells["price"] = (f"{format_number(price['value'])} {price['currency'] or ''}".strip(), labels)
    if month and month["value"] is not None:
        limit = f" of {format_number(month['limit'])}" if month["limit"] is not None else ""
        basis = "" if month["basis"] == "measured" else f"{month['basis']}, "
        spent = f"{format_number(month['spent'])} spent{'' if limit else '; no budget set'}"
        figure = f"{format_number(month['value'])}{limit} {month['currency'] or ''}".strip()
        cells["budget"] = (figure, f"{basis}{interval_prefix(month)}{spent}")
    return cells


def interval_prefix(found: Body) -> str:
    """An interval as `0.12 to 0.19, `; empty if there is no interval, or if both ends are equal."""
    known = found["low"] is not None and found["low"] != found["high"]
    return f"{format_number(found['low'])} to {format_number(found['high'])}, " if known else ""


def labelling_lines(part: Body) -> list[str]:
    """A model's labelling queue, agreement, price and budget as sentences."""
    names = {
        "queue": "Labels waiting",
        "agreement": "Agreement (Krippendorff's alpha)",
        "price": "Price per label",
        "budget": "Cost this month",
    }
    cells = label_intake_sentences(part.get("labelling", {}))
    return [f"{names[name]}: {figure} ({(below or '').rstrip('.')})." for name, (figure, below) in cells.items() if figure]


def regressed_slice_sentences(card: Body) -> list[str]:
    """Slices in which a challenger is worse on the same rows, one sentence each."""
    found = card.get("slices")
    if not found or not found["looked_at"]:
        return []
    tested = plural(found["looked_at"], "slice")
    if not found["rows"]:
        return [f"Not significantly worse in any slice ({tested} tested on the same rows)."]
    what, unit = ("mean absolute error", "") if found["loss"] == "absolute_error" else ("wrong decisions", "share")
    sentences = []
    for row in found["rows"]:
        new, then, low, high = (format_value(row[name], unit) for name in ("new", "then", "low", "high"))
        figures = f"{new} against {then} (change {low} to {high}, n = {format_count(row['n'])})"
        sentences.append(f"Worse where {row['name']}: {what} {figures}; {tested} tested.")
    return sentences
