"""What does each command of the command line do to the store, and what does it answer?"""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.cli.outcome import Outcome, Say, answered
from observability.core.errors import UsageError
from observability.core.finding import SEVERITIES, Finding
from observability.core.metric_definitions import METRICS
from observability.core.time import instant
from observability.incidents.grouping import Incident

if TYPE_CHECKING:
    from observability.store.db.database import Store

SAMPLE = Path(__file__).parents[2] / "sample_data"


def pairs(texts: list[str], name: str) -> dict[str, str]:
    """`theirs=ours` texts as a mapping. Raises UsageError."""
    found = {}
    for text in texts:
        theirs, equals, ours = text.partition("=")
        if not equals or not theirs or not ours:
            raise UsageError(f"{name} cannot be read", got=repr(text), expected="theirs=ours")
        found[theirs] = ours
    return found


def listed(text: str | None) -> tuple[str, ...] | None:
    """`a,b` as a tuple; None stays None."""
    return None if text is None else tuple(filter(None, (part.strip() for part in text.split(","))))


def review(store: "Store", said: argparse.Namespace, say: Say) -> Outcome:
    """Freeze a week, or write one that is frozen."""
    import getpass

    from observability.core.weeks import Week
    from observability.export import review as export_review
    from observability.review import freeze

    now = datetime.now(UTC)
    week = Week.parse(said.week) if said.week else Week.before_now(now)
    author = said.author or getpass.getuser()
    body = freeze.freeze(store, week, author=author, now=now, progress=lambda share, words: say(f"{100 * share:.0f} % {words}"))
    say("")
    lines = [f"Week {week} is frozen: {len(body['agenda'])} items, of which {min(len(body['agenda']), 7)} are on the agenda."]
    lines += [f"  {each.severity.upper():7} {export_review.named(each.models, each.title)}" for each in export_review.items_of(body)[:7]]
    if said.out:
        target = Path(said.out)
        writers = {
            ".html": lambda: export_review.page(store, str(week), now).encode(),
            ".pdf": lambda: export_review.pdf(store, str(week), now),
            ".csv": lambda: export_review.minutes(store, str(week)).encode(),
            ".md": lambda: export_review.summary(store, str(week)).encode(),
        }
        if target.suffix not in writers:
            raise UsageError(
                "this kind of file is not written", where="--out", got=target.suffix or "no ending", expected=", ".join(writers)
            )
        try:
            target.write_bytes(writers[target.suffix]())
        except OSError as error:
            raise UsageError(
                "the file cannot be written",
                where="--out",
                got=f"{said.out}: {error.strerror}",
                attempt="Name a folder that is there and can be written to",
            ) from None
        lines.append(f"Written to {target.name}.")
    return answered(body, lines, said.json)


def metrics(said: argparse.Namespace) -> Outcome:
    """Every metric."""
    body = [
        {
            "name": m.name,
            "title": m.title,
            "unit": m.unit,
            "better": m.better,
            "meaning": m.meaning,
            "formula": m.formula,
            "source": m.source,
        }
        for m in METRICS.values()
    ]
    return answered(body, [f"{m.name:26} {m.unit:20} {m.meaning} [{m.source}]" for m in METRICS.values()], said.json)


def demo(store: "Store", said: argparse.Namespace, say: Say) -> Outcome:
    """Load the sample fleet."""
    from observability.store.registry import demo as sample

    if store.catalog().models:
        if said.if_empty:
            return Outcome()
        raise UsageError(
            "the store is not empty",
            got=", ".join(each.name for each in store.catalog().models),
            expected="an empty store",
            attempt="Set OBSERVABILITY_HOME to a new folder, or remove the models first",
        )
    lines = sample.load_fleet(store, SAMPLE / "fleet.toml", say)
    say("")
    return Outcome(0, "\n".join(lines))


def register(store: "Store", said: argparse.Namespace, say: Say) -> Outcome:
    """Register a model version."""
    from observability.store.registry import register as registering

    request = registering.Request(
        model=said.model,
        version=said.version,
        task=said.task,
        reference=Path(said.reference),
        label=said.label,
        score=tuple(said.score),
        prediction=said.prediction,
        at=said.at,
        sensitive=tuple(said.sensitive),
        features=listed(said.features),
        renames=pairs(said.map, "--map"),
        artifact=Path(said.artifact) if said.artifact else None,
        in_sample=said.in_sample,
        settings=Path(said.settings) if said.settings else None,
        positive=said.positive,
    )
    done = registering.register(store, request, progress=say)
    say("")
    return answered({"model": done.model, "version": done.version, "inferred": list(done.sentences)}, list(done.sentences), said.json)


def settings(store: "Store", said: argparse.Namespace, say: Say) -> Outcome:
    """Show or set a model's settings."""
    import getpass
    from dataclasses import asdict

    from observability.alerts import alarm_rules
    from observability.core.settings import read_settings

    model = store.catalog().model(said.model)
    current = model.settings
    if said.settings:
        current = read_settings(Path(said.settings), model.settings)
        alarm_rules.keep(store, model.name, current, author=getpass.getuser())
    body = asdict(current)
    return answered(
        body, [f"{name} = {value if value not in (None, {}, ()) else 'not decided'}" for name, value in body.items()], said.json
    )


def load(store: "Store", said: argparse.Namespace, say: Say) -> Outcome:
    """Load files and what waits in landing."""
    from observability.store.ingest import loader
    from observability.store.ingest.parse_types import Defaults

    def note(done: int, total: int, *_rest: object) -> None:
        say(f"loading: {done / 1e6:,.1f} of {total / 1e6:,.1f} MB" if total else "loading")

    defaults = Defaults(
        kind=said.kind,
        model=said.model,
        version=said.version,
        features=listed(said.features),
        renames=pairs(said.map, "--map"),
        timezone=said.timezone,
    )
    report = loader.load_files(store, [Path(each) for each in said.files], defaults, progress=note) if said.files else None
    landed = loader.load_landing(store, progress=note)
    total = landed if report is None else report + landed
    say("")
    body = total.to_json()
    lines = [f"{body['lines']:,} lines: {body['stored']:,} stored, {body['duplicates']:,} duplicates, {body['rejected']:,} rejected"]
    lines += [f"  {count:,} × {reason}" for reason, count in sorted(body["reasons"].items(), key=lambda each: -each[1])]
    return answered(body, lines, said.json)


def check(store: "Store", said: argparse.Namespace, say: Say) -> Outcome:
    """Run every analyzer."""
    from observability.core.window import Slice
    from observability.monitoring import check as run

    report = run.check(
        store,
        model=said.model,
        version=said.version,
        start=instant(said.start, "--from"),
        end=instant(said.end, "--to"),
        as_of=instant(said.as_of, "--as-of"),
        slice=Slice.parse(said.slice),
    )
    bad = SEVERITIES[: SEVERITIES.index(said.fail_on) + 1] if said.fail_on else ()
    exit_code = 1 if any(each.severity in bad for each in report.findings) else 0
    windows = [f"{name}: {window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M} UTC" for name, window in report.windows.items()]
    lines = [*windows, *report.notes, *(line_of_incident(each) for each in report.incidents)]
    lines += [line_of(each) for each in report.findings if said.all or each.severity == "unknown"]
    calm = sum(each.severity == "ok" for each in report.findings)
    lines.append(
        f"{calm} findings are ok{'' if said.all or not calm else ' (--all lists them)'}."
        if report.findings
        else "Nothing to judge: the store holds no predictions yet."
    )
    return answered([each.to_json() for each in report.findings], lines, said.json, exit_code)


def line_of_incident(incident: Incident) -> str:
    """An incident in one line of a terminal: what to suspect, since when, after what, what was found, how much comes with it."""
    when = f", since {incident.onset:%Y-%m-%d %H:%M}" if incident.onset else ""
    after = f", after {incident.event['what']} at {incident.event['at']} ({incident.event['text']})" if incident.event else ""
    more = len(incident.collateral)
    beside = f" With it: {more} more finding{'s' if more > 1 else ''}." if more else ""
    return f"{incident.severity.upper():7} {incident.model or ''} suspect {incident.source}{when}{after}: {incident.sentence}{beside}"


def line_of(finding: Finding) -> str:
    """A finding in one line of a terminal."""
    return f"{finding.severity.upper():7} {finding.model or ''} {finding.analyzer}: {finding.because}"


def status(store: "Store", said: argparse.Namespace, say: Say) -> Outcome:
    """Store, sizes, freshness, backlog, rejected counts, versions."""
    from observability.store.registry import admin

    body = admin.status(store)
    return answered(body, status_lines(body), said.json)


def status_lines(body: dict[str, Any], indent: str = "") -> list[str]:
    """A nested answer as indented lines."""
    lines: list[str] = []
    for name, value in body.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}:", *status_lines(value, indent + "  ")]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            lines += [f"{indent}{name}:"]
            for each in value:
                lines.append(indent + "  " + ", ".join(f"{key} {one}" for key, one in each.items() if one not in (None, [], {})))
        else:
            lines.append(f"{indent}{name}: {value}")
    return lines


def explain(store: "Store", said: argparse.Namespace, say: Say) -> Outcome:
    """Explain what is not explained yet, and estimate errors."""
    from observability.enrichment.enrich import enrich
    from observability.store.query import attributions

    done = enrich(store, said.model, lambda share, text: say(f"{100 * max(share, 0):.0f} % {text}" if share >= 0 else text))
    say("")
    models = [each for each in store.catalog().models if said.model in (None, each.name)]
    states = {each.name: {one.name: attributions.state_of(store, each.name, one.name) for one in each.versions} for each in models}
    versions = {
        name: {
            version: {
                "method": state.method,
                "link": state.link,
                "background": state.background,
                "rows": state.rows,
                "failure": state.failure,
            }
            for version, state in found.items()
            if state is not None
        }
        for name, found in states.items()
    }
    body = {"rows": {each.name: done.rows.get(each.name, 0) for each in models}, "versions": versions, "failures": done.failures}
    lines = []
    for name, found in versions.items():
        lines.append(f"{name}: {done.rows.get(name, 0):,} predictions worked through")
        lines += [
            f"  version {version}: {each['failure'] or str(each['rows']) + ' explained so far by ' + str(each['method'])}"
            for version, each in found.items()
        ]
        lines += [] if found else ["  no version has an artifact or logged attributions: register it again with --artifact FILE"]
    lines += [f"{name}: stopped: {failure}" for name, failure in done.failures.items()]
    return answered(body, lines or ["The store holds no models yet."], said.json)


def lab(store: "Store", said: argparse.Namespace, say: Say) -> Outcome:
    """Plant a fault and show what would have been said; or list the faults."""
    from observability.cli import commands_lab

    return commands_lab.lab(store, said, say)


def remove(store: "Store", said: argparse.Namespace, say: Say) -> Outcome:
    """Remove a model."""
    from observability.store.registry import admin

    body = admin.remove_model(store, said.model)
    return answered(body, [f"Removed {said.model}.", *status_lines(body, "  ")], said.json)


COMMANDS: dict[str, Callable[["Store", argparse.Namespace, Say], Outcome]] = {
    "demo": demo,
    "register": register,
    "settings": settings,
    "load": load,
    "check": check,
    "status": status,
    "explain": explain,
    "review": review,
    "lab": lab,
    "remove": remove,
}
