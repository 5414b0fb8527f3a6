"""Findings of windows, kept until something they depend on changes, and from one run of the dashboard to the next.

Findings of a window depend on the rows of its model, on what is registered, on the instant as of which it is evaluated, and on the program.
They are kept in memory with the number of the last commit that may concern the model, and at the end of the dashboard in a file beside the
store, with the size and time of the store's file and a digest of the program. A file that does not agree with both is not used.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.core.catalog import COMPUTED, EXPORTED, NOTED, RECORDED, computed_values
from observability.core.finding import KEPT_FILE, Finding
from observability.core.window import Slice, Window
from observability.monitoring.analyzer_runs import Reads, reads_served_rows
from observability.monitoring.check import KeepFindings
from observability.monitoring.kept_answers import KeptAnswers, OfEachStore
from observability.records.private_file import replace_private_file

if TYPE_CHECKING:
    from observability.core.analyzer import Analyzer
    from observability.store.engine import Store

MAX_IN_MEMORY, MAX_IN_FILE = 512, 128
QUESTIONS_A_MODEL = 12
"""Questions of one model that the first page and the watcher ask: its window, the one before it and Everything, three parts of each."""


@dataclass(frozen=True)
class Asked:
    """A question for findings: the window, which analyzers (`check.analyzer_reads`), and the instant of the evaluation.

    analyzer: that one of records alone, whose findings may concern all models.
    """

    window: Window
    reads: Reads
    at: datetime
    analyzer: str = ""


class KeptFindings(KeptAnswers[Asked, tuple[Finding, ...]]):
    """Findings by question, each with the generation of its model, and from one run of the dashboard to the next."""

    def __init__(self) -> None:
        super().__init__(MAX_IN_MEMORY)

    @property
    def most_in_file(self) -> int:
        """How many questions a file holds: of a large fleet those of the first page, so that a restart checks no model again."""
        return MAX_IN_FILE if self.most <= MAX_IN_MEMORY else max(MAX_IN_FILE, self.most // 3)

    def find_or_compute(self, asked: Asked, generation: int, compute: Callable[[], Iterable[Finding]]) -> tuple[Finding, ...]:
        """The findings of that generation, computed where they are not kept. Whoever asks meanwhile waits for them."""
        return super().find_or_compute(asked, generation, lambda: tuple(compute()))

    def save(self, home: Path, generations: Mapping[str, int], state: Sequence[int] | None) -> None:
        """Write the findings of the present generations, newest first, beside the store whose file now is in this state."""
        with self._lock:
            current = (
                {"asked": _asked_json(asked), "findings": [_finding_json(finding) for finding in findings]}
                for asked, (generation, findings) in reversed(self._kept.items())
                if generation == asked_generation(generations, asked)
            )
            present = list(islice(current, self.most_in_file))
        if state is not None and present:
            body = {"program": program_digest(), "store": list(state), "kept": present}
            with suppress(OSError, ValueError, TypeError):
                replace_private_file(home / KEPT_FILE, json.dumps(body))

    def restore(self, home: Path, generations: Mapping[str, int], state: Sequence[int] | None) -> int:
        """Read what `save` wrote, if the program and the store are the same, and delete the file; gives the number of questions.

        state: that of the store's file before it was opened. generations: those of the store as it was opened.
        """
        path, program = home / KEPT_FILE, program_digest()
        try:
            text = path.read_text(encoding="utf-8")
            path.unlink()
            body = json.loads(text)
            if state is None or body["store"] != list(state) or body["program"] != program:
                return 0
            held = [(_asked(each["asked"]), tuple(_finding(one) for one in each["findings"])) for each in body["kept"]]
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return 0
        for asked, findings in reversed(held):
            self.keep(asked, asked_generation(generations, asked), findings)
        return len(held)


_kept = OfEachStore(KeptFindings)


def kept_findings_of(store: "Store", models: int = 0) -> KeptFindings:
    """The findings of a store that this process keeps, for pages and for the watcher. models: of the fleet, all of which have room."""
    kept = _kept.of(store)
    kept.most = max(kept.most, models * QUESTIONS_A_MODEL)
    return kept


def evaluated_hour(at: datetime, window: Window) -> datetime:
    """The instant by which findings are kept: the start of its hour, or the window's end. Without new rows a model is judged hourly."""
    return at if at >= window.end else at.replace(minute=0, second=0, microsecond=0)


def asked_generation(generations: Mapping[str, int], asked: Asked) -> int:
    """The number of the last commit that may concern the findings of a question."""
    if asked.analyzer:
        return records_generation(generations, asked.analyzer)
    return model_generation(generations, asked.window.model, computed=asked.reads == "computed")


def model_generation(generations: Mapping[str, int], model: str, *, computed: bool = False) -> int:
    """The number of the last commit that may concern a model. computed: explanations and estimates are computed from its rows as well."""
    own = (model, computed_values(model)) if computed else (model,)
    return max(generations[""], *(generations.get(name, 0) for name in own))


def rows_generation(generations: Mapping[str, int]) -> int:
    """The number of the last commit that changed more than what is computed from rows."""
    return max(number for name, number in generations.items() if not name.startswith(COMPUTED))


def records_generation(generations: Mapping[str, int], analyzer: str) -> int:
    """The number of the last commit that may concern the findings of an analyzer of records: not of notes, nor of predictions and labels
    where it reads none.
    """
    if not reads_served_rows(analyzer):
        return max(generations[""], *(generations.get(name, 0) for name in (RECORDED, EXPORTED)))
    return rows_generation({name: number for name, number in generations.items() if name != NOTED})


def keeper_of_records(store: "Store", generations: Mapping[str, int]) -> KeepFindings:
    """A function that gives findings about records as they are kept, and computes those that are not. generations: of the store."""

    def keep(analyzer: "Analyzer", window: Window, compute: Callable[[], list[Finding]]) -> tuple[Finding, ...]:
        asked = Asked(window, "records", window.end, analyzer.name)
        return kept_findings_of(store).find_or_compute(asked, records_generation(generations, analyzer.name), compute)

    return keep


@cache
def program_digest() -> str:
    """A digest of the names, sizes and times of the program's files when it was first asked for, at the start: files that are replaced
    while the program runs are not what computed its findings.
    """
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        found = path.stat()
        digest.update(f"{path.relative_to(root)} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


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
