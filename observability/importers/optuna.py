"""Reads Optuna studies as runs: each trial becomes a run of its study.

Both the SQLite storage and the journal file can be read. Optuna stores no times of intermediate values, so their steps get the time at
which the trial started. The SQLite storage has times in UTC from Optuna 5 on; before, in the local time of its machine.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any

from observability.client.callbacks import optuna_objectives, optuna_run_id
from observability.core.errors import UsageError
from observability.importers.source_records import (
    CarriedRecord,
    ReadOptions,
    RefusedEntries,
    SourceItem,
    SourceReading,
    error_line,
    require_source,
    utc_time_text,
)
from observability.importers.sqlite_source import is_sqlite_file, query_rows, read_only_sqlite

STATES = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}
JOURNAL_STATES = ("RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING")
TABLES = ("studies", "trials", "trial_params", "trial_values", "trial_intermediate_values", "version_info")
UTC_FROM = 5
"""From this major version of Optuna on, the SQLite storage has times in UTC."""


@dataclass
class OptunaTrial:
    """One trial. start, complete: times as the storage has them. values: objectives; None for one that is missing."""

    number: int
    state: str
    start: str | None = None
    complete: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    values: list[float] = field(default_factory=list)
    steps: dict[int, float] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass
class OptunaStudy:
    """One study. attributes: number of attributes of the study itself. names: the names of its objectives, empty if it does not
    name them.
    """

    name: str
    directions: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    attributes: int = 0
    trials: list[OptunaTrial] = field(default_factory=list)


def open_optuna(path: Path, options: ReadOptions) -> SourceReading:
    """The studies in a storage. Raises UsageError if the file is not a file of Optuna, or if its times need a time zone."""
    require_source(path)
    if path.is_dir():
        raise UsageError("this is a folder", got=path.name, expected="Optuna's SQLite file or journal file", attempt="Name the file")
    if is_sqlite_file(path):
        (studies, local), form = _sqlite_studies(path), "SQLite storage"
    else:
        studies, local, form = _journal_studies(path), True, "journal"
    timezone = options.timezone if local else UTC
    started = [trial.start for study in studies for trial in study.trials if trial.start]
    if started:
        utc_time_text(started[0], timezone, path.name)
    return SourceReading(f"Optuna {form}", [item for study in studies for item in _study_items(study, timezone, path.name)])


def _study_items(study: OptunaStudy, timezone: tzinfo | None, where: str) -> Iterator[SourceItem]:
    """The records of a study."""
    if study.attributes:
        message = f"attributes of study {study.name} have no field in the records of its trials"
        yield RefusedEntries("study attributes", "no_field", message, study.attributes)
    for trial in study.trials:
        if trial.start is None:
            message = f"trial {trial.number} of study {study.name} has not started"
            for sort, count in {"trials": 1, "parameters": len(trial.params), "attributes": len(trial.attributes)}.items():
                if count:
                    yield RefusedEntries(sort, "not_started", message, count)
            continue
        yield from _trial_items(study, trial, timezone, where)


def _trial_items(study: OptunaStudy, trial: OptunaTrial, timezone: tzinfo | None, where: str) -> Iterator[SourceItem]:
    """The records of a trial that started."""
    assert trial.start is not None
    start = utc_time_text(trial.start, timezone, where)
    run, objectives = optuna_run_id(study.name, trial.number, start), optuna_objectives(study.names, len(study.directions))
    about = {"trial": trial.number, "directions": study.directions, "attributes": trial.attributes}
    yield CarriedRecord(
        {"kind": "run", "run": run, "at": start, "event": "start", "params": trial.params, "study": study.name, **about},
        {"trials": 1, "parameters": len(trial.params), "attributes": len(trial.attributes)},
    )
    for step, value in sorted(trial.steps.items()):
        record = {"kind": "step", "run": run, "at": start, "step": step, "metrics": {objectives[0]: value}, "time_of": "trial start"}
        yield CarriedRecord(record, {"intermediate values": 1})
    if trial.state in STATES:
        named = zip(objectives, trial.values)
        end = {"kind": "run", "run": run, "event": "end", "study": study.name, "status": STATES[trial.state], "metrics": dict(named)}
        at = utc_time_text(trial.complete, timezone, where) if trial.complete else start
        yield CarriedRecord(end | {"at": at}, {"objective values": len(trial.values)})
    elif trial.values:
        message = f"trial {trial.number} of study {study.name} has values but did not end"
        yield RefusedEntries("objective values", "not_ended", message, len(trial.values))


def _sqlite_studies(path: Path) -> tuple[list[OptunaStudy], bool]:
    """The studies of an SQLite storage, and whether its times are local times."""
    with read_only_sqlite(path, TABLES, "Optuna") as connection:
        (version,) = query_rows(connection, "SELECT library_version FROM version_info")[0]
        studies = {row["study_id"]: OptunaStudy(row["study_name"]) for row in query_rows(connection, "SELECT * FROM studies")}
        for row in query_rows(connection, "SELECT * FROM study_directions ORDER BY objective"):
            studies[row["study_id"]].directions.append(row["direction"].lower())
        for row in query_rows(connection, "SELECT study_id, count(*) AS found FROM study_user_attributes GROUP BY study_id"):
            studies[row["study_id"]].attributes = row["found"]
        for row in query_rows(connection, "SELECT * FROM study_system_attributes WHERE key = 'study:metric_names'"):
            studies[row["study_id"]].names = json.loads(row["value_json"])
        trials: dict[int, OptunaTrial] = {}
        for row in query_rows(connection, "SELECT * FROM trials ORDER BY trial_id"):
            trials[row["trial_id"]] = OptunaTrial(row["number"], row["state"], row["datetime_start"], row["datetime_complete"])
            studies[row["study_id"]].trials.append(trials[row["trial_id"]])
        for row in query_rows(connection, "SELECT * FROM trial_params ORDER BY param_id"):
            trials[row["trial_id"]].params[row["param_name"]] = parameter_value(row["param_value"], row["distribution_json"])
        for row in query_rows(connection, "SELECT * FROM trial_values ORDER BY objective"):
            trials[row["trial_id"]].values.append(_finite_or_named(row["value"], row["value_type"]))
        for row in query_rows(connection, "SELECT * FROM trial_intermediate_values"):
            value = _finite_or_named(row["intermediate_value"], row["intermediate_value_type"])
            trials[row["trial_id"]].steps[row["step"]] = value
        for row in query_rows(connection, "SELECT * FROM trial_user_attributes"):
            trials[row["trial_id"]].attributes[row["key"]] = json.loads(row["value_json"])
    return list(studies.values()), int(str(version).split(".")[0]) < UTC_FROM


def _finite_or_named(value: float | None, kind: str) -> float:
    """A stored value. Infinities and NaN are stored as names, and become numbers again."""
    named = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}
    return named.get(kind, math.nan if value is None else value)


def parameter_value(internal: float, distribution: str) -> Any:
    """The value of a parameter as the objective function got it: a choice, a whole number or a number."""
    body = json.loads(distribution)
    name, about = str(body.get("name", "")), body.get("attributes", {})
    if name == "CategoricalDistribution":
        return about["choices"][int(internal)]
    return int(internal) if name.startswith("Int") else internal


def _journal_studies(path: Path) -> list[OptunaStudy]:
    """The studies of a journal file, found by replaying its operations. Raises UsageError if a line is not an operation."""
    journal = _Journal()
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    journal.apply(json.loads(line))
                except (ValueError, KeyError, TypeError, IndexError) as error:
                    if number > 1 and not line.endswith("\n"):  # the line is still being written
                        break
                    what = "this is not an Optuna storage" if number == 1 else "the journal is damaged"
                    got = f"{type(error).__name__}: {error_line(error)}"
                    raise UsageError(what, where=f"{path.name}, line {number}", got=got, expected="SQLite or a journal") from None
    except UnicodeDecodeError:
        raise UsageError("this is not an Optuna storage", where=path.name, got="binary data", expected="SQLite or a journal") from None
    if not journal.created:
        raise UsageError("the journal holds no study", where=path.name)
    return list(journal.studies.values())


class _Journal:
    """The state after the operations of a journal. Studies and trials are numbered from 0 in the order of their creation.

    created: number of studies that were ever created. trials: the trials of all studies, including deleted studies.
    """

    def __init__(self) -> None:
        self.created = 0
        self.studies: dict[int, OptunaStudy] = {}
        self.trials: list[OptunaTrial] = []

    def apply(self, entry: dict[str, Any]) -> None:
        """Apply one operation; raises KeyError, TypeError, ValueError or IndexError if it is not valid."""
        operation = entry["op_code"]
        if operation == 0:
            self._create_study(entry)
        elif operation == 1:
            self.studies.pop(entry["study_id"], None)
        elif operation in (2, 3, 4):
            if (study := self.studies.get(entry["study_id"])) is not None:
                {2: self._set_attribute, 3: self._set_names, 4: self._create_trial}[operation](study, entry)
        elif operation in (5, 6, 7, 8):
            trial = self.trials[entry["trial_id"]]
            if trial.state not in STATES:  # a trial that has ended is not changed
                {5: self._set_parameter, 6: self._set_state, 7: self._set_step, 8: self._set_trial_attribute}[operation](trial, entry)

    def _create_study(self, entry: dict[str, Any]) -> None:
        if entry["study_name"] not in [study.name for study in self.studies.values()]:
            directions = [{1: "minimize", 2: "maximize"}.get(direction, "not_set") for direction in entry["directions"]]
            self.studies[self.created] = OptunaStudy(entry["study_name"], directions)
            self.created += 1

    def _set_attribute(self, study: OptunaStudy, entry: dict[str, Any]) -> None:
        study.attributes += len(entry["user_attr"])

    def _set_names(self, study: OptunaStudy, entry: dict[str, Any]) -> None:
        study.names = list(entry["system_attr"].get("study:metric_names") or study.names)

    def _create_trial(self, study: OptunaStudy, entry: dict[str, Any]) -> None:
        distributions = entry.get("distributions", {})
        value = entry.get("value")
        trial = OptunaTrial(
            len(study.trials),
            JOURNAL_STATES[entry.get("state", 0)],
            entry.get("datetime_start"),
            entry.get("datetime_complete"),
            {name: parameter_value(internal, distributions[name]) for name, internal in entry.get("params", {}).items()},
            list(entry.get("values") or ([] if value is None else [value])),
            {int(step): held for step, held in entry.get("intermediate_values", {}).items()},
            dict(entry.get("user_attrs", {})),
        )
        study.trials.append(trial)
        self.trials.append(trial)

    def _set_parameter(self, trial: OptunaTrial, entry: dict[str, Any]) -> None:
        trial.params[entry["param_name"]] = parameter_value(entry["param_value_internal"], entry["distribution"])

    def _set_state(self, trial: OptunaTrial, entry: dict[str, Any]) -> None:
        state = JOURNAL_STATES[entry["state"]]
        if state == trial.state == "RUNNING":
            return
        trial.state, trial.values = state, list(entry["values"] or trial.values)
        trial.start, trial.complete = entry.get("datetime_start") or trial.start, entry.get("datetime_complete") or trial.complete

    def _set_step(self, trial: OptunaTrial, entry: dict[str, Any]) -> None:
        trial.steps[int(entry["step"])] = entry["intermediate_value"]

    def _set_trial_attribute(self, trial: OptunaTrial, entry: dict[str, Any]) -> None:
        trial.attributes |= entry["user_attr"]
