"""The command `audit`: audits of a model version."""

import argparse
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from observability.cli.commands_trade_offs import trade_off_lines
from observability.cli.outcome import Outcome, Say, json_or_lines
from observability.core.catalog import Model
from observability.core.errors import UsageError
from observability.core.finding import iso
from observability.core.formatting import format_share
from observability.core.settings import AUDITS
from observability.store.engine import Store


def run_model_audit(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Run audits of a version one after the other: the named kinds, or all. An interrupted audit continues where it stopped."""
    from observability.enrichment.audit_steps import AuditRequest
    from observability.enrichment.audits import run_audit
    from observability.worker.process import warm_worker

    model = store.catalog().model(args.model)
    if args.schedule is not None:
        return _scheduled(store, model, args)
    version = args.version or newest_registered_version(model)
    records = []
    for kind in args.kind or AUDITS:
        request = AuditRequest(model.name, version, kind, args.rows, args.in_sample, args.shadows, args.seed)
        records.append(run_audit(store, warm_worker(), request, partial(_say_share, say, kind)))
    say("")
    return json_or_lines({"audits": records}, [line for record in records for line in audit_lines(record)], args.json)


def _scheduled(store: Store, model: Model, args: argparse.Namespace) -> Outcome:
    """If a time is given, change the schedule of the named audits (or of all kinds); then list the schedule."""
    from observability.core.settings import checked_setting
    from observability.server.audit_schedule import schedule_outcomes, schedule_words, scheduled_audits, store_audits

    if args.schedule:
        wanted = {kind: when for kind, when in model.settings.audit_schedule.items() if kind not in (args.kind or AUDITS)}
        if args.schedule != "never":
            wanted |= dict.fromkeys(args.kind or AUDITS, args.schedule)
        store.update_settings(model.name, replace(model.settings, audit_schedule=checked_setting("audit_schedule", wanted, "--schedule")))
    now, outcomes = datetime.now(UTC), schedule_outcomes(store.home)
    listed = scheduled_audits(store.catalog(), store_audits(store, now), model.name)
    body = [
        {
            "kind": each.kind,
            "version": each.version,
            "when": each.when,
            "next": iso(each.next) if each.next else None,
            "last": iso(each.last.at) if each.last else None,
            "failure": outcomes.get(each.key, {}).get("failure"),
        }
        for each in listed
    ]
    without = "No audit is scheduled." if not store.catalog().model(model.name).settings.audit_schedule else "No version has a model file."
    lines = [f"{each.kind} of version {each.version}: {schedule_words(each, outcomes.get(each.key, {}), now)}" for each in listed]
    return json_or_lines({"schedule": body}, lines or [without], args.json)


def _say_share(say: Say, kind: str, share: float, text: str) -> None:
    """Report the progress of an audit."""
    say(f"{kind}: {format_share(share)}, {text}")


def newest_registered_version(model: Model) -> str:
    """The version that was registered last. Raises UsageError if none is."""
    known = [version for version in model.versions if version.registered_at is not None]
    if not known:
        raise UsageError("no version is registered", where=model.name, attempt="Register one with --artifact FILE")
    return max(known, key=lambda version: (str(version.registered_at), version.name)).name


def audit_lines(record: dict[str, Any]) -> list[str]:
    """An audit as text: a line for its headline, or for each form."""
    return trade_off_lines(record, True) if record["audit"] == "precision" else [audit_line(record)]


def audit_line(record: dict[str, Any]) -> str:
    """An audit as a line of text: its headline, or the reason why it has no headline."""
    found = record["results"]["headline"]
    about = f"{record['model']} {record['version']}, {record['audit']}:"
    if found["value"] is None:
        return f"{about} {found['why']}"
    words = f"{found['metric'].replace('_', ' ')} {found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f}, n {found['n']:,})"
    return f"{about} {words}; valid until {record['expires'][:10]}." + (f" {found['why']}" if found.get("why") else "")
