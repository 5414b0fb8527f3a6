"""Records the start, the steps and the end of a training run."""

import os
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from observability.client.encode import describe_error
from observability.client.log import Fields, Logger, Moment, Number

RUN_SEGMENT_SECONDS = 0.5
"""Seconds after which the records of a run can be loaded; short, because somebody may be watching the run. There are few steps compared
with predictions.
"""


def track_run(
    model: str | None = None,
    params: Fields | None = None,
    home: str | os.PathLike[str] | None = None,
    run: str | None = None,
    version: str | None = None,
    dataset: str | None = None,
    study: str | None = None,
    seed: int | None = None,
    hardware: Fields | None = None,
    rank: int | None = None,
    *,
    device: str | None = None,
    logger: Logger | None = None,
    power: bool = False,
    directions: Mapping[str, str] | None = None,
) -> "TrackedRun":
    """Record a training run in a `with` block: `with obs.track_run(model="loan", params={...}) as run: run.step(10, loss=0.3)`.

    Writes the run's start, and its end as finished or failed; an exception passes unchanged. `run` is the id; a new one is made if none is
    given. `hardware` adds to the facts that the standard library provides. Processes of one distributed run share `run`, and each gives its
    `rank`: rank 0 writes start and end, the other ranks write only their own failure. `device`: the device on which this process computes,
    such as "gpu0" or "cuda:1"; it is written with each step, together with the name of this machine. `logger`: an existing logger, which is
    left open. `directions`: {metric: "low" or "high"}, which direction is better, for metrics whose name does not show it. `power`: the
    machine's power is read in a thread and written as `resource` records of the run (observability.client.power). `device_memory_gb` is
    then part of the hardware, if NVML reports how much memory each accelerator has and all have the same.
    """
    fields = {"model": model, "version": version, "params": params, "dataset": dataset, "study": study, "seed": seed}
    fields |= {"directions": directions} if directions else {}
    return TrackedRun(
        run or uuid.uuid4().hex,
        logger or Logger(home, segment_seconds=RUN_SEGMENT_SECONDS),
        logger is None,
        fields,
        hardware or {},
        rank,
        power,
        device,
    )


class TrackedRun:
    """A run that is being recorded. `run` is its id. No method raises."""

    def __init__(
        self,
        run: str,
        log: Logger,
        owns_log: bool,
        fields: Fields,
        hardware: Fields,
        rank: int | None,
        power: bool = False,
        device: str | None = None,
    ) -> None:
        import platform

        self.run, self.log, self.rank = str(run), log, rank
        self._owns_log, self._fields, self._hardware = owns_log, fields, hardware
        self._where = {"host": platform.node() or None, "device": device}
        self._final: dict[str, object] = {}
        self._meter: Any = None
        if power:
            from observability.client.power import PowerMeter

            self._meter = PowerMeter(self.log, run=self.run, model=fields.get("model"), version=fields.get("version"))

    def __enter__(self) -> Self:
        known = describe_hardware() if self.rank in (None, 0) else {}
        if self._meter is not None:
            self._meter.start()
            known |= self._meter.hardware()
        if self.rank in (None, 0):
            self.log.record("run", run=self.run, event="start", **{**self._fields, "hardware": {**known, **self._hardware}})
        return self

    def step(
        self,
        number: int | None = None,
        /,
        *,
        rank: int | None = None,
        host: str | None = None,
        device: str | None = None,
        phase_ms: Mapping[str, Number] | None = None,
        at: Moment | None = None,
        batch: object = None,
        **metrics: Any,
    ) -> bool:
        """Log the metrics of one step. Its number is the first argument or the keyword `step`. True once it is written.

        phase_ms: {compute, data, communication} in milliseconds. batch: the id of the batch of data that the step read. host, device: by
        default this machine and the run's `device`.
        """
        if number is None:
            number = metrics.pop("step", None)
        rank = self.rank if rank is None else rank
        read = {} if batch is None else {"batch": str(batch)}
        where = {"host": host or self._where["host"], "device": device or self._where["device"]}
        return self.log.record("step", run=self.run, step=number, metrics=metrics, rank=rank, phase_ms=phase_ms, at=at, **where, **read)

    def alert(self, text: str) -> bool:
        """Log a sentence about this run that a person should read; it becomes a finding. True once it is written."""
        named = {"model": self._fields.get("model"), "version": self._fields.get("version")}
        return self.log.record("event", what="note", text=text, run=self.run, **named)

    def resource(self, *, device: str, **fields: object) -> bool:
        """Log the resources of a device of this run, with the fields of `Logger.resource`. True once it is written."""
        named = {"model": self._fields.get("model"), "version": self._fields.get("version")}
        return self.log.record("resource", **{"device": device, "run": self.run, **named, **fields})

    def metrics(self, **final: object) -> None:
        """Set final metrics, written with the end of the run; a later value of the same name replaces the earlier one."""
        self._final.update(final)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._meter is not None:
            self._meter.stop()
        left_on_purpose = isinstance(error, SystemExit) and error.code in (None, 0)
        failed = kind is not None and not left_on_purpose
        if self.rank in (None, 0) or failed:
            end: dict[str, object] = {"model": self._fields.get("model"), "version": self._fields.get("version")}
            end |= {"status": "failed" if failed else "finished", "metrics": self._final or None, "rank": self.rank}
            if failed:
                end["error"] = describe_error(error)
            self.log.record("run", run=self.run, event="end", **end)
        if self._owns_log:
            self.log.close()
        else:
            self.log.flush()


def describe_hardware() -> dict[str, object]:
    """Facts about the machine from the standard library: host, cores, memory_gb, platform, python. Unknown values are left out."""
    import platform

    known: dict[str, object] = {
        "host": platform.node(),
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
    }
    try:
        known["cores_usable"] = len(os.sched_getaffinity(0))
        known["memory_gb"] = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    except (AttributeError, OSError, ValueError):
        pass
    return {name: value for name, value in known.items() if value is not None}
