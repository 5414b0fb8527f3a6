"""Which things could be talked about in a week: incidents, promises that are due, decisions to look at again, signatures that lapse, audits that expire?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from observability.core.questions import Records
from observability.core.time import naive_utc
from observability.core.weeks import DAYS, Week
from observability.core.window import Window
from observability.records.values import AFTER_LAST, FIRST
from observability.review.action_items import DASHBOARD, as_of
from observability.review.agenda import Item
from observability.review.incident_items import of_incidents, shared
from observability.store.query import decision_log, records

if TYPE_CHECKING:
    from observability.store.db.database import Store

Body = dict[str, Any]
AUDIT_DAYS = timedelta(days=14)


def items(
    store: "Store", week: Week, models: Sequence[Body], promised: Sequence[Body], earlier: Sequence[Body], known: datetime
) -> list[Item]:
    """Everything that could be talked about, not ranked yet. models: their parts of the frozen week; earlier: frozen weeks, newest first.

    known: what was said until then counts, and what was said in the review of an earlier week: a week that is made anew comes out the same.
    """
    total = sum(each["served"] for each in models) or 1
    exposure = {each["model"]: each["served"] / total for each in models}
    last = next((each for each in earlier if each["week"] == str(week.back())), None)
    found = [
        *shared([item for each in models for item in of_incidents(each, exposure[each["model"]], last)]),
        *of_promises(promised, exposure),
        *of_decisions(store, week, exposure, known),
        *of_signatures(store, week, exposure, known),
        *of_audits(store, week, exposure, known),
    ]
    return [replace(each, weeks=max(each.weeks, waited(each, earlier))) for each in found]


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


def of_decisions(store: "Store", week: Week, exposure: Mapping[str, float], known: datetime) -> Iterable[Item]:
    """Standing decisions whose day to look at them again has come, or comes within the coming week, until an item about that day has an outcome."""
    seen = ended(store, week, known)
    for whole in decision_log.decisions(store):
        each = as_of(whole, known)
        if each is None or not before(each.fields.get("review"), week):
            continue
        fields, again = each.fields, each.fields.get("revisit")
        item = f"decision:{each.id}:{again:%Y-%m-%d}" if again else ""
        if again is None or again >= week.end + DAYS or each.state != "standing" or item in seen:
            continue
        model = fields.get("model")
        yield Item(
            item, "decision", f"Look again at what was decided: {str(fields.get('statement')).rstrip('.')}.",
            "act" if again < week.end else "watch", "due",
            round(exposure.get(model or "", 0.0), 6), model,
            (f"Decided by {fields.get('decider') or each.first.author} on {each.first.at:%Y-%m-%d}, to look at again on {again:%Y-%m-%d}.",),
            about={"decision": each.id},
        )  # fmt: skip


def of_signatures(store: "Store", week: Week, exposure: Mapping[str, float], known: datetime) -> Iterable[Item]:
    """States that a risk owner accepted until a date that is over, or ends within the coming week: the newest signature of each counts, until an
    item about its last day has an outcome.
    """
    seen = ended(store, week, known)
    for row in standing(each for each in rows(store, "signature", known) if before(each["review"], week)):
        model, subject, until = row["model"], row["subject"], row["until"]
        item = f"signature:{model}:{same(subject)}:{until:%Y-%m-%d}"
        if until < stored(week.end + DAYS) and item not in seen:
            over = until < stored(week.end)
            yield Item(
                item, "signature",
                f"{row['author']} accepted {subject} of {model} until {until:%Y-%m-%d}: sign again, or open an action.",
                "act" if over else "watch", "due", round(exposure.get(model, 0.0), 6), model,
                (f"The signature {'lapsed' if over else 'lapses'} on {until:%Y-%m-%d}.",), about={"subject": subject},
            )  # fmt: skip


def standing(signed: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The newest signature of each state of each model, from records oldest first. Capitals and spaces make no other state."""
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in signed:
        newest[row["model"], same(row["subject"])] = row
    return list(newest.values())


def same(subject: str) -> str:
    """A subject as it is compared."""
    return " ".join(subject.split()).casefold()


def of_audits(store: "Store", week: Week, exposure: Mapping[str, float], known: datetime) -> Iterable[Item]:
    """Audits that have expired or do within two weeks: the newest of each kind and version counts."""
    newest: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in rows(store, "audit", min(known, week.end)):
        newest[row["model"], row["version"], row["audit"]] = row
    for (model, version, audit), row in newest.items():
        expires = row["expires"]
        if expires == expires and expires is not None and expires < stored(week.end + AUDIT_DAYS):
            over = expires < stored(week.end)
            yield Item(
                f"audit:{model}:{version}:{audit}", "audit", f"The {audit} audit of {model} version {version} {'expired' if over else 'expires'} on {expires:%Y-%m-%d}.",
                "act" if over else "watch", "due", round(exposure.get(model, 0.0), 6), model, (f"It was made on {row['at']:%Y-%m-%d}.",), about={"version": version},
            )  # fmt: skip


def ended(store: "Store", week: Week, known: datetime) -> set[str]:
    """Items that had an outcome in the review of an earlier week."""
    return {
        row["item"] for row in rows(store, "agenda", known) if row["does"] in ("accept", "watch", "act") and before(row["review"], week)
    }


def before(review: Any, week: Week) -> bool:
    """Whether something was said in the review of an earlier week, or in none."""
    return not isinstance(review, str) or review < str(week)


def rows(store: "Store", kind: str, known: datetime | None = None) -> list[dict[str, Any]]:
    """Records of a kind, oldest first. known: what was said until then; what the dashboard says when a week is frozen is known from then on."""
    frame = records.fetch(store, Records(kind, ever=True), Window("", FIRST, AFTER_LAST))
    found = [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
    until = None if known is None else stored(known)
    return [each for each in found if until is None or each["at"] < until or (each["at"] == until and each.get("author") != DASHBOARD)]


def stored(instant: datetime) -> datetime:
    """An instant as the store's frames hold it: UTC without a zone."""
    return naive_utc(instant)


def waited(item: Item, earlier: Sequence[Body]) -> int:
    """How many weeks running an item has been on an agenda without an outcome, this one included. earlier: newest first, with `outcomes` by item."""
    weeks = 1
    for body in earlier:
        then = [each.item for each in map(Item.from_json, body["agenda"]) if each.ids & item.ids]
        if not then or any(each in body.get("outcomes", {}) for each in then):
            break
        weeks += 1
    return weeks
