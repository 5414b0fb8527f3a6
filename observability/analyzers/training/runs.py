"""Check training runs: curves, overfitting, stragglers and run state.

Runs with a record in the window are judged on all of their steps. If a run has more than 12,500 records of steps, or more than its share of
50,000, only some are read: evenly spread steps (with all ranks), the last step, and the first and the last step with a non-finite value;
its ranks are compared over blocks of all steps. Findings: a non-finite value, a spike, divergence, a plateau, overfitting, gradients that
vanish or explode, dead units, updates and learning rates out of proportion, a result that is too good too fast, messages of the job itself,
an idle, hot, throttled or full device, a device that differs from its peers or from earlier runs of its kind, a rank slower than its peers,
a run that failed or was lost; and for a study, how far chance alone moves its metric, and whether the search went wrong
(`detection/study_checks.py`). Nothing is compared with a reference: each curve is compared with its own noise and progress, each rank with
its peers.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Analyzer, Ask, Context, Frames
from observability.core.finding import SEVERITIES, Finding, needs_action
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.detection.curve_checks import claims_of, of_search_trial
from observability.detection.device_figures import RunReadings, readings_of_runs, use_of_run
from observability.detection.device_past import claims_about_own_past
from observability.detection.device_peers import claims_about_peers
from observability.detection.run_claims import RunClaim
from observability.detection.run_devices import claims_about_devices
from observability.detection.run_state import claim_about_state
from observability.detection.stragglers import claims_about_ranks, read_steps_note
from observability.detection.study_checks import claims_about_searches
from observability.detection.study_noise import claims_about_studies, parameters_text
from observability.detection.study_results import MIN_TRIALS
from observability.detection.training_signals import claims_of_alerts
from observability.metrics.training_curves import TrainingRun, runs_from_records
from observability.proofs.records import RUN_PROOFS

if TYPE_CHECKING:
    from pandas import DataFrame

NAME = "training/runs"
MAX_RUNS, MAX_STEPS, MAX_EVENTS = 20_000, 50_000, 20_000
MAX_JUDGED = 200
MAX_STEPS_A_RUN = 12_500
"""If a run has at most this many step records, each step is read."""
RESOURCE_COLUMNS = ("run", "at", "model", "device", "host", "watts", "utilisation", "temperature_c", "memory_gb")
BLOCK_COLUMNS = ("run", "at", "step", "rank", "phase_ms")
STEP_COLUMNS = ("run", "at", "step", "metrics", "rank", "host", "device", "phase_ms", "batch")


JUDGED = "judged_runs"
"""If the context holds a function under this name, it returns all judged runs, and no frames are needed."""


def needs(context: Context) -> dict[str, Ask]:
    """Ask for starts and ends of all runs, their newest steps, messages of the jobs, and the newest device readings."""
    if JUDGED in context.counters:
        return {}
    return {
        "runs": Ask(Records("run", ever=True, rows=MAX_RUNS)),
        "steps": Ask(Records("step", STEP_COLUMNS, ever=True, rows=MAX_STEPS, spread=MAX_STEPS_A_RUN)),
        "blocks": Ask(Records("step", BLOCK_COLUMNS, ever=True, blocks=True)),
        "resources": Ask(Records("resource", RESOURCE_COLUMNS, ever=True, rows=MAX_STEPS)),
        "events": Ask(Records("event", ("run", "at", "text"), ever=True, rows=MAX_EVENTS)),
    }


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return the findings of each run with a record in the window, and of each study with such a run."""
    judged = context.counters[JUDGED]() if JUDGED in context.counters else JudgedRuns(frames)
    by_name = sorted(judged.runs, key=lambda run: run.name)
    recent = [run for run in by_name if run.last >= context.window.start]
    studies = {run.study for run in recent if run.study}
    told = [run for run in by_name if run.last >= context.window.start or run.study in studies]
    found = [run_finding(context, each, run) for run in recent for each in judged.claims(run, context.now)]
    return found + [run_finding(context, each, run) for each, run in (*claims_about_studies(told), *claims_about_searches(told))]


@dataclass(frozen=True)
class RunVerdict:
    """A run with its claims. claims: None if the run was not judged because there are MAX_JUDGED newer runs."""

    run: TrainingRun
    claims: tuple[RunClaim, ...] | None


class JudgedRuns:
    """All runs of the records, newest record first. Each run is judged when its claims are first read. Several threads may use the object.

    frames: the answers to the queries of `needs`. searches: the number of runs of each study that is a search, if the records do not show
    it. earlier: whether the records include earlier runs.
    """

    def __init__(self, frames: Frames, searches: Mapping[str, int] | None = None, *, earlier: bool = True) -> None:
        resources = frames["resources"][frames["resources"]["run"].notna()]
        found = runs_from_records(frames["runs"], frames["steps"], resources, frames["events"], frames.get("blocks"))
        self.runs = tuple(sorted(found, key=lambda run: (run.last, run.name), reverse=True))
        self._searches = search_sizes(found) if searches is None else searches
        self._readings = readings_of_runs(found, resources, earlier=earlier)
        self._known: dict[str, list[RunClaim]] = {}
        self._lock = threading.Lock()

    def claims(self, run: TrainingRun, now: datetime) -> list[RunClaim]:
        """Return all claims about one of the runs. now: the time up to which missing records count as silence."""
        with self._lock:
            if run.name not in self._known:
                trials = self._searches.get(run.study or "", 0)
                self._known[run.name] = claims_about_run(run, trials, self._readings.get(run.name))
        state = claim_about_state(run, now)
        return [*([state] if state else []), *self._known[run.name]]

    def verdicts(self, now: datetime) -> tuple[RunVerdict, ...]:
        """Return every run, newest record first. The newest MAX_JUDGED runs have claims."""
        newest, others = self.runs[:MAX_JUDGED], self.runs[MAX_JUDGED:]
        return (*(RunVerdict(run, tuple(self.claims(run, now))) for run in newest), *(RunVerdict(run, None) for run in others))


def judged_runs(
    ask: Callable[[Records, Window], "DataFrame"],
    model: str,
    end: datetime,
    names: Sequence[str] | None = None,
    searches: Mapping[str, int] | None = None,
) -> JudgedRuns:
    """Return every run of a model ("": of all models), from its records up to an instant.

    ask: answers a query. names: read only these runs. searches: the number of runs of each search, because these runs alone do not show it.
    """
    only = () if names is None else (("run", tuple(names)),)
    context = Context(EVERY_MODEL, NO_VERSION, Window(model, EPOCH, end), end)
    frames = {
        name: ask(replace(wanted.aggregate, only=only), context.window)
        for name, wanted in needs(context).items()
        if isinstance(wanted.aggregate, Records)
    }
    return JudgedRuns(frames, searches, earlier=names is None)


def search_sizes(runs: Sequence[TrainingRun]) -> dict[str, int]:
    """Return the number of runs of each study that is a search: MIN_TRIALS settings or more."""
    settings: dict[str, set[str]] = {}
    for run in runs:
        if run.study:
            settings.setdefault(run.study, set()).add(parameters_text(run))
    return {study: sum(run.study == study for run in runs) for study, own in settings.items() if len(own) >= MIN_TRIALS}


def claims_about_run(run: TrainingRun, trials: int = 0, readings: RunReadings | None = None) -> list[RunClaim]:
    """Return all claims about one run except the claim about its state. trials: number of runs of the search to which it belongs, 0 if it
    belongs to none. readings: the readings of its devices.
    """
    of_steps = claims_of(run) if run.is_read else [claim_about_unread_steps(run)]
    of_ranks = claims_about_ranks(run) if run.is_read else []
    found = [
        *claims_of_alerts(run),
        *(replace(each, because=f"{each.because}{read_steps_note(run.stride)}") for each in of_steps),
        *of_ranks,
    ]
    found += device_claims_of(run, readings) if readings is not None else []
    return [of_search_trial(each, trials) for each in found] if trials else found


def claim_about_unread_steps(run: TrainingRun) -> RunClaim:
    """Return the claim that the steps of a run were not judged. They were not read, because newer runs have too many steps."""
    because = f"The curves of run `{run.name}` were not judged: newer runs have so many steps that its steps were not read."
    return RunClaim("best_metric", run.steps, "unknown", because)


def device_claims_of(run: TrainingRun, readings: RunReadings) -> list[RunClaim]:
    """Return the claims about the devices of a run, compared with limits, with their peers at the same time, and with earlier runs of its
    kind.
    """
    before, use = readings.earlier, use_of_run(run)
    found = [*claims_about_devices(run, readings.rows), *claims_about_peers(use, readings.rows, before[-1] if before else None)]
    return found if before is None else [*found, *claims_about_own_past(use, readings.figures, before)]


def run_finding(context: Context, claim: RunClaim, run: TrainingRun) -> Finding:
    """Return a claim as a finding about the run's model."""
    blank = context.undecided(NAME, claim.subject or f"run:{run.name}", claim.metric, claim.n, claim.because, against=claim.against)
    return replace(
        blank,
        model=run.model,
        version=run.version,
        value=claim.value,
        low=claim.low,
        high=claim.high,
        limit=claim.limit,
        severity=claim.severity,
        onset=claim.onset,
        news="new" if is_new_with_run(claim, run, context) else None,
        likely_source=claim.source if needs_action(claim.severity) else None,
        rank=claim.rank,
        evidence=({"stride": run.stride} if run.stride > 1 else {}) | claim.evidence,
    )


def is_new_with_run(claim: RunClaim, run: TrainingRun, context: Context) -> bool:
    """Return whether a claim needs action and is about a run that began in the window, or about a part of it."""
    about_run = claim.subject is None or claim.subject.startswith("run:")
    began = run.started is not None and run.started >= context.window.start
    return about_run and began and claim.onset is None and needs_action(claim.severity)


def worst_claim(claims: Sequence[RunClaim]) -> RunClaim | None:
    """Return the most severe claim; of equally severe claims, the one with the highest rank. None without claims."""
    return min(claims, key=lambda each: (SEVERITIES.index(each.severity), -each.rank), default=None)


ANALYZER = Analyzer(
    NAME, "Did training runs go well, and does one process hold up the others?", needs, analyze, about="records", proofs=RUN_PROOFS
)
