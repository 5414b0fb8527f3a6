"""The interfaces between the product and its storage: the methods of an engine and of a store that everything above observability/store
uses.

`Engine` answers the questions of the analyzers. Three classes implement it: the DuckDB store (duck_store.py), the simulation's memory
engine (simulation/memory_engine.py) and the tests' reference engine (tests/support/reference_engine.py). `Store` adds what the rest of the
product does with a store: search, records that people write, loading, registration, enrichment, settings and removal.

All times in answers are naive UTC.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from observability.core.questions import Question
from observability.core.window import Window

if TYPE_CHECKING:
    import threading

    from pandas import DataFrame
    from pyarrow import Table

    from observability.core.catalog import Catalog, Model, Version
    from observability.core.finding import Finding
    from observability.core.settings import DatedSettings, ModelSettings
    from observability.store.types.asked_questions import AskedQuestions
    from observability.store.types.decision_items import DecisionItem
    from observability.store.types.erasing import ErasedNames, WaitingRecords
    from observability.store.types.error_estimates import DayToEstimate, EstimationState
    from observability.store.types.explanations import AttributionBatch, ExplanationPart, ExplanationState, RowsToExplain
    from observability.store.types.loading import CheckedLines, LoadDefaults, LoadReport, NewModelLimit
    from observability.store.types.published_state import PublishedState, WriteBeside
    from observability.store.types.query_answer import ExportedQuery, QueryAnswer
    from observability.store.types.registration import ReferenceScorer, Registration, RegistrationRequest
    from observability.store.types.search_terms import SearchTerm
    from observability.store.types.sources import DataSource, SourceReport

BoundQuestion = tuple[Question, Window]
"""A question and the window to which it applies."""
LoadProgress = Callable[[int, int, int], object]
"""Called during a load with the bytes done, all bytes, and the lines read."""
StepProgress = Callable[[str], object]
WorkProgress = Callable[[str, int, int, str], object]
"""Called with the current work, the amount done, the whole amount, and the unit: bytes, rows or models."""
"""Called during a registration with the name of the step."""


class Engine(Protocol):
    """Answers questions about windows of models. Every engine gives the same answer: equal counts, and figures that are equal apart from
    rounding.
    """

    def catalog(self) -> "Catalog":
        """Every model, version, column and edge that the engine holds."""
        ...

    def snapshot(self) -> AbstractContextManager[object]:
        """Within the context, all answers in this thread come from one consistent state, whatever is loaded meanwhile."""
        ...

    def ask(self, question: Question, window: Window) -> "DataFrame":
        """The answer to a question of any type over a window, in the form that core/questions.py describes.

        Raises NotFoundError for an unknown model, version or column, UsageError for a column to which the question does not apply.
        """
        ...

    def ask_many(self, questions: Iterable[BoundQuestion]) -> "dict[BoundQuestion, DataFrame]":
        """Answers by question, but only for questions that are cheaper to answer together. The caller asks every other question alone,
        with `ask`.
        """
        del questions
        return {}

    def whole_groups(self) -> "Self":
        """The engine that analyzers use. It counts small groups separately, even if this engine counts them together for the person who
        asks.
        """
        return self

    def shown_findings(self, findings: "Iterable[Finding]") -> "list[Finding]":
        """The findings in the form in which the person who uses this engine may see them."""
        return list(findings)

    def require_shown_slice(self, window: Window) -> None:
        """Raise ForbiddenError if the window's slice has so few rows that the person may not see its figures."""
        del window

    def lake_holds(self, model: str) -> bool:
        """Whether a lake can answer questions about the rows of a model that retention removed."""
        del model
        return False

    def unread_days(self, model: str) -> tuple[str, ...]:
        """The days whose rows of a model were removed by retention and cannot be read from the lake; `all` if the whole lake cannot be
        read.
        """
        del model
        return ()

    def counters(self, model: str, window: Window) -> dict[str, Any]:
        """The counts of the loader about a model in a window. About the lines that services sent: `lines`, `stored`, `duplicates`,
        `rejected`, `duplicate_hours` and `rejected_hours` (hours with such lines), and `rules` {rule that rejected lines broke: lines};
        also `unknown_columns` {name: rows} and `not_explained` {version: reason}. Raises NotFoundError for an unknown model.
        """
        ...

    def events(self, model: str | None, start: datetime, end: datetime, as_of: datetime | None = None) -> "DataFrame":
        """Deploys, incidents, notes and other events in [start, end), in order of time: `at`, `model`, `version`, `what`, `text`,
        `prediction`, `subject`; either for one model, together with events that name no model, or for all models. Exports are left out.
        Each choice of a decision about a version is an event `decision`. Only records before `end` count; as_of: only those that had
        arrived by then.
        """
        ...

    def canary_sightings(self, window: Window) -> "DataFrame":
        """Predictions, labels and annotations of the window that hold a canary of an earlier export, in order of time: `canary`, `model`,
        `version`, `environment`, `id`, `at`, `place`, `record`. For the model of the window; with "" for all models and for annotations.
        """
        ...

    def activity(self, as_of: datetime | None = None, model: str | None = None) -> "DataFrame":
        """Every version in every environment that has rows, of one model or of all: `model`, `version`, `environment`, `rows`, `first`,
        `last` (start of the hour of the oldest and of the newest prediction) and `last_arrived` (rounded up to the hour). The times of a
        reference are NaT.
        """
        ...

    def newest_record(self, kinds: Sequence[str], model: str, before: datetime, as_of: datetime | None = None) -> datetime | None:
        """Event time of the newest record of some kinds before an instant, of one model ("" for all of them); None if there is none."""
        ...


class Store(Engine, Protocol):
    """An engine that also keeps data. It has every operation that the product above observability/store uses. Safe under threads."""

    home: Path
    """The folder that holds the store."""
    generation: int
    """Grows with every commit that changes what can be read."""
    generations: dict[str, int]
    """Values of `generation`. By model name: after the last commit about the model's own rows. Under "": after the last commit that may
    concern all models. Under `computed_values` of a name: after the last commit that changed only values computed from the model's rows
    (explanations, estimates).
    """
    guarded: bool = False
    """Whether each call is checked for one person, so that answers may leave out what the person may not see."""
    published_as_of: datetime | None = None
    """The instant up to which a published state is complete; None for the store of the owner."""
    unhurried: int
    """Number of commits that were made inside `in_background`."""
    rewrites: int
    """How often the store's file was rewritten, so that it contains no removed records."""
    waiting: "WaitingRecords | None"
    """Records that wait outside of the store; whoever opens the home sets it, so that `forget` reaches them."""
    loading: "threading.Lock"
    """Held while landing is being loaded."""

    @property
    def landing(self) -> Path:
        """The folder in which records arrive."""
        ...

    def close(self) -> None:
        """Close the store. A second call does nothing."""
        ...

    def note_lake_state(self) -> None:
        """Commit a change of each model whose removed rows, as the lake gives them, differ from those at the last call."""
        ...

    def in_background(self) -> AbstractContextManager[None]:
        """Within the context, commits of this thread are not urgent: pages may show them a few seconds later."""
        ...

    def under(self, settings: "Mapping[str, ModelSettings]") -> AbstractContextManager[None]:
        """Within the context, models have these settings in this thread, by name. For reading only."""
        ...

    def require_space(self) -> None:
        """Raise StoreBrokenError if the disk has too little free space to begin a write."""
        ...

    def row(
        self,
        model: str,
        id: str,  # noqa: A002 - the record's own word
        version: str | None = None,
        environment: str | None = None,
        *,
        removed: bool = True,
    ) -> dict[str, Any]:
        """Everything that is stored about one prediction, with every revision of its label. If several predictions of this
        version and environment have the id, the result is the one in production, else the newest; `other_answers` lists the others.
        Raises NotFoundError.

        removed: also search days that retention removed, if the home has a lake. A prediction from the lake has its day under `from_lake`.
        """
        ...

    def rows(self, window: Window, columns: Sequence[str], limit: int = 100, order: str = "-at", *, outcomes: bool = True) -> "DataFrame":
        """At most `limit` raw rows of a window. order: a column reference; with a `-` before it the order is descending. Missing values
        come last, ties are ordered by id.
        """
        ...

    def search(
        self,
        window: Window,
        terms: "Sequence[SearchTerm]",
        limit: int,
        order: str = "-at",
        newly_labelled: tuple[datetime, datetime] | None = None,
    ) -> "DataFrame":
        """At most `limit` predictions of a window that meet every condition. newly_labelled: only predictions whose label arrived in this
        half-open span of time.

        Raises NotFoundError for an unknown name, UsageError for a value that does not fit it.
        """
        ...

    def rows_by_id_prefix(self, start: str, limit: int, columns: Sequence[str] = ()) -> "DataFrame":
        """Predictions whose id begins with a text, of every model, newest first: model, id, at, version, environment, status, latency_ms,
        and the given columns (None for a model without such a column).
        """
        ...

    def trace_totals(self, traces: Sequence[str]) -> "DataFrame":
        """The steps of some traces (predictions with an id TRACE-SPAN), by model and trace: model, trace, steps, failed (status other than
        ok), at (start of the first step) and end (of the last one). Traces without steps are left out.
        """
        ...

    def rows_of_subject(self, subject: str, limit: int) -> "DataFrame":
        """Predictions about a subject, of every model, newest first; columns as in `rows_by_id_prefix`."""
        ...

    def label_arrivals(self, model: str, predictions: Sequence[str]) -> dict[str, list[datetime]]:
        """The arrival times (UTC) of the labels of some predictions, by id. An unknown model has none."""
        ...

    def feature_ages(self, window: Window, *, before: datetime) -> "DataFrame":
        """`feature` and `age` (seconds) of the features of a sample of a window's predictions before an instant."""
        ...

    def verdicts(
        self, model: str | None = None, prediction: str | None = None, as_of: datetime | None = None
    ) -> "tuple[DecisionItem, ...]":
        """Verdicts about predictions, in the order of their newest entries, newest first. as_of: only from entries that had arrived by
        then.
        """
        ...

    def actions(self, model: str | None = None, prediction: str | None = None, as_of: datetime | None = None) -> "tuple[DecisionItem, ...]":
        """Actions, newest entry first. model: only its actions (None: all actions, also those without a model). prediction: only actions
        about it.
        """
        ...

    def decisions(self, model: str | None = None, as_of: datetime | None = None) -> "tuple[DecisionItem, ...]":
        """Decisions, newest entry first. model: only its decisions (None: all decisions, also those without a model)."""
        ...

    def what_ifs(self, model: str, prediction: str) -> "tuple[DecisionItem, ...]":
        """Saved what-ifs of a prediction that were not removed, newest first."""
        ...

    def saved_cases(self, model: str | None = None) -> "tuple[DecisionItem, ...]":
        """Saved cases that were not removed, newest entry first; for one model or for all."""
        ...

    def dashboards(self) -> "tuple[DecisionItem, ...]":
        """Dashboards that were not removed, newest entry first, and after them the figures and texts on them (kinds `dashboard` and
        `pin`).
        """
        ...

    def query_views(self, query: str, *, most_rows: int = 1000, seconds: float = 30.0, masked: bool = False) -> "QueryAnswer":
        """The first `most_rows` rows of an SQL query over the documented views (docs/views.md), read-only.

        masked: the views lack the columns that hold subjects and sensitive values. Raises UsageError if the query is not one SELECT, is
        wrong, or takes longer than `seconds`, NotFoundError for an unknown view, ForbiddenError for a masked column.
        """
        ...

    def export_views(self, query: str, folder: Path, *, most_mb: int = 512, seconds: float = 30.0, masked: bool = False) -> "ExportedQuery":
        """For each view that an SQL query reads, write the columns that the query names to files in a folder, for a process that runs the
        query.

        masked: as for `query_views`. Raises UsageError if the query is not one SELECT or the files are larger than `most_mb`, NotFoundError
        for an unknown view.
        """
        ...

    def write_records(self, records: Sequence[Mapping[str, object]]) -> None:
        """Store some records together; they can be read as soon as the call returns.

        Raises UsageError if a record breaks a rule of its kind (nothing is stored then), StoreBrokenError if the store cannot be written.
        """
        ...

    def check_lines(self, body: bytes, new_models: "NewModelLimit | None" = None) -> "CheckedLines":
        """The result of loading the lines of a JSONL body, without storing anything. new_models: the limit of models that are new to the
        store.
        """
        ...

    def load_landing(self, progress: LoadProgress | None = None) -> "LoadReport":
        """Load everything that waits in landing, oldest first. Raises StoreBrokenError if the disk is nearly full."""
        ...

    def loaded_segments(self, names: Sequence[str]) -> "dict[str, datetime]":
        """When each of these segments was loaded, by the manifest; segments that are not loaded are left out."""
        ...

    def retry_set_aside(self, progress: LoadProgress | None = None) -> "tuple[int, LoadReport]":
        """Retry the segments that were set aside, and load landing. Returns the number of these segments and the result of the load."""
        ...

    def load_files(self, paths: Sequence[Path], defaults: "LoadDefaults", progress: LoadProgress | None = None) -> "LoadReport":
        """Load files (.jsonl, .csv, also as .gz, or .parquet). Raises UsageError for a wrong file, before any row of any file is stored."""
        ...

    def load_source(
        self, source: "DataSource", defaults: "LoadDefaults", progress: LoadProgress | None = None, *, again: bool = False
    ) -> "SourceReport":
        """Load the part of a source that earlier loads have not read; again: all of it. Raises UsageError if no file could be read."""
        ...

    def register(
        self,
        request: "RegistrationRequest",
        *,
        progress: StepProgress | None = None,
        now: datetime | None = None,
        scorer: "ReferenceScorer | None" = None,
    ) -> "Registration":
        """Register a model version with its reference, all or nothing. Raises UsageError if the file or the request is wrong.

        scorer: runs the artifact on rows of the reference; the artifact must reproduce their scores (worker/score_reference.py).
        """
        ...

    def update_settings(self, name: str, settings: "ModelSettings") -> list[str]:
        """Set the settings of a model; returns one sentence for each consequence. Raises NotFoundError for an unknown model."""
        ...

    def settings_at(self, at: datetime, otherwise: datetime) -> "dict[str, DatedSettings]":
        """The settings of every model at an instant, by the model's name. For a model that had none yet, its settings at the instant
        `otherwise`.
        """
        ...

    def asked_questions(self, model: str) -> "AskedQuestions":
        """The measured questions of the last weeks about one model; with "", the questions about no model. A process that only reads has
        only the questions since its start.
        """
        ...

    def column_storage(self, model: str) -> "DataFrame":
        """Columns of the table of a model's predictions, largest first: `column` (as questions name it), `codecs`, `segments`, `blocks`,
        `bytes` (of the column's blocks; their sum is the size of the table).
        """
        ...

    def status(self, most_age: float = 0.0) -> dict[str, Any]:
        """Sizes, models, backlog and rejected lines of the store, as JSON can carry it (store/registry/admin.py lists the keys).

        most_age: age in seconds up to which earlier counts of the database are returned while records wait in landing.
        """
        ...

    def backup(self, folder: Path | str, progress: WorkProgress | None = None) -> dict[str, Any]:
        """Write a backup into a folder: {backup, at, bytes, files, tables}. Raises StoreBrokenError, UsageError."""
        ...

    def publish(
        self, run: str, before: "PublishedState | None" = None, write_beside: "WriteBeside | None" = None, *, copy: bool = True
    ) -> "PublishedState | None":
        """Publish the present state for processes that only read, if the settings of the home ask for it (store/published.py).

        Raises UsageError for invalid settings, StoreBrokenError.
        """
        ...

    def verify(self, progress: WorkProgress | None = None) -> dict[str, Any]:
        """Read every block, check the manifest against itself, and compare a sample of counts with raw rows: {tables, damaged, days,
        problems}.
        """
        ...

    def verify_backup(self, folder: Path | str, progress: WorkProgress | None = None) -> dict[str, Any]:
        """Restore the newest backup of a folder beside the home and read all of it: {backup, at, tables, problems}; noted for `status`.

        Raises NotFoundError, StoreBrokenError.
        """
        ...

    def export_lake(self, address: str, progress: StepProgress | None = None, *, replace: bool = False) -> dict[str, Any]:
        """Bring a lake to the state of the store (store/lake/export.py): {lake, number, models, files, rows, bytes,
        written, removed, seconds}.

        replace: also overwrite a lake that another store, or a later state of this store, wrote. Raises UsageError, StoreBrokenError.
        """
        ...

    def compute_lake_rollups(
        self,
        address: str | None,
        models: Sequence[str],
        first: date,
        last: date,
        *,
        engine: Literal["duckdb", "spark"] = "duckdb",
        master: str | None = None,
        progress: StepProgress | None = None,
    ) -> dict[str, Any]:
        """Compute the rollups of some days of some models from a lake (store/lake_rollups.py): {lake, number, engine, models}."""
        ...

    def nightly(self, now: datetime | None = None, write_tables: Callable[[str], dict[str, int]] | None = None) -> dict[str, Any]:
        """Do the nightly work that the home's settings ask for: {lake, retention, metric_tables, backup, verified_restore, removed_backups,
        failures}.

        write_tables: writes the metric tables to an address and returns their rows; they need analyzers, which the store does not know.
        """
        ...

    def nightly_is_due(self, now: datetime | None = None) -> bool:
        """Whether the settings of the home ask for nightly work that was not yet done tonight. Read-only. Raises UsageError."""
        ...

    def problems(self) -> list[str]:
        """Problems of the store and its disk, as sentences. At most one small query."""
        ...

    def repairs(self) -> list[dict[str, Any]]:
        """Damages and losses that were repaired, oldest first: {at, what, missing, set_aside, seen_at}."""
        ...

    def mark_repairs_seen(self) -> None:
        """Note that a person has read the repairs, so that `problems` leaves them out."""
        ...

    def require_readable(self) -> None:
        """Raise StoreBrokenError if the database does not answer."""
        ...

    def versions(self) -> dict[str, str | None]:
        """Versions of Python and of the packages that numbers depend on, by name."""
        ...

    def rejected_lines(self, limit: int = 100, model: str | None = None) -> "DataFrame":
        """The lines that were rejected last, newest first: at_loaded, segment, line, reason, message, kind, model, raw."""
        ...

    def remove_model(self, name: str, progress: Callable[[int, int], object] | None = None) -> dict[str, Any]:
        """Remove a model and all of its records, and rewrite the store; returns how many of each were removed. Raises NotFoundError if
        there is none.

        progress: called with the rows rewritten and all rows.
        """
        ...

    def remove_sample(self, progress: Callable[[int, int], object] | None = None) -> dict[str, Any]:
        """Remove the sample fleet: its models and every record that came with it. Returns the models' names, and how many of each were
        removed.
        """
        ...

    def apply_retention(
        self, *, dry_run: bool = False, rewrite: bool | None = None, progress: Callable[[int, int], object] | None = None
    ) -> dict[str, Any]:
        """Remove records past their retention in the settings of the home: {dry_run, removed: [{what, model, before, rows}], late_labels,
        rewritten}. If the settings name a lake, rows that it lacks are written there first. late_labels: by model, the number of labels of
        its rows that were counted in this run.

        dry_run: only count the records. rewrite: whether to rewrite the store; None: only if anything was removed. Raises UsageError for
        invalid settings.
        """
        ...

    def erased(self) -> "ErasedNames | None":
        """The matcher that recognizes records of erased subjects; None if nothing was erased. Raises StoreBrokenError if its key is
        missing.
        """
        ...

    def forget(self, subject: str, *, by: str | None = None, progress: Callable[[str], object] | None = None) -> dict[str, Any]:
        """Erase a subject everywhere, backups included, and refuse its later records (store/erase.py lists what comes back).

        by: the person who asked for the erasure, by default the user of this process. Raises UsageError, StoreBrokenError.
        """
        ...

    def cached_answer(self, model: "Model", prediction: str, part: str, question: str) -> Any:
        """The cached answer about a prediction, in JSON's types; None if there is none."""
        ...

    def cache_answer(self, model: "Model", prediction: str, part: str, question: str, body: str) -> None:
        """Cache an answer (JSON) about a prediction. Raises nothing if the store cannot be written at that time."""
        ...

    def artifact(self, version: "Version") -> Path | None:
        """The stored model file of a version; None if there is none, or if it was changed since it was registered."""
        ...

    def attributions_of_prediction(self, model: "Model", version: "Version", prediction_id: str, environment: str) -> dict[str, Any] | None:
        """The stored attributions of one prediction of a version in an environment; None if there are no valid ones."""
        ...

    def explanation_state(self, model: str, version: str, *, stale: bool = False) -> "ExplanationState | None":
        """How a version is explained; None if explaining was never tried, or (unless `stale`) if the state is about an earlier artifact."""
        ...

    def logs_attributions(self, model: "Model", version: "Version") -> bool:
        """Whether any prediction of a version came with attributions."""
        ...

    def explanation_parts(self, model: "Model", version: "Version", per_day: int, reference_rows: int) -> "list[ExplanationPart]":
        """The reference and every day of a version that has rows to explain, newest day first."""
        ...

    def explanation_errors(self, model: "Model", version: "Version", stream: int, limit: int) -> "ExplanationPart":
        """The worst errors of a version as a part to explain. The part counts as done as long as no new label or prediction arrives."""
        ...

    def rows_to_explain(self, model: "Model", version: "Version", parts: "Sequence[ExplanationPart]") -> "RowsToExplain":
        """Rows of the samples of some parts (the reference alone, or days) that are not explained yet."""
        ...

    def rows_to_explain_by_id(self, model: "Model", version: "Version", stream: int, ids: Sequence[str]) -> "RowsToExplain":
        """The predictions with these ids that are not explained yet."""
        ...

    def write_attributions(self, model: "Model", version: "Version", written: "AttributionBatch") -> int:
        """Write one batch of attributions in one transaction; returns how many rows were added. Writes nothing if the version was
        registered again meanwhile.
        """
        ...

    def restart_attributions(self, model: "Model", version: "Version", state: "ExplanationState") -> None:
        """Drop every stored attribution of a version, and write a new state."""
        ...

    def estimation_state(self, model: "Model", version: "Version") -> "EstimationState | None":
        """The basis of the stored error estimates of a version; None if there are none for its present registration."""
        ...

    def days_to_estimate(self, model: "Model", version: "Version") -> "list[DayToEstimate]":
        """Days of a version's production predictions that lack error estimates, newest first."""
        ...

    def rows_to_estimate(self, model: "Model", version: "Version", days: "Sequence[DayToEstimate]") -> "DataFrame":
        """Rows of the samples of some days that have no error estimate: id, score and `feature.NAME` of each feature of the version."""
        ...

    def reference_stream(self, model: "Model", version: "Version") -> int:
        """The number of the stream that holds the reference of a version."""
        ...

    def write_estimates(
        self, model: "Model", version: "Version", rows: "Table | None", state: "EstimationState", done: Mapping[date, int]
    ) -> int:
        """Write error estimates, their state and finished days in one transaction; returns how many estimates were added."""
        ...

    def restart_estimates(self, model: "Model", version: "Version") -> None:
        """Drop every error estimate of a version."""
        ...
