"""Forecasts, as claims, the energy of training runs that still report, with the help of earlier runs of their kind."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from observability.core.finding import needs_action
from observability.core.numerals import with_si_prefix
from observability.core.settings import ModelSettings
from observability.core.time import aware_utc
from observability.detection.run_claims import RunClaim
from observability.detection.run_energy import run_energy_change
from observability.detection.run_energy_forecast import RunEnergyForecast, progress_of_runs, run_energy_forecast, stated_steps
from observability.detection.study_noise import MIN_RUNS, setting_text
from observability.metrics.training_curves import FINISHED

if TYPE_CHECKING:
    from pandas import DataFrame

MAX_RUNS = 10
"""Maximum number of runs that get a claim; the newest runs are chosen."""


def forecasts_of_running(
    known: "DataFrame", running: set[str], records: Mapping[str, "DataFrame"], now: datetime, settings: ModelSettings, most: int
) -> Iterator[RunClaim]:
    """Yield the claim about the forecast energy of each run that still reports, newest first, at most MAX_RUNS.

    known: energy so far of all runs of a model (`training_run_energy`); running: runs without an end. records: `runs`, `steps` and
    `readings` of the model, each read up to its maximum. now: naive UTC. The claim is a warning if a run will use significantly more energy
    than earlier runs.
    """
    runs, readings = records["runs"], records["readings"]
    going = known[known["run"].isin(running) & known["wh"].gt(0)]
    if len(readings) >= most:
        going = going[going["started"] >= readings["at"].min()]
    newest = going.sort_values(["started", "run"], ascending=[False, True]).to_dict("records")
    complete, alike = completely_read(known, runs, readings, most), settings_of_runs(runs)
    before = {each["run"]: runs_alike(complete, alike, each) for each in newest}
    progress = progress_of_runs(records["steps"], readings, {*before, *(name for own in before.values() for name in own["run"])})
    params = {str(name): stated for name, stated in zip(runs["run"], runs["params"], strict=True) if isinstance(stated, dict)}
    for each in [each for each in newest if each["run"] in progress and progress[each["run"]].is_reporting(now)][:MAX_RUNS]:
        earlier = before[each["run"]]
        others = [progress[name] for name in earlier["run"] if name in progress]
        ahead = run_energy_forecast(progress[each["run"]], others, stated_steps(params.get(each["run"])))
        yield forecast_claim(each, ahead, earlier["wh"].tolist(), settings)


def forecast_claim(run: Mapping[Any, Any], ahead: RunEnergyForecast, earlier: list[float], settings: ModelSettings) -> RunClaim:
    """Return the claim about the forecast energy of a run. earlier: the energy of earlier runs of its kind, Wh."""
    metric, subject = "run_energy_forecast", f"run:{run['run']}"
    drawn = f"it has drawn {with_si_prefix(float(run['wh']), 'Wh')} ({run['source']}) after {ahead.done:,}"
    if ahead.lacks:
        because = f"The energy of running run `{run['run']}` cannot be forecast: {ahead.lacks}; {drawn} steps."
        return RunClaim(metric, ahead.done, "unknown", because, against="past", subject=subject)
    wh = float(run["wh"]) / float(run["joules"])
    value = wh * ahead.joules
    evidence = {
        "source": run["source"],
        "so_far": float(run["wh"]),
        "steps": ahead.done,
        "total_steps": ahead.total,
        "earlier_runs": ahead.n,
    }
    said, drawn = f"Run `{run['run']}` is forecast to draw {with_si_prefix(value, 'Wh')}", f"{drawn} of {ahead.total:,} steps"
    if ahead.low is None or ahead.high is None:
        lacking = max(MIN_RUNS - ahead.n, 1)
        more = f"it needs about {lacking} more earlier {'run' if lacking == 1 else 'runs'} with the same parameters"
        because = f"{said}; {drawn}; no interval yet: {more}."
        return RunClaim(metric, ahead.done, "unknown", because, value, against="past", subject=subject, evidence=evidence)
    low, high = wh * ahead.low, wh * ahead.high
    surely = run_energy_change(low, earlier, settings)
    beyond = needs_action(surely.severity)
    return RunClaim(
        metric,
        ahead.done,
        "watch" if beyond else "ok",
        f"{said} ({with_si_prefix(low, 'Wh')} to {with_si_prefix(high, 'Wh')}), {value / float(surely.usual or value):.2f} times "
        f"that of {surely.n} earlier runs with the same parameters; {drawn}.",
        value,
        low,
        high,
        surely.limit,
        against="past",
        onset=started_at(run["started"]) if beyond else None,
        source="system" if beyond else None,
        rank=3.5,
        subject=subject,
        evidence=evidence | {"baseline": surely.usual},
    )


def started_at(at: Any) -> datetime | None:
    """Return a stored time as an instant; None if it is missing."""
    return None if at is None or at != at else aware_utc(at.to_pydatetime())


def settings_of_runs(runs: "DataFrame") -> dict[str, str]:
    """Return the parameters of each run as one text, without the random seed. If a run states no parameters, the text names its study."""
    found: dict[str, str] = {}
    for name, study, params in zip(runs["run"], runs["study"], runs["params"], strict=True):
        stated = setting_text(params) if isinstance(params, dict) and params else "" if study is None else f"study {study}"
        found[str(name)] = max(found.get(str(name), ""), stated)
    return found


def completely_read(drew: "DataFrame", runs: "DataFrame", readings: "DataFrame", most: int) -> "DataFrame":
    """Return the finished runs of which all readings were read. Only the newest `most` readings of the model were read."""
    failed = {str(name) for name, status in zip(runs["run"], runs["status"], strict=True) if status and status.lower() not in FINISHED}
    kept = drew[drew["ended"].notna() & ~drew["run"].isin(failed)]
    return kept[kept["started"] >= readings["at"].min()] if len(readings) >= most else kept


def runs_alike(complete: "DataFrame", alike: Mapping[str, str], run: Mapping[Any, Any]) -> "DataFrame":
    """Return the complete runs with the same parameters as a run and energy from the same kind of source. alike: parameters by run."""
    return complete[
        (complete["source"] == run["source"]) & (complete["run"].map(alike.get) == alike.get(run["run"])) & complete["wh"].notna()
    ]
