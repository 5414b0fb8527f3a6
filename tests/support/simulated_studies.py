"""Simulated hyperparameter searches: random settings, a smooth optimum inside their ranges, median pruning, several seeds of one setting,
and a test error.
"""

from datetime import UTC, datetime, timedelta

import numpy as np

from observability.metrics.training_curves import MetricCurve, TrainingRun

START = datetime(2026, 3, 2, tzinfo=UTC)
METRIC = "validation_log_loss"


def simulated_study(
    rng: np.random.Generator, *, trials: int = 70, seeds: int = 8, test: bool = False, name: str = "search"
) -> list[TrainingRun]:
    """The runs of a search without faults, with pruning from the sixth trial on. test: each run that was not pruned also logs a
    test error.
    """
    found: list[TrainingRun] = []
    best, noise = rng.uniform(0.25, 0.75, 2), float(rng.uniform(0.002, 0.006))
    whole: list[np.ndarray] = []
    for place in range(trials + seeds):
        repeat = place >= trials
        place_in = np.array([0.5, 0.5]) if repeat else rng.uniform(0, 1, 2)
        params = {"learning_rate": round(float(10 ** (-3 + 2 * place_in[0])), 6), "dropout": round(float(place_in[1]), 5), "layers": 3}
        level = 0.4 + 0.15 * float(((place_in - best) ** 2).sum()) + float(rng.normal(0, noise))
        steps = np.arange(1, 25)
        values = level + 0.3 * np.exp(-steps / float(rng.uniform(4, 6))) + rng.normal(0, noise / 3, 24)
        stop = None
        if not repeat and place >= 6:
            worse = [step for step in range(8, 24, 6) if values[step] > np.median([each[step] for each in whole])]
            stop = worse[0] if worse else None
        status = "pruned" if stop is not None else "failed" if rng.random() < 0.02 else "finished"
        if status == "finished":
            whole.append(values)
        kept = 24 if stop is None else stop + 1
        started = START + timedelta(minutes=place)
        at = np.array([np.datetime64((started + timedelta(seconds=int(step))).replace(tzinfo=None), "us") for step in steps[:kept]])
        curve = MetricCurve(METRIC, steps[:kept], values[:kept], at, np.zeros(0, int), None)
        final = {METRIC: float(values[kept - 1])} if status == "finished" else {}
        if test and final:
            final["test_log_loss"] = final[METRIC] * float(np.exp(rng.normal(0.03, 0.03)))
        ended = started + timedelta(seconds=kept + 1)
        found.append(
            TrainingRun(
                f"{name}-{place:02}",
                "loan",
                None,
                name,
                None,
                status,
                str(place if repeat else 1),
                params,
                {},
                final,
                started,
                ended,
                ended,
                kept,
                (),
                {METRIC: curve},
                step_times=at,
            )
        )
    return found
