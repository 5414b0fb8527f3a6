"""The command `audit`: audits of a model version."""

import argparse
from functools import partial
from typing import Any

from observability.cli.outcome import Outcome, Say, json_or_lines
from observability.core.catalog import Model
from observability.core.errors import UsageError
from observability.core.formatting import format_share
from observability.detection.audit_history import KINDS
from observability.store.engine import Store


def run_model_audit(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Run the named audits of a version one after the other; what was interrupted goes on where it stopped."""
    from observability.enrichment.audits import AuditRequest, run_audit
    from observability.worker.process import warm_worker

    model = store.catalog().model(args.model)
    version = args.version or newest_registered_version(model)
    records = []
    for kind in args.kind or KINDS:
        request = AuditRequest(model.name, version, kind, args.rows, args.in_sample, args.shadows, args.seed)
        records.append(run_audit(store, warm_worker(), request, partial(_say_share, say, kind)))
    say("")
    return json_or_lines({"audits": records}, [audit_line(record) for record in records], args.json)


def _say_share(say: Say, kind: str, share: float, text: str) -> None:
    """Report the progress of an audit."""
    say(f"{kind}: {format_share(share)}, {text}")


def newest_registered_version(model: Model) -> str:
    """The version that was registered last. Raises UsageError where none is."""
    known = [version for version in model.versions if version.registered_at is not None]
    if not known:
        raise UsageError("no version is registered", where=model.name, attempt="Register one with --artifact FILE")
    return max(known, key=lambda version: (str(version.registered_at), version.name)).name


def audit_line(record: dict[str, Any]) -> str:
    """An audit as a line of text: its headline, or why there is none."""
    found = record["results"]["headline"]
    about = f"{record['model']} {record['version']}, {record['audit']}:"
    if found["value"] is None:
        return f"{about} {found['why']}"
    words = f"{found['metric'].replace('_', ' ')} {found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f}, n {found['n']:,})"
    return f"{about} {words}; valid until {record['expires'][:10]}." + (f" {found['why']}" if found.get("why") else "")
