"""How long do pages of the pipeline take to open over many records? All records are simulated.

    python tests/benchmarks/bench_size.py [--parts labelling,batches,ranks,runs] [--scale 1.0] [--folder DIR]

labelling: 600 people and 200,000 annotations. batches: 12,000 batches of 100 devices with 200 columns. ranks: a job of 64 ranks and 100,000 steps.
runs: 1,000 runs of 10,000 steps. `--scale` multiplies annotations, batches, and steps of ranks or runs. Each part has a home of its own: its records are written
as JSONL, loaded (lines a second), and its pages opened by a session of a new process whose packages are imported: cold, then once more. Prints seconds of the clock and of the processor
of the page's process, background threads included.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.chdir(ROOT)

import numpy as np

END = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
CLASSES = ("negative", "neutral", "positive")


def annotation_lines(scale: float) -> Iterator[str]:
    """Labels of 600 people, four an item, over 60 days; one item of ten has a known answer."""
    rng = np.random.default_rng(1)
    items = round(50_000 * scale)
    for item in range(items):
        truth, at = int(rng.integers(3)), END - timedelta(days=60 * (1 - item / items))
        gold = f', "gold": "{CLASSES[truth]}"' if item % 10 == 0 else ""
        for person in rng.choice(600, 4, replace=False):
            said = CLASSES[truth if rng.random() < 0.85 else int(rng.integers(3))]
            when = (at + timedelta(minutes=float(rng.uniform(0, 600)))).isoformat()
            yield (
                f'{{"kind": "annotation", "project": "moods", "item": "i{item}", "annotator": "a{person}", "at": "{when}", "label": "{said}", '
                f'"seconds": {rng.uniform(5, 60):.1f}, "suggestion": "{CLASSES[int(rng.integers(3))]}", "suggestion_confidence": 0.7{gold}}}'
            )


def batch_lines(scale: float) -> Iterator[str]:
    """Batches of 100 devices over 120 days, each with statistics of 200 columns."""
    rng, days = np.random.default_rng(2), round(120 * scale)
    for day in range(days):
        for device in range(100):
            at = END - timedelta(days=days - day - 0.25)
            values = zip(rng.normal(20, 1, 200).round(3), rng.lognormal(1, 0.1, 200).round(3), (rng.binomial(1000, 0.02, 200) / 1000))
            stats = {f"c{place}": {"mean": float(a), "std": float(b), "null_share": float(c)} for place, (a, b, c) in enumerate(values)}
            body = {"kind": "batch", "batch": f"{device} {day}", "at": at.isoformat(), "source": "s", "rows": 1000, "device": f"d{device}"}
            yield json.dumps(body | {"rejected_rows": 3, "captured_to": (at - timedelta(hours=1)).isoformat(), "stats": stats})


def rank_lines(scale: float) -> Iterator[str]:
    """A job of 64 ranks; rank 13 reads its data six times as slowly in the second half."""
    rng, steps = np.random.default_rng(3), round(100_000 * scale)
    begin = END - timedelta(days=1)
    yield json.dumps(
        {"kind": "run", "run": "wide", "model": "loan", "event": "start", "at": begin.isoformat(), "params": {"simulated": True}}
    )
    for step in range(1, steps + 1):
        at = (begin + timedelta(seconds=80_000 * step / steps)).isoformat()
        data, work, talk = rng.uniform(5, 5.5, 64), rng.uniform(40, 42, 64), rng.uniform(3, 4, 64)
        if step > steps // 2:
            data[13] *= 6
        for rank in range(64):
            yield (
                f'{{"kind": "step", "run": "wide", "at": "{at}", "step": {step}, "rank": "{rank}", "host": "h{rank // 8}", '
                f'"metrics": {{"train_loss": {2 * step**-0.3:.4f}}}, '
                f'"phase_ms": {{"data": {data[rank]:.2f}, "compute": {work[rank]:.2f}, "communication": {talk[rank]:.2f}}}}}'
            )
    yield json.dumps({"kind": "run", "run": "wide", "model": "loan", "event": "end", "status": "finished", "at": at})


def run_lines(scale: float) -> Iterator[str]:
    """1,000 runs, the newest last."""
    rng, steps = np.random.default_rng(4), round(10_000 * scale)
    for run in range(1000):
        begin = END - timedelta(hours=1000 - run)
        head = {
            "kind": "run",
            "run": f"r{run:04}",
            "model": "loan",
            "study": f"s{run // 100}",
            "params": {"lr": float(rng.uniform(0.01, 1))},
        }
        yield json.dumps(head | {"event": "start", "at": begin.isoformat()})
        noise = rng.normal(0, 0.01, steps)
        for step in range(1, steps + 1):
            at = (begin + timedelta(seconds=3000 * step / steps)).isoformat()
            loss = 0.3 + 2 * step**-0.35 + noise[step - 1]
            yield f'{{"kind": "step", "run": "r{run:04}", "at": "{at}", "step": {step}, "metrics": {{"train_loss": {loss:.4f}, "val_loss": {loss + 0.1:.4f}}}}}'
        yield json.dumps(head | {"event": "end", "status": "finished", "at": at, "metrics": {"val_loss": loss + 0.1}})


PARTS: dict[str, tuple[Callable[[float], Iterator[str]], tuple[str, ...]]] = {
    "labelling": (annotation_lines, ("labelling", "label_quality", "annotate")),
    "batches": (batch_lines, ("devices", "batches")),
    "ranks": (rank_lines, ("distributed", "runs")),
    "runs": (run_lines, ("runs", "compare_runs", "studies")),
}
LINES_A_FILE = 500_000


def load_part(part: str, scale: float, home: Path) -> None:
    """Write and load the records of a part, and print the lines a second."""
    from observability.store.opener import open_store
    from observability.store.types.loading import LoadDefaults

    lines, loaded, spent = PARTS[part][0](scale), 0, 0.0
    with open_store(home) as store:
        while chunk := list(itertools.islice(lines, LINES_A_FILE)):
            path = home / "records.jsonl"
            path.write_text("\n".join(chunk), encoding="utf-8")
            began = time.perf_counter()
            report = store.load_files([path], LoadDefaults())
            spent += time.perf_counter() - began
            assert report.rejected == 0, report
            loaded += report.stored
            path.unlink()
    print(f"{part}: {loaded:,} lines loaded in {spent:.1f} s, {loaded / spent:,.0f} a second", flush=True)


def open_page(page: str, home: Path) -> None:
    """Open a page in this process, cold and warm, and print the seconds."""
    from observability.server import process_lock
    from tests.support.dashboard_pages import opened, words

    process_lock.own(home)
    opened("rules")
    for name in ("cold", "warm"):
        began, cpu = time.perf_counter(), time.process_time()
        app = opened(page)
        spent, used = time.perf_counter() - began, time.process_time() - cpu
        print(f"  {page:14} {name}: {spent:6.2f} s, {used:6.2f} s CPU, {len(words(app)):,} characters", flush=True)


def main(parts: list[str], scale: float, folder: str | None, page: str | None) -> None:
    """Measure each part."""
    if page:
        open_page(page, Path(folder or "."))
        return
    for part in parts:
        with tempfile.TemporaryDirectory(dir=folder) as home:
            load_part(part, scale, Path(home))
            for name in PARTS[part][1]:
                subprocess.run([sys.executable, __file__, "--page", name, "--folder", home], check=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=lambda text: text.split(","), default=list(PARTS))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--folder")
    parser.add_argument("--page", help=argparse.SUPPRESS)
    main(**vars(parser.parse_args()))
