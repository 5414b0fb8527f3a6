"""Keep the findings of windows until something that they depend on changes, also across restarts of the process.

Findings of a window depend on the rows of its model, the registration, the time of evaluation, and the program. They are kept in memory
with the number of the last commit that may affect the model. When the dashboard stops, and at the end of each check, they are written to a
file beside the store, with a digest of the program. The store holds these numbers too. Findings with another number are computed again, and
a file from another program is not used.
"""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.core.catalog import COMPUTED, EXPORTED, NOTED, RECORDED, UNNAMED, computed_values
from observability.core.finding import FAILED, KEPT_FILE, Finding
from observability.core.program_digest import program_digest
from observability.core.window import Slice, Window
from observability.monitoring.analyzer_runs import Reads, reads_served_rows
from observability.monitoring.check import KeepFindings, KeepModelFindings
from observability.monitoring.kept_answers import KeptAnswers, OfEachStore
from observability.records.private_file import replace_private_file

if TYPE_CHECKING:
    from observability.core.analyzer import Analyzer
    from observability.store.engine import Store

MAX_IN_MEMORY, MAX_IN_FILE = 512, 128
MAX_FINDINGS, MAX_FINDINGS_IN_FILE = 500_000, 100_000
"""Maximum number of findings in memory and in the file, over all queries. A model with very many features has very many findings."""
FILES_KNOWN = 3
"""Number of files whose content is remembered: the file of the home, and those of the newest published copies of the store (states)."""
QUESTIONS_A_MODEL = 12
"""Number of queries about one model from the first page and the watcher: its window, the window before, and Everything, each in three
parts.
"""


@dataclass(frozen=True)
class Asked:
    """A query for findings: the window, which analyzers (`check.analyzer_reads`), and the time of the evaluation.

    analyzer: set if the query is about a single analyzer of records. The findings of such an analyzer may concern all models.
    """

    window: Window
    reads: Reads
    at: datetime
    analyzer: str = ""


class KeptFindings(KeptAnswers[Asked, tuple[Finding, ...]]):
    """Findings by query, each with the generation (commit number) of its model. They survive a restart of the dashboard."""

    def __init__(self) -> None:
        super().__init__(MAX_IN_MEMORY, MAX_FINDINGS)
        self._newest: dict[tuple[Window, Reads, str], Asked] = {}
        self._saving = threading.Lock()
        self._files: dict[Path, FindingsFile] = {}
        self._read: tuple[bytes, int] = (b"", 0)
        self._read_names: frozenset[tuple[Asked, int]] = frozenset()

    def size_of(self, answer: tuple[Finding, ...]) -> int:
        """The size of a result: its number of findings."""
        return len(answer)

    def keep(self, asked: Asked, generation: int, answer: tuple[Finding, ...]) -> None:
        """Keep the findings of a generation, and drop findings of the same query that were evaluated earlier."""
        part = (asked.window, asked.reads, asked.analyzer)
        super().keep(asked, generation, answer)
        with self._lock:
            before = self._newest.get(part)
            if before is None or before.at < asked.at:
                self._newest[part] = asked
                if before is not None:
                    self.drop(before)

    def drop(self, asked: Asked) -> None:
        """Forget a result. The caller must hold the lock."""
        super().drop(asked)
        part = (asked.window, asked.reads, asked.analyzer)
        if self._newest.get(part) == asked:
            del self._newest[part]

    @property
    def most_in_file(self) -> int:
        """Maximum number of queries in a file. For a large fleet, the queries of the first page fit, so that a restart need not check any
        model again.
        """
        return MAX_IN_FILE if self.most <= MAX_IN_MEMORY else max(MAX_IN_FILE, self.most // 3)

    def find_or_compute(self, asked: Asked, generation: int, compute: Callable[[], Iterable[Finding]]) -> tuple[Finding, ...]:
        """The findings of that generation; they are computed if they are not kept. Other callers that ask meanwhile wait for the same
        result.
        """
        return super().find_or_compute(asked, generation, lambda: tuple(compute()))

    def save(self, home: Path, generations: Mapping[str, int]) -> None:
        """Write the findings of the present generations to a folder, unless its file already has them. New findings are appended; the file
        is rewritten if too much of it is out of date. Findings of analyzers that failed are not written, so the next process runs these
        analyzers again.
        """
        with self._lock:
            kept = [(asked, *held) for asked, held in reversed(self._kept.items())]
        current = (
            each
            for each in kept
            if each[1] == asked_generation(generations, each[0]) and not any(finding.because.startswith(FAILED) for finding in each[2])
        )
        present = _of_most_findings(islice(current, self.most_in_file), MAX_FINDINGS_IN_FILE)
        names = frozenset((asked, generation) for asked, generation, _ in present)
        with self._saving, suppress(OSError, ValueError, TypeError):
            if (held := self._files.get(home)) is not None and names <= held.names:
                return
            before = held or self._copied_file(home)
            if before is None or len(before.names | names) > 2 * len(names) or _size_of_file(home) != before.size:
                before = _new_file(home)
            added = [each for each in reversed(present) if each[:2] not in before.names]
            self._files.pop(home, None)  # unknown until the file is complete again
            self._files[home] = before.with_answers(home / KEPT_FILE, added)
            while len(self._files) > FILES_KNOWN:
                del self._files[next(iter(self._files))]

    def _copied_file(self, home: Path) -> "FindingsFile | None":
        """The file of another folder, copied into this folder, so that only new findings have to be written; None if there is none."""
        for folder, file in reversed(self._files.items()):
            with suppress(OSError):
                if _size_of_file(folder) == file.size:
                    replace_private_file(home / KEPT_FILE, "")
                    shutil.copyfile(folder / KEPT_FILE, home / KEPT_FILE)
                    return file
        return None

    def restore(self, home: Path) -> int:
        """Read what `save` wrote, provided that the program is the same. Returns the number of queries that were read. No line is read
        twice.
        """
        held: list[tuple[Asked, int, tuple[Finding, ...]]] = []
        try:
            text = (home / KEPT_FILE).read_bytes()
            text = text[: text.rfind(b"\n") + 1]  # leave out a last line that was not written completely
            first = text.index(b"\n") + 1
            if json.loads(text[:first])["program"] != program_digest():
                return 0
            digest, begun = self._read
            begun = begun if begun and hashlib.sha256(text[:begun]).digest() == digest else first
            for line in text[begun:].splitlines():
                each = json.loads(line)
                held.append((_asked(each["asked"]), int(each["generation"]), tuple(_finding(one) for one in each["findings"])))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return 0
        for asked, generation, findings in held:
            self.keep(asked, generation, findings)
        earlier = self._read_names if begun > first else frozenset()
        self._read_names = earlier | {(asked, generation) for asked, generation, _ in held}
        self._read = hashlib.sha256(text).digest(), len(text)
        self._files[home] = FindingsFile(self._read_names, len(text))
        return len(held)


@dataclass(frozen=True)
class FindingsFile:
    """The content of a file of findings. names: its queries, each with its generation. size: in bytes."""

    names: frozenset[tuple[Asked, int]]
    size: int

    def with_answers(self, path: Path, answers: Sequence[tuple[Asked, int, tuple[Finding, ...]]]) -> "FindingsFile":
        """Append results to the file and return its new content. The results are on disk when this returns. Raises OSError."""
        lines = [
            json.dumps({"asked": _asked_json(asked), "generation": generation, "findings": [*map(_finding_json, findings)]})
            for asked, generation, findings in answers
        ]
        text = "".join(f"{line}\n" for line in lines).encode()
        with path.open("ab") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        return FindingsFile(self.names | {(asked, generation) for asked, generation, _ in answers}, self.size + len(text))


def _new_file(home: Path) -> FindingsFile:
    """Replace the present file by one without results."""
    head = json.dumps({"program": program_digest()}) + "\n"
    replace_private_file(home / KEPT_FILE, head)
    return FindingsFile(frozenset(), len(head))


def _size_of_file(home: Path) -> int:
    """The size of a folder's file of findings; -1 if there is none."""
    with suppress(FileNotFoundError):
        return (home / KEPT_FILE).stat().st_size
    return -1


def _of_most_findings(kept: Iterable[tuple[Asked, int, tuple[Finding, ...]]], most: int) -> list[tuple[Asked, int, tuple[Finding, ...]]]:
    """The first results, as many as fit into a total number of findings."""
    taken, findings = [], 0
    for each in kept:
        findings += len(each[2])
        if findings > most:
            break
        taken.append(each)
    return taken


_kept = OfEachStore(KeptFindings)


def kept_findings_of(store: "Store", models: int = 0) -> KeptFindings:
    """The findings that this process keeps for a store; pages and the watcher share them. models: number of models in the fleet, so that
    there is room for all of them.
    """
    kept = _kept.of(store)
    kept.most = max(kept.most, models * QUESTIONS_A_MODEL)
    return kept


def evaluated_hour(at: datetime, window: Window) -> datetime:
    """The time for which findings are kept: the start of the hour of evaluation, or the window's end. Therefore even a model without new
    rows is judged again every hour.
    """
    return at if at >= window.end else at.replace(minute=0, second=0, microsecond=0)


def asked_generation(generations: Mapping[str, int], asked: Asked) -> int:
    """The number of the last commit that may affect the findings of a query."""
    if asked.analyzer:
        return records_generation(generations, asked.analyzer)
    if asked.reads == "records":
        return report_generation(generations, asked.window.model)
    return model_generation(generations, asked.window.model, computed=asked.reads in ("computed", "counts", "all"))


def report_generation(generations: Mapping[str, int], model: str) -> int:
    """The number of the last commit that may affect a model, or the findings about its records of other kinds; some of these records name
    no model.
    """
    return max(model_generation(generations, model, computed=True), generations.get(UNNAMED, 0))


def model_generation(generations: Mapping[str, int], model: str, *, computed: bool = False) -> int:
    """The number of the last commit that may affect a model. computed: whether values computed from its rows (explanations and estimates)
    count too.
    """
    own = (model, computed_values(model)) if computed else (model,)
    return max(generations[""], *(generations.get(name, 0) for name in own))


def rows_generation(generations: Mapping[str, int]) -> int:
    """The number of the last commit that changed anything other than values computed from rows."""
    return max(number for name, number in generations.items() if not name.startswith(COMPUTED))


def records_generation(generations: Mapping[str, int], analyzer: str) -> int:
    """The number of the last commit that may affect the findings of an analyzer of records. Notes do not count. Predictions and labels do
    not count either, if the analyzer reads none.
    """
    if not reads_served_rows(analyzer):
        return max(generations[""], *(generations.get(name, 0) for name in (RECORDED, EXPORTED)))
    return rows_generation({name: number for name, number in generations.items() if name != NOTED})


def keeper_of_records(store: "Store", generations: Mapping[str, int]) -> KeepFindings:
    """A function that returns the kept findings of analyzers of records, and computes those that are missing. generations: commit numbers
    of the store.
    """

    def keep(analyzer: "Analyzer", window: Window, compute: Callable[[], list[Finding]]) -> tuple[Finding, ...]:
        asked = Asked(window, "records", window.end, analyzer.name)
        return kept_findings_of(store).find_or_compute(asked, records_generation(generations, analyzer.name), compute)

    return keep


@contextmanager
def check_keepers(store: "Store", now: datetime) -> Iterator[tuple[KeepModelFindings, KeepFindings]]:
    """Two functions for a check, one for models and one for records: each returns kept findings, and computes those that are missing.

    The findings are read from the file beside the store, and written to it at the end. If a window has not ended by `now`, its findings are
    computed without being kept: its end is the time of the check, so nobody will ask for it again.
    """
    store.note_lake_state()
    kept, generations = kept_findings_of(store, len(store.catalog().models)), dict(store.generations)
    kept.restore(store.home)
    keep_records = keeper_of_records(store, generations)

    def of_models(window: Window, reads: Reads, at: datetime, compute: Callable[[], Iterable[Finding]]) -> Iterable[Finding]:
        asked = Asked(window, reads, at)
        return kept.find_or_compute(asked, asked_generation(generations, asked), compute) if window.end < now else compute()

    def of_records(analyzer: "Analyzer", window: Window, compute: Callable[[], list[Finding]]) -> Iterable[Finding]:
        return keep_records(analyzer, window, compute) if window.end < now else compute()

    yield of_models, of_records
    kept.save(store.home, store.generations)


def _asked_json(asked: Asked) -> dict[str, Any]:
    window = asked.window
    return {
        **asdict(window),
        "start": window.start.isoformat(),
        "end": window.end.isoformat(),
        "as_of": window.as_of.isoformat() if window.as_of else None,
        "slice": str(window.slice) if window.slice else None,
        "reads": asked.reads,
        "at": asked.at.isoformat(),
        "analyzer": asked.analyzer,
    }


def _asked(body: dict[str, Any]) -> Asked:
    reads, at, analyzer = body.pop("reads"), datetime.fromisoformat(body.pop("at")), body.pop("analyzer")
    times = {name: datetime.fromisoformat(body[name]) if body[name] else None for name in ("start", "end", "as_of")}
    return Asked(Window(**{**body, **times, "slice": Slice.parse(body["slice"])}), reads, at, analyzer)


def _finding_json(finding: Finding) -> dict[str, Any]:
    times = {name: instant.isoformat() if (instant := getattr(finding, name)) else None for name in ("start", "end", "onset")}
    return asdict(finding) | times


def _finding(body: dict[str, Any]) -> Finding:
    times = {name: datetime.fromisoformat(body[name]) if body[name] else None for name in ("start", "end", "onset")}
    limit = body["limit"]
    return Finding(**{**body, **times, "limit": tuple(limit) if isinstance(limit, list) else limit})
