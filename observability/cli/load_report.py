"""Write the output of `load` and `retry` (counts, and for each reason the first rejected line with advice) and the progress of long
commands.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from observability.cli.outcome import Outcome, Say, json_or_lines
from observability.core import formatting

if TYPE_CHECKING:
    from observability.store.types.loading import LoadDefaults, LoadReport
    from observability.store.types.sources import SourceReport

LARGE_BYTES = 20_000_000
"""From this size on, progress shows the rate and the remaining time."""
WARM_UP_SECONDS = 2.0
"""In this time from the start, no rate is reported."""
REPORT_SECONDS = 0.1
"""Minimum seconds between two reports of the same work."""
MAX_FAILURES = 5
"""Maximum number of unreadable files that are named."""
REMEDIES = {
    "no_offset": "Give their time zone, for example --timezone Europe/Paris",
    "bad_encoding": "Save the file as UTF-8",
    "erased": "Nothing is to be done: records of an erased subject are refused",
    "too_many_models": "Register the model first",
}
OTHER_REMEDY = "Correct such lines and load the file again; lines that are stored count as duplicates"


def load_progress(say: Say, clock: Callable[[], float] = time.monotonic) -> Callable[..., None]:
    """A function that reports bytes done, total bytes and lines read; for large files also lines per second and the remaining time.

    The clock starts with the first report.
    """
    start: float | None = None

    def note(done: int, total: int, lines: int = 0) -> None:
        nonlocal start
        start = clock() if start is None else start
        text, seconds = f"loading: {done / 1e6:,.1f} of {total / 1e6:,.1f} MB" if total else "loading", clock() - start
        if total >= LARGE_BYTES and done and seconds >= WARM_UP_SECONDS:
            text += f", {lines / seconds:,.0f} lines/s, {_time_left(seconds, done, total)}"
        say(text)

    return note


def work_progress(say: Say, clock: Callable[[], float] = time.monotonic) -> Callable[[str, int, int, str], None]:
    """A function that reports the current work: its name, the amount done, the total amount, and the unit (bytes, rows or models).

    After two seconds it also prints the rate and the remaining time; it prints at most ten times a second. If the amount done becomes
    smaller, other work has begun, and the clock starts again.
    """
    start, told, before = 0.0, 0.0, -1

    def note(doing: str, done: int, total: int, unit: str) -> None:
        nonlocal start, told, before
        now, is_new = clock(), before < 0 or done < before
        before = done
        if not is_new and done < total and now - told < REPORT_SECONDS:
            return
        start, told = now if is_new else start, now
        seconds = now - start
        count, of_all, word = (f"{done / 1e6:,.1f}", f"{total / 1e6:,.1f}", "MB") if unit == "bytes" else (f"{done:,}", f"{total:,}", unit)
        text = f"{doing}: {count} of {of_all} {word}"
        if 0 < done < total and seconds >= WARM_UP_SECONDS:
            rate = done / seconds / (1e6 if unit == "bytes" else 1)
            text += f", {rate:,.{0 if rate >= 100 else 1}f} {word}/s, {_time_left(seconds, done, total)}"
        say(text)

    return note


def _time_left(seconds: float, done: int, total: int) -> str:
    left = round(seconds * max(total - done, 0) / done)
    return f"about {left // 60}:{left % 60:02} left"


def load_outcome(
    report: "LoadReport",
    as_json: bool,
    first: Sequence[str] = (),
    files: "LoadReport | None" = None,
    defaults: "LoadDefaults | None" = None,
    sources: "Sequence[SourceReport]" = (),
) -> Outcome:
    """The outcome of a load. Segments that were set aside are listed on standard error.

    first: lines that come before the counts. files, defaults: the report about the named files and the defaults with which they were
    loaded; advice about rejected lines is based on both. sources: the report of each source, for --json.
    """
    body = report.to_json()
    lines = [
        *first,
        f"{body['lines']:,} lines: {body['stored']:,} stored, {body['duplicates']:,} duplicates, {body['rejected']:,} rejected",
    ]
    for reason, count in sorted(report.reasons.items(), key=lambda item: (-item[1], item[0])):
        example = report.examples.get(reason, "")
        if files is not None and defaults is not None and reason in files.reasons:
            example = f"{formatting.with_full_stop(with_column(example, defaults.renames))} {rejection_remedy(reason, example, defaults)}."
        lines.append(f"  {count:,} × {reason}, first: {example}")
    lines += [f"note: {text}" for text in body.get("notes", ())]
    aside = formatting.plural(report.set_aside, "segment")
    error = f"{aside} could not be loaded and was set aside; `status` names the reason, `retry` loads it again." if report.set_aside else ""
    if sources:
        body["sources"] = [source.to_json() for source in sources]
    return replace(json_or_lines(body, lines, as_json), error=error)


def source_lines(report: "SourceReport") -> list[str]:
    """Lines of text that say which entries of a source were loaded, and which could not be read."""
    read = {"new": report.new, "changed since they were taken": report.rewritten, "continued": report.resumed}
    parts = [f"{count:,} {word}" for word, count in read.items() if count]
    parts += [f"{report.present:,} taken before"] if report.present else []
    parts += [f"{report.left_out:,} with other endings left out"] if report.left_out else []
    kind = {"delta": "Delta table, ", "iceberg": "Iceberg table, "}.get(report.format, "")
    lines = [f"{report.address}: {kind}{formatting.plural(report.files, 'file')}{': ' if parts else ''}{', '.join(parts)}"]
    if report.rewritten:
        lines.append(
            "  Files that changed were read again: rows that are stored count as duplicates, rows with other content are rejected."
        )
    shown = list(report.failures.items())[:MAX_FAILURES]
    lines += [f"  not read: {name}: {why}" for name, why in shown]
    if len(report.failures) > len(shown):
        lines.append(f"  and {len(report.failures) - len(shown):,} more that were not read")
    return lines


def with_column(message: str, renames: Mapping[str, str]) -> str:
    """The message. If its first quoted field has another name in the file, the name of the file's column is inserted after the field."""
    theirs = {ours: name for name, ours in renames.items()}
    found = re.search(r"'([^']+)'", message)
    if found is None or found[1] not in theirs:
        return message
    return f"{message[: found.end()]} (column {theirs[found[1]]!r}){message[found.end() :]}"


def rejection_remedy(reason: str, message: str, defaults: "LoadDefaults") -> str:
    """Advice about a line that was rejected for a reason."""
    if reason != "missing_field":
        return REMEDIES.get(reason, OTHER_REMEDY)
    found = re.search(r"'([^']+)'", message)
    name = found[1] if found else ""
    if name == "version" and defaults.versions:
        return f"Give --version, one of {formatting.join_words(defaults.versions, 8)}"
    if name in ("model", "version", "kind"):
        return f"Give --{name}"
    return f"Fill the column, or name the column with its values: --map THEIR_NAME={name}" if name else OTHER_REMEDY


def rejection_error(report: "LoadReport | None", allowed: float | None) -> str:
    """Why the exit code of a load is not 0, as a sentence; "" if it is 0. See `rejection_exit_code` for the exit code.

    allowed: the share of lines that may be rejected, from 0 to 1. None: some lines may be rejected, but not all.
    """
    if report is None or not report.rejected:
        return ""
    if allowed is None:
        if report.stored or report.duplicates:
            return ""
        return "Nothing was stored: every line of the files was rejected; with --allow-rejected the exit code is 0."
    if report.rejected <= allowed * report.lines:
        return ""
    return f"{report.rejected:,} of {report.lines:,} lines of the files were rejected, more than --allow-rejected {allowed:g} allows."


def rejection_exit_code(allowed: float | None) -> int:
    """The exit code of a load with a `rejection_error`: 1 if a share was stated and exceeded, else 2. Files without any valid line count as
    wrong use, like status 422 over HTTP.
    """
    return 2 if allowed is None else 1
