"""The energy forecast of a training run that has not ended, computed as on the page Energy."""

from collections.abc import Sequence

import pandas as pd

from observability.analyzers.training.runs import RunVerdict
from observability.core.time import naive_utc
from observability.core.window import EPOCH, Window
from observability.dashboard import load
from observability.dashboard.training.runs import NAMELESS, is_run_active, records_of_energy, run_claim_line, settings_of_model
from observability.detection.run_claims import RunClaim
from observability.detection.running_energy import forecasts_of_running
from observability.metrics.energy import RESOURCES
from observability.metrics.prices import PRICES, PriceScope
from observability.metrics.run_energy import training_run_energy
from observability.metrics.training_curves import TrainingRun


def forecast_line(judged: RunVerdict, everything: Sequence[RunVerdict]) -> None:
    """Draw the energy forecast of a run that is active and has readings. Draws nothing for any other run."""
    if is_run_active(judged) and (claim := run_forecast(judged, everything)) is not None:
        run_claim_line(claim)


def run_forecast(judged: RunVerdict, everything: Sequence[RunVerdict]) -> RunClaim | None:
    """The claim about the energy forecast of a run; None if there is no forecast. everything: all runs, with their steps that were read."""
    model = judged.run.model or ""
    alike = {each.run.name: each.run for each in everything if (each.run.model or "") == model} | {judged.run.name: judged.run}
    runs, readings = records_of_energy(everything)
    own = {name: rows[rows["run"].isin(alike)] for name, rows in (("runs", runs), ("readings", readings))}
    place, now = PriceScope(model, settings_of_model(model)), load.page_clock()
    prices = load.ask_store(PRICES, Window(model or NAMELESS, EPOCH, now))
    known = training_run_energy(own["runs"], own["readings"], prices, place)
    records = own | {"steps": steps_frame(list(alike.values()))}
    found = forecasts_of_running(known, {judged.run.name}, records, naive_utc(load.no_later_than_now(now)), place.settings, RESOURCES.rows)
    return next(found, None)


def steps_frame(runs: Sequence[TrainingRun]) -> pd.DataFrame:
    """The steps that were read for some runs, one row per step: run, at, step, stride."""
    parts = [pd.DataFrame({"run": each.name, "at": each.step_times, "step": each.step_numbers, "stride": each.stride}) for each in runs]
    return pd.concat(parts, ignore_index=True)
