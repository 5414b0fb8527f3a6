"""The command `exports`: list or record exports, compute k of a table or ε of a mechanism, set the limits of a recipient, or draw canary
rows for training.
"""

import argparse
import base64
import getpass
import json
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.cli.commands_case import inert_line
from observability.cli.commands_data import read_table
from observability.cli.outcome import Outcome, Say, json_or_lines, write_output
from observability.core.errors import UsageError
from observability.core.formatting import plural
from observability.core.numerals import format_figure
from observability.core.window import EPOCH, Window
from observability.metrics.attestations import EXTRA, public_key
from observability.metrics.exports import DELTA, EXPORTS, LEVELS, ExportLedger, export_ledger
from observability.records.values import new_record_id
from observability.stats.privacy_loss import dpsgd_epsilon
from observability.store.engine import Store

if TYPE_CHECKING:
    from pandas import DataFrame

MIN_LETTERS = 8


def run_exports(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Run the chosen action of the command."""
    actions = {"list": _listed, "record": _recorded, "k": _counted_k, "epsilon": _computed_epsilon, "level": _stated_level}
    return {**actions, "canaries": _drawn_canaries}[args.action](store, args)


def _listed(store: Store, args: argparse.Namespace) -> Outcome:
    """Print exports by recipient and dataset, with the used part of each privacy budget."""
    ledger = stored_ledger(store)
    body, lines = [], []
    for pair, events in ledger.by_pair().items():
        level, loss = ledger.level(events[-1]), ledger.loss(pair)
        known = [each.k for each in events if each.k is not None]
        row: dict[str, Any] = {"recipient": pair[0], "dataset": pair[1] or None, "exports": len(events)}
        row |= {"rows": sum(each.rows or 0 for each in events), "smallest_k": min(known, default=None)}
        row |= {"epsilon": loss.epsilon if loss.releases else None, "delta": loss.delta, "budget": level.epsilon, "unknown": loss.unknown}
        body.append(row)
        spent = f", ε {format_figure(loss.epsilon, 3)}" if loss.releases else ""
        spent += f" of {level.epsilon:g}" if spent and level.epsilon is not None else ""
        smallest = f", smallest k {row['smallest_k']:g}" if known else ""
        lines.append(
            inert_line(f"{' · '.join(filter(None, pair))}: {plural(len(events), 'export')}, {row['rows']:,} rows{smallest}{spent}")
        )
    return json_or_lines(body, lines or ["No export has been logged."], args.json)


def stored_ledger(store: Store) -> ExportLedger:
    """All exports of a store, with the limits that owners set."""
    window = Window("", EPOCH, datetime.now(UTC))
    models = {model.name: model for model in store.catalog().models}
    return export_ledger(store.ask(EXPORTS, window), store.ask(LEVELS, window), models, "trust/exports/export_k")


def _table(args: argparse.Namespace) -> "DataFrame":
    """The rows of the file that the arguments name. Raises UsageError if they name none."""
    if not args.file:
        raise UsageError(f"exports {args.action} needs a file", expected="FILE.csv, .jsonl or .parquet")
    return read_table(Path(args.file))


def _names(text: str | None, table: "DataFrame | None", option: str) -> list[str]:
    """The columns that an option names. Raises UsageError if the file lacks one of them."""
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    if table is not None and (missing := [name for name in names if name not in table]):
        raise UsageError(
            f"the option {option} names columns that the file lacks", got=", ".join(missing), expected=", ".join(map(str, table.columns))
        )
    return names


def table_k(table: "DataFrame", quasi: list[str]) -> tuple[int, dict[int, tuple[int, int]]]:
    """The k of a table; and, for each of the sizes 2, 5 and 10 rows, the number of smaller groups and the number of rows in them."""
    from observability.metrics.storage_forms import small_groups

    if not quasi:
        raise UsageError("k needs the quasi-identifying columns", attempt="Name them as --quasi age,postcode")
    found = small_groups(table, quasi)
    return found.k, found.below


def _counted_k(store: Store, args: argparse.Namespace) -> Outcome:
    """Print the k of a table, with its small groups."""
    from observability.metrics.storage_forms import groups_by_size

    table = _table(args)
    quasi = _names(args.quasi, table, "--quasi")
    k, below = table_k(table, quasi)
    body = {
        "file": args.file,
        "rows": len(table),
        "quasi": quasi,
        "k": k,
        "below": {str(size): list(found) for size, found in below.items()},
    }
    return json_or_lines(body, [f"k = {k:,} of {plural(len(table), 'row')} by {', '.join(quasi)}: {groups_by_size(below)}."], args.json)


def _computed_epsilon(store: Store, args: argparse.Namespace) -> Outcome:
    """Print the ε of the subsampled Gaussian mechanism."""
    delta = DELTA if args.delta is None else args.delta
    _check_mechanism(args, delta)
    found = dpsgd_epsilon(args.noise_multiplier, args.sampling_rate, args.steps, delta)
    body = {"epsilon": found, "delta": delta, **_mechanism(args)}
    said = (
        f"ε = {format_figure(found, 4)} at δ = {delta:g}: noise multiplier {args.noise_multiplier:g}, sampling rate {args.sampling_rate:g}"
    )
    return json_or_lines(body, [f"{said}, {plural(args.steps, 'step')} (Rényi accountant)."], args.json)


def _check_mechanism(args: argparse.Namespace, delta: float) -> None:
    """Raise UsageError if a parameter of the mechanism is out of range, or if the noise multiplier is missing."""
    if args.noise_multiplier is None or args.noise_multiplier <= 0:
        raise UsageError("--noise-multiplier needs a number above 0", got=args.noise_multiplier)
    if not 0 < args.sampling_rate <= 1 or args.steps < 0 or not 0 < delta < 1:
        raise UsageError(
            "a parameter of the mechanism is out of range",
            got=f"sampling rate {args.sampling_rate:g}, {args.steps} steps, δ {delta:g}",
            expected="a sampling rate above 0 and at most 1, steps from 0 on, δ between 0 and 1",
        )


def _mechanism(args: argparse.Namespace) -> dict[str, Any]:
    return {"noise_multiplier": args.noise_multiplier, "sampling_rate": args.sampling_rate, "steps": args.steps}


def _recorded(store: Store, args: argparse.Namespace) -> Outcome:
    """Record an export. If a file is named, then rows, columns and k are taken from it where no option states them."""
    if not args.recipient:
        raise UsageError("exports record needs a recipient", attempt="Name who received the data as --recipient NAME")
    table = _table(args) if args.file else None
    quasi, personal = _names(args.quasi, table, "--quasi"), _names(args.personal, table, "--personal")
    named = _names(args.columns, table, "--columns") or ([] if table is None else list(map(str, table.columns)))
    names = list(dict.fromkeys([*named, *quasi, *personal]))
    tags = dict.fromkeys(quasi, "quasi") | dict.fromkeys(personal, "personal")
    k = args.k if args.k is not None or table is None or not quasi else float(table_k(table, quasi)[0])
    what = args.dataset or (Path(args.file).name if args.file else "data")
    record: dict[str, Any] = {"kind": "event", "what": "export", "text": f"Export of {what} to {args.recipient}"}
    record |= {"recipient": args.recipient, "dataset": args.dataset, "model": args.model, "run": args.run, "transform": args.transform}
    record |= {
        "rows": args.rows if args.rows is not None else None if table is None else len(table),
        "legal_basis": args.legal_basis,
        "k": k,
    }
    record |= {"epsilon": args.epsilon, "attestation": args.attestation}
    record |= _signed_document(args)
    record["columns"] = {name: {"tag": tags[name]} if name in tags else {} for name in names} or None
    if args.noise_multiplier is not None:
        delta = DELTA if args.delta is None else args.delta
        _check_mechanism(args, delta)
        found = dpsgd_epsilon(args.noise_multiplier, args.sampling_rate, args.steps, delta)
        record |= {"mechanism": _mechanism(args), "delta": delta, "epsilon": args.epsilon if args.epsilon is not None else round(found, 6)}
    elif args.delta is not None:
        record["delta"] = args.delta
    record["canaries"] = [_canary(text) for text in args.canary] or None
    record = {name: value for name, value in record.items() if value is not None}
    store.write_records([record])
    words = {"rows": "{:,} rows", "k": "k = {:g}", "epsilon": "ε = {:.4g}"}
    parts = [form.format(record[name]) for name, form in words.items() if name in record]
    return json_or_lines(record, [f"Recorded: {record['text']}{': ' if parts else ''}{', '.join(parts)}."], args.json)


def _signed_document(args: argparse.Namespace) -> dict[str, str]:
    """The document of an attestation and its signature in base64, read from the named files; empty if neither file is named."""
    if args.attestation_document is None and args.attestation_signature is None:
        return {}
    if None in (args.attestation, args.attestation_document, args.attestation_signature):
        raise UsageError(
            "a signed attestation needs three options", expected="--attestation, --attestation-document and --attestation-signature"
        )
    document, raw = (_file_bytes(name) for name in (args.attestation_document, args.attestation_signature))
    try:
        text = document.decode()
    except UnicodeDecodeError:
        raise UsageError("the document is not text in UTF-8", where=args.attestation_document) from None
    try:
        base64.b64decode(b"".join(raw.split()), validate=True)
        signature = b"".join(raw.split()).decode()
    except ValueError:
        signature = base64.b64encode(raw).decode()
    return {"attestation_document": text, "attestation_signature": signature}


def _file_bytes(name: str) -> bytes:
    """The bytes of a file."""
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise UsageError("the file cannot be read", got=name, expected=str(error.strerror)) from None


def _registered_key(name: str | None) -> str | None:
    """The public key of a file as PEM, after a check; None if no file is named."""
    if name is None:
        return None
    pem = _file_bytes(name).decode("utf-8", "replace")
    try:
        public_key(pem)
    except ImportError:
        raise UsageError("the key cannot be checked: cryptography is not installed", attempt=EXTRA) from None
    return pem


def _canary(text: str) -> dict[str, str]:
    """The name and the planted text of a canary, from `NAME=TEXT`."""
    name, equal, mark = text.partition("=")
    if not equal or len(mark) < MIN_LETTERS:
        raise UsageError("--canary needs NAME=TEXT", got=text, expected=f"a text of at least {MIN_LETTERS} letters, as c1=zq-canary-77f3")
    return {"name": name, "text": mark}


def _drawn_canaries(store: Store, args: argparse.Namespace) -> Outcome:
    """Write canary rows of a model to a file, which are to be added to training data, and record this as an export by the dashboard
    itself.
    """
    from observability.cli.commands_audit import newest_registered_version
    from observability.enrichment.audit_rows import audit_reference_rows
    from observability.enrichment.audit_steps import POOL
    from observability.enrichment.canary_rows import MAX_CANARIES, canary_records, drawn_canary_rows
    from observability.metrics.own_exports import own_export

    if not args.model or not args.file or not 1 <= args.count <= MAX_CANARIES:
        expected = f"--model NAME FILE.jsonl, and --count from 1 to {MAX_CANARIES}"
        raise UsageError("exports canaries needs a model and a file to write", expected=expected)
    model = store.catalog().model(args.model)
    version = model.version(newest_registered_version(model))
    assert version is not None
    reference = audit_reference_rows(store, model, version, POOL)
    if not len(reference):
        raise UsageError("the reference has no labelled rows, from which canaries are drawn", where=f"{model.name} {version.name}")
    canaries = canary_records(drawn_canary_rows(reference, args.count, 1 + secrets.randbelow(2**31 - 1)), model)
    truth = "label" if "label" not in reference.inputs else "canary_label"
    labels = [int(each["label"]) if str(each["label"]).isdigit() else each["label"] for each in canaries]
    lines = [json.dumps({**each["row"], truth: label}) + "\n" for each, label in zip(canaries, labels, strict=True)]
    write_output(Path(args.file), "".join(lines).encode())
    name, columns = f"file {Path(args.file).name}", [*map(str, reference.inputs), truth]
    noted = own_export("canary rows", name, model=model.name, rows=len(canaries), columns=columns)
    store.write_records([{**noted, "canaries": canaries}])
    said = (
        f"Wrote {plural(len(lines), 'canary row')} to {args.file}. Add them to the training data once; audits of later versions rank them."
    )
    return json_or_lines({"file": args.file, "canaries": canaries}, [said], args.json)


def _stated_level(store: Store, args: argparse.Namespace) -> Outcome:
    """Store the limits of a recipient as a decision."""
    stated = {name: getattr(args, name) for name in ("epsilon", "delta", "k", "attestation")}
    stated["attestation_key"] = _registered_key(args.attestation_key)
    given = {name: value for name, value in stated.items() if value is not None}
    if not args.recipient or not given:
        raise UsageError(
            "exports level needs a recipient and a level",
            expected="--recipient NAME with --epsilon, --delta, --k, --attestation or --attestation-key",
        )
    about = {"recipient": args.recipient} | ({"dataset": args.dataset} if args.dataset else {})
    parts = ", ".join("a registered key" if name == "attestation_key" else f"{name} {value}" for name, value in given.items())
    statement = f"{' · '.join(about.values())} may get {parts}" + (f": {args.reason}" if args.reason else "")
    author = args.author or getpass.getuser()
    store.write_records([{"kind": "decision", "decision": new_record_id(), "author": author, "statement": statement, **about, **given}])
    return json_or_lines({"statement": statement, **about, **given}, [f"Decided: {statement}."], args.json)
