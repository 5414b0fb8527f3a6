"""Callbacks that record a training run of another library as run and step records.

Each function takes a `TrackedRun` (observability.client.runs) and returns the kind of callback that the library needs. A library is
imported only when its callback is made. No callback raises into the training; a value that is not a number is left out.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from observability.client.encode import format_time
from observability.client.log import Logger
from observability.client.runs import TrackedRun


def metric_numbers(values: Mapping[Any, Any] | None, prefix: str = "") -> dict[str, float]:
    """The numeric values as floats, by name; tensors and arrays of one number count as numeric. All other values are left out."""
    found: dict[str, float] = {}
    for name, value in (values or {}).items():
        if isinstance(value, str | bytes | bool) or value is None:
            continue
        try:
            found[f"{prefix}{name}"] = float(value)
        except Exception:  # noqa: S112 - a foreign object may raise anything, and the training goes on
            continue
    return found


def record_step(run: TrackedRun, step: int, metrics: Mapping[str, float], rank: int | None = None) -> bool:
    """Write the metrics of a step, whatever their names. Returns True once the step is written, False if there is no metric."""
    return bool(metrics) and run.log.record("step", run=run.run, step=int(step), metrics=metrics, rank=run.rank if rank is None else rank)


def lightgbm_callback(run: TrackedRun, every: int = 1) -> Callable[[Any], None]:
    """A callback for `lightgbm.train(…, callbacks=[…])` and `fit(…, callbacks=[…])`. For every n-th tree, it writes a step with each metric
    of each dataset.

    The last values are the run's final metrics. For `lightgbm.cv`, the means over the folds are recorded.
    """

    def after_iteration(env: Any) -> None:
        results = {f"{part}/{metric}": value for part, metric, value, *_ in env.evaluation_result_list or ()}
        metrics, step = metric_numbers(results), env.iteration + 1
        if step % every == 0 or step == env.end_iteration:
            record_step(run, step, metrics)
        run.metrics(**metrics)

    return after_iteration


def xgboost_callback(run: TrackedRun, every: int = 1) -> Any:
    """A callback for `xgboost.train(…, callbacks=[…])` and the `callbacks` of its estimators. For every n-th round, it writes a step with
    each metric of each dataset. The last values are the run's final metrics.
    """
    from xgboost.callback import TrainingCallback

    class RecordRounds(TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Mapping[str, Mapping[str, list[Any]]]) -> bool:
            del model
            last = {f"{part}/{name}": values[-1] for part, metrics in evals_log.items() for name, values in metrics.items() if values}
            metrics = metric_numbers({name: value[0] if isinstance(value, tuple) else value for name, value in last.items()})
            if (epoch + 1) % every == 0:
                record_step(run, epoch + 1, metrics)
            run.metrics(**metrics)
            return False

    return RecordRounds()


FITTED_CURVES = {
    "train_score_": "train/score",
    "validation_score_": "validation/score",
    "loss_curve_": "train/loss",
    "validation_scores_": "validation/score",
    "oob_scores_": "oob/score",
}
"""Attributes of fitted scikit-learn estimators that hold a value for each iteration, and the name of the metric."""


def record_fit(run: TrackedRun, estimator: Any, **final: object) -> int:
    """Record the training curve that a fitted scikit-learn estimator has stored, with a step for each iteration. Returns the number of
    steps.

    Gradient boosting, its histogram variant and multi-layer perceptrons store a curve. The `train_score_` of gradient boosting is a loss,
    so it is recorded as a loss. For a pipeline, the last step is recorded. final: metrics of the run, for instance a score on held-out
    rows.
    """
    last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    curves: dict[str, list[float]] = {}
    for attribute, name in FITTED_CURVES.items():
        values = getattr(last, attribute, None)
        if values is None or not len(values):
            continue
        is_loss = attribute == "train_score_" and type(last).__name__.startswith("GradientBoosting")
        curves["train/loss" if is_loss else name] = [float(value) for value in values]
    steps = max(map(len, curves.values()), default=0)
    for place in range(steps):
        record_step(run, place + 1, {name: values[place] for name, values in curves.items() if place < len(values)})
    run.metrics(**metric_numbers(final))
    return steps


def record_search(search: Any, log: Logger, study: str, model: str | None = None, version: str | None = None) -> list[str]:
    """Record a fitted GridSearchCV or RandomizedSearchCV. Each candidate becomes a run of the study, with its mean scores. Returns the ids
    of the runs.

    scikit-learn does not store when a candidate was fitted, so the start and end of each run are the time of the call.
    """
    results, runs = search.cv_results_, []
    for place, params in enumerate(results["params"]):
        run = uuid.uuid4().hex
        scores = {
            name.removeprefix("mean_"): results[name][place]
            for name in results
            if name.startswith(("mean_test_", "mean_train_", "mean_fit_time"))
        }
        named = {"model": model, "version": version, "study": study}
        log.record("run", run=run, event="start", params=params, candidate=place, **named)
        log.record("run", run=run, event="end", status="finished", metrics=metric_numbers(scores), **named)
        runs.append(run)
    log.flush()
    return runs


OPTUNA_STATES = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}


def optuna_run_id(study: str, number: int, start: object) -> str:
    """The id of the run for a trial. start: RFC 3339 in UTC with microseconds, as returned by `format_time`."""
    digest = hashlib.sha256(json.dumps([study, number, str(start)]).encode()).hexdigest()[:8]
    return f"{study}-{number}-{digest}"


def optuna_objectives(named: Iterable[str] | None, count: int) -> list[str]:
    """The names of a study's objectives: its own names, else `objective`, or `objective_0` and so on if there are several."""
    return list(named or ()) or (["objective"] if count < 2 else [f"objective_{place}" for place in range(count)])


def optuna_callback(log: Logger, model: str | None = None, version: str | None = None) -> Callable[[Any, Any], None]:
    """A callback for `study.optimize(…, callbacks=[…])`. Each trial that ends becomes a run of the study, with its parameters, intermediate
    values and objective values. The command `observability import optuna` makes the same records from the study's storage.
    """

    def after_trial(study: Any, trial: Any) -> None:
        directions = [direction.name.lower() for direction in study.directions]
        names = optuna_objectives(getattr(study, "metric_names", None), len(directions))
        start = format_time(_aware(trial.datetime_start) or datetime.now(UTC))
        run = optuna_run_id(study.study_name, trial.number, start)
        named = {"model": model, "version": version, "study": study.study_name}
        about = {"trial": trial.number, "directions": directions, "attributes": dict(trial.user_attrs) or None}
        log.record("run", run=run, event="start", at=start, params=dict(trial.params) or None, **about, **named)
        for step, value in sorted(trial.intermediate_values.items()):
            log.record("step", run=run, at=start, step=step, metrics={names[0]: value}, time_of="trial start")
        status = OPTUNA_STATES.get(trial.state.name, trial.state.name.lower())
        metrics = dict(zip(names, trial.values or ()))
        log.record("run", run=run, event="end", at=_aware(trial.datetime_complete), status=status, metrics=metrics or None, **named)

    return after_trial


def _aware(moment: datetime | None) -> datetime | None:
    """A time with an offset; a local time without one gets the offset of this machine."""
    return moment if moment is None or moment.tzinfo is not None else moment.astimezone()


def record_epochs(run: TrackedRun, epochs: Iterable[Any], train: Callable[[Any], Mapping[str, Any]]) -> None:
    """Record a hand-written training loop, such as one in PyTorch. It calls `train` for each epoch and records the result, {metric: number
    or tensor}.

    The last values are the run's final metrics.
    """
    for place, epoch in enumerate(epochs, 1):
        metrics = metric_numbers(train(epoch))
        record_step(run, place, metrics)
        run.metrics(**metrics)


def lightning_callback(run: TrackedRun) -> Any:
    """A callback for `Trainer(callbacks=[…])` of Lightning. It writes a step for each training epoch and each validation, with the metrics
    that the module logs. With several processes, each step carries the rank of its process.
    """
    try:
        from lightning.pytorch import Callback
    except ModuleNotFoundError:
        from pytorch_lightning import Callback

    class RecordEpochs(Callback):
        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            del pl_module
            self.note(trainer)

        def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
            del pl_module
            if not trainer.sanity_checking:
                self.note(trainer)

        def note(self, trainer: Any) -> None:
            metrics = metric_numbers(trainer.callback_metrics)
            record_step(run, trainer.global_step, metrics, trainer.global_rank if trainer.world_size > 1 else None)
            run.metrics(**metrics)

    return RecordEpochs()


def keras_callback(run: TrackedRun) -> Any:
    """A callback for `model.fit(…, callbacks=[…])` of Keras. It writes a step for each epoch, with the loss and metrics of training and
    validation.
    """
    from keras.callbacks import Callback

    class RecordLogs(Callback):
        def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
            metrics = metric_numbers(logs)
            record_step(run, epoch + 1, metrics)
            run.metrics(**metrics)

    return RecordLogs()


def transformers_callback(run: TrackedRun) -> Any:
    """A callback for `Trainer(…, callbacks=[…])` of Transformers. It writes a step for each log entry, and the results of the training as
    final metrics.
    """
    from transformers import TrainerCallback

    class RecordTrainerLogs(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **others: Any) -> None:
            del args, control, others
            if not state.is_world_process_zero:
                return
            metrics = metric_numbers(logs)
            if "train_runtime" in metrics:
                run.metrics(**metrics)
            else:
                record_step(run, state.global_step, metrics)

    return RecordTrainerLogs()
