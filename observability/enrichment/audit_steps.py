"""The request for an audit, and the steps of an audit. Steps call the confined worker with bounded work.

The results of the steps are kept in a file of the home until the record is written. Therefore an interrupted audit can continue.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.core.catalog import Model, Version
from observability.core.errors import UsageError
from observability.detection.audit_history import HEADLINES
from observability.enrichment import audit_curves as curves
from observability.enrichment.audit_rows import AuditRows, audit_reference_rows, audit_served_rows
from observability.worker.requests import LIBRARIES, artifact_kind

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.engine import Store
    from observability.worker.process import JobAnswer, Worker

Progress = Callable[[float, str], None]
FOLDER = "audits"
FORM = 2
"""Version of the steps. Results that were kept by another version are not used."""
ATTACKED, DISTURBED, REAL, TEXTS = 240, 2000, 1000, 200
"""Numbers of rows: attacked; disturbed by noise and absent features; real rows of the search; texts that are changed."""
CHUNK = 60
"""Number of rows that one step attacks."""
POOL, MIN_POOL, SHADOWS = 3000, 100, 16
"""Maximum and minimum number of records on each side of a membership audit, and number of shadow models."""
WEIGHED, SERVED_DAYS = 8000, 28
"""Maximum number of reference rows that are reweighted, and of served rows; number of newest days from which served rows are taken."""
EXPLAINED, BACKGROUNDS, BACKGROUND_ROWS, SURROGATE_ROWS = 30, 5, 20, 2000
FEATURES, AGAIN = 8, 3
"""Number of features per step of a leakage audit, and number of the strongest features that are asked again on served rows."""
NOISE = (0.1, 0.25, 0.5, 1.0)
TRAINING_ROWS = 50_000
"""Number of training rows that are searched for held-out rows."""
STEP_SECONDS = 240.0


@dataclass(frozen=True)
class AuditRequest:
    """The request for an audit. rows: maximum number of rows of each sample (None: the usual numbers). in_sample: whether the reference
    holds training rows although it was not registered as such. shadows: number of shadow models, even.
    """

    model: str
    version: str
    kind: str
    rows: int | None = None
    in_sample: bool = False
    shadows: int = SHADOWS
    seed: int = 0


@dataclass
class AuditSteps:
    """The steps of one audit, with the results that an interrupted earlier run kept. total: number of steps known so far."""

    store: "Store"
    worker: "Worker"
    request: AuditRequest
    model: Model
    version: Version
    artifact: Path
    progress: Progress
    total: int = 1
    done: int = 0
    known: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The file with the results of the steps."""
        sizes = [ATTACKED, DISTURBED, REAL, TEXTS, CHUNK, POOL, EXPLAINED, BACKGROUNDS, BACKGROUND_ROWS, SURROGATE_ROWS, WEIGHED, *NOISE]
        sizes += [FEATURES, AGAIN, TRAINING_ROWS]
        about = [FORM, sizes, asdict(self.request), self.version.artifact, str(self.version.registered_at), asdict(self.model.settings)]
        name = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:24]
        return self.store.home / FOLDER / f"{name}.json"

    def resume(self) -> None:
        """Read the results that an interrupted run kept."""
        try:
            self.known = dict(json.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            self.known = {}

    def step(self, name: str, words: str, make: Callable[[], Any]) -> Any:
        """The result of a step. It is read from the file; if the file does not have it, the step is run."""
        self.progress(min(self.done / self.total, 1.0), words)
        if name not in self.known:
            self.known[name] = make()
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            draft = self.path.with_suffix(".partial")
            draft.write_text(json.dumps(self.known), encoding="utf-8")
            draft.replace(self.path)
        self.done += 1
        return self.known[name]

    def call(self, job: str, frames: "Mapping[str, DataFrame]", **arguments: Any) -> "JobAnswer":
        """The worker's answer to a call about the model file. Progress of the call counts as progress within the current step."""
        kind = artifact_kind(self.artifact)
        shared = {"kind": kind, "task": self.model.task or "regression", "classes": list(self.model.classes), "seed": self.request.seed}

        def note(share: float, text: str) -> None:
            self.progress(min((self.done + min(max(share, 0.0), 1.0)) / self.total, 1.0), text)

        return self.worker.call(
            f"observability.worker.{job}",
            frames,
            {**shared, "threshold": self.model.settings.threshold, "tolerance": 0.0, **arguments},
            files={"model": self.artifact},
            imports=LIBRARIES[kind],
            seconds=STEP_SECONDS,
            progress=note,
        )

    def most(self, usual: int) -> int:
        """The maximum number of rows of a sample."""
        return usual if self.request.rows is None else min(self.request.rows, usual)


def audit_headline(kind: str, found: Mapping[str, Any] | None, why: str | None = None, **more: Any) -> dict[str, Any]:
    """The headline of an audit. found: value, low, high, n; why: the reason if there is no value."""
    return curves.judged_figure(HEADLINES[kind], found, why, **more)


def audited_rows(steps: AuditSteps, rows: int) -> AuditRows:
    """Labelled rows that the version served, or rows of the reference if it served too few. Raises UsageError if the reference also has too
    few.
    """
    found = audit_served_rows(steps.store, steps.model, steps.version, rows)
    if len(found) < curves.MIN_ROWS:
        found = audit_reference_rows(steps.store, steps.model, steps.version, rows)
    if len(found) < curves.MIN_ROWS:
        raise UsageError(
            "too few rows with a label",
            got=len(found),
            expected=f"at least {curves.MIN_ROWS}",
            attempt="Register a reference, or log labels",
        )
    return found


def first_audit_rows(rows: AuditRows, number: int) -> AuditRows:
    """The first `number` rows of a sample."""
    groups = {name: values[:number] for name, values in rows.groups.items()}
    inputs = rows.inputs.head(number)
    return AuditRows(rows.model, rows.ids[:number], inputs, rows.labels[:number], rows.scores[:number], groups, rows.environment)
