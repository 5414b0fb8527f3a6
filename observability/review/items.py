"""Which things could be talked about in a week: incidents, promises that are due, decisions to look at again, signatures that lapse, audits that expire?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from observability.aggregate import Records
from observability.record_values import AFTER_LAST, FIRST
from observability.review.agenda import Item, change_of
from observability.review.week import DAYS, Week
from observability.store import records, said
from observability.window import Window

if TYPE_CHECKING:
    from observability.store.database import Store

Body = dict[str, Any]
AUDIT_DAYS = timedelta(days=14)


def items(store: "Store", week: Week, models: Sequence[Body], promised: Sequence[Body], earlier: Sequence[Body]) -> list[Item]:
    """Everything that could be talked about, not ranked yet. models: their parts of the frozen week; earlier: frozen weeks, newest first."""
    total = sum(each["served"] for each in models) or 1
    exposure = {each["model"]: each["served"] / total for each in models}
    last = next((each for each in earlier if each["week"] == str(week.back())), None)
    found = [
        *(item for each in models for item in of_incidents(each, exposure[each["model"]], last)),
        *of_promises(promised, exposure),
        *of_decisions(store, week, exposure),
        *of_signatures(store, week, exposure),
        *of_audits(store, week, exposure),
    ]
    return [replace(each, weeks=max(each.weeks, waited(each, earlier))) for each in found]


def of_incidents(part: Body, share: float, last: Body | None) -> Iterable[Item]:
    """Incidents that need a person, with why."""
    before = incidents_of(last, part["model"])
    findings = {each["id"]: each for each in part["findings"]}
    for each in part["incidents"]:
        if each["severity"] not in ("act", "watch"):
            continue
        change = change_of(each["severity"], each["value"], before.get(claim(each)))
        lead = findings.get(each["lead"], {})
        coverage = lead.get("evidence", {}).get("coverage")
        yield Item(
            f"incident:{part['model']}:{claim(each)}",
            "incident",
            each["sentence"],
            each["severity"],
            change,
            round(share * coverage, 6) if isinstance(coverage, int | float) else round(share, 6),
            part["model"],
            reasons(change, last is not None, part, share, len(each["findings"]) - 1),
            about={"incident": each["incident"], "finding": each["lead"], "analyzer": each["analyzer"], "metric": each["metric"],
                   "subject": each["subject"], **({"slice": each["slice"]} if each["slice"] else {})},
        )  # fmt: skip


def reasons(change: str, has_last: bool, part: Body, share: float, collateral: int) -> tuple[str, ...]:
    """Why an incident stands on the agenda, for people."""
    first = {
        "new": "New this week." if has_last else "No earlier week is frozen.",
        "worse": "Worse than last week.",
        "better": "Better than last week.",
    }
    others = f"{collateral:,} other finding{'s' if collateral != 1 else ''} with it." if collateral else ""
    served = f"{part['model']} served {part['served']:,} predictions, {share:.0%} of the fleet's."
    return tuple(filter(None, (first.get(change, "As last week."), served, others)))


def incidents_of(body: Body | None, model: str) -> Mapping[str, Body]:
    """The incidents of a model in a frozen week, by what they are about."""
    part = next((each for each in (body or {}).get("models", ()) if each["model"] == model), None)
    return {claim(each): each for each in part["incidents"]} if part else {}


def claim(incident: Body) -> str:
    """What an incident is about, whatever the week: a fault that lasts may be dated otherwise in each week's window."""
    return "/".join([incident["analyzer"], incident["subject"], incident["metric"], incident["slice"] or ""])


def of_promises(promised: Sequence[Body], exposure: Mapping[str, float]) -> Iterable[Item]:
    """Actions whose day is over, that were passed up, or that did not work."""
    for each in promised:
        moved = (each["moved"] or {}).get("answer")
        why = [f"Promised in {each['since']}" + (f" by {each['owner']}." if each["owner"] else "; nobody owns it.")]
        if each["overdue"]:
            why.append(f"It was due on {each['due'][:10]}.")
        if each["state"] == "escalated":
            why.append("It was passed up.")
        if each["escalated"]:
            why.append(f"Whether it worked could not be told {each['weeks']} weeks running: escalated.")
        if moved == "no":
            why.append("What it should move did not move.")
        if len(why) > 1:
            severity = "act" if each["overdue"] or each["escalated"] or each["state"] == "escalated" else "watch"
            share = exposure.get(each["model"] or "", 0.0)
            yield Item(
                f"action:{each['action']}", "action", f"{each['text'].rstrip('.')}.", severity, "due", round(share, 6), each["model"], tuple(why),
                weeks=each["weeks"] if each["escalated"] else 1, about={"action": each["action"]},
            )  # fmt: skip


def of_decisions(store: "Store", week: Week, exposure: Mapping[str, float]) -> Iterable[Item]:
    """Standing decisions whose day to look at them again has come, or comes within the coming week, until an item about that day has an outcome."""
    seen = {row["item"] for row in rows(store, "agenda") if row["does"] in ("accept", "watch", "act") and row["review"] < str(week)}
    for each in said.decisions(store):
        fields, again = each.fields, each.fields.get("revisit")
        item = f"decision:{each.id}:{again:%Y-%m-%d}" if again else ""
        if again is None or again >= week.end + DAYS or each.state != "standing" or item in seen or fields.get("review") == str(week):
            continue
        model = fields.get("model")
        yield Item(
            item, "decision", f"Look again at what was decided: {str(fields.get('statement')).rstrip('.')}.",
            "act" if again < week.end else "watch", "due",
            round(exposure.get(model or "", 0.0), 6), model,
            (f"Decided by {fields.get('decider') or each.first.author} on {each.first.at:%Y-%m-%d}, to look at again on {again:%Y-%m-%d}.",),
            about={"decision": each.id},
        )  # fmt: skip


def of_signatures(store: "Store", week: Week, exposure: Mapping[str, float]) -> Iterable[Item]:
    """States that a risk owner accepted until a date that is over, or ends within the coming week: the newest signature of each counts."""
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows(store, "signature"):
        newest[row["model"], row["subject"]] = row
    for (model, subject), row in newest.items():
        until = row["until"]
        if until < stored(week.end + DAYS):
            over = until < stored(week.end)
            yield Item(
                f"signature:{model}:{subject}", "signature",
                f"{row['author']} accepted {subject} of {model} until {until:%Y-%m-%d}: sign again, or open an action.",
                "act" if over else "watch", "due", round(exposure.get(model, 0.0), 6), model,
                (f"The signature {'lapsed' if over else 'lapses'} on {until:%Y-%m-%d}.",), about={"subject": subject},
            )  # fmt: skip


def of_audits(store: "Store", week: Week, exposure: Mapping[str, float]) -> Iterable[Item]:
    """Audits that have expired or do within two weeks: the newest of each kind and version counts."""
    newest: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in rows(store, "audit"):
        newest[row["model"], row["version"], row["audit"]] = row
    for (model, version, audit), row in newest.items():
        expires = row["expires"]
        if expires == expires and expires is not None and expires < stored(week.end + AUDIT_DAYS):
            over = expires < stored(week.end)
            yield Item(
                f"audit:{model}:{version}:{audit}", "audit", f"The {audit} audit of {model} version {version} {'expired' if over else 'expires'} on {expires:%Y-%m-%d}.",
                "act" if over else "watch", "due", round(exposure.get(model, 0.0), 6), model, (f"It was made on {row['at']:%Y-%m-%d}.",), about={"version": version},
            )  # fmt: skip


def rows(store: "Store", kind: str) -> list[dict[str, Any]]:
    """Every record of a kind, oldest first."""
    frame = records.fetch(store, Records(kind, ever=True), Window("", FIRST, AFTER_LAST))
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def stored(instant: datetime) -> datetime:
    """An instant as the store's frames hold it: UTC without a zone."""
    return instant.replace(tzinfo=None)


def waited(item: Item, earlier: Sequence[Body]) -> int:
    """How many weeks running an item has been on an agenda without an outcome, this one included. earlier: newest first, with `outcomes` by item."""
    weeks = 1
    for body in earlier:
        if item.item not in {each["item"] for each in body["agenda"]} or item.item in body.get("outcomes", {}):
            break
        weeks += 1
    return weeks
