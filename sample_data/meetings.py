"""Five weekly reviews of the flight models: the frozen weeks, and the entries and agreements of the meetings.

The product itself freezes the weeks, each on the Monday after it and one after the other, so that each week includes what was agreed
before. The people, their words, their actions and the times at which they looked at an alert are invented. Each remark is about a finding.
It is recorded for the agenda item that this finding leads, else for the first item that contains the finding. If no item contains it, this
script ends with a message.
"""

import argparse
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from observability.core.weeks import Week
    from observability.store.engine import Store

Record = dict[str, Any]
HERE = Path(__file__).resolve().parent
FILE = "meetings.jsonl.gz"
MODELS = ("flights-delay", "flights-late")
LEAD, FLIGHTS, DATA, PLATFORM = "Mara (sample)", "Jonas (sample)", "Aiko (sample)", "Tom (sample)"
MEETING = timedelta(hours=9)
"""Time from midnight of the Monday after the week to the meeting."""
DASHBOARD = "the dashboard"
TEMPERATURE = "flights-delay:data/quality/temperature_f/out_of_range_rate/"
NEVER_LANDED = ":data/cleaning/dataset:flights that are served/rule:never landed: no label/cleaning_group_gap/carrier=EV"
FAR = "flights-delay:trust/live_guard/model/far_request_share/"


@dataclass(frozen=True)
class Said:
    """A remark at a meeting. about: a finding (given as the id of the incident that it leads), or `action:` and an id. action: the id of
    the agreed action.
    """

    about: str
    author: str
    does: str
    text: str
    action: str | None = None


@dataclass(frozen=True)
class Meeting:
    """One review: its week, the remarks, and the records of actions and decisions, each with its day and hour."""

    week: str
    said: tuple[Said, ...]
    records: tuple[tuple[str, Record], ...] = ()


def agreed(action: str, at: str, author: str, text: str, **fields: object) -> tuple[str, Record]:
    """The record of a new action."""
    return at, {"kind": "action", "action": action, "author": author, "text": text, "do": "other", **fields}


def changed(action: str, at: str, author: str, state: str, **fields: object) -> tuple[str, Record]:
    """The record of a change of an action."""
    return at, {"kind": "action", "action": action, "author": author, "state": state, **fields}


MEETINGS = (
    Meeting(
        "2013-W20",
        (
            Said(
                "flights-delay:serving/drift/rain_3h_in/psi/",
                DATA,
                "note",
                "Cloudbursts on the evening of 19 May. All three airports have them.",
            ),
            Said("flights-delay:serving/drift/rain_3h_in/psi/", LEAD, "accept", "Real weather, not a fault of the feed."),
            Said(
                "flights-late:serving/multivariate_drift/model/domain_auc/",
                LEAD,
                "act",
                "The reference is of January to March. Find out whether summer explains all of it.",
                "summer-or-fault",
            ),
            Said("flights-delay:serving/multivariate_drift/model/domain_auc/", FLIGHTS, "watch", "The same inputs as in flights-late."),
        ),
        (
            agreed(
                "summer-or-fault",
                "2013-05-20T09:20",
                LEAD,
                "Compare the drifted inputs with the weather of last May",
                model="flights-late",
                owner=DATA,
                due="2013-05-27T00:00:00Z",
            ),
            changed("summer-or-fault", "2013-05-24T15:10", DATA, "done", reason="Temperature and dew point explain nearly all of it."),
            changed("summer-or-fault", "2013-05-27T09:05", LEAD, "verified"),
        ),
    ),
    Meeting(
        "2013-W21",
        (
            Said(
                "flights-delay:operations/energy/model/energy_per_thousand/",
                PLATFORM,
                "accept",
                "One busy day. The estimate assumes 4 W a core.",
            ),
            Said(
                "flights-delay:data/quality/departures_same_hour/out_of_range_rate/",
                FLIGHTS,
                "watch",
                "More flights an hour before the holiday.",
            ),
            Said(TEMPERATURE, LEAD, "act", "Ask the weather service, and decide on a reference that holds summer.", "ask-the-stations"),
        ),
        (
            agreed(
                "ask-the-stations",
                "2013-05-27T09:25",
                LEAD,
                "Ask the weather service whether sensors at EWR, JFK or LGA were changed",
                model="flights-delay",
                owner=PLATFORM,
                due="2013-06-03T00:00:00Z",
            ),
            agreed(
                "summer-reference",
                "2013-05-27T09:30",
                LEAD,
                "Decide on a reference that holds summer",
                model="flights-delay",
                owner=LEAD,
                due="2013-06-10T00:00:00Z",
            ),
            (
                "2013-05-27T09:35",
                {
                    "kind": "decision",
                    "decision": "keep-reference",
                    "author": LEAD,
                    "statement": "flights-delay keeps its reference until flights of summer are labelled",
                    "options": ["a rolling reference now", "the reference of spring until July"],
                    "decider": LEAD,
                    "dissent": f"{FLIGHTS}: alarms about temperature will go on until then",
                    "revisit": "2013-07-01T00:00:00Z",
                    "model": "flights-delay",
                    "item": TEMPERATURE,
                },
            ),
            changed("ask-the-stations", "2013-06-03T08:00", PLATFORM, "done", reason="No sensor was changed."),
            changed("ask-the-stations", "2013-06-03T09:02", LEAD, "verified"),
        ),
    ),
    Meeting(
        "2013-W22",
        (
            Said(TEMPERATURE, DATA, "watch", "The stations are right. It is warm."),
            Said(FAR, LEAD, "act", "Far requests: read some of them before the next meeting.", "read-far-requests"),
            Said(NEVER_LANDED, DATA, "accept", "Cancelled flights never land, so they have no label."),
        ),
        (
            agreed(
                "read-far-requests",
                "2013-06-03T09:20",
                LEAD,
                "Read twenty of the requests that are far from the reference",
                model="flights-delay",
                owner=FLIGHTS,
                due="2013-06-07T00:00:00Z",
            ),
            changed("read-far-requests", "2013-06-12T16:40", FLIGHTS, "done", reason="All twenty are real flights on hot or stormy days."),
            changed("read-far-requests", "2013-06-17T09:03", LEAD, "verified"),
        ),
    ),
    Meeting(
        "2013-W23",
        (
            Said(FAR, FLIGHTS, "watch", "Far requests: I am still reading them."),
            Said(TEMPERATURE, LEAD, "watch", "Too few flights of summer are labelled to decide on a reference."),
            Said(
                "flights-delay:serving/batch_gate/batch=EWR 2013-06-07/batch_score_drift/",
                PLATFORM,
                "act",
                "The storm of 7 June. Somebody should look at such a batch before it is released.",
                "look-before-release",
            ),
            Said("action:read-far-requests", FLIGHTS, "watch", "Seven of twenty are read. The others by Wednesday."),
        ),
        (
            changed(
                "summer-reference",
                "2013-06-10T09:15",
                LEAD,
                "extended",
                due="2013-06-17T00:00:00Z",
                reason="Too few flights of summer are labelled.",
            ),
            agreed(
                "look-before-release",
                "2013-06-10T09:25",
                PLATFORM,
                "Let the planner at EWR look at a batch that the gate marks",
                model="flights-delay",
                owner=PLATFORM,
                due="2013-06-14T00:00:00Z",
                metric="mae",
                goal=25.0,
            ),
            changed("look-before-release", "2013-06-14T11:00", PLATFORM, "done"),
        ),
    ),
    Meeting(
        "2013-W24",
        (
            Said(FAR, FLIGHTS, "accept", "Far requests: all that were read are real flights."),
            Said(TEMPERATURE, LEAD, "accept", "Known and explained. The new reference will end it."),
            Said("action:summer-reference", LEAD, "accept", "Decided today: version 2 gets it."),
            Said(
                "flights-late:serving/calibration/model/ece/",
                FLIGHTS,
                "act",
                "Calibration: delays are more frequent than in spring.",
                "recalibrate",
            ),
        ),
        (
            changed(
                "summer-reference",
                "2013-06-17T09:30",
                LEAD,
                "done",
                reason="Version 2 will be trained with summer, and its reference holds it.",
            ),
            agreed(
                "recalibrate",
                "2013-06-17T09:25",
                FLIGHTS,
                "Recalibrate flights-late on the labels of June",
                do="retrain",
                model="flights-late",
                owner=FLIGHTS,
                due="2013-07-01T00:00:00Z",
                metric="ece",
                goal=0.04,
            ),
            changed("recalibrate", "2013-06-21T10:00", LEAD, "cancelled", reason="Version 2 comes sooner."),
            changed("summer-reference", "2013-06-21T10:05", LEAD, "verified"),
            changed("look-before-release", "2013-06-21T10:10", LEAD, "verified"),
        ),
    ),
)
AFTERWARDS = (
    agreed(
        "version-for-february",
        "2014-01-06T09:20",
        LEAD,
        "Agree which version of flights-late serves from February on",
        model="flights-late",
        owner=FLIGHTS,
    ),
    agreed(
        "recall-of-december", "2014-01-06T09:30", LEAD, "Read the recall of December again when all labels are in", model="flights-late"
    ),
)
"""Two actions that are still open, one of them without an owner."""
SEEN = {
    "flights-delay": (FLIGHTS, timedelta(hours=3, minutes=20)),
    "flights-late": (FLIGHTS, timedelta(hours=2, minutes=5)),
}
"""Who acknowledges the alerts of each model, and how long after the alerts were opened."""
OPENED = timedelta(hours=25)
"""Minimum time from the first day of an incident to its alert: a day has to be over before it is judged."""


def make(out: Path) -> None:
    """Load the fleet without its meetings into a temporary home, hold the meetings there, and write their records."""
    import tempfile

    from observability.cli.demo_fleet import load_fleet
    from observability.store.opener import open_store

    with tempfile.TemporaryDirectory(prefix="sample-meetings-") as home:
        listing = Path(home) / "fleet.toml"
        parts = (out / listing.name).read_text(encoding="utf-8").split("\n\n")
        listing.write_text("\n\n".join(part for part in parts if FILE not in part), encoding="utf-8")
        for path in out.iterdir():
            if path.name not in (listing.name, FILE):
                (Path(home) / path.name).symlink_to(path.resolve())
        with open_store(Path(home) / "store", threads=2) as store:
            load_fleet(store, listing, lambda _text: None)
            write(list(held(store)), out)


def write(records: list[Record], out: Path) -> None:
    """The records as compressed lines, the same bytes for the same records."""
    lines = "".join(json.dumps(each, ensure_ascii=False, separators=(",", ":"), default=str) + "\n" for each in records)
    with (out / FILE).open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(lines.encode())


def held(store: "Store") -> Iterator[Record]:
    """Hold every meeting in a store, and yield all their records: the frozen weeks, and what people said and did."""
    from observability.core.weeks import Week
    from observability.review.freeze import freeze

    opened: set[str] = set()
    for meeting in MEETINGS:
        week = Week.parse(meeting.week)
        body = freeze(store, week, author=LEAD, now=week.end + MEETING)
        yield from frozen_records(body, week)
        records = [*said_records(meeting, body, week), *dated(meeting.records, meeting.week), *alert_records(body, week, opened)]
        records = [{**record, "item": agenda_item(body, record["item"])} if record["kind"] == "decision" else record for record in records]
        store.write_records(records)
        yield from records
    yield from dated(AFTERWARDS, None)


def frozen_records(body: dict[str, Any], week: "Week") -> Iterator[Record]:
    """A frozen week as `freeze` stores it: a head record, and one record per model."""
    head = {"kind": "review", "review": str(week), "week": str(week), "at": (week.end + MEETING).isoformat(), "author": LEAD}
    yield {**head, "body": {**body, "models": []}}
    yield from ({**head, "model": part["model"], "body": part} for part in body["models"])


def agenda_item(body: dict[str, Any], about: str) -> str:
    """The item of a frozen week's agenda about a finding or an action: the item that the finding leads, else the first item that contains
    it.

    Raises SystemExit if there is no such item.
    """
    agenda = {item["item"]: item for item in body["agenda"]}
    for name in (about, f"incident:{about}"):
        if name in agenda:
            return name
    model, _, claim = about.partition(":")
    part: dict[str, Any] = next((part for part in body["models"] if part["model"] == model), {"findings": [], "incidents": []})
    found = {f"{each['analyzer']}/{each['subject']}/{each['metric']}/{each['slice'] or ''}": each["id"] for each in part["findings"]}
    holding = {incident["incident"] for incident in part["incidents"] if found.get(claim) in incident["findings"]}
    for name, item in agenda.items():
        if any(each.get("incident") in holding for each in (item["about"], *item["also"])):
            return name
    raise SystemExit(f"{body['week']}: no item of the agenda holds {about}. It has: {', '.join(agenda)}. Say something else in MEETINGS.")


def said_records(meeting: Meeting, body: dict[str, Any], week: "Week") -> list[Record]:
    """The records of the remarks on the items of an agenda, a minute and a half apart, and the record that closes the meeting."""
    began = week.end + MEETING + timedelta(minutes=10)
    records: list[Record] = []
    for place, said in enumerate(meeting.said):
        at = began + place * timedelta(seconds=90)
        fields = {"item": agenda_item(body, said.about), "author": said.author, "does": said.does, "text": said.text, "action": said.action}
        kept = {name: value for name, value in fields.items() if value is not None}
        records.append({"kind": "agenda", "review": meeting.week, "at": at.isoformat(), **kept})
    closed = {"item": "meeting", "author": LEAD, "does": "close", "at": (week.end + MEETING + timedelta(minutes=35)).isoformat()}
    return [*records, {"kind": "agenda", "review": meeting.week, **closed}]


def dated(records: tuple[tuple[str, Record], ...], review: str | None) -> list[Record]:
    """The records with their times; new actions and decisions also get the review they belong to."""
    found = []
    for at, record in records:
        new = "text" in record or record["kind"] == "decision"
        found.append({**record, "at": f"{at}:00Z", **({"review": review} if review and new else {})})
    return found


def alert_records(body: dict[str, Any], week: "Week", opened: set[str]) -> list[Record]:
    """Records of the alert of each incident of the flight models that no earlier week had: opened, acknowledged, and resolved after its
    meeting.
    """
    records: list[Record] = []
    ended = week.end + MEETING + timedelta(hours=4)
    for part in body["models"]:
        for incident in part["incidents"] if part["model"] in MODELS else ():
            if incident["incident"] in opened:
                continue
            opened.add(incident["incident"])
            person, wait = SEEN[part["model"]]
            onset = datetime.fromisoformat(incident["onset"]) if incident["onset"] else week.start + timedelta(days=5)
            at = min(max(onset, week.start) + OPENED + len(opened) % 4 * timedelta(hours=3), week.end + timedelta(hours=2))
            real = incident["metric"] in ("batch_score_drift", "ece", "domain_auc")
            head = {"kind": "alert", "incident": incident["incident"], "model": part["model"]}
            told = {name: incident[name] for name in ("severity", "source", "value")}
            rule = f"{incident['analyzer']}/{incident['metric']}"
            records += [
                {**head, "at": at.isoformat(), "author": DASHBOARD, "says": "opened", "title": incident["sentence"], "rule": rule, **told},
                {**head, "at": (at + wait).isoformat(), "author": person, "says": "acknowledged"},
                {
                    **head,
                    "at": ended.isoformat(),
                    "author": LEAD,
                    "says": "resolved",
                    "reason": "real_fault" if real else "expected_change",
                    "text": "Agreed in the weekly review.",
                },
            ]
            ended += timedelta(minutes=5)
    return records


def main() -> None:
    """Makes the file."""
    parser = argparse.ArgumentParser(description="Holds the weekly reviews of the sample fleet.")
    parser.add_argument("--out", type=Path, default=HERE, help="folder with the fleet, to write to (default: the one of this file)")
    make(parser.parse_args().out)


if __name__ == "__main__":
    main()
