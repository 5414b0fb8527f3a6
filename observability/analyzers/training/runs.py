"""Did training runs go well: curves without accidents, no overfitting, no process that holds up the others, and an end?

Judged are the runs with a record in the window, each on all of its steps (the newest 50,000 of the store). Findings: a value that is not finite, a
spike, divergence, a plateau, overfitting, a rank slower than its peers, a run that failed or fell silent; and of a study, how far chance alone moves
its metric. Nothing is compared with a reference: each curve is held against its own noise and progress, each rank against its peers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Analyzer, Ask, Context, Frames
from observability.core.finding import Finding, needs_action
from observability.core.questions import Records
from observability.core.time import naive_utc
from observability.core.window import EPOCH, Window
from observability.detection.curve_checks import claims_of
from observability.detection.run_claims import Claim
from observability.detection.run_state import claim_about_state
from observability.detection.stragglers import claims_about_ranks
from observability.detection.study_noise import claims_about_studies
from observability.metrics.training_curves import Run, gather

if TYPE_CHECKING:
    from pandas import DataFrame

NAME = "training/runs"
MOST_RUNS, MOST_STEPS = 20_000, 50_000
MOST_JUDGED = 200
STEP_COLUMNS = ("run", "at", "step", "metrics", "rank", "host", "phase_ms")


def needs(context: Context) -> dict[str, Ask]:
    """Starts and ends of runs and their newest steps, whenever they came; when devices of a run last reported in the window."""
    return {
        "runs": Ask(Records("run", ever=True, rows=MOST_RUNS)),
        "steps": Ask(Records("step", STEP_COLUMNS, ever=True, rows=MOST_STEPS)),
        "resources": Ask(Records("resource", ("run", "at"), rows=MOST_STEPS)),
    }


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """What each run with a record in the window says, and each study with such a run."""
    runs, steps = frames["runs"], frames["steps"]
    resources = frames["resources"][frames["resources"]["run"].notna()]
    start = naive_utc(context.window.start)
    recent = {str(run) for each in (runs, steps, resources) for run in each.loc[each["at"] >= start, "run"]}
    studies = set(runs.loc[runs["run"].isin(recent), "study"].dropna())
    looked_at = recent | set(runs.loc[runs["study"].isin(studies), "run"])
    told = gather(runs[runs["run"].isin(looked_at)], steps[steps["run"].isin(looked_at)], resources, oldest_read(steps))
    found = [finding(context, each, run) for run in told if run.name in recent for each in judge(run, context.now)]
    return found + [finding(context, each, run) for each, run in claims_about_studies(told)]


@dataclass(frozen=True)
class Judged:
    """A run with all that is claimed about it; None where it was not judged, being older than many others."""

    run: Run
    claims: tuple[Claim, ...] | None


def everything(ask: Callable[[Records, Window], "DataFrame"], model: str, now: datetime) -> tuple[Judged, ...]:
    """Every run of a model ("": of all), the newest record first, as the page lists them; the newest 200 are judged. ask: answers a question."""
    context = Context(EVERY_MODEL, NO_VERSION, Window(model, EPOCH, now), now)
    frames = {
        name: ask(wanted.aggregate, context.window) for name, wanted in needs(context).items() if isinstance(wanted.aggregate, Records)
    }
    resources = frames["resources"][frames["resources"]["run"].notna()]
    found = gather(frames["runs"], frames["steps"], resources, oldest_read(frames["steps"]))
    newest = sorted(found, key=lambda run: (run.last, run.name), reverse=True)
    return tuple(Judged(run, tuple(judge(run, now)) if place < MOST_JUDGED else None) for place, run in enumerate(newest))


def oldest_read(steps: "DataFrame") -> Any:
    """The time of the oldest step that was read, where there may be older ones that were not; None where all of them were."""
    return steps["at"].min() if len(steps) >= MOST_STEPS else None


def judge(run: Run, now: datetime) -> list[Claim]:
    """Everything that is claimed about one run."""
    state = claim_about_state(run, now)
    return [*([state] if state else []), *claims_of(run), *claims_about_ranks(run)]


def finding(context: Context, claim: Claim, run: Run) -> Finding:
    """A claim as a finding about the run's model."""
    blank = context.undecided(NAME, claim.subject or f"run:{run.name}", claim.metric, claim.n, claim.because, against=claim.against)
    return replace(
        blank, model=run.model, version=run.version, value=claim.value, low=claim.low, high=claim.high, limit=claim.limit,
        severity=claim.severity, onset=claim.onset, likely_source=claim.source if needs_action(claim.severity) else None,
        rank=claim.rank, evidence=claim.evidence,
    )  # fmt: skip


def worst(claims: Sequence[Claim]) -> Claim | None:
    """The claim that a person should read first; None where there is none."""
    order = ("act", "watch", "unknown", "ok")
    return min(claims, key=lambda each: (order.index(each.severity), -each.rank), default=None)


ANALYZER = Analyzer(NAME, "Did training runs go well, and does one process hold up the others?", needs, analyze, about="records")
