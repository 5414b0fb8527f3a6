"""Commands of the command line: each takes the open store and its arguments, and returns an outcome."""

import argparse
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from observability.cli.load_report import load_outcome, load_progress, work_progress
from observability.cli.outcome import Outcome, Say, json_or_lines, percent_progress, severity_column, write_output
from observability.core import formatting
from observability.core.bundle import bundle_folder
from observability.core.errors import ObservabilityError, UsageError
from observability.core.finding import SEVERITIES
from observability.core.metric_definitions import METRICS
from observability.core.time import instant_from_text
from observability.incidents.action_counts import CountedIncident, counted_incidents, total_action_counts
from observability.incidents.grouping import Incident
from observability.incidents.shared_faults import SharedFault
from observability.incidents.since_words import incident_since, news_since
from observability.store.engine import Store

SAMPLE = bundle_folder() / "sample_data"


def parsed_mapping(texts: list[str], name: str) -> dict[str, str]:
    """Parse `theirs=ours` texts into a mapping. Raises UsageError."""
    mapping = {}
    for text in texts:
        theirs, _, ours = text.partition("=")
        if not theirs or not ours:
            raise UsageError(f"the mapping {name} cannot be read", got=repr(text), expected="theirs=ours")
        mapping[theirs] = ours
    return mapping


def comma_list(text: str | None) -> tuple[str, ...] | None:
    """Parse `a,b` into a tuple; None stays None."""
    return None if text is None else tuple(filter(None, (part.strip() for part in text.split(","))))


def review(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Freeze a week, unless it is already frozen. Write it to the file named by `--out`, and print its pre-read if asked."""
    import getpass

    from observability.alerts.alert_log import messages_by_key
    from observability.alerts.config import channel_names, read_alert_config
    from observability.core.weeks import Week
    from observability.export import review as export_review
    from observability.export import review_deck
    from observability.export.own_exports import note_own_exports
    from observability.metrics.own_exports import own_export
    from observability.review import freeze, pre_read
    from observability.review.agenda import arranged_agenda

    if args.to and not args.pre_read:
        raise UsageError("--to needs --pre-read", attempt="Add --pre-read")
    config = read_alert_config(store.home) if args.pre_read else None
    if config is not None:
        channel_names("--to", args.to, config.channels)

    now = datetime.now(UTC)
    week = Week.parse(args.week) if args.week else Week.before_now(now)
    author = args.author or getpass.getuser()
    body = freeze.freeze(store, week, author=author, now=now, progress=percent_progress(say))
    say("")
    items = export_review.items_of(body)
    agenda = arranged_agenda(items, freeze.said_about(store, str(week))).items
    lines = [f"Week {week} is frozen: {formatting.plural(len(items), 'item')}, {len(agenda)} on the agenda."]
    lines += [f"  {severity_column(item.shown_severity)} {export_review.item_title(item.models, item.title)}" for item in agenda]
    if args.out:
        target = Path(args.out)
        writers = {
            ".slides.html": lambda: review_deck.review_deck(store, str(week), now).encode(),
            ".html": lambda: export_review.review_html(store, str(week), now).encode(),
            ".pdf": lambda: export_review.pdf(store, str(week), now),
            ".csv": lambda: export_review.minutes(store, str(week), now).encode(),
            ".md": lambda: export_review.review_markdown(store, str(week), now).encode(),
        }
        ending = next((ending for ending in writers if target.name.endswith(ending)), None)
        if ending is None:
            raise UsageError("unsupported file type", where="--out", got=target.suffix or "no suffix", expected=", ".join(writers))
        write_output(target, writers[ending]())
        note_own_exports(store, [own_export(f"review {week}{ending}", f"file {target.name}")])
        lines.append(f"Written to {target.name}.")
    if config is not None:
        messages = pre_read.pre_read_messages(store, str(week), args.to, config, now)
        sent = messages_by_key(store).keys() & {message["message"] for message in messages}
        if waiting := [message for message in messages if message["message"] not in sent]:
            store.write_records(waiting)
        lines += ["", pre_read.pre_read_text(store, str(week), now, config.dashboard)]
        for message in messages:
            once = f"was sent to {message['channel']} before" if message["message"] in sent else f"is queued for {message['channel']}"
            lines.append(f"The pre-read {once}; the running dashboard sends each pre-read once.")
    return json_or_lines(export_review.review_json(store, body, now) if args.json else body, lines, args.json)


def metrics(args: argparse.Namespace) -> Outcome:
    """List every metric: its name, unit, meaning and source."""
    lines = [f"{metric.name:26} {metric.unit:20} {metric.meaning} [{metric.source}]" for metric in METRICS.values()]
    return json_or_lines([asdict(metric) for metric in METRICS.values()], lines, args.json)


def demo(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Load the sample fleet, with its original times or shifted to today, or remove it."""
    from observability.cli import demo_fleet as sample
    from observability.cli import large_job, live_sample

    if args.remove and args.live:
        raise UsageError("--remove and --live exclude each other", attempt="Remove the sample first, then run demo --live")
    if args.large and (args.remove or args.live):
        raise UsageError("--large loads the sample with its original times", attempt="Run demo --large without --live and --remove")
    if args.remove:
        with live_sample.live_sample_stopped(store.home):
            removed = store.remove_sample(progress=rewrite_progress(say))
            (store.home / sample.MARK).unlink(missing_ok=True)
        say("")
        found = f"the models {', '.join(removed['models'])}" if removed["models"] else "no model"
        counts = ", ".join(f"{removed[name]:,} {name}" for name in ("predictions", "labels", "records"))
        return Outcome(0, f"Removed the sample fleet: {found}, {counts}.")
    now = datetime.now(UTC)
    if args.live and live_sample.read_live_sample(store.home) is not None:
        report = live_sample.deliver_live_sample(store, SAMPLE / "fleet.toml", now, say)
        say("")
        return Outcome(0, f"The sample is live; {report.stored:,} records arrived since the last delivery.")
    sample.remove_half_sample(store, say)
    if models := store.catalog().models:
        if args.if_empty:
            return Outcome()
        of_sample = all(model.sample for model in models)
        raise UsageError(
            "the store holds the sample already" if of_sample else "the store is not empty",
            got=", ".join(model.name for model in models),
            expected="an empty store",
            attempt=f"Run demo --remove, then demo{' --live' if args.live else ''} again"
            if of_sample
            else "Set OBSERVABILITY_HOME to a new folder, or remove the models first",
        )
    listing = SAMPLE / "fleet.toml"
    with sample.sample_loading(store):
        lines = live_sample.begin_live_sample(store, listing, now, say) if args.live else sample.load_fleet(store, listing, say)
        if args.large:
            lines.append(f"{large_job.load_large_job(store, say).stored:,} records of the long simulated job `{large_job.LARGE_RUN}`.")
    say("")
    return Outcome(0, "\n".join(lines))


def register(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Register a model version from a reference file, and list what was inferred."""
    from observability.store.types.registration import RegistrationRequest
    from observability.worker.score_reference import register_and_compare

    request = RegistrationRequest(
        **{
            name: getattr(args, name)
            for name in ("model", "version", "task", "label", "prediction", "at", "timezone", "in_sample", "positive", "decimal")
        },
        reference=Path(args.reference),
        score=tuple(args.score),
        sensitive=tuple(args.sensitive),
        features=comma_list(args.features),
        renames=parsed_mapping(args.map, "--map"),
        artifact=Path(args.artifact) if args.artifact else None,
        settings=Path(args.settings) if args.settings else None,
    )
    done = register_and_compare(store, request, say)
    say("")
    return json_or_lines({"model": done.model, "version": done.version, "inferred": list(done.sentences)}, list(done.sentences), args.json)


def settings(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Show a model's settings, or set them from a file. If the file protects features, the model need not have any records yet."""
    import getpass

    from observability.alerts import alarm_rules
    from observability.core.settings import read_settings

    catalog, notes = store.catalog(), list[str]()
    if args.settings:
        known = catalog.by_name.get(args.model)
        current = read_settings(Path(args.settings), None if known is None else known.settings)
        notes = alarm_rules.save_settings(store, args.model, current, author=getpass.getuser())
    else:
        current = catalog.model(args.model).settings
    body = asdict(current)
    lines = [f"{name} = {value if value not in (None, {}, ()) else 'not set'}" for name, value in body.items()]
    return replace(json_or_lines(body, lines, args.json), error=" ".join(notes))


def apply(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Show the changes that a configuration file asks for, or make them."""
    import getpass

    from observability.cli.configuration import planned_steps

    steps = planned_steps(store, Path(args.file), author=getpass.getuser())
    for place, step in enumerate(() if args.dry_run else steps):
        try:
            step.run(say)
        except ObservabilityError as error:
            done = "; ".join(earlier.text for earlier in steps[:place]) or "nothing"
            return Outcome(error.exit_code, error=f"{step.text} failed: {error} Done before it: {done}.")
    say("")
    verb = "Would change" if args.dry_run else "Changed"
    lines = (
        [f"{verb} {formatting.plural(len(steps), 'thing')}:", *(f"  {step.text}" for step in steps)] if steps else ["Nothing to change."]
    )
    return json_or_lines({"dry_run": args.dry_run, "changes": [step.text for step in steps]}, lines, args.json)


def run_retry(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Load again the segments that were set aside, together with all records that wait in the landing folder."""
    taken, report = store.retry_set_aside(progress=load_progress(say))
    say("")
    return load_outcome(report, args.json, [f"{formatting.plural(taken, 'segment')} taken again"])


def run_check(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Run every analyzer over the models of the store, and list the findings and incidents."""
    from observability.alerts.alert_log import acknowledged_claims
    from observability.core.window import Slice
    from observability.monitoring import check
    from observability.monitoring.kept_findings import check_keepers

    now = datetime.now(UTC)
    with nullcontext() if store.guarded else check_keepers(store, now) as keep:  # only a check that sees every model stores its findings
        report = check.check(
            store,
            acknowledged=acknowledged_claims(store, now),
            model=args.model,
            version=args.version,
            start=instant_from_text(args.start, "--from"),
            end=instant_from_text(args.end, "--to"),
            as_of=instant_from_text(args.as_of, "--as-of"),
            slice=Slice.parse(args.slice),
            now=now,
            progress=work_progress(say),
            keep=keep,
        )
    say("")
    bad = SEVERITIES[: SEVERITIES.index(args.fail_on) + 1] if args.fail_on else ()
    exit_code = 1 if any(finding.severity in bad for finding in report.findings) else 0
    windows = [f"{name}: {window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M} UTC" for name, window in report.windows.items()]
    counted = counted_incidents(report.incidents)
    lines = [*windows, *report.notes, *map(counted_incident_line, counted)]
    listed = [finding for finding in report.findings if args.all or finding.severity == "unknown"]
    lines += [
        f"{severity_column(finding.shown_severity)} {finding.model or ''} {finding.analyzer}: {finding.because}" for finding in listed
    ]
    if report.findings:
        lines.append(f"Incidents: {total_action_counts(counted).total_words}.")
    ok = sum(finding.severity == "ok" for finding in report.findings)
    if report.findings:
        lines.append(f"{formatting.plural(ok, 'finding')} OK{'' if args.all or not ok else ' (list with --all)'}.")
    else:
        lines.append("No data: the store holds no predictions yet.")
    return json_or_lines([finding.to_json() for finding in report.findings_by_severity], lines, args.json, exit_code)


def run_export(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Write tables of metrics for other tools."""
    from observability.export.metric_tables import export_metric_tables
    from observability.review.small_groups import suppressed_words

    rows = export_metric_tables(store, args.folder, work_progress(say))
    say("")
    suppressed = rows.pop("suppressed")
    lines = [f"Written to {args.folder}:", *(f"  {name}: {formatting.plural(count, 'row')}" for name, count in rows.items())]
    lines += [suppressed_words(suppressed)] if suppressed else []
    return json_or_lines({"folder": args.folder, "rows": rows, "suppressed": suppressed}, lines, args.json)


def counted_incident_line(counted: CountedIncident) -> str:
    """One line for a terminal about a shared fault (`shared_fault_line`) or about an incident (`incident_line`); either is counted once."""
    return incident_line(counted.lead, counted.models) if counted.fault is None else shared_fault_line(counted.fault)


def shared_fault_line(fault: SharedFault) -> str:
    """One line for a terminal about a fault that several models share, with these models and the worst of its incidents."""
    worst = f"The worst, of {fault.lead.model}: {formatting.with_full_stop(fault.lead.sentence)}"
    return f"{severity_column(fault.lead.shown_severity)} {formatting.join_words(fault.models)}: {fault.sentence} {worst}"


def incident_line(incident: Incident, models: Sequence[str]) -> str:
    """One line for a terminal about an incident: claim, suspected source, onset, nearest earlier event and number of related findings.

    models: all models that have the incident.
    """
    since = incident_since(incident)
    onset = f", {' '.join(news_since('ongoing' if incident.news == 'ongoing' else None, since))}" if since else ""
    event = f", after {incident.event['what']} at {incident.event['at']} ({incident.event['text']})" if incident.event else ""
    related = f" {formatting.plural(len(incident.collateral), 'related finding')}." if incident.collateral else ""
    claim, names = formatting.with_full_stop(incident.sentence), formatting.join_words(models) if incident.model else ""
    return f"{severity_column(incident.shown_severity)} {names} {claim} Suspected source: {incident.source}{onset}{event}.{related}"


def run_status(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Report the store: problems first, then sizes, freshness, backlog, the loader, rejected counts and versions."""
    from observability.server import health

    body = health.store_status(store)
    problems = [f"Problem: {sentence}" for sentence in body["problems"]]
    return json_or_lines(body, [*problems, *status_lines({**body, "problems": len(problems)})], args.json)


def status_lines(body: dict[str, Any], indent: str = "") -> list[str]:
    """A nested dictionary as indented lines."""
    lines: list[str] = []
    for name, value in body.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}:", *status_lines(value, indent + "  ")]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            lines += [f"{indent}{name}:"]
            for row in value:
                lines.append(indent + "  " + ", ".join(f"{key} {cell}" for key, cell in row.items() if cell not in (None, [], {})))
        else:
            lines.append(f"{indent}{name}: {value}")
    return lines


def run_explain(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Compute the missing explanations of predictions, and the estimates of errors."""
    from observability.enrichment.enrich import enrich_models

    def note(share: float, text: str) -> None:
        say(f"{100 * share:.0f} % {text}" if share >= 0 else text)

    done = enrich_models(store, args.model, note, seconds=args.seconds)
    say("")
    models = [model for model in store.catalog().models if args.model in (None, model.name)]
    versions = {
        model.name: {
            version.name: {name: getattr(state, name) for name in ("method", "link", "background", "rows", "failure")}
            for version in model.versions
            if (state := store.explanation_state(model.name, version.name)) is not None
        }
        for model in models
    }
    rows = {model.name: done.rows.get(model.name, 0) for model in models}
    return explain_outcome({"rows": rows, "versions": versions, "failures": done.failures, "unfinished": done.unfinished}, args.json)


def explain_outcome(body: dict[str, Any], as_json: bool) -> Outcome:
    """The result of `explain`: rows and versions by model, failures, and whether the time limit stopped it before the end."""
    lines = []
    for name, states in body["versions"].items():
        lines.append(f"{name}: {formatting.plural(body['rows'].get(name, 0), 'prediction')} processed")
        lines += [
            f"  version {version}: {state['failure'] or str(state['rows']) + ' explained so far, method ' + str(state['method'])}"
            for version, state in states.items()
        ]
        lines += [] if states else ["  no version has an artifact or logged attributions: register it again with --artifact FILE"]
    lines += [f"{name}: stopped: {failure}" for name, failure in body["failures"].items()]
    lines += ["The time ended first: run it again to continue."] if body["unfinished"] else []
    return json_or_lines(body, lines or ["The store holds no models yet."], as_json)


def run_lab(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Inject a known fault and show the findings that result; or list the faults."""
    from observability.cli import commands_lab

    return commands_lab.lab_outcome(store, args, say)


def remove(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Remove a model and all of its records. The exit code is 3 if a backup or a lake could not be reached."""
    from observability.store.types.erasing import all_places_were_reached, elsewhere_lines

    body = store.remove_model(args.model, progress=rewrite_progress(say))
    say("")
    counts = {key: value for key, value in body.items() if isinstance(value, int)}
    lines = [f"Removed {args.model}.", *status_lines(counts, "  "), *elsewhere_lines(body)]
    return json_or_lines(body, lines, args.json, 0 if all_places_were_reached(body) else 3)


def rewrite_progress(say: Say) -> Callable[[int, int], object]:
    """Report how much of the store is rewritten."""
    return lambda done, total: say(f"rewriting the store: {done:,} of {total:,} rows")


def run_forget(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Erase a subject everywhere. The exit code is 3 if a backup or a lake could not be reached."""
    from observability.store.types.erasing import all_places_were_reached, forgotten_lines

    body = store.forget(args.subject, progress=say)
    say("")
    return json_or_lines(body, forgotten_lines(body), args.json, 0 if all_places_were_reached(body) else 3)


def run_retention(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Remove records past their retention, or only list them."""
    body = store.apply_retention(dry_run=args.dry_run, rewrite=args.rewrite or None, progress=rewrite_progress(say))
    say("")
    verb = "Would remove" if body["dry_run"] else "Removed"
    lines = [
        f"{verb} {each['rows']:,} {' of '.join(filter(None, (each['what'], each['model'])))} before {each['before']}."
        for each in body["removed"]
    ]
    lines += [f"Counted {formatting.plural(n, 'late label')} of rows of {model} in the lake." for model, n in body["late_labels"].items()]
    return json_or_lines(body, lines or ["Nothing is older than keeping.toml says."], args.json)


def run_backup(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Write a backup of the store to a folder, and list its rows, files and bytes."""
    body = store.backup(args.folder, work_progress(say))
    say("")
    rows = sum(body["tables"].values())
    size = formatting.format_bytes(body["bytes"])
    lines = [f"Backup {body['backup']}: {rows:,} rows, {body['files']:,} files, {size}."]
    if "blocks" in body:
        sent = formatting.format_bytes(body["sent_bytes"])
        lines.append(f"Sent {body['sent_blocks']:,} of {body['blocks']:,} blocks, {sent}. Earlier backups hold the other blocks.")
    return json_or_lines(body, lines, args.json)


def run_restore(args: argparse.Namespace, say: Say) -> Outcome:
    """Restore a backup into the home folder, which must not be open in a dashboard."""
    from observability.server import process_lock

    body = process_lock.restore_backup(process_lock.home_folder(), args.folder, work_progress(say))
    say("")
    lines = [f"Restored {body['backup']} of {body['at']}: {sum(body['tables'].values()):,} rows."]
    lines += [f"Loaded from landing since then: {formatting.plural(body['stored'], 'record')}."]
    lines += [f"The earlier database is kept as {', '.join(body['replaced'])}."] if body["replaced"] else []
    return json_or_lines(body, lines, args.json)


def run_verify(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Read every block, or restore a backup for a test. The exit code is 3 if something is wrong."""
    note = work_progress(say)
    body = store.verify_backup(args.backup, note) if args.backup else store.verify(note)
    say("")
    rows = sum(body["tables"].values())
    lines = [f"{rows:,} rows in {formatting.plural(len(body['tables']), 'table')} were read."]
    if args.backup:
        lines.insert(0, f"The backup {body['backup']} of {body['at'][:16].replace('T', ' ')} UTC was restored beside the store.")
    else:
        lines.append(f"The counts of {formatting.plural(body['days'], 'day')} were computed again from raw rows.")
    outcome = json_or_lines(body, lines, args.json, 3 if body["problems"] else 0)
    attempt = "Make another backup: observability backup DIR" if args.backup else "Restore a backup: observability restore DIR"
    return replace(outcome, error=" ".join([*body["problems"], f"{attempt}."])) if body["problems"] else outcome


COMMANDS: dict[str, Callable[[Store, argparse.Namespace, Say], Outcome]] = {
    "demo": demo,
    "register": register,
    "settings": settings,
    "export": run_export,
    "apply": apply,
    "retry": run_retry,
    "check": run_check,
    "status": run_status,
    "backup": run_backup,
    "verify": run_verify,
    "explain": run_explain,
    "review": review,
    "lab": run_lab,
    "remove": remove,
    "forget": run_forget,
    "retention": run_retention,
}
