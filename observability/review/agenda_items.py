"""Candidates for the agenda of a week: incidents, due action items, decisions to revisit, expiring signatures and audits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from observability.alerts.alert_log import acknowledged_claims
from observability.core.catalog import Model
from observability.core.formatting import format_day, format_iso_day, with_full_stop
from observability.core.questions import Aggregate, By, Records
from observability.core.time import naive_utc
from observability.core.weeks import DAYS, Week
from observability.core.window import Window
from observability.detection.audit_history import StoredAudit, made_by, stored_audit
from observability.incidents.action_counts import CountedIncident
from observability.records.values import AFTER_LAST, FIRST
from observability.review.action_items import DASHBOARD, as_of
from observability.review.agenda import OUTCOMES, Item, Sort
from observability.review.incident_items import of_incidents, shared_incidents
from observability.store.engine import Store

if TYPE_CHECKING:
    from pandas import DataFrame

Body = dict[str, Any]
AUDIT_DAYS, SERVED_DAYS = timedelta(days=14), timedelta(days=28)


def agenda_candidates(
    store: Store,
    week: Week,
    models: Sequence[Body],
    promised: Sequence[Body],
    earlier: Sequence[Body],
    known: datetime,
    counted: Sequence[CountedIncident],
) -> list[Item]:
    """All candidates, not ranked. models: the parts of the frozen week about models, and its part about the pipeline; earlier: frozen
    weeks, newest first; counted: the incidents of all models, counted as on Home.

    known: only records up to this time count, including acknowledgements. If a record belongs to a review, it counts only if that is the
    review of an earlier week. Freezing a week again therefore gives the same result.
    """
    total = sum(part["served"] for part in models) or 1
    exposure: dict[Any, float] = {part["model"]: part["served"] / total for part in models}
    last = next((part for part in earlier if part["week"] == str(week.back())), None)
    held = acknowledged_claims(store, known)
    found = [
        *shared_incidents([item for part in models for item in of_incidents(part, exposure[part["model"]], last, held)], counted),
        *of_promises(promised, exposure),
        *of_decisions(store, week, exposure, known),
        *of_signatures(store, week, exposure, known),
        *of_audits(store, week, exposure, known),
    ]
    return [replace(item, weeks=max(item.weeks, weeks_waited(item, earlier))) for item in found]


def of_promises(promised: Sequence[Body], exposure: Mapping[str, float]) -> Iterable[Item]:
    """Action items that are overdue, were escalated, or did not improve their metric."""
    for action in promised:
        why = [f"Opened in {action['since']}, {'owner ' + action['owner'] if action['owner'] else 'no owner'}."]
        if action["overdue"]:
            why.append(f"Due on {format_iso_day(action['due'])}.")
        if action["state"] == "escalated":
            why.append("Escalated.")
        if action["escalated"]:
            why.append(f"Not done for {action['weeks']} weeks: escalated.")
        if (action["moved"] or {}).get("answer") == "no":
            why.append(f"{action['state'].capitalize()}, but the target metric did not improve.")
        if len(why) > 1:
            critical = action["overdue"] or action["escalated"] or action["state"] == "escalated"
            about = {"action": action["action"]}
            item = due_item(
                "action", action["action"], with_full_stop(action["text"].rstrip(".")), critical, action["model"], exposure, why, about
            )
            yield replace(item, weeks=action["weeks"] if action["escalated"] else 1)


def due_item(
    sort: Sort,
    name: str,
    title: str,
    over: bool,
    model: str | None,
    exposure: Mapping[str, float],
    why: Iterable[str],
    about: dict[str, str],
) -> Item:
    """An item that is due: Critical if its date has passed, else a Warning."""
    share = round(exposure.get(model or "", 0.0), 6)
    return Item(f"{sort}:{name}", sort, title, "act" if over else "watch", "due", share, model, tuple(why), about=about)


def of_decisions(store: Store, week: Week, exposure: Mapping[str, float], known: datetime) -> Iterable[Item]:
    """Decisions in force that are to be revisited before the end of the coming week, unless an item about that date already has an
    outcome.
    """
    seen = ended_items(store, week, known)
    for whole in store.decisions():
        decision = as_of(whole, known)
        if decision is None or not from_earlier_week(decision.fields.get("review"), week):
            continue
        fields, again = decision.fields, decision.fields.get("revisit")
        if again is None or again >= week.end + DAYS or decision.state != "standing":
            continue
        title = f"Revisit decision: {str(fields.get('statement')).rstrip('.')}."
        decider = fields.get("decider") or decision.first.author
        why = f"Decided by {decider} on {format_day(decision.first.at)}, revisit on {format_day(again)}."
        name, about = f"{decision.id}:{again:%Y-%m-%d}", {"decision": decision.id}
        item = due_item("decision", name, title, again < week.end, fields.get("model"), exposure, [why], about)
        if item.item not in seen:
            yield item


def of_signatures(store: Store, week: Week, exposure: Mapping[str, float], known: datetime) -> Iterable[Item]:
    """Accepted states whose acceptance ends before the end of the coming week. The newest signature of each state counts, unless an item
    about its date already has an outcome.
    """
    seen = ended_items(store, week, known)
    signed = (row for row in records_until(store, "signature", known) if from_earlier_week(row["review"], week))
    models = store.catalog().models
    for row in standing_signatures(signed, models):
        model, subject, until = row["model"], row["subject"], row["until"]
        if not is_by_risk_owner(row, models) or until >= naive_utc(week.end + DAYS):
            continue
        over = until <= naive_utc(week.end)
        end = f"{'ended' if over else 'ends'} on {format_day(until)}"
        title = f"Acceptance of {subject} of {model} by {row['author']} {end}: renew it or open an action."
        why = f"The signature {'expired' if over else 'expires'} on {format_day(until)}."
        item = due_item(
            "signature",
            f"{model}:{normalized_subject(subject)}:{until:%Y-%m-%d}",
            title,
            over,
            model,
            exposure,
            [why],
            {"subject": subject},
        )
        if item.item not in seen:
            yield item


def standing_signatures(signed: Iterable[dict[str, Any]], models: Sequence[Model]) -> list[dict[str, Any]]:
    """The newest signature for each state of each model, from records in order of time. A signature by somebody who is not a risk owner
    does not replace one by a risk owner. Upper and lower case and spaces do not distinguish states.
    """
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in signed:
        state = row["model"], normalized_subject(row["subject"])
        if state not in newest or is_by_risk_owner(row, models) or not is_by_risk_owner(newest[state], models):
            newest[state] = row
    return list(newest.values())


def is_by_risk_owner(signature: Mapping[str, Any], models: Sequence[Model]) -> bool:
    """Whether the author of a signature may accept a risk of its model, by the model's present settings."""
    settings = next((model.settings for model in models if model.name == signature["model"]), None)
    return settings is None or settings.may_sign(str(signature["author"]))


def normalized_subject(subject: str) -> str:
    """A subject normalized for comparison: single spaces, lower case."""
    return " ".join(subject.split()).casefold()


def of_audits(store: Store, week: Week, exposure: Mapping[str, float], known: datetime) -> Iterable[Item]:
    """Audits that have expired or expire within two weeks: the newest audit of each kind and version, as long as the version serves. For a
    model without predictions: the audits of the newest audited version.

    The audits and their dates of expiry are those that a check at the end of the week would use.
    """
    until = min(known, week.end)
    audits = made_by(map(stored_audit, audit_records(store, until)), until)
    newest = {(audit.model, audit.version, audit.kind): audit for audit in audits}
    began = version_starts(store, audits)
    latest: dict[tuple[str, str], datetime] = {}
    for model, version, audit in newest:
        latest[model, audit] = max(latest.get((model, audit), began[model, version]), began[model, version])
    for (model, version, audit), last in newest.items():
        if last.expires is None or last.expires >= week.end + AUDIT_DAYS:
            continue
        if out_of_service(store, week, model, version, began, latest[model, audit]):
            continue
        over = last.has_expired(week.end)
        title = f"The {audit} audit of {model} version {version} {'expired' if over else 'expires'} on {format_day(last.expires)}."
        why = f"Audited on {format_day(last.at)}."
        yield due_item("audit", f"{model}:{version}:{audit}", title, over, model, exposure, [why], {"version": version})


def audit_records(store: Store, until: datetime) -> list[dict[str, Any]]:
    """Audit records that had arrived by a certain time, oldest first, as a check at that time would read them."""
    return row_dicts(store.ask(Records("audit", ever=True), Window("", FIRST, until, as_of=until)))


def version_starts(store: Store, audits: Iterable[StoredAudit]) -> dict[tuple[str, str], datetime]:
    """When each version began: its registration or its first audit, whichever is earlier; naive UTC, by model and version."""
    registered = ((model.name, version) for model in store.catalog().models for version in model.versions)
    starts = {(model, each.name): naive_utc(each.registered_at) for model, each in registered if each.registered_at}
    for audit in audits:
        version, at = (audit.model, audit.version), naive_utc(audit.at)
        starts[version] = min(starts.get(version, at), at)
    return starts


def out_of_service(store: Store, week: Week, model: str, version: str, began: Mapping[tuple[str, str], datetime], latest: datetime) -> bool:
    """Whether a version has served but no longer does, or has never served while a newer one does. A version counts as serving if it has
    predictions in the week. If no version has, those with predictions in the four weeks before the week's end count. For a model without
    predictions: whether a newer version was audited.

    began: when versions began. latest: when the newest version with an audit of this kind began.
    """
    serving = served_versions(store, model, week.start, week) or served_versions(store, model, week.end - SERVED_DAYS, week)
    if version in serving:
        return False
    start = began[model, version]
    if any(began.get((model, other), start) > start for other in serving):
        return True
    served = served_versions(store, model, FIRST, week)
    return version in served if served else start < latest


def served_versions(store: Store, model: str, start: datetime, week: Week) -> set[str]:
    """The versions with predictions in production from `start` to the end of the week, as known at its end."""
    if model not in store.catalog().by_name:
        return set()
    window = Window(model, start, week.end, as_of=week.end)
    return set(store.ask(Aggregate("predictions", keys=(By("version"),)), window)["version"].astype(str))


def ended_items(store: Store, week: Week, known: datetime) -> set[str]:
    """Items that have an outcome in the review of an earlier week."""
    rows = records_until(store, "agenda", known)
    return {row["item"] for row in rows if row["does"] in OUTCOMES and from_earlier_week(row["review"], week)}


def from_earlier_week(review: Any, week: Week) -> bool:
    """Whether a record belongs to the review of an earlier week, or to none."""
    return not isinstance(review, str) or review < str(week)


def records_until(store: Store, kind: str, known: datetime | None = None) -> list[dict[str, Any]]:
    """Records of one kind, oldest first. known: only records up to this time, without those that the dashboard made at exactly this
    time.
    """
    found = row_dicts(store.ask(Records(kind, ever=True), Window("", FIRST, AFTER_LAST)))
    if known is None:
        return found
    until = naive_utc(known)
    return [row for row in found if row["at"] < until or (row["at"] == until and row.get("author") != DASHBOARD)]


def row_dicts(frame: "DataFrame") -> list[dict[str, Any]]:
    """The rows of a table as dicts by column name."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def weeks_waited(item: Item, earlier: Sequence[Body]) -> int:
    """Number of consecutive weeks, including this one, that an item has been on an agenda without an outcome. earlier: newest first, with
    `outcomes` by item.
    """
    weeks = 1
    for body in earlier:
        then = [other.item for other in map(Item.from_json, body["agenda"]) if other.ids & item.ids]
        if not then or any(name in body.get("outcomes", {}) for name in then):
            break
        weeks += 1
    return weeks
