"""The store in DuckDB. It has every operation of the interfaces in engine.py, and delegates each to the module of observability/store that
implements it.

Only opener.py constructs it. Everything above observability/store uses the protocols `Engine` and `Store`.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from observability.core import telemetry
from observability.core.errors import NotFoundError
from observability.core.questions import Aggregate, Attributions, EstimatedErrors, Question, Records, Sample
from observability.core.window import Window
from observability.store.db import repairs
from observability.store.db.database import Database
from observability.store.engine import BoundQuestion, LoadProgress, StepProgress, Store, WorkProgress
from observability.store.query import (
    aggregates,
    attribution_plan,
    attributions,
    cached_answers,
    canaries,
    column_storage,
    decision_log,
    estimates,
    feature_lags,
    listing,
    query_batching,
    query_log,
    records,
    search,
    source,
)
from observability.store.query.answer import AnswerCells
from observability.store.types import decision_items, error_estimates, explanations, search_terms
from observability.store.types.asked_questions import AskedQuestions

Answer = TypeVar("Answer")

if TYPE_CHECKING:
    from pandas import DataFrame
    from pyarrow import Table

    from observability.core.catalog import Model, Version
    from observability.core.settings import DatedSettings, ModelSettings
    from observability.store.db.results import Cursor
    from observability.store.lake.removed_rows import RemovedRows
    from observability.store.types.loading import CheckedLines, LoadDefaults, LoadReport, NewModelLimit
    from observability.store.types.published_state import PublishedState, WriteBeside
    from observability.store.types.query_answer import ExportedQuery, QueryAnswer
    from observability.store.types.registration import ReferenceScorer, Registration, RegistrationRequest
    from observability.store.types.sources import DataSource, SourceReport


class DuckStore(Database, Store):
    """The one open DuckDB database of a home folder as a `Store`."""

    @cached_property
    def _lake(self) -> "RemovedRows":
        """The rows that retention removed, in the lake of the home."""
        from observability.store.lake.removed_rows import RemovedRows

        return RemovedRows(self)

    def removed_rows(self, model: "Model", span: tuple[datetime, datetime] | None = None) -> "Cursor | None":
        """A cursor that reads a model's removed rows: its tables hold the rows that retention removed, at least those of a span. None if
        no lake has these rows.
        """
        return None if model.rows_from is None else self._lake.cursor(model, span)

    def lake_holds(self, model: str) -> bool:
        """Whether a lake can answer questions about the rows of a model that retention removed."""
        return self.removed_rows(self.catalog().model(model)) is not None

    def unread_days(self, model: str) -> tuple[str, ...]:
        """The days whose rows of a model were removed by retention and cannot be read from the lake."""
        return self._lake.unread_days(self.catalog().model(model))

    def note_lake_state(self) -> None:
        """Commit a change of each model whose removed rows, as the lake gives them, differ from those at the last call."""
        if not self.read_only and any(model.rows_from is not None for model in self.catalog().models):
            self._lake.note_state()

    def _from_lake_too(self, model: str, ask: Callable[[], Answer]) -> Answer:
        """An answer that may read the lake. Files of the lake that cannot be read are left out."""
        return self._lake.answer(self.catalog().by_name.get(model), ask)

    def snapshot(self) -> AbstractContextManager[object]:
        """Within the context, all answers in this thread come from one consistent state."""
        return source.snapshot_cursor(self)

    def ask(self, question: Question, window: Window) -> "DataFrame":
        """The answer to a question of any type over a window."""
        with telemetry.QUERY_SECONDS.timed(), self._query_log.timed(question, window):
            return self._from_lake_too(window.model, partial(self._answer, question, window))

    def _answer(self, question: Question, window: Window) -> "DataFrame":
        if isinstance(question, Records):
            return records.answer_records(self, question, window)
        if isinstance(question, Attributions):
            return attributions.answer_attributions(self, question, window)
        if isinstance(question, EstimatedErrors):
            return estimates.answer_estimated_errors(self, question, window)
        return (
            listing.answer_sample(self, question, window)
            if isinstance(question, Sample)
            else aggregates.answer_aggregate(self, question, window)
        )

    def ask_many(self, questions: Iterable[BoundQuestion]) -> "dict[BoundQuestion, DataFrame]":
        """Answers to those questions whose answers are contained in fewer, wider questions (query_batching.py)."""
        return query_batching.answer_batch(questions, self.ask, self._aggregate_cells)

    def _aggregate_cells(self, question: Aggregate, window: Window) -> AnswerCells:
        """The cells of the answer to a joint question; the time is measured."""
        with self._query_log.timed(question, window):
            return self._from_lake_too(window.model, partial(aggregates.aggregate_cells, self, question, window))

    @cached_property
    def _query_log(self) -> query_log.QueryLog:
        """The log of the measured questions to this store. A process that only reads the store writes no file of them."""
        return query_log.QueryLog(None if self.read_only else self.home / query_log.QUESTIONS_FILE)

    def asked_questions(self, model: str) -> AskedQuestions:
        """The measured questions of the last weeks about one model; with "", the questions about no model."""
        return self._query_log.asked(model)

    def close(self) -> None:
        """Close every connection; keep the counts and the list of questions for the next process. A second call does nothing."""
        if "_query_log" in self.__dict__:
            self._query_log.save()
        super().close()

    def column_storage(self, model: str) -> "DataFrame":
        """Bytes and codecs of the columns of a model's predictions in the database."""
        return column_storage.column_storage(self, self.catalog().model(model))

    def counters(self, model: str, window: Window) -> dict[str, Any]:
        """The counts of the loader about a model in a window."""
        from observability.store.registry import admin

        return admin.load_counters(self, model, window)

    def events(self, model: str | None, start: datetime, end: datetime, as_of: datetime | None = None) -> "DataFrame":
        """Events in [start, end), in order of time."""
        return listing.list_events(self, model, start, end, as_of)

    def canary_sightings(self, window: Window) -> "DataFrame":
        """Predictions that hold a canary of an earlier export."""
        return canaries.canary_sightings(self, window)

    def activity(self, as_of: datetime | None = None, model: str | None = None) -> "DataFrame":
        """Every version in every environment that has rows, with its first and last times, from the rollups."""
        return listing.version_activity(self, as_of, model)

    def newest_record(self, kinds: Sequence[str], model: str, before: datetime, as_of: datetime | None = None) -> datetime | None:
        """Event time of the newest record of some kinds before an instant."""
        return records.newest_record_time(self, kinds, model, before, as_of)

    def row(
        self,
        model: str,
        id: str,  # noqa: A002 - the record's own word
        version: str | None = None,
        environment: str | None = None,
        *,
        removed: bool = True,
    ) -> dict[str, Any]:
        """Everything that is stored about one prediction."""
        try:
            return self._from_lake_too(model, partial(listing.prediction_record, self, model, id, version, environment, removed=removed))
        except NotFoundError as error:
            if not removed or model not in self.catalog().by_name or not (unread := self.unread_days(model)):
                raise
            days = "" if unread == ("all",) else f", days {', '.join(unread[:3])}"
            attempt = f"It may be in the lake, which cannot be read{days}: bring it back from a copy of the lake"
            raise NotFoundError(error.what, attempt=attempt) from None

    def rows(self, window: Window, columns: Sequence[str], limit: int = 100, order: str = "-at", *, outcomes: bool = True) -> "DataFrame":
        """At most `limit` raw rows of a window."""
        return self._from_lake_too(window.model, partial(listing.list_rows, self, window, columns, limit, order, outcomes=outcomes))

    def search(
        self,
        window: Window,
        terms: Sequence[search_terms.SearchTerm],
        limit: int,
        order: str = "-at",
        newly_labelled: tuple[datetime, datetime] | None = None,
    ) -> "DataFrame":
        """At most `limit` predictions of a window that meet every condition."""
        return self._from_lake_too(window.model, partial(search.search_predictions, self, window, terms, limit, order, newly_labelled))

    def rows_by_id_prefix(self, start: str, limit: int, columns: Sequence[str] = ()) -> "DataFrame":
        """Predictions whose id begins with a text, of every model, newest first."""
        return search.predictions_by_id_prefix(self, start, limit, columns)

    def trace_totals(self, traces: Sequence[str]) -> "DataFrame":
        """The steps of some traces, counted by model."""
        return search.totals_of_traces(self, traces)

    def rows_of_subject(self, subject: str, limit: int) -> "DataFrame":
        """Predictions about a subject, of every model, newest first."""
        return search.predictions_of_subject(self, subject, limit)

    def label_arrivals(self, model: str, predictions: Sequence[str]) -> dict[str, list[datetime]]:
        """The arrival times (UTC) of the labels of some predictions, by id."""
        return listing.label_arrival_times(self, model, predictions)

    def feature_ages(self, window: Window, *, before: datetime) -> "DataFrame":
        """`feature` and `age` (seconds) of the features of a sample of a window's predictions before an instant."""
        return feature_lags.feature_ages(self, window, before=before)

    def verdicts(
        self, model: str | None = None, prediction: str | None = None, as_of: datetime | None = None
    ) -> tuple[decision_items.DecisionItem, ...]:
        """Verdicts about predictions, in the order of their newest entries, newest first."""
        return decision_log.logged_verdicts(self, model, prediction, as_of)

    def actions(
        self, model: str | None = None, prediction: str | None = None, as_of: datetime | None = None
    ) -> tuple[decision_items.DecisionItem, ...]:
        """The action items of a model or a prediction, newest entry first."""
        return decision_log.logged_actions(self, model, prediction, as_of)

    def decisions(self, model: str | None = None, as_of: datetime | None = None) -> tuple[decision_items.DecisionItem, ...]:
        """The decisions about a model, newest entry first."""
        return decision_log.logged_decisions(self, model, as_of)

    def what_ifs(self, model: str, prediction: str) -> tuple[decision_items.DecisionItem, ...]:
        """Saved what-ifs of a prediction that were not removed, newest first."""
        return decision_log.standing_what_ifs(self, model, prediction)

    def saved_cases(self, model: str | None = None) -> tuple[decision_items.DecisionItem, ...]:
        """Saved cases that were not removed, newest entry first."""
        return decision_log.standing_saved_cases(self, model)

    def dashboards(self) -> tuple[decision_items.DecisionItem, ...]:
        """Dashboards of people, and the figures and texts on them."""
        return decision_log.standing_dashboards(self)

    def query_views(self, query: str, *, most_rows: int = 1000, seconds: float = 30.0, masked: bool = False) -> "QueryAnswer":
        """The first rows of an SQL query over the documented views. masked: leave out the masked columns of the views."""
        from observability.store.views.read_only_query import run_read_only_query

        return run_read_only_query(self, query, most_rows=most_rows, seconds=seconds, masked=masked)

    def export_views(self, query: str, folder: Path, *, most_mb: int = 512, seconds: float = 30.0, masked: bool = False) -> "ExportedQuery":
        """For the views that an SQL query reads, write the columns that the query names as files into a folder. masked: leave out the
        masked columns of the views.
        """
        from observability.store.views.exported_query import columns_by_model, export_query_views, query_without_literals

        began = time.perf_counter()
        exported = export_query_views(self, query, folder, most_mb=most_mb, seconds=seconds, masked=masked)
        took = time.perf_counter() - began
        names = {name.lower() for view, columns in exported.columns.items() for name in (view, view.rpartition(" ")[0], *columns)}
        read = columns_by_model(exported, self.catalog().models)
        text = f"SQL: {query_without_literals(query, names)}" if len(read) < 2 else "SQL over several models"  # one of them may be removed
        for model, columns in read.items():
            self._query_log.note_columns(text, columns, model, took)
        return exported

    def write_records(self, records: Sequence[Mapping[str, object]]) -> None:
        """Store some records together; they can be read as soon as the call returns."""
        from observability.store.ingest import record_writer

        record_writer.write_records(self, records)

    def check_lines(self, body: bytes, new_models: "NewModelLimit | None" = None) -> "CheckedLines":
        """The result of loading the lines of a JSONL body, without loading them."""
        from observability.store.ingest import parse

        return parse.checked_body(body, self.catalog(), new_models)

    def loaded_segments(self, names: Sequence[str]) -> dict[str, datetime]:
        """When each of these segments was loaded; segments that are not loaded are left out."""
        from observability.store.ingest import loader

        return loader.loaded_segments(self, names)

    def load_landing(self, progress: LoadProgress | None = None) -> "LoadReport":
        """Load everything that waits in landing, oldest first."""
        from observability.store.ingest import loader

        return loader.load_landing(self, progress)

    def retry_set_aside(self, progress: LoadProgress | None = None) -> "tuple[int, LoadReport]":
        """Retry the segments that were set aside, and load landing. Returns the number of these segments and the result of the load."""
        from observability.store.ingest import loader

        return loader.retry_set_aside(self, progress)

    def load_files(self, paths: Sequence[Path], defaults: "LoadDefaults", progress: LoadProgress | None = None) -> "LoadReport":
        """Load files (.jsonl, .csv, also as .gz, or .parquet)."""
        from observability.store.ingest import loader

        return loader.load_files(self, paths, defaults, progress)

    def load_source(
        self, source: "DataSource", defaults: "LoadDefaults", progress: LoadProgress | None = None, *, again: bool = False
    ) -> "SourceReport":
        """Load the part of a source that earlier loads have not read."""
        from observability.store.ingest import incremental

        return incremental.load_source(self, source, defaults, progress, again=again)

    def register(
        self,
        request: "RegistrationRequest",
        *,
        progress: StepProgress | None = None,
        now: datetime | None = None,
        scorer: "ReferenceScorer | None" = None,
    ) -> "Registration":
        """Register a model version with its reference, all or nothing."""
        from observability.store.registry import register

        return register.register_version(self, request, progress=progress, now=now, scorer=scorer)

    def update_settings(self, name: str, settings: "ModelSettings") -> list[str]:
        """Set the settings of a model; returns one sentence for each consequence."""
        from observability.store.registry import register

        return register.update_settings(self, name, settings)

    def settings_at(self, at: datetime, otherwise: datetime) -> "dict[str, DatedSettings]":
        """The settings of every model at an instant, by the model's name."""
        from observability.store.db import settings_history

        return settings_history.settings_at(self, at, otherwise)

    def status(self, most_age: float = 0.0) -> dict[str, Any]:
        """Sizes, models, backlog and rejected lines of the store."""
        from observability.store.registry import admin

        return admin.storage_status(self, most_age)

    def backup(self, folder: Path | str, progress: WorkProgress | None = None) -> dict[str, Any]:
        """Write a backup into a folder, or send it to an address: {backup, at, bytes, files, tables}."""
        from observability.store import backup

        return backup.make_backup(self, folder, progress)

    def publish(
        self, run: str, before: "PublishedState | None" = None, write_beside: "WriteBeside | None" = None, *, copy: bool = True
    ) -> "PublishedState | None":
        """Publish the present state for processes that only read, if the settings of the home ask for it."""
        from observability.store import published

        return published.publish_state(self, run, before, write_beside, copy=copy)

    def verify(self, progress: WorkProgress | None = None) -> dict[str, Any]:
        """Read every block, check the manifest against itself, and compare a sample of counts with raw rows: {tables, damaged, days,
        problems}.
        """
        from observability.store import backup

        return backup.verify_store(self, progress)

    def problems(self) -> list[str]:
        """Problems of the store and its disk, as sentences. One small query."""
        from observability.store.registry import admin

        return [*admin.storage_problems(self), *self._lake.problems()]

    def repairs(self) -> list[dict[str, Any]]:
        """Damages and losses that were repaired, oldest first: {at, what, missing, set_aside, seen_at}."""
        return repairs.repairs(self.home)

    def mark_repairs_seen(self) -> None:
        """Note that a person has read the repairs, so that `problems` leaves them out."""
        repairs.mark_repairs_seen(self.home)

    def versions(self) -> dict[str, str | None]:
        """Versions of Python and of the packages that numbers depend on, by name."""
        from observability.store.registry import admin

        return admin.package_versions()

    def rejected_lines(self, limit: int = 100, model: str | None = None) -> "DataFrame":
        """The lines that were rejected last, newest first."""
        from observability.store.registry import admin

        return admin.rejected_lines(self, limit, model)

    def remove_model(self, name: str, progress: Callable[[int, int], object] | None = None) -> dict[str, Any]:
        """Remove a model and all of its records; returns how many of each were removed."""
        from observability.store import removal

        removed = removal.remove_model(self, name, progress)
        self._forget_questions()
        return removed

    def remove_sample(self, progress: Callable[[int, int], object] | None = None) -> dict[str, Any]:
        """Remove the sample fleet with all of its records; returns how many of each were removed."""
        from observability.store import removal

        removed = removal.remove_sample(self, progress)
        self._forget_questions()
        return removed

    def _forget_questions(self) -> None:
        """Drop the measured questions about removed models."""
        self._query_log.keep_models([model.name for model in self.catalog().models])

    def verify_backup(self, folder: Path | str, progress: WorkProgress | None = None) -> dict[str, Any]:
        """Restore the newest backup of a folder beside the home and read all of it: {backup, at, tables, problems}."""
        from observability.store import backup

        return backup.verify_backup(self.home, folder, progress=progress)

    def export_lake(self, address: str, progress: StepProgress | None = None, *, replace: bool = False) -> dict[str, Any]:
        """Bring a lake to the state of the store, and keep a report of its place."""
        from observability.store.lake import reported_export

        return reported_export.export_reported_lake(self, address, progress=progress, replace=replace)

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
        """Compute the rollups of some days of some models from a lake, and replace the stored ones."""
        from observability.store import lake_rollups

        return lake_rollups.compute_lake_rollups(self, address, models, first, last, engine=engine, master=master, progress=progress)

    def nightly(self, now: datetime | None = None, write_tables: Callable[[str], dict[str, int]] | None = None) -> dict[str, Any]:
        """Do the nightly work that the home's settings ask for: {lake, retention, metric_tables, backup, verified_restore, removed_backups,
        failures}.

        write_tables: writes the metric tables to an address and returns their rows; they need analyzers, which the store does not know.
        """
        from observability.store import nightly

        return nightly.nightly_round(self, now, write_tables)

    def nightly_is_due(self, now: datetime | None = None) -> bool:
        """Whether the settings of the home ask for nightly work that was not yet done tonight. Read-only."""
        from observability.store import nightly

        return nightly.nightly_is_due(self.home, now)

    def apply_retention(
        self, *, dry_run: bool = False, rewrite: bool | None = None, progress: Callable[[int, int], object] | None = None
    ) -> dict[str, Any]:
        """Remove records past their retention in the settings of the home, after an export to the lake that the settings name. dry_run:
        only count the records.
        """
        from observability.store import retention
        from observability.store.db.keeping import read_keeping

        if (lake := read_keeping(self.home).lake) is not None and not dry_run:
            retention.export_before_removal(self, lake)
        return retention.apply_retention(self, dry_run=dry_run, rewrite=rewrite, progress=progress)

    def forget(self, subject: str, *, by: str | None = None, progress: Callable[[str], object] | None = None) -> dict[str, Any]:
        """Erase a subject everywhere, and refuse its later records."""
        from observability.store import erase

        return erase.forget_subject(self, subject, by=by, progress=progress)

    def cached_answer(self, model: "Model", prediction: str, part: str, question: str) -> Any:
        """The cached answer about a prediction; None if there is none."""
        return cached_answers.find_cached_answer(self, model, prediction, part, question)

    def cache_answer(self, model: "Model", prediction: str, part: str, question: str, body: str) -> None:
        """Cache an answer (JSON) about a prediction."""
        cached_answers.cache_answer(self, model, prediction, part, question, body)

    def artifact(self, version: "Version") -> Path | None:
        """The stored model file of a version; None if there is none, or if it was changed."""
        from observability.store.registry import artifacts

        stored = artifacts.stored_artifact(version.artifact)
        return stored.file(self.home) if stored is not None and artifacts.is_intact(self.home, stored) else None

    def attributions_of_prediction(self, model: "Model", version: "Version", prediction_id: str, environment: str) -> dict[str, Any] | None:
        """The stored attributions of one prediction of a version in an environment."""
        return attributions.attributions_of_prediction(self, model, version, prediction_id, environment)

    def explanation_state(self, model: str, version: str, *, stale: bool = False) -> explanations.ExplanationState | None:
        """How a version is explained; None if explaining was never tried, or (unless `stale`) if the state is about an earlier artifact."""
        return attributions.stored_explanation_state(self, model, version, stale=stale)

    def logs_attributions(self, model: "Model", version: "Version") -> bool:
        """Whether any prediction of a version came with attributions."""
        return attribution_plan.logs_attributions(self, model, version)

    def explanation_parts(
        self, model: "Model", version: "Version", per_day: int, reference_rows: int
    ) -> list[explanations.ExplanationPart]:
        """The reference and every day of a version that has rows to explain, newest day first."""
        return attribution_plan.explanation_parts(self, model, version, per_day, reference_rows)

    def explanation_errors(self, model: "Model", version: "Version", stream: int, limit: int) -> explanations.ExplanationPart:
        """The worst errors of a version as a part to explain."""
        return attribution_plan.worst_errors_part(self, model, version, stream, limit)

    def rows_to_explain(
        self, model: "Model", version: "Version", parts: Sequence[explanations.ExplanationPart]
    ) -> explanations.RowsToExplain:
        """Rows of the samples of some parts that are not explained yet."""
        return attribution_plan.rows_to_explain(self, model, version, parts)

    def rows_to_explain_by_id(self, model: "Model", version: "Version", stream: int, ids: Sequence[str]) -> explanations.RowsToExplain:
        """The predictions with these ids that are not explained yet."""
        return attribution_plan.rows_to_explain_by_id(self, model, version, stream, ids)

    def write_attributions(self, model: "Model", version: "Version", written: explanations.AttributionBatch) -> int:
        """Write one batch of attributions; returns the number of added rows."""
        return attributions.write_attributions(self, model, version, written)

    def restart_attributions(self, model: "Model", version: "Version", state: explanations.ExplanationState) -> None:
        """Drop every stored attribution of a version, and write a new state."""
        attributions.restart_attributions(self, model, version, state)

    def estimation_state(self, model: "Model", version: "Version") -> error_estimates.EstimationState | None:
        """The basis of the stored error estimates of a version."""
        return estimates.stored_estimation_state(self, model, version)

    def days_to_estimate(self, model: "Model", version: "Version") -> list[error_estimates.DayToEstimate]:
        """Days of a version's production predictions that lack error estimates, newest first."""
        return estimates.days_to_estimate(self, model, version)

    def rows_to_estimate(self, model: "Model", version: "Version", days: Sequence[error_estimates.DayToEstimate]) -> "DataFrame":
        """Rows of the samples of some days that have no error estimate."""
        return estimates.rows_to_estimate(self, model, version, days)

    def reference_stream(self, model: "Model", version: "Version") -> int:
        """The number of the stream that holds the reference of a version."""
        return estimates.reference_stream_number(self, model, version)

    def write_estimates(
        self, model: "Model", version: "Version", rows: "Table | None", state: error_estimates.EstimationState, done: Mapping[date, int]
    ) -> int:
        """Write error estimates, their state and finished days; returns the number of added estimates."""
        return estimates.write_estimates(self, model, version, rows, state, done)

    def restart_estimates(self, model: "Model", version: "Version") -> None:
        """Drop every error estimate of a version."""
        estimates.restart_estimates(self, model, version)
