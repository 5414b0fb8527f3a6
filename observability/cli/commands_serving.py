"""The commands `probe`, for models that serve elsewhere, and `gate`, for batches that wait for release."""

import argparse
import os
import statistics
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.analyzers.serving import batch_gate
from observability.cli.outcome import Outcome, Say, json_or_lines
from observability.core.catalog import Model
from observability.core.errors import NotFoundError, UsageError
from observability.core.formatting import plural
from observability.core.questions import Aggregate, Bucket, Records
from observability.core.time import aware_utc
from observability.core.window import EPOCH, Slice, Window
from observability.enrichment.encoded_answers import EncodedSet, ask_and_encode
from observability.monitoring import check
from observability.probing.ask import answer_number, normal_answer
from observability.probing.probe_file import ProbeSet, read_probe_set
from observability.server import probe_schedule
from observability.store.engine import Store

if TYPE_CHECKING:
    from pandas import DataFrame

NEVER_LATE = timedelta(days=1)
"""Time added after the newest row or expected day of a batch, so that its window covers all of it."""
SHOWN = 10
"""Maximum number of changed answers and of errors that are printed; --json contains all."""


def run_probe(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Send the questions of a probe set, or of every scheduled set of a model, and store the answers. Other options add sets to the
    schedule or remove them.
    """
    if args.unschedule:
        return _unscheduled(store, args)
    of_file = args.what.endswith(".toml")
    if args.schedule and not of_file:
        raise UsageError("--schedule takes a file", got=args.what, expected="FILE.toml")
    if args.schedule and args.encoder:
        raise UsageError("--encoder applies to a single round", expected="the key encoder in [probe] of the file", attempt="Write it there")
    sets = [read_probe_set(Path(args.what))] if of_file else [probe for _, probe in probe_schedule.scheduled_sets(store.home, args.what)]
    sets = [replace(probe, encoder=args.encoder) for probe in sets] if args.encoder else sets
    bodies, lines = [], []
    for probe in sets:
        before = last_answers(store, probe)
        found = ask_and_encode(probe, os.environ, progress=lambda done, total: say(f"{done} of {total} questions"))
        if found.asked.records and not args.dry_run:
            store.write_records(found.asked.records)
        bodies.append(round_body(probe, found, before) | {"kept": not args.dry_run})
        lines += round_lines(bodies[-1])
    say("")
    if args.schedule:
        kept = probe_schedule.schedule_file(store.home, Path(args.what))
        bodies[0]["scheduled"] = kept.name
        lines.append(f"Scheduled: the dashboard sends the questions every {sets[0].every_hours:g} hours while it runs ({kept.name}).")
    return json_or_lines(bodies[0] if of_file else bodies, lines, args.json)


def _unscheduled(store: Store, args: argparse.Namespace) -> Outcome:
    """Take all sets of a model off the schedule, and return the outcome."""
    if args.what.endswith(".toml") or args.schedule:
        raise UsageError("--unschedule takes a model", got=args.what)
    files = [path for path, _ in probe_schedule.scheduled_sets(store.home, args.what)]
    for path in files:
        path.unlink(missing_ok=True)
    names = [path.name for path in files]
    return json_or_lines({"unscheduled": names}, [f"No longer scheduled: {', '.join(names)}. Stored answers stay."], args.json)


def last_answers(store: Store, probe: ProbeSet) -> dict[str, str]:
    """The newest answer to each question of a set, by item."""
    if probe.model not in {model.name for model in store.catalog().models}:
        return {}
    now = datetime.now(UTC) + timedelta(days=1)
    rows = store.ask(
        Records("prediction", ("at", "prediction", "extra"), ever=True, rows=5 * len(probe.items)), Window(probe.model, EPOCH, now)
    )
    return dict(_answers_by_item(rows, probe.set))


def _answers_by_item(rows: "DataFrame", name: str) -> Iterable[tuple[str, str]]:
    """Item and answer of each answered question of a set, oldest first."""
    for answer, extra in zip(rows["prediction"], rows["extra"], strict=True):
        if isinstance(answer, str) and isinstance(extra, dict) and extra.get("set") == name and "item" in extra:
            yield str(extra["item"]), answer


def answers_differ(before: str, record: dict[str, Any]) -> bool:
    """Whether an answer differs from the previous answer. Numbers differ if they are farther apart than the set's tolerance; other answers
    are compared as texts.
    """
    pair = answer_number(before), answer_number(record["prediction"])
    if record["answers"] == "number" and pair[0] is not None and pair[1] is not None:
        return abs(pair[0] - pair[1]) > record.get("tolerance", 0.0)
    return normal_answer(before) != normal_answer(record["prediction"])


def round_body(probe: ProbeSet, found: EncodedSet, before: dict[str, str]) -> dict[str, Any]:
    """The result of a round as JSON."""
    answered = [record for record in found.asked.records if record["status"] == "ok"]
    compared = [record for record in answered if record["item"] in before]
    changed = [
        {"item": record["item"], "before": before[record["item"]], "after": record["prediction"]}
        for record in compared
        if answers_differ(before[record["item"]], record)
    ]
    times = [record["latency_ms"] for record in answered]
    costs = [record["cost"] for record in answered if "cost" in record]
    return {
        "model": probe.model,
        "set": probe.set,
        "versions": sorted({record["version"] for record in answered}),
        "questions": len(probe.items),
        "answered": len(answered),
        "not_asked": found.asked.left_out,
        "compared": len(compared),
        "changed": changed,
        "refused": sum(record["refused"] for record in answered),
        "not_well_formed": sum(record.get("well_formed") is False for record in answered),
        "latency_ms_p50": statistics.median(times) if times else None,
        "cost": sum(costs) if costs else None,
        "errors": [
            {"item": each["item"], "status": each["status"], "error": each.get("error")} for each in found.asked.records if "error" in each
        ],
        "encoder": found.encoder,
        "not_encoded": found.failure or None,
    }


def round_lines(body: dict[str, Any]) -> list[str]:
    """The result of a round in words."""
    parts = [f"{body['answered']} of {plural(body['questions'], 'question')} answered"]
    parts += [f"{body['not_asked']} not sent for lack of time"] if body["not_asked"] else []
    parts += [f"{len(body['changed'])} of {body['compared']} answers differ from the previous round"] if body["compared"] else []
    parts += [plural(body["refused"], "refusal")] if body["refused"] else []
    parts += [f"{body['not_well_formed']} not in the requested form"] if body["not_well_formed"] else []
    parts += [f"median {body['latency_ms_p50']:,.0f} ms"] if body["latency_ms_p50"] is not None else []
    parts += [f"cost {body['cost']:.4g}"] if body["cost"] is not None else []
    parts += [f"encoded by {body['encoder']}"] if body["encoder"] else []
    parts += [f"stored without vectors: {body['not_encoded']}"] if body["not_encoded"] else []
    version = f" version {', '.join(body['versions'])}" if body["versions"] else ""
    lines = [f"{body['model']}{version}, set {body['set']}: {'; '.join(parts)}{'' if body['kept'] else ' (not kept)'}."]
    lines += [f"  {each['item']}: {shortened_line(each['before'])} -> {shortened_line(each['after'])}" for each in body["changed"][:SHOWN]]
    return lines + [f"  {each['item']}: {each['status']}, {each['error']}" for each in body["errors"][:SHOWN]]


def shortened_line(text: str, most: int = 60) -> str:
    """A text on one line, cut at `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def run_gate(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Print whether a batch may be released (exit 0) or is held (exit 1). If options state a person's decision, store it first."""
    model = gated_model(store, args.model)
    window = batch_window(store, model, args.batch)
    if args.release or args.hold:
        if not (args.author or "").strip():
            raise UsageError("a decision needs its author", expected="--author NAME")
        store.write_records(
            [batch_gate.batch_decision(model.name, args.batch, "promote" if args.release else "hold", args.author, args.reason)]
        )
    say("checking the batch")
    now = datetime.now(UTC)
    found = check.model_findings(store, model, window, now, only=(batch_gate.NAME,))
    own = [each for each in check.unique_findings(found) if each.subject == f"batch={args.batch}"]
    decision = decision_about(store, model.name, args.batch)
    held = batch_gate.is_held(own, args.batch, decision)
    say("")
    body: dict[str, Any] = {
        "batch": args.batch,
        "model": model.name,
        "gate": "hold" if held else "release",
        "findings": [each.to_json() for each in own],
    }
    body["decision"] = None if decision is None else {name: decision[name] for name in ("author", "choice", "statement")}
    said = f" {batch_gate.decided_words(decision)}" if decision is not None else ""
    lines = [f"{'Hold' if held else 'Release'} batch {args.batch} of {model.name}.{said}", *(f"  {each.because}" for each in own)]
    return json_or_lines(body, lines, args.json, exit_code=int(held))


def gated_model(store: Store, name: str | None) -> Model:
    """The model of the batch: the named model, or else the only model that serves in batches. Raises UsageError if there is none, or if
    there are several.
    """
    models = [store.catalog().model(name)] if name else [each for each in store.catalog().models if each.settings.batch_key]
    if len(models) != 1:
        got = ", ".join(each.name for each in models) or "no model with the setting batch_key"
        raise UsageError("the model of the batch is not clear", got=got, expected="--model M")
    if models[0].settings.batch_key is None:
        attempt = f"Set batch_key in a file, and run settings {models[0].name} --settings FILE.toml"
        raise UsageError(f"the model {models[0].name} does not serve in batches", expected="the setting batch_key", attempt=attempt)
    return models[0]


def decision_about(store: Store, model: str, batch: str) -> dict[str, Any] | None:
    """The decision about a batch that is in force, whenever it was made; None if there is no decision."""
    records = store.ask(batch_gate.DECISIONS, Window(model, EPOCH, datetime.now(UTC) + NEVER_LATE))
    return batch_gate.decisions_by_batch(records, model).get(batch)


def batch_window(store: Store, model: Model, batch: str) -> Window:
    """The window of a batch, from its rows and from the day for which it was expected. Raises NotFoundError for an unknown batch."""
    now = datetime.now(UTC) + NEVER_LATE
    everything = Window(model.name, EPOCH, now)
    part = Slice((("batch", batch),))
    days = store.ask(Aggregate("predictions", keys=(Bucket("day"),)), Window(model.name, EPOCH, now, slice=part))
    expected = store.ask(Records("expected_batch", ("batch", "at"), ever=True, only=(("batch", batch),)), everything)
    moments = [*days["period"], *expected["at"]]
    if not moments:
        raise NotFoundError(f"batch {batch!r} of {model.name} is not in the store", attempt="Load its predictions, or log expected_batch")
    start = aware_utc(min(moments).to_pydatetime()).replace(hour=0, minute=0, second=0, microsecond=0)
    return Window(model.name, start, aware_utc(max(moments).to_pydatetime()) + NEVER_LATE)
