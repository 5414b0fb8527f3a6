"""How many critical incidents per month does a model have on naturally drifting streams, how many are alerted, and which findings open
them?

    python tests/benchmarks/bench_natural.py --streams electricity --every 1 --no-peers --to weeks.jsonl
    python tests/benchmarks/bench_incidents.py weeks.jsonl [--list]

The findings that bench_natural.py saved are grouped again, with the current code. Alerts are then decided week after week, as if nobody
responded to them. Distinct: incidents by id. Told: messages that an alert opened, got worse or ended its snooze. `--list` prints every
critical incident with its leading finding, whether it was alerted, and its other findings.
"""

import argparse
import json
import sys
from collections import defaultdict
from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from observability.alerts.alert_decisions import decide_alerts
from observability.alerts.alert_state import alerts_from_records
from observability.alerts.config import AlertConfig
from observability.core.finding import Finding
from observability.incidents.grouping import Incident, group_findings

DAYS_A_MONTH = 30.44
TOLD = ("opened", "worse", "woken")
NAMES = {each.name for each in fields(Finding)}


def kept_finding(body: dict) -> Finding:
    """A finding, from the JSON that bench_natural.py saves."""
    own = {name: value for name, value in body.items() if name in NAMES} | {"incident": None}
    own |= {name: datetime.fromisoformat(body["window"][name]) for name in ("start", "end")}
    own["onset"] = datetime.fromisoformat(body["onset"]) if body["onset"] else None
    own["limit"] = tuple(body["limit"]) if isinstance(body["limit"], list) else body["limit"]
    return Finding(**own)


def weekly_incidents(weeks: list[dict], arm: str):
    """For each week of one model: its critical incidents, and the ids of those that a message tells."""
    records, seen = [], {}
    for week in weeks:
        findings = [kept_finding(each) for each in week[arm]["findings"]]
        incidents = group_findings(findings)[1]
        now = max(each.end for each in findings) + timedelta(minutes=1)
        alerts = alerts_from_records(records, now)
        decided = decide_alerts(incidents, alerts, seen, set(alerts), {}, AlertConfig(), now)
        records += [each for each in decided.records if each["kind"] == "alert"]
        seen |= dict.fromkeys(decided.there, now)
        told = [each["title"] for each in decided.records if each["kind"] == "alert" and each["says"] in TOLD]
        yield week, [each for each in incidents if each.severity == "act"], told


def incident_words(incident: Incident, told: list[str]) -> str:
    """An incident in one line."""
    lead = incident.lead
    about = " ".join(filter(None, (lead.analyzer, lead.metric, lead.subject, lead.slice, lead.news)))
    beside = ", ".join(f"{each.metric} {each.subject}" for each in incident.collateral if each.severity == "act")
    words = [
        incident.id[:6],
        "told" if incident.sentence in told else "",
        "stands" if incident.standing else "",
        about,
        str(lead.onset)[:10],
    ]
    return " ".join(filter(None, words)) + (f" | {beside}" if beside else "")


def main() -> None:
    """Prints the rates by stream and kind of labels, and over all streams."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weeks", type=Path, nargs="+", help="what bench_natural.py --to wrote")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    lines = [json.loads(line) for path in options.weeks for line in path.read_text().splitlines()]
    models = defaultdict(list)
    for line in lines:
        models[line["stream"], line["model"]].append(line)
    sums = defaultdict(lambda: [0, 0, 0.0])
    for arm in ("labels", "none"):
        for (stream, model), weeks in models.items():
            ids, messages = set(), 0
            for week, incidents, told in weekly_incidents(weeks, arm):
                ids |= {each.id for each in incidents}
                messages += len(told)
                if options.list:
                    print(f"{model}, labels {arm}, week {week['week']}, {week['truth']}")
                    print(*(f"    {incident_words(each, told)}" for each in incidents), sep="\n")
            months = sum(week["every"] * 7 / DAYS_A_MONTH for week in weeks)
            for name in (stream, "all streams"):
                sums[arm, name] = [own + more for own, more in zip(sums[arm, name], (len(ids), messages, months), strict=True)]
    for (arm, name), (distinct, told, months) in sums.items():
        print(f"labels {arm}, {name}: {distinct / months:.2f} distinct and {told / months:.2f} told a month ({months:.1f} model-months)")


if __name__ == "__main__":
    main()
