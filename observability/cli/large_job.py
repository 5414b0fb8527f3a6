"""Load the long simulated job of `demo --large`: 64 ranks × 100,000 steps. The records are generated from one seed while they are loaded,
because a file of them would be too large for the sample.

Nothing was trained; the name, the parameters and the records of the run say that it is simulated. In the second half, one rank takes six
times as long to read its data, and the other ranks wait for it. Step lines have only the fields of the contract, so that the loader's fast
path can load them.
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from observability.store.engine import Store
from observability.store.types.loading import LoadDefaults, LoadReport

LARGE_RUN = "simulated-64-ranks-long"
RANKS, RANKS_OF_HOST, STEPS = 64, 8, 100_000
SLOW_RANK, SLOWER, SEED = 37, 6.0, 59
AT_ONCE = 2_000
"""Number of steps that are written and loaded at once: 128,000 lines."""
BEGIN, STEP_SECONDS = datetime(2024, 11, 25, 12, tzinfo=UTC), 0.28
"""The job begins earlier than the other training runs of the sample, so that pages of the newest runs list those other runs."""
Say = Callable[[str], object]


def load_large_job(store: Store, say: Say, steps: int = STEPS) -> LoadReport:
    """Load the job with the given number of steps, in the same way as any other file of records."""
    end = BEGIN + timedelta(seconds=STEP_SECONDS * steps)
    about = {"kind": "run", "run": LARGE_RUN, "model": "flights-late", "simulated": True}
    params = {"simulated": "learns nothing, runs nowhere", "processes": RANKS, "slowed": f"rank {SLOW_RANK}, in data, from the middle on"}
    hardware = {"host": "invented", "accelerator": "invented"}
    both = [
        {**about, "event": "start", "at": BEGIN.isoformat(), "params": params, "study": LARGE_RUN, "hardware": hardware},
        {**about, "event": "end", "at": end.isoformat(), "status": "finished"},
    ]
    report, sample = LoadReport(), LoadDefaults(sample=True)
    with tempfile.TemporaryDirectory(dir=store.home / "tmp") as folder:
        path = Path(folder) / "run.jsonl"
        path.write_text("".join(json.dumps(each) + "\n" for each in both), encoding="utf-8")
        report += store.load_files([path], sample)
        for first in range(1, steps + 1, AT_ONCE):
            last = min(first + AT_ONCE - 1, steps)
            path = Path(folder) / f"{LARGE_RUN}-{first}.jsonl"
            with path.open("w", encoding="utf-8") as file:
                file.writelines(step_lines(first, last, steps))
            report += store.load_files([path], sample)
            path.unlink()
            say(f"{LARGE_RUN}: {100 * last / steps:.0f} %, {report.lines:,} lines")
    return report


def step_lines(first: int, last: int, steps: int) -> Iterator[str]:
    """The lines of all ranks for the steps from `first` to `last`. steps: number of steps of the whole job. The lines of a step are the
    same however the job is divided into parts.
    """
    import numpy as np

    hosts = [
        f'"rank":"{rank}","host":"invented-node-{1 + rank // RANKS_OF_HOST}","device":"gpu{rank % RANKS_OF_HOST}"' for rank in range(RANKS)
    ]
    for step in range(first, last + 1):
        rng = np.random.default_rng([SEED, step])
        data, compute, communication, late = rng.normal([[2.4], [212.0], [38.0], [0.4]], [[0.2], [1.2], [0.8], [0.05]], (4, RANKS))
        data[SLOW_RANK] *= SLOWER if 2 * step > steps else 1.0
        own = data + compute + communication
        wait = own.max() - own + late
        at = (BEGIN + timedelta(seconds=STEP_SECONDS * step)).isoformat(timespec="milliseconds")
        loss = round(2 * step**-0.3, 4)
        head = f'{{"kind":"step","run":"{LARGE_RUN}","at":"{at}","step":{step},"metrics":{{"train_loss":{loss}}},'
        for rank, (a, b, c, d) in enumerate(np.maximum([data, compute, communication, wait], 0.0).round(1).T.tolist()):
            yield f'{head}{hosts[rank]},"phase_ms":{{"data":{a},"compute":{b},"communication":{c},"sync":{d}}}}}\n'
